"""Values of a Tap's resources as people write and read them: names of enumerations, hexadecimal bytes, JSON records."""

import dataclasses
from collections.abc import Callable, Mapping
from enum import Enum, IntEnum, IntFlag
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any, Final

import orjson

from schemas.errors import InputError
from services.clients.tap import enumerations
from services.clients.tap.bodies import Codec

TRUTHS: Final[Mapping[str, bool]] = MappingProxyType({"true": True, "false": False, "1": True, "0": False})


def parse_value(codec: Codec[Any], text: str) -> Any:
    """Read a value of a type of body from what somebody wrote.

    Numbers may be hexadecimal (``0x1f``); enumerations are given by name, sets by names with ``+`` between them; bytes
    by hexadecimal digits or as ``@FILE``; records as JSON.

    Raises:
        InputError: it is no such value; the value is not repeated.
    """
    try:
        return _reader(codec)(text)
    except (ValueError, KeyError, TypeError) as error:
        reason = "" if isinstance(error, TypeError) else _hint(codec)
        raise InputError([f"the value is no {codec.name}{reason}"]) from None


def show_value(value: Any) -> Any:
    """Give a value in a form that JSON has."""
    match value:
        case IntFlag():
            return [member.name for member in type(value) if member in value] or int(value)
        case Enum():
            return value.name
        case bytes():
            return value.hex()
        case tuple() | list():
            return [show_value(item) for item in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: show_value(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case _:
            return value


def text_of(value: Any) -> str:
    """Give a value as one line for a person."""
    shown = show_value(value)
    if isinstance(shown, list):
        return ", ".join(map(str, shown))
    return shown if isinstance(shown, str) else orjson.dumps(shown, default=str).decode()


def _reader(codec: Codec[Any]) -> Callable[[str], Any]:
    members = _members(codec.name)
    if members is not None:
        return lambda text: _named(members, text)
    readers: dict[type[Any], Callable[[str], Any]] = {
        bool: lambda text: TRUTHS[text.lower()],
        int: lambda text: int(text, 0),
        float: float,
        str: str,
        bytes: _bytes,
    }
    return readers.get(codec.takes, lambda text: _record(codec.takes, text))


def _members(name: str) -> type[IntEnum | IntFlag] | None:
    """The enumeration of a type of body, which has its name in another spelling: ``wifi_mode`` is ``WifiMode``."""
    found = getattr(enumerations, name.removesuffix("_set").title().replace("_", ""), None)
    return found if isinstance(found, type) and issubclass(found, IntEnum | IntFlag) else None


def _named(members: type[IntEnum | IntFlag], text: str) -> int:
    total = 0
    for part in text.split("+"):
        name = part.strip().upper()
        total |= int(members[name]) if name in members.__members__ else int(part, 0)
    return total


def _bytes(text: str) -> bytes:
    if not text.startswith("@"):
        return bytes.fromhex(text)
    try:
        return FilePath(text[1:]).read_bytes()
    except OSError as error:
        raise InputError([f"{text[1:]} cannot be read: {error.strerror}"]) from None


def _record(takes: type[Any], text: str) -> Any:
    document = orjson.loads(text)
    if not isinstance(document, dict):
        raise TypeError("not a record")
    return takes(**document)


def _hint(codec: Codec[Any]) -> str:
    members = _members(codec.name)
    if members is not None:
        return f"; write one of {', '.join(members.__members__)}"
    hints = {bool: "; write true or false", bytes: "; write hexadecimal digits or @FILE", int: "; write a number"}
    return hints.get(codec.takes, "")
