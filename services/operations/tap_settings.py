"""From a wanted configuration to a list of wishes: what the Tap should hold, by which call, in which order.

The order of `_SETTINGS` is the order of writing (Tap protocol notes §10.4): what changes nothing about the way to the
Tap, then users, then what the next network and broker need, then the network itself. Version and restart come after.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import reduce
from operator import or_
from typing import Any, Final

from pydantic import SecretStr

from schemas.errors import InputError
from schemas.references import SecretReference
from schemas.tap import (
    LARGEST_CERTIFICATE,
    LONGEST_BODY,
    LONGEST_WIFI_KEY,
    RESERVED,
    SHORTEST_WIFI_KEY,
    TapConfiguration,
    User,
)
from services.clients.tap.enumerations import HostProtocol, WifiMode

Reveal = Callable[[SecretReference], SecretStr]
"""Fetches a secret from where it stands; raises InputError where it does not."""


class Stage(IntEnum):
    """When something is written; the order keeps the way back open."""

    SETTINGS = 1
    USERS = 2
    CERTIFICATES = 3
    NEXT_NETWORK = 4
    NETWORK = 5
    VERSION = 6

    @property
    def restarts(self) -> bool:
        """Whether what is written here needs a restart to be in force."""
        return Stage.CERTIFICATES <= self <= Stage.NETWORK


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """One value that a Tap should hold.

    Attributes:
        label: what a person calls it, such as ``wifi.ssid``; unique.
        put: the call that writes it.
        get: the call that reads it back, None where a Tap does not tell.
        group: the user that it belongs to, for calls that take one.
        value: as the call takes it; a password as text.
    """

    label: str
    stage: Stage
    put: str
    get: str | None
    value: Any = field(repr=False)
    group: int | None = None
    secret: bool = False

    @property
    def is_password(self) -> bool:
        """Whether the value is a password, of which only a verifier is written."""
        return self.put == VERIFIER

    @property
    def numbers(self) -> tuple[int, ...]:
        """What the calls take besides the value."""
        return () if self.group is None else (self.group,)


@dataclass(frozen=True, slots=True)
class _Setting:
    label: str
    stage: Stage
    call: str
    value: Callable[[TapConfiguration], Any]
    readable: bool = True
    check: Callable[[str], str | None] | None = None
    """For secrets: what is wrong with one, in words that do not repeat it."""


VERIFIER: Final = "group.changePasswordKey"
NAME: Final = "group.putName"
ITERATIONS: Final = "hash_iterations"


def _text(secret: str) -> str | None:
    fits = secret.isascii() and secret.isprintable() and len(secret) <= LONGEST_BODY
    return None if fits else f"must be at most {LONGEST_BODY} printable ASCII characters"


def _wifi_key(secret: str) -> str | None:
    fits = SHORTEST_WIFI_KEY <= len(secret) <= LONGEST_WIFI_KEY
    return _text(secret) if fits else f"must have {SHORTEST_WIFI_KEY} to {LONGEST_WIFI_KEY} characters"


def _pem(secret: str) -> str | None:
    if not secret.lstrip().startswith("-----BEGIN ") or not secret.isascii():
        return "must be PEM text"
    return None if len(secret) <= LARGEST_CERTIFICATE else f"must have at most {LARGEST_CERTIFICATE} characters"


def _password(secret: str) -> str | None:
    return "must not be the name of a user, as it is from the factory" if secret.casefold() in RESERVED else None


def _protocols(wanted: TapConfiguration) -> HostProtocol | None:
    named = [HostProtocol[name.upper()] for name in wanted.protocols or ()]
    return reduce(or_, named) if named else None


def _mode(wanted: TapConfiguration) -> WifiMode | None:
    modes = {"access-point": WifiMode.PEER_TO_PEER, "network": WifiMode.NETWORK, None: None}
    return modes[wanted.wifi.mode]


def _port(wanted: TapConfiguration) -> str | None:
    return None if wanted.mqtt.port is None else str(wanted.mqtt.port)


_SETTINGS: Final = (
    _Setting("name", Stage.SETTINGS, "interface.putAppName", lambda w: w.name),
    _Setting("inactivity", Stage.SETTINGS, "interface.putHostInactivityPeriod", lambda w: w.inactivity),
    _Setting("time.ntp_server", Stage.SETTINGS, "time.putNtpServer", lambda w: w.time.ntp_server),
    _Setting("time.zone", Stage.SETTINGS, "time.putTimeZone", lambda w: w.time.zone),
    _Setting(ITERATIONS, Stage.USERS, "scram.putHashIteration", lambda w: w.hash_iterations),
    _Setting(
        "certificates.public",
        Stage.CERTIFICATES,
        "interface.putCertificatePublicKey",
        lambda w: w.certificates and w.certificates.public,
        readable=False,
        check=_pem,
    ),
    _Setting(
        "certificates.private",
        Stage.CERTIFICATES,
        "interface.putCertificatePrivateKey",
        lambda w: w.certificates and w.certificates.private,
        readable=False,
        check=_pem,
    ),
    _Setting("wifi.key", Stage.NEXT_NETWORK, "wifi.putKey", lambda w: w.wifi.key, check=_wifi_key),
    _Setting(
        "mqtt.certificate",
        Stage.NEXT_NETWORK,
        "mqtt.putBrokerCertificate",
        lambda w: w.mqtt.certificate,
        readable=False,
        check=_pem,
    ),
    _Setting("mqtt.client_id", Stage.NEXT_NETWORK, "mqtt.putClientId", lambda w: w.mqtt.client_id),
    _Setting("mqtt.user", Stage.NEXT_NETWORK, "mqtt.putUsername", lambda w: w.mqtt.user),
    _Setting("mqtt.password", Stage.NEXT_NETWORK, "mqtt.putPassword", lambda w: w.mqtt.password, check=_text),
    _Setting("mqtt.net_key", Stage.NEXT_NETWORK, "mqtt.putRelayNetKey", lambda w: w.mqtt.net_key, check=_text),
    _Setting("mqtt.request_topic", Stage.NEXT_NETWORK, "mqtt.putRequestTopic", lambda w: w.mqtt.request_topic),
    _Setting("mqtt.response_topic", Stage.NEXT_NETWORK, "mqtt.putResponseTopic", lambda w: w.mqtt.response_topic),
    _Setting("mqtt.port", Stage.NEXT_NETWORK, "mqtt.putBrokerPort", _port),
    _Setting("mqtt.host", Stage.NEXT_NETWORK, "mqtt.putBrokerHostname", lambda w: w.mqtt.host),
    _Setting("wifi.country", Stage.NETWORK, "wifi.putCountryCode", lambda w: w.wifi.country),
    _Setting("wifi.ip", Stage.NETWORK, "wifi.putIp", lambda w: w.wifi.ip),
    _Setting("wifi.mask", Stage.NETWORK, "wifi.putIpMask", lambda w: w.wifi.mask),
    _Setting("wifi.gateway", Stage.NETWORK, "wifi.putGatewayIp", lambda w: w.wifi.gateway),
    _Setting("wifi.ssid", Stage.NETWORK, "wifi.putSSID", lambda w: w.wifi.ssid),
    _Setting("wifi.mode", Stage.NETWORK, "wifi.putMode", _mode),
    _Setting("protocols", Stage.NETWORK, "interface.putAuthorizedHostProtocol", _protocols),
)


def wishes_of(wanted: TapConfiguration, reveal: Reveal) -> tuple[Wish, ...]:
    """Give every wish of a configuration in the order of writing, its secrets fetched.

    Raises:
        InputError: every secret that is not there or cannot be used.
    """
    faults: list[str] = []
    wishes = [wish for setting in _SETTINGS for wish in _wish(setting, wanted, reveal, faults)]
    for user in sorted(wanted.users, key=lambda user: -user.number if user.name in RESERVED else user.number):
        wishes += _wishes_of_user(user, reveal, faults)
    if faults:
        raise InputError(faults)
    return tuple(sorted(wishes, key=lambda wish: wish.stage))


def _wish(setting: _Setting, wanted: TapConfiguration, reveal: Reveal, faults: list[str]) -> Iterator[Wish]:
    value = setting.value(wanted)
    if value is None:
        return
    if setting.check is not None:
        secret = _secret(setting.label, value, setting.check, reveal, faults)
        value = secret if setting.readable else secret.encode()
    yield Wish(
        label=setting.label,
        stage=setting.stage,
        put=setting.call,
        get=setting.call.replace(".put", ".get") if setting.readable else None,
        value=value,
        secret=setting.check is not None,
    )


def _wishes_of_user(user: User, reveal: Reveal, faults: list[str]) -> Iterator[Wish]:
    label, group, stage = f"users.{user.name}", user.number, Stage.USERS
    if user.name not in RESERVED:
        yield Wish(label=f"{label}.name", stage=stage, put=NAME, get="group.getName", value=user.name, group=group)
    password = _secret(f"{label}.password", user.password, _password, reveal, faults)
    if password == user.name and user.name not in RESERVED:
        faults.append(f"{label}.password must not be the user's own name")
    yield Wish(label=f"{label}.password", stage=stage, put=VERIFIER, get=None, value=password, group=group, secret=True)
    if user.lifetime is not None:
        put, get = "group.putSessionLifetime", "group.getSessionLifetime"
        yield Wish(label=f"{label}.lifetime", stage=stage, put=put, get=get, value=user.lifetime, group=group)


def _secret(
    label: str, reference: SecretReference, check: Callable[[str], str | None], reveal: Reveal, faults: list[str]
) -> str:
    try:
        secret = reveal(reference).get_secret_value()
    except InputError as error:
        faults.extend(f"{label}: {fault}" for fault in error.faults)
        return ""
    if fault := check(secret):
        faults.append(f"{label} ({reference}) {fault}")
    return secret
