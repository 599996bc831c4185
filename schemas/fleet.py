"""The fleet file: which u-blox devices and which Taps belong together, and how each Tap is reached."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.events import canonical_uid
from schemas.references import LocalPath, SecretReference
from schemas.tap import CrossFault, Name

SCHEMES: Final = {"tcp": 2000, "mqtt": 1883, "mqtts": 8883}
"""How a Tap is reached, with the usual port (Tap protocol notes §5.1 and §5.2)."""

Path = tuple[str | int, ...]
"""Keys and indices to a place in the document."""


def _address(value: str) -> str:
    expected = f"expected an address such as tcp://192.168.1.50:2000; schemes are {', '.join(SCHEMES)}"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(expected) from None
    if parts.scheme not in SCHEMES or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(expected)
    if "@" in parts.netloc:
        raise ValueError("expected no user or password inside the address: they have their own keys")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{SCHEMES[parts.scheme] if port is None else port}"


def _no_flag(value: object) -> object:
    """Python takes true for 1; TOML does not."""
    if isinstance(value, bool):
        raise ValueError("expected 1")  # noqa: TRY004 - pydantic gathers ValueError
    return value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Relay(_Table):
    """What the way over a broker needs besides its address."""

    net_key: SecretReference = Field(description="where the key of the relay topics stands")
    user: str | None = Field(default=None, description="our user name at the broker", min_length=1, max_length=200)
    password: SecretReference | None = Field(default=None, description="where our password at the broker stands")
    ca_file: LocalPath | None = Field(default=None, description="authorities to trust for mqtts, PEM")


class FleetTap(_Table):
    """One Tap."""

    serial: str = Field(description="serial number as the Tap tells it", pattern=r"^[A-Za-z0-9_-]{1,32}$")
    address: Annotated[str, AfterValidator(_address)] = Field(description="such as tcp://192.168.1.50:2000")
    user: Name = Field(default="admin", description="who logs in")
    password: SecretReference = Field(description="where the password for the login stands")
    configuration: LocalPath = Field(description="file of the wanted configuration")
    in_clear: bool = Field(default=False, description="true: it may be spoken to without encryption", strict=True)
    relay: Relay | None = Field(default=None, description="needed by an address mqtt:// or mqtts://")

    @property
    def scheme(self) -> str:
        """``tcp``, ``mqtt`` or ``mqtts``."""
        return self.address.partition(":")[0]


class Site(_Table):
    """What belongs together."""

    name: str = Field(description="lower case letters, digits and hyphens, unique", pattern=r"^[a-z][a-z0-9-]{0,62}$")
    devices: tuple[Annotated[str, BeforeValidator(canonical_uid)], ...] = Field(
        default=(), description="the ROTPublicUIDs of its u-blox devices"
    )
    taps: tuple[FleetTap, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteTaps:
    """The Taps that belong with a device, or why there are none."""

    serials: tuple[str, ...] = ()
    why_none: str = ""


class Fleet(_Table):
    """All sites."""

    version: Annotated[Literal[1], BeforeValidator(_no_flag)] = Field(description="1")
    sites: tuple[Site, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if faults := cross_faults(self.model_dump()):
            raise ValueError("; ".join(text for _, text in faults))
        return self

    @cached_property
    def taps(self) -> dict[str, FleetTap]:
        """Every Tap by its serial number."""
        return {tap.serial: tap for site in self.sites for tap in site.taps}

    @cached_property
    def _sites_of(self) -> dict[str, Site]:
        return {device: site for site in self.sites for device in site.devices}

    def taps_of(self, device: str) -> SiteTaps:
        """Give the Taps of the site of a u-blox device."""
        site = self._sites_of.get(device)
        if site is None:
            return SiteTaps(why_none=f"{device} belongs to no site of the fleet file")
        if not site.taps:
            return SiteTaps(why_none=f"its site {site.name} has no Taps")
        return SiteTaps(tuple(tap.serial for tap in site.taps))


def cross_faults(document: Mapping[str, Any]) -> list[CrossFault]:
    """What is wrong between the tables of a document that need not be right in anything else, each with its place."""
    sites = _tables(document.get("sites"), ("sites",))
    taps = [tap for path, site in sites for tap in _tables(site.get("taps"), (*path, "taps"))]
    devices = [
        ((*path, "devices", index), device)
        for path, site in sites
        for index, device in enumerate(site["devices"] if isinstance(site.get("devices"), list | tuple) else ())
    ]
    return [
        *_repeats("site", [((*path, "name"), site.get("name")) for path, site in sites]),
        *_repeats("device", [(path, str(device).lower()) for path, device in devices]),
        *_repeats("Tap", [((*path, "serial"), tap.get("serial")) for path, tap in taps]),
        *(fault for path, tap in taps for fault in _relay_faults(path, tap)),
    ]


def _tables(value: object, at: Path) -> list[tuple[Path, Mapping[str, Any]]]:
    entries = value if isinstance(value, list | tuple) else ()
    return [((*at, index), entry) for index, entry in enumerate(entries) if isinstance(entry, Mapping)]


def _repeats(kind: str, named: Iterable[tuple[Path, object]]) -> Iterator[CrossFault]:
    seen: set[str] = set()
    for path, name in named:
        if isinstance(name, str) and name in seen:
            yield path, f"{kind} {name} is there twice"
        seen.add(str(name))


def _relay_faults(path: Path, tap: Mapping[str, Any]) -> Iterator[CrossFault]:
    scheme, relay = str(tap.get("address", "")).partition(":")[0], tap.get("relay")
    if scheme == "tcp" and relay is not None:
        yield (*path, "relay"), "has a meaning for mqtt:// and mqtts:// only"
    elif scheme in {"mqtt", "mqtts"} and relay is None:
        yield (*path, "relay"), "is missing; it tells net_key, from which the relay topics are derived"
