"""What is wrong with a playbook, in words: line, rule, key, what was expected."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from schemas.events import KNOWN_TYPES, FoundType
from schemas.limits import Approval, Budget, Window
from schemas.playbook import PlaybookDocument, Rule, Step, Trigger
from services.playbook.positions import Path, find_lines, line_of

_TABLES: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): PlaybookDocument,
    ("rules",): Rule,
    ("rules", "on"): Trigger,
    ("rules", "do"): Step,
    ("rules", "window"): Window,
    ("rules", "approval"): Approval,
    ("rules", "budget"): Budget,
}
_TABLE_OR_ARRAY = {"model_type": "a table", "dict_type": "a table", "tuple_type": "an array", "list_type": "an array"}
_PHRASES = (
    ("Value error, ", ""),
    ("Input should be", "expected"),
    ("String should have", "expected"),
    ("less than or equal to", "at most"),
    ("greater than or equal to", "at least"),
    ("a valid string", "text"),
    ("a valid boolean", "true or false"),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and the path of keys and indices to where it stands."""

    path: Path
    text: str


def shape_faults(
    error: ValidationError,
    *,
    at: Path = (),
    model: type[BaseModel] | None = None,
    tables: Mapping[tuple[str, ...], type[BaseModel]] = _TABLES,
) -> Iterator[Fault]:
    """Put pydantic's findings into words.

    Args:
        error: what pydantic found.
        at: the path of the table that was validated.
        model: the table's model where it is not one of `tables`.
        tables: the models of a document's tables by their keys.
    """
    for found in error.errors(include_url=False, include_context=False):
        loc = found["loc"]
        *outer, key = _names((*at, *loc)) or ("",)
        field = _Field(key, model or tables.get(tuple(outer)))
        yield Fault((*at, *loc), _in_words(found["type"], found["msg"], found["input"], field))


def choice(value: object, known: Iterable[str]) -> str:
    """Say what was expected instead of a wrong name, and what was probably meant."""
    names = sorted(map(str, known))
    close = get_close_matches(str(value), names, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"expected one of {', '.join(names)}, not {shown(value)}{hint}"


def shown(value: object) -> str:
    """A short, safe picture of a wrong value."""
    if isinstance(value, dict | list | tuple):
        return "a table" if isinstance(value, dict) else "an array"
    text = repr(str(value) if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - enough to recognise it


def in_sentences(faults: Iterable[Fault], *, text: str, document: Mapping[str, Any]) -> list[str]:
    """Every fault as one sentence with its line and rule, in the order of the text."""
    lines = find_lines(text)
    placed = sorted({(line_of(fault.path, lines) or 0, fault.path, fault.text) for fault in faults}, key=_order)
    return [f"{_place(line, path, document)}: {sentence}" for line, path, sentence in placed]


def _order(placed: tuple[int, Path, str]) -> tuple[int, list[str], str]:
    return placed[0], [str(part) for part in placed[1]], placed[2]


def _place(line: int, path: Path, document: Mapping[str, Any]) -> str:
    parts = [f"line {line}"] if line else []
    rest = path
    if path[:1] == ("rules",) and len(path) > 1 and isinstance(path[1], int):
        parts.append(_rule(path[1], document))
        rest = path[2:]
    if rest[:1] == ("do",) and len(rest) > 1 and isinstance(rest[1], int):
        parts.append(f"step {rest[1] + 1}")
        rest = rest[2:]
    dotted = ".".join(_key(part) for part in rest if isinstance(part, str))
    return ", ".join([*parts, dotted] if dotted else parts) or "the playbook"


def _rule(index: int, document: Mapping[str, Any]) -> str:
    rules = document.get("rules")
    entry = rules[index] if isinstance(rules, list) and index < len(rules) else None
    name = entry.get("name") if isinstance(entry, dict) else None
    return f"rule {index + 1} ({_key(name)})" if isinstance(name, str) else f"rule {index + 1}"


def _key(part: str) -> str:
    return part if re.fullmatch(r"[\w.-]{1,60}", part) else shown(part)


def _names(path: tuple[str | int, ...]) -> tuple[str, ...]:
    return tuple(part for part in path if isinstance(part, str))


@dataclass(frozen=True, slots=True)
class _Field:
    """A key and the model of the table that it stands in, where there is one."""

    name: str
    table: type[BaseModel] | None

    @property
    def siblings(self) -> list[str]:
        return [field.alias or name for name, field in self.table.model_fields.items()] if self.table else []

    @property
    def described(self) -> str | None:
        fields = self.table.model_fields.items() if self.table else ()
        return next((field.description for name, field in fields if self.name in {name, field.alias}), None)


def _in_words(kind: str, message: str, value: object, field: _Field) -> str:
    if kind == "missing":
        return f"is missing; expected {field.described or 'a value'}"
    if kind == "extra_forbidden":
        return f"unknown key; {choice(field.name, field.siblings)}"
    if kind == "enum" and (field.name, field.table) == ("event", Trigger):
        return choice(value, KNOWN_TYPES | frozenset(FoundType))
    if kind == "string_pattern_mismatch" and field.described:
        return f"expected {field.described}, not {shown(value)}"
    if kind in _TABLE_OR_ARRAY:
        return f"expected {_TABLE_OR_ARRAY[kind]}, not {shown(value)}"
    for theirs, ours in _PHRASES:
        message = message.replace(theirs, ours, 1)
    instead = f", not {shown(value)}"
    return message if isinstance(value, dict | list) or message.endswith(instead) else message + instead
