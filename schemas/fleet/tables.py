"""What the tables of the inventory share: their base, how a fault between two keys is told, and addresses."""

from collections.abc import Collection, Iterable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from schemas.tap import CrossFault

Path = tuple[str | int, ...]
"""Keys and indices to a place in the document."""

UNFIT: Final = "unfit"
"""Type of a fault between keys that are right one by one; whoever reads a document places it at one of them."""


class Table(BaseModel):
    """A table: every key is known, nothing changes, and no wrong value is repeated by pydantic."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def refuse(faults: Iterable[CrossFault]) -> None:
    """Raise what pydantic gathers where there are faults."""
    told = "; ".join(" ".join((*map(str, path), text)) for path, text in faults)
    if told:
        raise PydanticCustomError(UNFIT, "{told}", {"told": told})


def split_address(value: str, schemes: Collection[str], expected: str) -> SplitResult:
    """Take an address apart: a scheme that is known, a host, perhaps a port, and nothing else.

    Raises:
        ValueError: it is another thing.
    """
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError(expected) from None
    if parts.scheme not in schemes or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(expected)
    if "@" in parts.netloc:
        raise ValueError("expected no user or password inside the address: they have their own keys")
    if not parts.hostname.isprintable() or " " in parts.hostname:
        raise ValueError(expected)
    return parts


def joined_address(parts: SplitResult, port: int | None) -> str:
    """The address in its one spelling, so that two that mean the same are equal."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")


def no_flag(value: object) -> object:
    """Python takes true for 1; TOML does not."""
    if isinstance(value, bool):
        raise ValueError("expected 1")  # noqa: TRY004 - pydantic gathers ValueError
    return value
