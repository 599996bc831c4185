"""What ``ublox.roll_root_ca`` takes: what the new root CA shall be.

Source: Security Services REST APIs 1.1.29, ``/ztp/rootca/create``. Its ranges allow combinations that make no sense;
they are refused here, before any call.
"""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.authorities import CA_NAME


class RollRootCaParameters(BaseModel):
    """What the new root CA shall be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    new_ca: str | None = Field(
        default=None, pattern=CA_NAME, description="its name; made from the old one's and the month when left out"
    )
    ca_validity_days: int = Field(default=3650, ge=1825, le=3650, description="1825 to 3650")
    device_validity_days: int = Field(default=365, ge=30, le=3650, description="30 to 3650; of its device certificates")
    renew_before_days: int | None = Field(default=None, ge=1, le=365, description="1 to 365; needs a subscription")
    registration_code: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        pattern=r"^[\x20-\x7e]+$",
        description="of the server that shall trust the CA: a proof of possession is made for it",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.device_validity_days > self.ca_validity_days:
            raise ValueError("device_validity_days is more than ca_validity_days")
        if self.renew_before_days is not None and self.renew_before_days >= self.device_validity_days:
            raise ValueError("renew_before_days is not less than device_validity_days: renewals would never end")
        return self
