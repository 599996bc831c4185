"""Versions of the playbook and webhook tokens, as a person sees them over the admin API."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from schemas.admin import Id, KeyName, PageQuery, Reason, Shape, StoredInstant

LARGEST_PLAYBOOK = 256 * 1024

Text = Annotated[str, StringConstraints(min_length=1, max_length=LARGEST_PLAYBOOK)]
"""A playbook as TOML."""


class PlaybookLine(Shape):
    """A version of the playbook.

    Attributes:
        activated_at: when it was put in force last.
    """

    version: Id
    created_at: datetime
    created_by: str
    activated_at: datetime | None
    active: bool
    note: str


class PlaybookView(Shape):
    """The playbook in force, or one of its versions.

    Attributes:
        version: None for the settings' own, which is in force where none was ever activated.
        rules: as they were understood.
        faults: why this version of Keyturn cannot load it; the rules are empty then.
    """

    version: Id | None
    active: bool
    text: str
    rules: list[dict[str, Any]]
    warnings: list[str]
    faults: list[str]


class PlaybookPath(Shape):
    """Which version."""

    version: Id


class PlaybookQuery(PageQuery):
    """Which versions."""


class PlaybookText(Shape):
    """A playbook to look at."""

    text: Text


class NewPlaybook(PlaybookText):
    """A playbook to keep, and to put in force where that is asked for."""

    note: Reason = ""
    activate: bool = False


class PlaybookCheck(Shape):
    """What is to be said of a playbook."""

    ok: bool
    faults: list[str]
    warnings: list[str]
    rules: list[dict[str, Any]]


class RuleChange(Shape):
    """What became of one rule; a field that is not there is as it is by default."""

    rule: str
    change: Literal["added", "removed", "changed", "moved"]
    fields: Annotated[list[str], Field(description="which of its fields differ")]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class PlaybookDiff(Shape):
    """How one playbook differs from another, rule by rule."""

    before: Annotated[Id | None, Field(description="version; null: the settings' own")]
    changes: list[RuleChange]


class DiffQuery(Shape):
    """Against which version; without one against what is in force."""

    against: Id | None = None


class WebhookTokenView(Shape):
    """A webhook token, without what it is."""

    id: str
    name: str
    living: bool
    created_at: datetime
    ends_at: datetime | None


class WebhookTokens(Shape):
    """Every webhook token of the ledger, the newest first; those of the settings stand beside them."""

    items: list[WebhookTokenView]
    of_settings: Annotated[int, Field(description="how many more the settings have")]


class NewWebhookToken(Shape):
    """A webhook token to make."""

    name: KeyName
    ends_at: StoredInstant | None = None
    reason: Reason = ""


class MadeWebhookToken(Shape):
    """A new webhook token, and the only time that it is shown.

    Attributes:
        authorization: the whole value of the header that a webhook has to carry.
    """

    authorization: str
    view: WebhookTokenView


class EndWebhookToken(Shape):
    """When a webhook token ends; senders that still use it have time until then."""

    seconds: Annotated[int, Field(ge=0, le=31_536_000, description="from now")] = 0
    reason: Reason = ""


class WebhookTokenPath(Shape):
    """Which webhook token."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
