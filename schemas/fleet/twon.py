"""A 2N access device of the inventory.

Sources: the list of mobile keys is the one of a location, whose name has at most 127 characters (2N HTTP API manual,
``/api/mobilekey/config``); Digest is the authentication that 2N recommends, Basic and none are settings of the device.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.fleet.tables import Table, joined_address, refuse, split_address
from schemas.references import LocalPath, SecretReference
from schemas.tap import CrossFault

LONGEST_LOCATION: Final = 127
"""Characters of a location's name."""

PORTS: Final = {"https": 443, "http": 80}


def _address(value: str) -> str:
    parts = split_address(value, PORTS, "expected an address such as https://192.168.1.60; schemes are https, http")
    return joined_address(parts, None if parts.port == PORTS[parts.scheme] else parts.port)


def _location(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise ValueError("expected printable characters without blanks around them")
    return value


def _fingerprint(value: str) -> str:
    digits = value.replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError("expected the SHA-256 of the device's certificate, 64 hexadecimal digits")
    return digits


class TwonDevice(Table):
    """One 2N device."""

    serial: str = Field(description="serial number, such as 54-1046-0745", pattern=r"^[0-9]{2}-[0-9]{4}-[0-9]{4}$")
    address: Annotated[str, AfterValidator(_address)] = Field(description="such as https://192.168.1.60")
    location: Annotated[str, Field(min_length=1, max_length=LONGEST_LOCATION), AfterValidator(_location)] = Field(
        description="name of the group of devices that carries one list of mobile keys"
    )
    user: str = Field(default="admin", description="who logs in", pattern=r"^[^:\x00-\x1f\x7f]{1,63}$")
    password: SecretReference | None = Field(default=None, description="where the password for the login stands")
    auth: Literal["digest", "basic", "none"] = Field(default="digest", description="how the device wants a login")
    fingerprint: Annotated[str, AfterValidator(_fingerprint)] | None = Field(
        default=None, description="SHA-256 of the device's certificate: trust this one and no other"
    )
    ca_file: LocalPath | None = Field(default=None, description="authorities to trust for it, PEM")
    in_clear: bool = Field(default=False, description="true: an address http:// is meant", strict=True)
    managed_by: Literal["keyturn", "my2n", "access-commander"] = Field(
        default="keyturn", description="who keeps its mobile keys"
    )
    may_write: bool = Field(
        default=False, description="true: Keyturn may write although another manages it", strict=True
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse(twon_faults(dict(self)))
        return self

    @property
    def key(self) -> str:
        """What names it in the inventory."""
        return self.serial


def twon_faults(device: Mapping[str, Any]) -> Iterator[CrossFault]:
    """What is wrong between the keys of a 2N device, which need not be right in anything else."""
    in_clear = str(device.get("address", "")).lower().startswith("http:")
    if in_clear and device.get("in_clear") is not True:
        yield ("address",), "http:// sends everything in clear; expected https://, or in_clear = true beside it"
    trust = [key for key in ("fingerprint", "ca_file") if device.get(key) is not None]
    if in_clear:
        yield from (((key,), "has a meaning for https:// only") for key in trust)
    elif len(trust) > 1:
        yield ("ca_file",), "expected one of fingerprint and ca_file, not both"
    auth, password = device.get("auth", "digest"), device.get("password")
    if auth in {"digest", "basic"} and password is None:
        yield ("password",), f'is missing; expected where it stands, or auth = "none" instead of {auth}'
    elif auth == "none" and password is not None:
        yield ("password",), 'has no meaning with auth = "none"'
