"""From a TOML file to a model, or to every fault at once with its line."""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from schemas.errors import InputError
from schemas.references import UNREPEATED
from schemas.tap import CrossFault
from services.playbook.faults import Fault, shape_faults
from services.playbook.positions import find_lines, line_of

M = TypeVar("M", bound=BaseModel)

LARGEST: Final = 1024 * 1024
"""Bytes of a document."""

Keys = tuple[str, ...]


def read_document(path: Path, model: type[M], cross_faults: Callable[[Mapping[str, Any]], Iterable[CrossFault]]) -> M:
    """Read a document.

    Args:
        path: a TOML file.
        model: what it should be.
        cross_faults: what is wrong between its tables; also asked of a document with other faults.

    Raises:
        InputError: every fault, one sentence each, with file, line and key.
    """
    text = _text(path)
    document = _parse(path, text)
    faults = [Fault(at, fault) for at, fault in cross_faults(document)]
    try:
        made = model.model_validate(document, context={"folder": path.parent})
    except ValidationError as error:
        faults += _shape_faults(error, model)
    if faults:
        raise InputError(_sentences(faults, path=path, text=text, tags=_tags(model)))
    return made


def _shape_faults(error: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """Pydantic's findings in words, save those of the whole document, which `cross_faults` tells one by one."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    unrepeated = {detail["loc"]: detail["msg"] for detail in details if detail["type"] == UNREPEATED}
    spoken = [found for found in shape_faults(error, tables=dict(_tables(model))) if found.path]
    return [Fault(found.path, unrepeated.get(found.path) or _cautious(found, _tags(model))) for found in spoken]


def _cautious(fault: Fault, tags: frozenset[Keys]) -> str:
    """The words without the wrong value where that may be a secret, or an address with one in it."""
    risky = _is_in(fault.path, tags) or "@" in fault.text
    return fault.text.partition(", not ")[0] if risky else fault.text


def _is_in(path: tuple[str | int, ...], tags: frozenset[Keys]) -> bool:
    names = tuple(part for part in path if isinstance(part, str))
    return any(names[:size] in tags for size in range(len(names) + 1))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise InputError([f"{path} is too large: at most {LARGEST // 1024} KiB are read"])
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError([f"{path} is not UTF-8 text"]) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError([f"{path} cannot be read: {reason}"]) from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError([f"{path} is not TOML that can be read: nested too deep"]) from None
    except ValueError as error:
        raise InputError([f"{path} is not TOML: {error}"]) from None


def _sentences(faults: list[Fault], *, path: Path, text: str, tags: frozenset[Keys]) -> list[str]:
    lines = find_lines(text)
    placed = sorted({(line_of(f.path, lines) or 0, _dotted(f.path, tags), f.text) for f in faults})
    return [f"{path}: {_place(line, key)}: {sentence}" for line, key, sentence in placed]


def _place(line: int, key: str) -> str:
    return ", ".join(part for part in (f"line {line}" if line else "", key) if part) or "the document"


def _dotted(path: tuple[str | int, ...], tags: frozenset[Keys]) -> str:
    """The keys with dots; entries of an array are counted from 1, and a tag of ours is no key of theirs."""
    shown, names = "", tuple[str, ...]()
    for part in path:
        if isinstance(part, int):
            shown += f"[{part + 1}]"
            continue
        names = (*names, part)
        if names not in tags:
            word = part if re.fullmatch(r"[\w-]{1,60}", part) else repr(part[:60])
            shown += f".{word}" if shown else word
    return shown


def _tables(model: type[BaseModel], at: Keys = ()) -> Iterator[tuple[Keys, type[BaseModel]]]:
    """Every table that the document can have, by its keys."""
    yield at, model
    for name, field in model.model_fields.items():
        inner = list(_models_in((field.annotation, *field.metadata)))
        for one in inner:
            tag = (next(iter(one.model_fields)),) if len(inner) > 1 else ()
            yield from _tables(one, (*at, name, *tag))


def _tags(model: type[BaseModel]) -> frozenset[Keys]:
    keys = {at for at, _ in _tables(model)}
    fields = {(*at, name) for at, table in _tables(model) for name in table.model_fields}
    return frozenset(keys - fields - {()})


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, tuple):
        for one in annotation:
            yield from _models_in(one)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        yield from _models_in(get_args(annotation))
