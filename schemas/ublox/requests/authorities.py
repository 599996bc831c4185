"""Requests about root CAs, under ``/ztp/rootca``."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from schemas.ublox.requests.base import UbloxRequest
from schemas.ublox.words import CaName


class RootCaCreate(UbloxRequest):
    """A new root CA, for device certificates of so many days.

    The sample answers 3650 days with 1825: what is told in the answer counts. A text recommends what is the limit.
    """

    path: ClassVar[str] = "/ztp/rootca/create"

    ca_name: CaName = Field(alias="CAName")
    ca_validity_days: int = Field(alias="CACertificateValidity", ge=1825, le=3650)
    device_validity_days: int = Field(alias="DeviceCertificateValidity", ge=30, le=3650)
    renew_before_days: int | None = Field(default=None, alias="RenewBeforeExpiration", ge=1, le=365)

    @model_validator(mode="after")
    def _lives_fit(self) -> Self:
        if self.device_validity_days > self.ca_validity_days:
            raise ValueError("device_validity_days is more than ca_validity_days: no certificate outlives its CA")
        check_lead(self.renew_before_days, self.device_validity_days)
        return self


def check_lead(renew_before_days: int | None, device_validity_days: int | None) -> None:
    """Refuse what the ranges of the document allow: a certificate that is renewed before it is made.

    Raises:
        ValueError: the lead is as long as the certificate's life, or longer.
    """
    if renew_before_days is not None and device_validity_days is not None and renew_before_days >= device_validity_days:
        raise ValueError(
            f"renew_before_days is {renew_before_days}, but a device certificate lives for {device_validity_days}"
        )


class RootCaUpdate(UbloxRequest):
    """When certificates of a CA are renewed by themselves; the CA's own life cannot be changed."""

    path: ClassVar[str] = "/ztp/rootca/update"
    subscribed: ClassVar[bool] = True

    ca_name: CaName = Field(alias="CAName")
    renew_before_days: int = Field(alias="RenewBeforeExpiration", ge=1, le=365)


class RootCaGet(UbloxRequest):
    """One page of the account's root CAs, or the one of a name."""

    path: ClassVar[str] = "/ztp/rootca/get"
    listed: ClassVar[str] = "CAs"

    page_number: int = Field(default=1, alias="PageNumber", ge=1)
    ca_name: CaName | None = Field(default=None, alias="CAName")


class CrlGet(UbloxRequest):
    """The revocation lists of some CAs; without names of all, we take it."""

    path: ClassVar[str] = "/ztp/rootca/crl/get"
    listed: ClassVar[str] = "CRLs"
    subscribed: ClassVar[bool] = True

    ca_names: tuple[CaName, ...] | None = Field(default=None, alias="CANames", min_length=1)


class RootCaDeviceGet(UbloxRequest):
    """One page of the devices that have a certificate of a CA."""

    path: ClassVar[str] = "/ztp/rootca/device/get"
    listed: ClassVar[str] = "Devices"

    ca_name: CaName = Field(alias="CAName")
    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class ProofOfPossession(UbloxRequest):
    """A certificate for another service's registration code, which shows that the CA's key is ours."""

    path: ClassVar[str] = "/ztp/rootca/popcertificate/generate"

    ca_name: CaName = Field(alias="CAName")
    registration_code: str = Field(alias="RegistrationCode", min_length=1)


class RootCaDelete(UbloxRequest):
    """The end of a root CA; refused while a device has it, or is to get it, or a profile is linked to it."""

    path: ClassVar[str] = "/ztp/rootca/delete"

    ca_name: CaName = Field(alias="CAName")
