"""The wanted configuration of a Tap: a declarative document, and what bounds its values.

Sources of the limits: Tap protocol notes §3.5 (a body inside the encrypted channel has at most 209 bytes), §11 and §12.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.references import SecretReference

LONGEST_BODY: Final = 209
"""Bytes of one write that fit into every form of the encrypted channel (§3.5)."""

ADMIN: Final = 65_535
SUPERVISOR: Final = 65_534
RESERVED: Final = {"admin": ADMIN, "supervisor": SUPERVISOR}
"""Users that every Tap has. From the factory their passwords are their names (§10.1)."""

MOST_USERS: Final = 32

CrossFault = tuple[tuple[str | int, ...], str]
"""Where, and what."""

_WHY_NEEDED: Final = "its password must never stay what it was from the factory"

SHORTEST_WIFI_KEY: Final = 8
LONGEST_WIFI_KEY: Final = 63
"""Characters of a WPA passphrase."""

LARGEST_CERTIFICATE: Final = 16 * 1024
"""Bytes of one PEM text; it travels in pieces of 209."""

Protocol = Literal["nfc", "bluetooth", "gsm", "usb_rlink", "usb_cmsis_dap", "wifi", "ble", "uart", "mqtt", "websocket"]
"""A way to reach a Tap."""


def _latin(value: str) -> str:
    if not value.isprintable() or not value.isascii():
        raise ValueError("expected printable ASCII characters")
    return value


def _ipv4(value: str) -> str:
    try:
        return str(IPv4Address(value))
    except ValueError:
        raise ValueError("expected an IPv4 address") from None


def _version(value: str) -> str:
    found = re.fullmatch(r"(\d{1,3})\.(\d{1,3})\.(\d{1,5})", value)
    parts = tuple(map(int, found.groups())) if found else ()
    if not parts or any(part > most for part, most in zip(parts, (255, 255, 65_535), strict=True)):
        raise ValueError("expected a version such as 2.3.4, at most 255.255.65534")
    if parts in {(0, 0, 0), (255, 255, 65_535)}:
        raise ValueError("expected a version of your own: 0.0.0 and 255.255.65535 have a meaning to the Tap")
    return ".".join(map(str, parts))


def _no_flag(value: object) -> object:
    """Python takes true for 1; TOML does not."""
    if isinstance(value, bool):
        raise ValueError("expected a whole number")  # noqa: TRY004 - pydantic gathers ValueError
    return value


Text = Annotated[str, Field(min_length=1, max_length=LONGEST_BODY), AfterValidator(_latin)]
Name = Annotated[str, Field(min_length=1, max_length=16), AfterValidator(_latin)]
Address = Annotated[str, AfterValidator(_ipv4)]
Byte = Annotated[int, Field(ge=0, le=255), BeforeValidator(_no_flag)]
Word = Annotated[int, Field(ge=0, le=65_535), BeforeValidator(_no_flag)]
Positive = Annotated[int, Field(ge=1, le=65_535), BeforeValidator(_no_flag)]
Country = Annotated[int, Field(ge=0, le=999), BeforeValidator(_no_flag)]


class _Table(BaseModel):
    """A table of the document: every key is known, every value has the type that is written down."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Wifi(_Table):
    """The network that the Tap joins, or is."""

    mode: Literal["access-point", "network"] | None = Field(
        default=None, description='"network" joins one, "access-point" is one'
    )
    ssid: Annotated[str, Field(min_length=1, max_length=32), AfterValidator(_latin)] | None = Field(
        default=None, description="name of the network, 1 to 32 characters"
    )
    key: SecretReference | None = Field(default=None, description="where the passphrase stands, 8 to 63 characters")
    ip: Address | None = Field(default=None, description="IPv4 address")
    mask: Address | None = Field(default=None, description="network mask")
    gateway: Address | None = Field(default=None, description="IPv4 address of the gateway")
    country: Country | None = Field(
        default=None, description="ISO 3166 number of the country, such as 250; firmware 1.88"
    )


class Mqtt(_Table):
    """The broker through which the Tap can be reached."""

    host: Text | None = Field(default=None, description="host name of the broker")
    port: Positive | None = Field(default=None, description="port of the broker")
    client_id: Text | None = Field(default=None, description="client id at the broker; firmware 1.86")
    user: Text | None = Field(default=None, description="user name at the broker; firmware 1.86")
    password: SecretReference | None = Field(default=None, description="where the password at the broker stands")
    net_key: SecretReference | None = Field(default=None, description="where the key of the relay topics stands")
    request_topic: Text | None = Field(default=None, description="topic of requests; firmware 1.86")
    response_topic: Text | None = Field(default=None, description="topic of responses; firmware 1.107")
    certificate: SecretReference | None = Field(
        default=None, description="where the broker's certificate stands, PEM; firmware 1.86"
    )


class Time(_Table):
    """Where the Tap has its time from; firmware 1.107."""

    ntp_server: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_latin)] | None = Field(
        default=None, description="host name of the time server, at most 100 characters"
    )
    zone: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_latin)] | None = Field(
        default=None, description="time zone, at most 64 characters"
    )


class Certificates(_Table):
    """What the Tap shows of itself; firmware 1.86. A Tap does not tell them: they are written with a new version."""

    public: SecretReference = Field(description="where the certificate stands, PEM")
    private: SecretReference = Field(description="where the private key stands, PEM")


class User(_Table):
    """A user, which a Tap calls a group."""

    name: Name = Field(description="at most 16 characters")
    group: Positive | None = Field(
        default=None, description="number from 1 to 65533; admin and supervisor have their own"
    )
    password: SecretReference = Field(description="where the password stands")
    lifetime: Word | None = Field(default=None, description="how long a session lasts, in seconds")

    @property
    def number(self) -> int:
        """The number of the group."""
        return self.group or RESERVED[self.name]


class TapConfiguration(_Table):
    """How a Tap should be. What is left out stays as it is on the Tap."""

    version: Annotated[str, AfterValidator(_version)] = Field(
        description="version of this configuration, such as 2.3.4; written last, so a Tap that shows it has all of it"
    )
    name: Annotated[str, Field(min_length=1, max_length=32), AfterValidator(_latin)] | None = Field(
        default=None, description="how the Tap announces itself, 1 to 32 characters"
    )
    protocols: Annotated[tuple[Protocol, ...], Field(min_length=1)] | None = Field(
        default=None, description="the ways by which the Tap may be reached"
    )
    inactivity: Byte | None = Field(default=None, description="how long a silent host stays connected, 0 to 255")
    hash_iterations: Positive | None = Field(
        default=None, description="iterations of a new password's verifier; firmware 1.11"
    )
    wifi: Wifi = Wifi()
    mqtt: Mqtt = Mqtt()
    time: Time = Time()
    certificates: Certificates | None = None
    users: Annotated[tuple[User, ...], Field(max_length=MOST_USERS)] = Field(
        description="every user with its password; admin and supervisor must be among them"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if faults := cross_faults(self.model_dump()):
            raise ValueError("; ".join(text for _, text in faults))
        return self


def cross_faults(document: Mapping[str, Any]) -> list[CrossFault]:
    """What is wrong between the users of a document that need not be right in anything else, each with its place."""
    users = document.get("users")
    tables = [(index, user) for index, user in enumerate(users if isinstance(users, list | tuple) else ())]
    known = [(index, user) for index, user in tables if isinstance(user, Mapping)]
    named = [(index, user.get("name"), user.get("group")) for index, user in known]
    faults = [fault for index, name, group in named for fault in _group_faults(index, name, group)]
    for key, values in (("name", [user[1] for user in named]), ("group", [user[2] for user in named])):
        faults += [(("users",), f"{key} {value} is there twice") for value in _twice(values)]
    missing = sorted(RESERVED.keys() - {str(name) for _, name, _ in named})
    return faults + [(("users",), f"{name} is missing: {_WHY_NEEDED}") for name in missing]


def _group_faults(index: int, name: object, group: object) -> Iterator[CrossFault]:
    own = RESERVED.get(name) if isinstance(name, str) else None
    if own is not None and group not in (None, own):
        yield ("users", index, "group"), f"{name} has the group {own}: leave it out"
    elif own is None and group is None:
        yield ("users", index), "group is missing; expected a number from 1 to 65533"
    elif own is None and group in RESERVED.values():
        yield ("users", index, "group"), f"group {group} belongs to {'admin' if group == ADMIN else 'supervisor'}"


def _twice(values: Iterable[object]) -> list[object]:
    return [value for value, count in Counter(map(str, filter(None, values))).items() if count > 1]


def json_schema() -> str:
    """The JSON Schema of a wanted configuration, for editors; it is kept beside this module."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **TapConfiguration.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
