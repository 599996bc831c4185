"""The inventory in the admin API: one thing, pages of them, and documents that are taken in."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from schemas.admin import PageQuery, Reason, Shape
from schemas.triggers import SiteName

Kind = Literal["site", "device", "2n", "token", "tap"]


class FleetPath(Shape):
    """Which thing; of a token the key is such as ``alice/sms``."""

    kind: Kind
    key: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class FleetQuery(PageQuery):
    """Which things."""

    cursor: Annotated[str, Field(max_length=1200, description="`next` of the page before")] | None = None
    kind: Kind | None = None
    site: SiteName | None = None


class FleetThing(Shape):
    """One thing of the inventory; where a secret belongs stands the name that it has in the vault."""

    kind: Kind
    key: str
    site: str
    fields: dict[str, Any]
    updated_at: datetime


class PutThing(Shape):
    """A thing as it is to be.

    Attributes:
        site: the site that it belongs to; not told of a site.
        fields: as a document of the inventory has them. A secret is written out, or `{"vault": name}` as it was read.
    """

    site: SiteName | None = None
    fields: dict[str, Any] = Field(default={})
    reason: Reason = ""


class RemoveThing(Shape):
    """Why a thing goes."""

    reason: Reason = ""


class ImportQuery(Shape):
    """How a document is taken in."""

    dry_run: Annotated[bool, Field(description="true: tell what would change, and do nothing")] = False
    prune: Annotated[bool, Field(description="true: what the document does not name goes, with its secrets")] = False
    reason: Reason = ""


class ImportText(Shape):
    """A document of the inventory."""

    form: Literal["toml", "csv"]
    text: str


class ImportedChange(Shape):
    """One thing that is added, changed or removed; of what changes, the keys."""

    kind: Kind
    name: str
    site: str
    details: list[str]


class Imported(Shape):
    """What an import did, or would do."""

    ok: bool = True
    dry_run: bool
    added: list[ImportedChange]
    changed: list[ImportedChange]
    removed: list[ImportedChange]
    unchanged: int
