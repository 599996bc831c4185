"""The inventory as rows: one thing a row, a column for each key; ``relay.net_key`` is a key of the table ``relay``.

A text that a spreadsheet would take for a formula, such as the location ``-1 Garage``, has a quote before it that is
taken off again. A secret that is written out is read as it stands.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from schemas.errors import InputError
from schemas.fleet import CentagateToken, FleetTap, Relay, TwonDevice
from services.fleet.entries import TABLES, at, put, secret_places
from services.playbook.faults import choice, shown
from services.playbook.positions import Path as Place

KIND_NAMES: Final = {"site": "site", "device": "device", "2n": "twon", "token": "token", "tap": "tap"}
"""What a row says it is, and the kind of entry that it means."""

LISTS: Final = frozenset({"tags", "skip_rules"})
"""Columns of several words with blanks between them."""

FLAGS: Final = frozenset({"in_clear", "may_write"})
"""Columns of true and false."""

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a cell begins that a spreadsheet takes for a formula (OWASP, CSV Injection), and what `_guarded` makes of it."""

_FLAGS: Final = {"true": True, "false": False}
_PLACES: Final = ("env", "file", "vault")


def _columns() -> tuple[str, ...]:
    own = [name for model in (TwonDevice, CentagateToken, FleetTap) for name in model.model_fields if name != "relay"]
    relay = [f"relay.{name}" for name in Relay.model_fields]
    return tuple(dict.fromkeys(("kind", "site", "tags", "skip_rules", "uid", *own, *relay)))


COLUMNS: Final = _columns()


@dataclass(slots=True)
class Rows:
    """What `parse_csv` has read, in the shape of a TOML document."""

    document: dict[str, Any]
    lines: dict[Place, int] = field(default_factory=dict)
    implied: dict[str, Place] = field(default_factory=dict)


def parse_csv(path: Path, text: str) -> Rows:
    """Read rows.

    Raises:
        InputError: it is not CSV with a header of known columns, or a row has no kind, no site or another length.
    """
    records = _records(path, text)
    _, header = next(records, (1, []))
    names = [name.strip().lower() for name in header]
    if faults := list(_header_faults(names)):
        raise InputError([f"{path}: line 1: {fault}" for fault in faults])
    gathering = _Gathering()
    for line, cells in records:
        if not any(cells):
            continue
        if len(cells) != len(names):
            gathering.faults.append((line, f"has {len(cells)} cells; the header has {len(names)}"))
            continue
        gathering.take(line, {name: cell for name, cell in zip(names, cells, strict=True) if cell})
    if gathering.faults:
        raise InputError([f"{path}: line {line}: {fault}" for line, fault in gathering.faults])
    return gathering.rows()


def write_csv(things: Iterable[tuple[str, str, Mapping[str, Any]]]) -> str:
    """Write rows.

    Args:
        things: kind of entry, site and fields of each.
    """
    kinds = {kind: name for name, kind in KIND_NAMES.items()}
    rows = [{"kind": kinds[kind], "site": site, **_cells(kind, fields)} for kind, site, fields in things]
    used = Counter(name for row in rows for name in row)
    shown = [name for name in COLUMNS if used[name] or name in {"kind", "site"}]
    out = io.StringIO()
    writer = csv.DictWriter(out, shown, lineterminator="\r\n")  # as RFC 4180 has it; so either is quoted in a cell
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line that it begins in."""
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=";" if _is_semicolons(first) else ",")
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError([f"{path}: line {line}: is not CSV: {error}"]) from None
        yield line, cells
        line = reader.line_num + 1


def _is_semicolons(header: str) -> bool:
    """Spreadsheets of half of Europe write semicolons."""
    return ";" in header and "," not in header


def _header_faults(names: list[str]) -> Iterator[str]:
    missing = {"kind", "site"} - set(names)
    if missing:  # perhaps there is no header at all: what stands there may be a secret
        yield "expected the names of the columns, kind and site among them"
        return
    for name, count in Counter(names).items():
        if count > 1:
            yield f"the column {name if name in COLUMNS else names.index(name) + 1} is there {count} times"
        if name not in COLUMNS:
            yield f"column {names.index(name) + 1} is unknown; {_choice(name, COLUMNS)}"


def _choice(name: str, known: Iterable[str]) -> str:
    """What was expected and probably meant; the name itself is not repeated, as it may be a secret in a wrong place."""
    return choice(name, known).replace(f", not {shown(name)}", "", 1)


class _Gathering:
    """Rows become tables of sites, in the order in which sites are named first."""

    def __init__(self) -> None:
        self.faults: list[tuple[int, str]] = []
        self._sites: list[dict[str, Any]] = []
        self._index: dict[str, int] = {}
        self._lines: dict[Place, int] = {("version",): 1}
        self._implied: dict[str, Place] = {}

    def take(self, line: int, cells: dict[str, str]) -> None:
        name, site = cells.pop("kind", "").strip().lower(), cells.pop("site", "").strip()
        if name not in KIND_NAMES:
            self.faults.append((line, f"kind: {_choice(name, KIND_NAMES)}"))
        elif not site:
            self.faults.append((line, "site: is missing; expected the name of the site that it belongs to"))
        elif name == "site":
            self._describe(line, site, cells)
        else:
            self._belongs(line, site, KIND_NAMES[name], cells)

    def rows(self) -> Rows:
        document = {"version": 1, "sites": self._sites}
        return Rows(document, self._lines, self._implied)

    def _describe(self, line: int, name: str, cells: dict[str, str]) -> None:
        if name in self._implied:  # its things came first
            del self._implied[name]
            index = self._index[name]
        else:
            index = self._new(name)
        self._sites[index].update({key: cell.split() if key in LISTS else cell for key, cell in cells.items()})
        self._lines["sites", index] = line

    def _belongs(self, line: int, site: str, kind: str, cells: dict[str, str]) -> None:
        index = self._index.get(site)
        if index is None:
            index = self._new(site)
            self._implied[site] = "sites", index
            self._lines["sites", index] = line
        key = TABLES.get(kind, "devices")
        things = self._sites[index].setdefault(key, [])
        self._lines["sites", index, key, len(things)] = line
        if kind != "device":
            things.append(_table(kind, cells))
            return
        things.append(cells.pop("uid", ""))
        self.faults.extend((line, f"{name}: has no meaning for a device") for name in cells)

    def _new(self, name: str) -> int:
        self._sites.append({"name": name})
        self._index.setdefault(name, len(self._sites) - 1)
        return len(self._sites) - 1


def _table(kind: str, cells: Mapping[str, str]) -> dict[str, Any]:
    secrets = secret_places(kind, "")
    table: dict[str, Any] = {}
    for column, cell in cells.items():
        *outer, last = column.split(".")
        inner = table
        for name in outer:
            inner = inner.setdefault(name, {})
        if (*outer, last) in secrets:
            inner[last] = _reference(cell)
        else:
            inner[last] = _FLAGS.get(cell.lower(), cell) if column in FLAGS else _unguarded(cell)
    return table


def _reference(cell: str) -> str | dict[str, str]:
    kind, colon, place = cell.partition(":")
    return {kind: place} if colon and kind in _PLACES else cell


def _cells(kind: str, fields: Mapping[str, Any]) -> dict[str, str]:
    flat = dict(fields)
    flat.update({f"relay.{key}": value for key, value in flat.pop("relay", {}).items()})
    for place in secret_places(kind, ""):
        if (reference := at(fields, place)) is not None:
            put(flat, (".".join(place),), f"vault:{reference['vault']}")
    return {key: _cell(value) for key, value in flat.items()}


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(value) if isinstance(value, list) else _guarded(str(value))


def _guarded(text: str) -> str:
    """The text with a quote before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def _unguarded(cell: str) -> str:
    """The text of a cell as it was before `_guarded`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
