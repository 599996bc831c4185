"""What ``ublox.roll_root_ca`` takes: what the new root CA shall be.

Source: Security Services REST APIs 1.1.29, ``/ztp/rootca/create``. Its ranges allow combinations that make no sense;
they are refused here, before any call. What is left out is as the old root CA tells.
"""

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.authorities import CA_NAME
from schemas.ublox import AuthorityLook, RootCaCreate

_USUAL_DAYS: Final = 365
"""How long device certificates live where neither a person nor the old root CA tells: no more is recommended."""


class RollRootCaParameters(BaseModel):
    """What the new root CA shall be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    new_ca: str | None = Field(
        default=None, pattern=CA_NAME, description="its name; made from the old one's and the month when left out"
    )
    ca_validity_days: int = Field(default=3650, ge=1825, le=3650, description="1825 to 3650")
    device_validity_days: int | None = Field(
        default=None,
        ge=30,
        le=3650,
        description="30 to 3650; of its device certificates; as the old one tells when left out, else 365",
    )
    renew_before_days: int | None = Field(
        default=None,
        ge=0,
        le=365,
        description="1 to 365, or 0 for no renewal by itself; as the old one tells when left out; needs a subscription",
    )
    registration_code: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        pattern=r"^[\x20-\x7e]+$",
        description="of the server that shall trust the CA: a proof of possession is made for it",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.device_validity_days is None:
            return self
        if self.device_validity_days > self.ca_validity_days:
            raise ValueError("device_validity_days is more than ca_validity_days")
        if self.renew_before_days is not None and self.renew_before_days >= self.device_validity_days:
            raise ValueError("renew_before_days is not less than device_validity_days: renewals would never end")
        return self

    def request(self, name: str, old: AuthorityLook) -> RootCaCreate:
        """The request for the new root CA; what was left out is as the old one tells.

        Args:
            name: of the new one.
            old: what u-blox tells of the old one.

        Raises:
            ValidationError: that does not fit together.
        """
        lead = old.renew_before_days if self.renew_before_days is None else self.renew_before_days
        wanted = {
            "ca_name": name,
            "ca_validity_days": self.ca_validity_days,
            "device_validity_days": self.device_validity_days or old.device_validity_days or _USUAL_DAYS,
            "renew_before_days": lead or None,
        }
        return RootCaCreate.model_validate(wanted)
