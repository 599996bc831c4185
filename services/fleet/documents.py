"""From a TOML file to a model, or to every fault at once with its line."""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from schemas.errors import InputError
from schemas.fleet import UNFIT
from schemas.references import UNREPEATED
from schemas.tap import CrossFault
from services.playbook.faults import Fault, shape_faults
from services.playbook.positions import Path as Place
from services.playbook.positions import find_lines, line_of

M = TypeVar("M", bound=BaseModel)

LARGEST: Final = 1024 * 1024
"""Bytes of a document."""

Keys = tuple[str, ...]
CrossFaults = Callable[[Mapping[str, Any]], Iterable[CrossFault]]


def read_document(path: Path, model: type[M], cross_faults: CrossFaults) -> M:
    """Read a document.

    Args:
        path: a TOML file.
        model: what it should be.
        cross_faults: what is wrong between its tables; also asked of a document with other faults.

    Raises:
        InputError: every fault, one sentence each, with file, line and key.
    """
    text = read_text(path)
    made, faults = judge(parse_toml(path, text), model, cross_faults, folder=path.parent)
    if made is None or faults:
        raise InputError(in_sentences(path, faults, find_lines(text), lambda place: dotted(place, model)))
    return made


def judge(
    document: Mapping[str, Any], model: type[M], cross_faults: CrossFaults, *, folder: Path, repeat: bool = True
) -> tuple[M | None, list[Fault]]:
    """Make the model of a parsed document; without a model there is at least one fault.

    Args:
        document: as it was parsed.
        model: what it should be.
        cross_faults: as of `read_document`.
        folder: where relative paths of the document start.
        repeat: whether a fault may repeat the wrong value where no secret belongs; False where values may stand in each
            other's places.
    """
    told = [Fault(at, fault) for at, fault in cross_faults(document)]
    try:
        return model.model_validate(document, context={"folder": folder}), told
    except ValidationError as error:
        return None, told + list(_shape_faults(error, model, told, repeat=repeat))


def read_text(path: Path, largest: int = LARGEST) -> str:
    """Read a file of UTF-8 text, with or without a byte order mark.

    Raises:
        InputError: it cannot be read, has more bytes than `largest` or is not UTF-8.
    """
    content = _content(path, largest)
    if len(content) > largest:
        raise InputError([f"{path} is too large: at most {largest // 1024} KiB are read"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start
    line = content.count(b"\n", 0, start) + 1  # raised out here: the error above holds the whole content
    raise InputError([f"{path} is not UTF-8 text: line {line} has the byte 0x{content[start]:02x}"])


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        InputError: it is none.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        fault = f"{path} is not TOML that can be read: nested too deep"
    except ValueError as error:
        fault = f"{path} is not TOML: {error}"
    raise InputError([fault])  # out here, as the errors above hold the text


def in_sentences(
    path: Path, faults: Iterable[Fault], lines: dict[Place, int], key_of: Callable[[Place], str]
) -> list[str]:
    """Every fault once, as one sentence with file, line and key, in the order of the text."""
    placed = sorted({(line_of(f.path, lines) or 0, key_of(f.path), f.text) for f in faults})
    return [f"{path}: {_place(line, key)}: {sentence}" for line, key, sentence in placed]


def dotted(place: Place, model: type[BaseModel]) -> str:
    """The keys with dots; entries of an array are counted from 1, and a tag of ours is no key of theirs."""
    shown, names, tags = "", tuple[str, ...](), _tags(model)
    for part in place:
        if isinstance(part, int):
            shown += f"[{part + 1}]"
            continue
        names = (*names, part)
        if names not in tags:
            word = part if re.fullmatch(r"[\w-]{1,60}", part) else repr(part[:60])
            shown += f".{word}" if shown else word
    return shown


def _content(path: Path, largest: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(largest + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError([f"{path} cannot be read: {reason}"]) from None


def _shape_faults(
    error: ValidationError, model: type[BaseModel], told: list[Fault], *, repeat: bool
) -> Iterator[Fault]:
    """Pydantic's findings in words, save those of whole tables that `cross_faults` has told one by one."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    unrepeated = {detail["loc"]: detail["msg"] for detail in details if detail["type"] == UNREPEATED}
    unknown = {detail["loc"] for detail in details if detail["type"] == "extra_forbidden"}
    unfit = {detail["loc"] for detail in details if detail["type"] == UNFIT} | {()}
    for found in shape_faults(error, tables=_tables(model)):
        if found.path in unfit and any(one.path[: len(found.path)] == found.path for one in told):
            continue
        text = found.text if repeat or found.path in unknown else _without_value(found.text)
        yield Fault(found.path, unrepeated.get(found.path) or _cautious(Fault(found.path, text), _tags(model)))


def _cautious(fault: Fault, tags: frozenset[Keys]) -> str:
    """The words without the wrong value where that may be a secret, or an address with one in it."""
    risky = _is_in(fault.path, tags) or "@" in fault.text
    return _without_value(fault.text) if risky else fault.text


def _without_value(text: str) -> str:
    return text.partition(", not ")[0]


def _is_in(path: Place, tags: frozenset[Keys]) -> bool:
    names = tuple(part for part in path if isinstance(part, str))
    return any(names[:size] in tags for size in range(len(names) + 1))


def _place(line: int, key: str) -> str:
    return ", ".join(part for part in (f"line {line}" if line else "", key) if part) or "the document"


@cache
def _tables(model: type[BaseModel]) -> Mapping[Keys, type[BaseModel]]:
    """Every table that the document can have, by its keys."""
    return dict(_walk(model, ()))


def _walk(model: type[BaseModel], at: Keys) -> Iterator[tuple[Keys, type[BaseModel]]]:
    yield at, model
    for name, field in model.model_fields.items():
        inner = list(_models_in((field.annotation, *field.metadata)))
        for one in inner:
            tag = (next(iter(one.model_fields)),) if len(inner) > 1 else ()
            yield from _walk(one, (*at, name, *tag))


@cache
def _tags(model: type[BaseModel]) -> frozenset[Keys]:
    keys = set(_tables(model))
    fields = {(*at, name) for at, table in _tables(model).items() for name in table.model_fields}
    return frozenset(keys - fields - {()})


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, tuple):
        for one in annotation:
            yield from _models_in(one)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        yield from _models_in(get_args(annotation))
