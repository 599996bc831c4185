"""From TOML text to a playbook that is ready to decide, or to every fault at once."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from schemas.errors import InputError
from schemas.playbook import PlaybookDocument
from services.playbook.checks import check_rules
from services.playbook.decisions import Playbook
from services.playbook.faults import Fault, in_sentences, shape_faults

LARGEST: Final = 256 * 1024
"""Bytes of a playbook; 500 rules of half a kilobyte."""


def load_playbook(text: str, *, operations: Mapping[str, type[BaseModel]]) -> Playbook:
    """Read a playbook.

    Args:
        text: TOML.
        operations: the parameter model of every operation that there is.

    Raises:
        InputError: every fault, one sentence each, in the order of the text.
    """
    document = _parse(text)
    faults: list[Fault] = []
    try:
        playbook = PlaybookDocument.model_validate(document)
    except ValidationError as error:
        faults.extend(shape_faults(error))
    faults.extend(check_rules(document, operations))
    if faults:
        raise InputError(in_sentences(faults, text=text, document=document))
    return Playbook(playbook, operations)


def default_text() -> str:
    """The playbook that is shipped and used where the user names no other."""
    return files("services").joinpath("default_playbook.toml").read_text(encoding="utf-8")


def read_text(path: Path) -> str:
    """Read a playbook's file.

    Raises:
        InputError: it cannot be read, is too large or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError([f"{path} cannot be read: {reason}"]) from None
    if len(content) > LARGEST:
        raise InputError([f"{path} is too large: a playbook has at most {LARGEST // 1024} KiB"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError([f"{path} is not UTF-8 text: line {line} has the byte 0x{content[error.start]:02x}"]) from None


def _parse(text: str) -> dict[str, Any]:
    if len(text) > LARGEST:
        raise InputError([f"a playbook has at most {LARGEST // 1024} KiB"])
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(["not TOML that can be read: nested too deep"]) from None
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise InputError([f"not TOML: {error}"]) from None
