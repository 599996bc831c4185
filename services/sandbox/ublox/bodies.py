"""What the request bodies of all API calls have in common; whatever does not fit is a bad request.

Source: the request body schema of each call. Fields that the document does not name are ignored.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from schemas.events import parse_timestamp

BAD_REQUEST: Final = "Bad Request"
INVALID_UIDS: Final = "Bad Request. Invalid ROTPublicUIDs"
NOT_AUTHORIZED: Final = "Not Authorized."

PAGE_SIZE: Final = 100
"""``PageSize`` of every sample."""

Texts = Annotated[list[str], Field(min_length=1)]
Uid = str | int
Uids = Annotated[list[Uid], Field(min_length=1)]
"""The document's schema says string, some of its samples send integers."""

CaName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,45}$")]
PositivePage = Annotated[int, Field(ge=1)]
Moment = Annotated[datetime, BeforeValidator(parse_timestamp)]

Json = dict[str, Any]
Request = Mapping[str, Any]


class Refusal(Exception):
    """The call is refused: nothing was changed.

    Attributes:
        status: the HTTP status.
        text: what stands under ``message``.
    """

    def __init__(self, status: int = 400, text: str = BAD_REQUEST) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Body(BaseModel):
    """A request body; members have the document's names."""

    model_config = ConfigDict(strict=True, frozen=True)


class Selection(Body):
    """The two ways in which most calls name devices; exactly one of them may be used."""

    ROTPublicUIDs: Uids | None = None
    TagNames: Texts | None = None


class Paged(Body):
    """A call that answers in pages."""

    PageNumber: PositivePage = 1


class Period(Paged):
    """The part that every look-back has in common."""

    FromDate: Moment
    ToDate: Moment = datetime.max.replace(tzinfo=UTC)


class Named(Body):
    """A call that names one root CA."""

    CAName: CaName


Wish = TypeVar("Wish", bound=Body)


def read(kind: type[Wish], body: Request) -> Wish:
    """Read a body.

    Raises:
        Refusal: it does not fit; the document's text for that names no fault.
    """
    try:
        return kind.model_validate(body)
    except ValidationError:
        raise Refusal from None


def page(name: str, items: Sequence[object], number: int) -> Json:
    """One page of an answer."""
    shown = items[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    return {name: shown, "PageNumber": number, "PageSize": PAGE_SIZE, "TotalRecords": len(items)}
