"""The request bodies of the API calls, read strictly; whatever does not fit is a bad request.

Source: the request body schema of each call. Fields that the document does not name are ignored.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from schemas.events import EventType, parse_timestamp

BAD_REQUEST: Final = "Bad Request"
INVALID_UIDS: Final = "Bad Request. Invalid ROTPublicUIDs"
NOT_AUTHORIZED: Final = "Not Authorized."

Texts = Annotated[list[str], Field(min_length=1)]
Uids = Annotated[list[str | int], Field(min_length=1)]
"""The document's schema says string, some of its samples send integers."""

CaName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,45}$")]
PositivePage = Annotated[int, Field(ge=1)]
Moment = Annotated[datetime, BeforeValidator(parse_timestamp)]


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


class Login(Body):
    """``/authenticate``."""

    APIKey: str
    APISecret: str


class Refresh(Body):
    """``/refreshauthtoken``."""

    APIKey: str
    RefreshToken: str


class Listing(Body):
    """``/device/list/get``."""

    Filter: Literal["ALL", "WHITELISTED", "BLACKLISTED"] = "ALL"
    PageNumber: PositivePage = 1


class InfoWish(Body):
    """``/device/info/get``."""

    ROTPublicUIDs: Uids | None = None
    TagNames: Texts | None = None
    DeviceSerialNumbers: Texts | None = None
    Options: list[Literal["CORE", "PROVISIONING", "ZTP"]] | None = None


class Rotate(Body):
    """``/e2e/key/rotate``."""

    ROTPublicUIDs: Uids | None = None
    TagNames: Texts | None = None
    Type: Literal["CONTINUOUS", "AUTOMATIC"]
    Days: Annotated[int, Field(ge=1, le=30)] = 7


class Update(Body):
    """``/ztp/devicecertificate/update``."""

    CAName: CaName
    ROTPublicUIDs: Uids | None = None
    SerialNumbers: Texts | None = None


class Renew(Update):
    """``/ztp/devicecertificate/renew``."""

    DeviceCertificateValidity: Annotated[int, Field(ge=30, le=3650)]


class AuthoritiesWish(Body):
    """``/ztp/rootca/get``."""

    PageNumber: PositivePage = 1
    CAName: str | None = None


class Period(Body):
    """The part that every look-back has in common."""

    FromDate: Moment
    ToDate: Moment = datetime.max.replace(tzinfo=UTC)
    PageNumber: PositivePage = 1


class NotificationsWish(Period):
    """``/notification/get``."""

    ROTPublicUIDs: Uids | None = None
    TagNames: Texts | None = None
    NotificationType: (
        Literal["DEVICE_STATE_CHANGE", "DEVICE_INFO_CHANGE", "DEVICE_PROPERTIES_CHANGE", "DEVICE_ERROR"] | None
    ) = None


class CloneWish(Period):
    """``/device/clone/get``."""

    ROTPublicUIDs: Uids | None = None
    TagNames: Texts | None = None


class SuspectWish(Body):
    """``/device/suspicious/get``."""

    ROTPublicUIDs: Uids | None = None
    TagNames: Texts | None = None
    PageNumber: PositivePage = 1


class ActivityWish(Period):
    """``/device/activity/get``."""

    ROTPublicUID: str | int


class HookUrl(Body):
    """``/notification/webhook/delete``."""

    NotificationURL: str


class HookToken(HookUrl):
    """``/notification/webhook/update``."""

    AuthorizationToken: Annotated[str, Field(min_length=1, pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")]


class Hook(HookToken):
    """``/notification/webhook/create``."""

    NotificationType: Annotated[EventType, Field(strict=False)]


Wish = TypeVar("Wish", bound=Body)


def read(kind: type[Wish], body: Mapping[str, Any]) -> Wish:
    """Read a body.

    Raises:
        Refusal: it does not fit; the document's text for that names no fault.
    """
    try:
        return kind.model_validate(body)
    except ValidationError:
        raise Refusal from None
