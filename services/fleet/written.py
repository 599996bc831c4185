"""A document of the inventory as it was written, in TOML or CSV, before it is judged."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from schemas.errors import InputError
from schemas.fleet import FleetDocument
from services.fleet.csv_form import parse_csv
from services.fleet.documents import dotted, parse_toml, read_text
from services.playbook.positions import Path as Place
from services.playbook.positions import find_lines

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a document; a row has some two hundred."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A document and how its places are told to a person.

    Attributes:
        document: in the shape of TOML's, whatever it was written in.
        lines: the line of each place.
        key_of: how a place is called.
        implied: sites that things of the document belong to, but that it does not describe, with a place of each.
        remote: whether it came from another machine, so that it may name no place on this one.
    """

    path: Path
    document: dict[str, Any]
    lines: dict[Place, int]
    key_of: Callable[[Place], str]
    implied: dict[str, Place] = field(default_factory=dict)
    remote: bool = False


def read_written(path: Path) -> Written:
    """Read a document; the ending of its name tells the form.

    Raises:
        InputError: it cannot be read, or is neither TOML nor CSV.
    """
    form = path.suffix.lower()
    if form not in {".toml", ".csv"}:
        raise InputError([f"{path}: expected the name of a file that ends in .toml or .csv"])
    return parse_written(path, read_text(path, LARGEST), form)


def parse_written(path: Path, text: str, form: str, *, remote: bool = False) -> Written:
    """Understand a text as a document.

    Args:
        path: where it stands, or what it is called.
        text: the document.
        form: ``.toml`` or ``.csv``.
        remote: whether it came from another machine.

    Raises:
        InputError: it is not what its form says.
    """
    if form == ".toml":
        document = parse_toml(path, text)
        return Written(
            path=path,
            document=document,
            lines=find_lines(text),
            key_of=lambda place: dotted(place, FleetDocument),
            remote=remote,
        )
    rows = parse_csv(path, text)
    return Written(
        path=path, document=rows.document, lines=rows.lines, key_of=column_of, implied=rows.implied, remote=remote
    )


def column_of(place: Place) -> str:
    """The column of a place in the table of a thing: ``("sites", 0, "taps", 3, "relay", "net_key")``."""
    names = [str(part) for part in place if isinstance(part, str)]
    inner = names[1:]
    if inner == ["name"]:
        return "site"
    if inner[:1] == ["devices"]:
        return "uid"
    if inner[:1] and inner[0] in {"twon", "tokens", "taps"}:
        inner = inner[1:]
    return ".".join(part for part in inner if part not in {"file", "env", "vault"})
