"""What we ask of u-blox Security Services, with every documented bound.

Source: Security Services REST APIs 1.1.29; the section of each request is its ``path``.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from schemas.events import EventType, canonical_uid

BATCH: Final = 100
"""Devices per call. The document says "1 to N" and nothing of N; its pages have 100."""

RotPublicUid = Annotated[str, BeforeValidator(canonical_uid)]
_Uids = Annotated[tuple[RotPublicUid, ...], Field(min_length=1)]
_Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
_HttpsUrl = Annotated[str, Field(pattern=r"^https://[^\s/]+", max_length=2048)]


class Detail(StrEnum):
    """``/device/info/get``: which information to return."""

    CORE = "CORE"
    PROVISIONING = "PROVISIONING"
    ZTP = "ZTP"


class DeviceFilter(StrEnum):
    """``/device/list/get``: which devices to list."""

    ALL = "ALL"
    WHITELISTED = "WHITELISTED"
    BLACKLISTED = "BLACKLISTED"


class RotationType(StrEnum):
    """``/e2e/key/rotate``: with every e2e call, or after some days."""

    CONTINUOUS = "CONTINUOUS"
    AUTOMATIC = "AUTOMATIC"


@dataclass(frozen=True, kw_only=True, slots=True)
class RotationPolicy:
    """When the E2E keys of a device change; u-blox takes 7 days where an automatic policy names none."""

    type: RotationType
    days: int | None = None


class UbloxRequest(BaseModel):
    """A request body; its fields bear our names here and theirs on the wire."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, hide_input_in_errors=True)

    path: ClassVar[str]
    one_of: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _exactly_one_selector(self) -> Self:
        given = [name for name in self.one_of if getattr(self, name) is not None]
        if self.one_of and len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(self.one_of)} is needed")
        return self

    def body(self) -> dict[str, Any]:
        """Give the body to send, secrets in clear: for the wire and for nothing else."""
        fields = self.model_dump(by_alias=True, exclude_none=True)
        return {name: _revealed(value) for name, value in fields.items()}

    def concealed(self) -> tuple[str, ...]:
        """Give the secrets of the body, which no text may repeat."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return tuple(value.get_secret_value() for value in values if isinstance(value, SecretStr))


class Authenticate(UbloxRequest):
    """An APIKey and its secret for an AuthToken and a RefreshToken."""

    path: ClassVar[str] = "/authenticate"

    api_key: SecretStr = Field(alias="APIKey", min_length=1)
    api_secret: SecretStr = Field(alias="APISecret", min_length=1)


class RefreshAuthToken(UbloxRequest):
    """A RefreshToken, not more than 3 days old, for a new AuthToken."""

    path: ClassVar[str] = "/refreshauthtoken"

    api_key: SecretStr = Field(alias="APIKey", min_length=1)
    refresh_token: SecretStr = Field(alias="RefreshToken", min_length=1)


class DeviceInfoGet(UbloxRequest):
    """The aggregated information about devices."""

    path: ClassVar[str] = "/device/info/get"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "tag_names", "device_serial_numbers")

    rot_public_uids: _Uids | None = Field(default=None, alias="ROTPublicUIDs")
    tag_names: _Names | None = Field(default=None, alias="TagNames")
    device_serial_numbers: _Names | None = Field(default=None, alias="DeviceSerialNumbers")
    options: tuple[Detail, ...] | None = Field(default=None, alias="Options", min_length=1)


class DeviceListGet(UbloxRequest):
    """One page of the account's devices."""

    path: ClassVar[str] = "/device/list/get"

    filter: DeviceFilter | None = Field(default=None, alias="Filter")
    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class KeyRotate(UbloxRequest):
    """The rotation policy of E2E keys; there is no call that rotates a key at once."""

    path: ClassVar[str] = "/e2e/key/rotate"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "tag_names")

    rot_public_uids: _Uids | None = Field(default=None, alias="ROTPublicUIDs")
    tag_names: _Names | None = Field(default=None, alias="TagNames")
    type: RotationType = Field(alias="Type")
    days: int | None = Field(default=None, alias="Days", ge=1, le=30)

    @model_validator(mode="after")
    def _days_only_when_automatic(self) -> Self:
        if self.days is not None and self.type is not RotationType.AUTOMATIC:
            raise ValueError("days are needed only for AUTOMATIC")
        return self


class CertificateRenew(UbloxRequest):
    """New device certificates for the same key pairs, at each device's next security heartbeat."""

    path: ClassVar[str] = "/ztp/devicecertificate/renew"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "serial_numbers")

    ca_name: str = Field(alias="CAName", pattern=r"^[A-Za-z0-9_.-]{1,45}$")
    validity_days: int = Field(alias="DeviceCertificateValidity", ge=30, le=3650)
    rot_public_uids: _Uids | None = Field(default=None, alias="ROTPublicUIDs")
    serial_numbers: _Names | None = Field(default=None, alias="SerialNumbers")


class NotificationGet(UbloxRequest):
    """One page of the notices about devices; the document does not say whether no selector may be given."""

    path: ClassVar[str] = "/notification/get"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "tag_names")

    from_date: str = Field(alias="FromDate")
    to_date: str | None = Field(default=None, alias="ToDate")
    rot_public_uids: _Uids | None = Field(default=None, alias="ROTPublicUIDs")
    tag_names: _Names | None = Field(default=None, alias="TagNames")
    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class RootCaGet(UbloxRequest):
    """One page of the account's root CAs."""

    path: ClassVar[str] = "/ztp/rootca/get"

    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class CloneGet(UbloxRequest):
    """One page of the events by which devices were found to be cloned."""

    path: ClassVar[str] = "/device/clone/get"

    from_date: str = Field(alias="FromDate")
    rot_public_uids: _Uids = Field(alias="ROTPublicUIDs")
    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class SuspiciousGet(UbloxRequest):
    """One page of the devices that u-blox has a doubt about."""

    path: ClassVar[str] = "/device/suspicious/get"

    rot_public_uids: _Uids = Field(alias="ROTPublicUIDs")
    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class WebhookCreate(UbloxRequest):
    """A URL of ours for one notification type; the token comes back as the whole Authorization header."""

    path: ClassVar[str] = "/notification/webhook/create"

    url: _HttpsUrl = Field(alias="NotificationURL")
    token: SecretStr = Field(alias="AuthorizationToken", min_length=1)
    type: EventType = Field(alias="NotificationType")


class WebhookUpdate(UbloxRequest):
    """Another token for a URL; no type is named, so it concerns every registration of that URL."""

    path: ClassVar[str] = "/notification/webhook/update"

    url: _HttpsUrl = Field(alias="NotificationURL")
    token: SecretStr = Field(alias="AuthorizationToken", min_length=1)


class WebhookDelete(UbloxRequest):
    """The end of a URL's registrations."""

    path: ClassVar[str] = "/notification/webhook/delete"

    url: _HttpsUrl = Field(alias="NotificationURL")


class WebhookGet(UbloxRequest):
    """The list of registrations; the document shows no body for it."""

    path: ClassVar[str] = "/notification/webhook/get"


def _revealed(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
