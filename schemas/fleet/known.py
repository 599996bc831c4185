"""Entries by their keys, some of which are there but cannot be read."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from schemas.errors import InputError
from schemas.fleet.tables import Table

T = TypeVar("T")


class Unreadable(Table):
    """An entry of the ledger that had to be left out.

    Attributes:
        fault: why, without values.
        location: of a 2N device, the location that it belongs to; empty where that cannot be read either.
    """

    kind: str
    key: str
    site: str
    fault: str
    location: str = ""

    def __str__(self) -> str:
        return f"the inventory's {self.kind} {self.key} cannot be read ({self.fault}): import it again"


class Known(Mapping[str, T]):
    """Entries by their keys. Only who asks for one that cannot be read is told so; the others go on.

    Args:
        entries: those that can be read.
        unreadable: why the others cannot, by their keys.

    Raises:
        InputError: by every look for a key of `unreadable`.
    """

    def __init__(self, entries: Mapping[str, T], unreadable: Mapping[str, str]) -> None:
        self._unreadable = dict(unreadable)
        self._entries = {key: entry for key, entry in entries.items() if key not in unreadable}

    def __getitem__(self, key: str) -> T:
        if key in self._unreadable:
            raise InputError([self._unreadable[key]])
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
