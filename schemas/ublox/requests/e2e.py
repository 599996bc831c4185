"""Requests about end-to-end keys.

u-blox's own library dropped these services in 2023, so whoever calls them should expect them to be gone.
"""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from schemas.ublox.requests.base import UbloxRequest
from schemas.ublox.words import RotationType, RotPublicUid, TagNames, Uids


def _octets(least: int, most: int) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        if not re.fullmatch(rf"(?:[0-9A-Fa-f]{{2}}){{{least},{most}}}", value.get_secret_value()):
            count = f"{least}" if least == most else f"{least} to {most}"
            raise ValueError(f"expected {count} octets as hexadecimal digits")
        return value

    return AfterValidator(check)


class KeyRotate(UbloxRequest):
    """The rotation policy of E2E keys; there is no call that rotates a key at once."""

    path: ClassVar[str] = "/e2e/key/rotate"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "tag_names")

    rot_public_uids: Uids | None = Field(default=None, alias="ROTPublicUIDs")
    tag_names: TagNames | None = Field(default=None, alias="TagNames")
    type: RotationType = Field(alias="Type")
    days: int | None = Field(default=None, alias="Days", ge=1, le=30)

    @model_validator(mode="after")
    def _days_only_when_automatic(self) -> Self:
        if self.days is not None and self.type is not RotationType.AUTOMATIC:
            raise ValueError("days are needed only for AUTOMATIC")
        return self


class SymmetricKeyGet(UbloxRequest):
    """The session key of a key identity.

    The document's default is 256 bits, but its sample answers a request without a length with 128: the length is
    always sent.
    """

    path: ClassVar[str] = "/e2e/uplink/symmetrickey/get"
    billed: ClassVar[bool] = True

    key_id: Annotated[SecretStr, _octets(14, 14)] = Field(alias="KeyID")
    key_length: Literal[128, 256] = Field(default=256, alias="KeyLength")


class UplinkProtectionGet(UbloxRequest):
    """What decrypts uplink data.

    The header's identity vector has 16 bytes, in v2 12 by the prose, but 11 in the sample beside it and in u-blox's own
    script; so 11 to 16 are taken.
    """

    path: ClassVar[str] = "/e2e/uplink/protectionparameters/get"
    billed: ClassVar[bool] = True

    encrypted_header: Annotated[SecretStr, _octets(11, 16)] = Field(alias="EncryptedHeader")


class UplinkIntegrityGet(UbloxRequest):
    """What verifies uplink data; no length is told."""

    path: ClassVar[str] = "/e2e/uplink/integrityparameters/get"

    encrypted_header: Annotated[SecretStr, _octets(1, 1024)] = Field(alias="EncryptedHeader")


class DownlinkProtectionGet(UbloxRequest):
    """What encrypts data for a device; the schema has text, the sample sends a number: text is sent, both are read."""

    path: ClassVar[str] = "/e2e/downlink/protectionparameters/get"

    rot_public_uid: RotPublicUid = Field(alias="ROTPublicUID")


class DownlinkIntegrityGet(UbloxRequest):
    """What signs data for a device."""

    path: ClassVar[str] = "/e2e/downlink/integrityparameters/get"

    rot_public_uid: RotPublicUid = Field(alias="ROTPublicUID")
