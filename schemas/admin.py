"""The admin API's common words: shapes, problems, pages, keys, audit. They are also what its OpenAPI document says."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from schemas.access import Role

LARGEST_ID: Final = 2**63 - 1

Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
"""Number of a row."""

Words = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A line of text."""

Reason = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Why, in a person's words; it stands in the audit."""

KeyName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}$")]
"""Who or what uses a key: 1 to 64 letters, digits, spaces and ``._@-``."""


def _written_out(value: object) -> object:
    """Pydantic would take the year 2026 for 2026 seconds after 1970."""
    if isinstance(value, str) and re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", value):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value
    raise ValueError("expected a time with its zone, such as 2026-05-10T12:00:00Z")


def _in_utc(moment: datetime) -> datetime:
    """The ledger gives times back in UTC, where the first and last hours of other zones have no year."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("expected a time whose year in UTC is 1 to 9999") from None


Instant = Annotated[AwareDatetime, BeforeValidator(_written_out)]
"""A time with its zone, written out; a number is none."""

StoredInstant = Annotated[Instant, AfterValidator(_in_utc)]
"""A time that the ledger is to keep."""

Item = TypeVar("Item")


class Shape(BaseModel):
    """What every request and answer is made of: no unknown field, no infinite number, no change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Fault(Shape):
    """One thing that is wrong with a request.

    Attributes:
        at: where: ``body``, ``query``, ``path`` or ``header`` and a JSON pointer below it.
    """

    at: str
    detail: str


class Problem(Shape):
    """Why a request was not done (RFC 9457).

    Attributes:
        request_id: what to look for in the log.
        faults: every fault of the request, where there are such.
    """

    type: str = "about:blank"
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    request_id: str
    faults: list[Fault] | None = None


class Page(Shape, Generic[Item]):
    """Some entries of a list, the newest first.

    Attributes:
        next: the cursor of the next page; without one the list has ended. A page may be short, even empty, and have
            one: then so many entries were looked through in vain that the rest is for another request.
    """

    items: list[Item]
    next: str | None = None


class PageQuery(Shape):
    """Which part of a list is asked for."""

    cursor: Annotated[str, Field(max_length=200, description="`next` of the page before")] | None = None
    limit: Annotated[int, Field(ge=1, le=200, description="entries of a page")] = 50


class Whoami(Shape):
    """Whose key it is."""

    id: str
    name: str
    role: Role
    expires_at: datetime | None


class KeyView(Shape):
    """An API key, without its secret."""

    id: str
    name: str
    role: Role
    living: bool
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    ended_at: datetime | None


class Keys(Shape):
    """Every API key, the newest first."""

    items: list[KeyView]


class NewKey(Shape):
    """An API key to make."""

    name: KeyName
    role: Role
    days: Annotated[int, Field(ge=1, le=3650, description="days until it expires; null: never")] | None = None
    reason: Reason = ""


class MadeKey(Shape):
    """A new API key, and the only time that it is shown."""

    key: str
    view: KeyView


class KeyPath(Shape):
    """Which key."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]


class Why(Shape):
    """The body of an action that needs no more than its reason."""

    reason: Reason = ""


class AuditQuery(PageQuery):
    """Which entries of the audit; a filter is a whole value."""

    actor: Words | None = None
    action: Words | None = None
    subject: Words | None = None


class AuditView(Shape):
    """One change by somebody."""

    id: Id
    at: datetime
    actor: str
    action: str
    subject: str
    reason: str
    detail: dict[str, Any]
    previous: str
    hash: str


class AuditVerdict(Shape):
    """Whether the audit is as it was written."""

    holds: bool
    rows: int
    hash: str
    faults: list[str]


class Moments(PageQuery):
    """A list that can be cut in time."""

    since: Annotated[Instant, Field(description="not before")] | None = None
    until: Annotated[Instant, Field(description="before")] | None = None
