"""A Tap of the inventory and how it is reached."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.fleet.tables import Table, joined_address, refuse, split_address
from schemas.references import LocalPath, SecretReference
from schemas.tap import CrossFault, Name

SCHEMES: Final = {"tcp": 2000, "mqtt": 1883, "mqtts": 8883}
"""How a Tap is reached, with the usual port (Tap protocol notes §5.1 and §5.2)."""


def _address(value: str) -> str:
    expected = f"expected an address such as tcp://192.168.1.50:2000; schemes are {', '.join(SCHEMES)}"
    parts = split_address(value, SCHEMES, expected)
    return joined_address(parts, SCHEMES[parts.scheme] if parts.port is None else parts.port)


class Relay(Table):
    """What the way over a broker needs besides its address."""

    net_key: SecretReference = Field(description="where the key of the relay topics stands")
    user: str | None = Field(default=None, description="our user name at the broker", min_length=1, max_length=200)
    password: SecretReference | None = Field(default=None, description="where our password at the broker stands")
    ca_file: LocalPath | None = Field(default=None, description="authorities to trust for mqtts, PEM")


class FleetTap(Table):
    """One Tap."""

    serial: str = Field(description="serial number as the Tap tells it", pattern=r"^[A-Za-z0-9_-]{1,32}$")
    address: Annotated[str, AfterValidator(_address)] = Field(description="such as tcp://192.168.1.50:2000")
    user: Name = Field(default="admin", description="who logs in")
    password: SecretReference = Field(description="where the password for the login stands")
    configuration: LocalPath = Field(description="file of the wanted configuration")
    in_clear: bool = Field(default=False, description="true: it may be spoken to without encryption", strict=True)
    relay: Relay | None = Field(default=None, description="needed by an address mqtt:// or mqtts://")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse(tap_faults(dict(self)))
        return self

    @property
    def key(self) -> str:
        """What names it in the inventory, and as the target of a job."""
        return self.serial

    @property
    def scheme(self) -> str:
        """``tcp``, ``mqtt`` or ``mqtts``."""
        return self.address.partition(":")[0]


def tap_faults(tap: Mapping[str, Any]) -> Iterator[CrossFault]:
    """What is wrong between the keys of a Tap, which need not be right in anything else."""
    scheme, relay = str(tap.get("address", "")).partition(":")[0], tap.get("relay")
    if scheme == "tcp" and relay is not None:
        yield ("relay",), "has a meaning for mqtt:// and mqtts:// only"
    elif scheme in {"mqtt", "mqtts"} and relay is None:
        yield ("relay",), "is missing; it tells net_key, from which the relay topics are derived"
