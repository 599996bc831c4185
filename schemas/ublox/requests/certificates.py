"""Requests about device certificates, under ``/ztp/devicecertificate``; all but a revocation wait for the device."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from schemas.ublox.requests.base import UbloxRequest
from schemas.ublox.words import CaName, RotPublicUid, SerialNumber, SerialNumbers, Uids


class CertificateRenew(UbloxRequest):
    """New certificates for the same key pairs, at each device's next security heartbeat.

    A text recommends at most 365 days, the limit is 3650, the sample asks for 1000: the limit counts.
    """

    path: ClassVar[str] = "/ztp/devicecertificate/renew"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "serial_numbers")
    guarded: ClassVar[bool] = True
    subscribed: ClassVar[bool] = True
    billed: ClassVar[bool] = True

    ca_name: CaName = Field(alias="CAName")
    validity_days: int = Field(alias="DeviceCertificateValidity", ge=30, le=3650)
    rot_public_uids: Uids | None = Field(default=None, alias="ROTPublicUIDs")
    serial_numbers: SerialNumbers | None = Field(default=None, alias="SerialNumbers")


class CertificateUpdate(UbloxRequest):
    """New key pairs and certificates for them, in two heartbeats; what one text calls a manual renewal.

    The document does not list it among the calls that are refused while an update is under way.
    """

    path: ClassVar[str] = "/ztp/devicecertificate/update"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "serial_numbers")
    subscribed: ClassVar[bool] = True
    billed: ClassVar[bool] = True

    ca_name: CaName = Field(alias="CAName")
    rot_public_uids: Uids | None = Field(default=None, alias="ROTPublicUIDs")
    serial_numbers: SerialNumbers | None = Field(default=None, alias="SerialNumbers")


class CertificateDelete(UbloxRequest):
    """Neither certificate nor key pair any more, from the next heartbeat on; it revokes nothing."""

    path: ClassVar[str] = "/ztp/devicecertificate/delete"
    guarded: ClassVar[bool] = True
    subscribed: ClassVar[bool] = True

    rot_public_uids: Uids = Field(alias="ROTPublicUIDs")


class CertificateRevoke(UbloxRequest):
    """One certificate on its CA's revocation list, at once; it stays on the device."""

    path: ClassVar[str] = "/ztp/devicecertificate/revoke"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uid", "serial_number")
    guarded: ClassVar[bool] = True
    subscribed: ClassVar[bool] = True

    ca_name: CaName = Field(alias="CAName")
    rot_public_uid: RotPublicUid | None = Field(default=None, alias="ROTPublicUID")
    serial_number: SerialNumber | None = Field(default=None, alias="SerialNumber")


class RootCaTransfer(UbloxRequest):
    """Certificates of another root CA, at each device's next heartbeat."""

    path: ClassVar[str] = "/ztp/devicecertificate/rootca/transfer"
    guarded: ClassVar[bool] = True
    subscribed: ClassVar[bool] = True

    from_ca: CaName = Field(alias="FromCA")
    to_ca: CaName = Field(alias="ToCA")
    rot_public_uids: Uids = Field(alias="ROTPublicUIDs")

    @model_validator(mode="after")
    def _another_one(self) -> Self:
        if self.from_ca == self.to_ca:
            raise ValueError("from_ca and to_ca are the same")
        return self
