"""Every call that a Tap is known to take, as data: ``registry.csv`` holds 254 of them (Tap protocol notes §11).

A row says service, name (as the vendor's documents write it), method, path, types of the bodies (``body_types``), the
firmware that has it, whether a body is a secret that belongs into the encrypted channel only, and what it does.
A ``?`` behind a type means that the body may be left out.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from operator import ge, le
from types import MappingProxyType
from typing import Any, Final

from services.clients.tap.bodies import Codec
from services.clients.tap.body_types import BODY_TYPES
from services.clients.tap.enumerations import SpecialFeature
from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError
from services.clients.tap.events import Method
from services.clients.tap.paths import Path
from services.clients.tap.state import (
    INITIALIZE_PATH,
    ITERATION_PATH,
    LOGIN_PATH,
    PROOF_PATH,
    SEND_PATH,
    SEND_WITH_IV_PATH,
    SET_IV_PATH,
)

ALIASES: Final[Mapping[str, Path]] = MappingProxyType(
    {
        "/scram/hash-iteration": ITERATION_PATH,
        "/scram/initialize": INITIALIZE_PATH,
        "/scram/login": LOGIN_PATH,
        "/scram/login-proof": PROOF_PATH,
        "/scram/com-send-receive": SEND_PATH,
        "/scram/send-with-iv": SEND_WITH_IV_PATH,
        "/scram/initialization-vector": SET_IV_PATH,
    }
)
"""The names that the vendor's document of the ScramService gives to its paths."""

APPENDED: Final = "appended"
OPTIONAL: Final = "?"

_VARIABLE: Final = re.compile(r"\{(\w+)\}")
_FIRMWARE: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_GATES: Final = {">=": ge, "<=": le}
_WORD_START: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        service: the family that it belongs to, such as ``wifi``.
        name: as the vendor's documents write it, such as ``putSSID``.
        method: GET, POST or PUT.
        template: the path, with ``{group}``, ``{bundle}``, ``{variable}`` or ``{feature}`` where a number goes.
        request: the type of the body that is sent, empty for none.
        reply: the type of the body that comes back, empty for none.
        firmware: the gate, such as ``>=1.85``, empty for none.
        secret: whether a body belongs into the encrypted channel only.
        summary: what it does, in one line.
    """

    service: str
    name: str
    method: Method
    template: str
    request: str
    reply: str
    firmware: str
    secret: bool
    summary: str

    def __str__(self) -> str:
        return f"{self.service}.{self.name}"

    @property
    def python_name(self) -> str:
        """The name as Python writes it: ``put_ssid``."""
        return _WORD_START.sub("_", self.name).lower()

    @property
    def variables(self) -> tuple[str, ...]:
        """What numbers the path needs, at most one."""
        return _variables_in(self.template)

    @property
    def optional(self) -> bool:
        """Whether the body may be left out."""
        return self.request.endswith(OPTIONAL)

    def path(self, *numbers: int) -> Path:
        """Give the path for these numbers.

        Raises:
            LocalProtocolError: there are too few or too many, or one does not fit.
        """
        return _path_of(self, *numbers)

    def matches(self, path: Path) -> bool:
        """Say whether a path is one of this call's."""
        object_, instance, resource = self.template[1:].split("/")
        return (
            object_ == str(path.object)
            and _fits(instance, path.instance)
            and _fits(resource, path.resource)
            and ("feature" not in self.variables or path.resource in _FEATURES)
        )

    def encode(self, value: Any) -> bytes:
        """Give the body of a value.

        Raises:
            LocalProtocolError: the call takes no body, or the value does not fit.
        """
        if not self.request:
            raise LocalProtocolError(f"{self} takes no value")
        return body_type(self.request.removesuffix(OPTIONAL)).encode(value)

    def decode(self, body: bytes) -> Any:
        """Give the value of a reply, None where the call has none.

        Raises:
            RemoteProtocolError: the body cannot be read.
        """
        return body_type(self.reply).decode(body) if self.reply else None

    def is_in(self, firmware: str) -> bool:
        """Say whether a firmware, such as ``1.113``, has this call, as far as the gates tell.

        Raises:
            RemoteProtocolError: that is no version.
        """
        if not self.firmware:
            return True
        return bool(_GATES[self.firmware[:2]](_version(firmware), _version(self.firmware[2:])))


@cache
def _variables_in(template: str) -> tuple[str, ...]:
    return tuple(_VARIABLE.findall(template))


@lru_cache(maxsize=1024, typed=True)
def _path_of(call: Call, *numbers: int) -> Path:
    if len(numbers) != len(call.variables):
        raise LocalProtocolError(f"{call} needs {call.variables or 'no number'}, not {numbers}")
    values = iter(numbers)
    path = Path.parse(_VARIABLE.sub(lambda _: str(next(values)), call.template))
    if not call.matches(path):
        raise LocalProtocolError(f"{call} has no path {path}")
    return path


@cache
def calls() -> tuple[Call, ...]:
    """Give all calls, in the order of the table."""
    text = files(__package__).joinpath("registry.csv").read_text(encoding="utf-8")
    return tuple(_call(row) for row in csv.DictReader(text.splitlines()))


@cache
def services() -> Mapping[str, Mapping[str, Call]]:
    """Give the calls of each service, by both of their names."""
    table: dict[str, dict[str, Call]] = {}
    for call in calls():
        table.setdefault(call.service, {}).update({call.name: call, call.python_name: call})
    return MappingProxyType(table)


def find(name: str) -> Call:
    """Give the call ``scram.loginProof``, which may also be written ``scram.login_proof``.

    Raises:
        LocalProtocolError: there is none.
    """
    service, _, call = name.partition(".")
    try:
        return services()[service][call]
    except KeyError:
        raise LocalProtocolError(f"no call is named {name!r}") from None


@lru_cache(maxsize=1024)
def calls_at(method: Method, path: Path) -> tuple[Call, ...]:
    """Give the calls that a request may be: none, one, or several where a path has several meanings (§11.4)."""
    return tuple(call for call in calls() if call.method is method and call.matches(path))


def resolve(path: str | Path) -> Path:
    """Give the path of a path, of its text, or of an alias such as ``/scram/login``.

    Raises:
        LocalProtocolError: it is none of these.
    """
    if isinstance(path, Path):
        return path
    return ALIASES.get(path) or Path.parse(path)


def body_type(name: str) -> Codec[Any]:
    """Give the codec of a type of body.

    Raises:
        LocalProtocolError: there is no such type.
    """
    try:
        return BODY_TYPES[name]
    except KeyError:
        raise LocalProtocolError(f"no type of body is named {name!r}") from None


_FEATURES: Final = frozenset(map(int, SpecialFeature))


def _fits(element: str, number: int | None) -> bool:
    if element.startswith("{"):
        return number is not None
    return element == ("" if number is None else str(number))


def _call(row: dict[str, str]) -> Call:
    return Call(
        service=row["service"],
        name=row["name"],
        method=Method[row["method"]],
        template=row["path"],
        request=row["request"],
        reply=row["reply"],
        firmware=row["firmware"],
        secret=bool(row["secret"]),
        summary=row["summary"],
    )


@lru_cache(maxsize=256)
def _version(text: str) -> tuple[int, ...]:
    """Read a version so that 1.103 and 1.103.0 are the same."""
    found = _FIRMWARE.match(text)
    if not found:
        raise RemoteProtocolError(f"{text!r} is no version of a firmware")
    numbers = [int(part[:9]) for part in found[0].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
