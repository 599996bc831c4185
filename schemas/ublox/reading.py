"""Finding values in answers of u-blox whose shape the document does not show.

The document folds arrays and objects away, so a value is found by its key, in any case and wherever in the item the key
stands, the outermost first. What cannot be read is None: "the answer does not say".
"""

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, TypeGuard

from schemas.events import canonical_uid, parse_timestamp

_SERIAL_DIGITS: Final = 64
"""RFC 5280 allows 40 hexadecimal digits; a few more do no harm."""

_IMEI_DIGITS: Final = 15

_EARLIEST: Final = 1970
"""A service that has no time may write the first one that it knows, such as 0001-01-01T00:00:00."""


class Index:
    """A document that is searched more than once: its objects, the outermost first, with their keys in lower case.

    It may stand wherever a document is searched for a key.
    """

    def __init__(self, document: object) -> None:
        self.lowered = [{name.lower(): value for name, value in mapping.items()} for mapping in mappings(document)]
        self._values: dict[str, list[Any]] = {}
        for mapping in self.lowered:
            for name, value in mapping.items():
                self._values.setdefault(name, []).append(value)

    def values(self, key: str) -> list[Any]:
        """Give every value under a key in lower case."""
        return self._values.get(key, [])


def items(document: object, key: str) -> list[Any]:
    """Give the items of an answer that may be an array, an array under a key, or one item."""
    found = document if isinstance(document, list) else next(values_of(document, key), None)
    return found if isinstance(found, list) else [] if found is None else [found]


def values_of(document: object, key: str) -> Iterator[Any]:
    """Give every value under a key, in any case, the outermost first."""
    wanted = key.lower()
    if isinstance(document, Index):
        yield from document.values(wanted)
        return
    for mapping in mappings(document):
        for name, value in mapping.items():
            if name.lower() == wanted:
                yield value


def mappings(document: object) -> Iterator[dict[str, Any]]:
    """Give every object of a document, the outermost first."""
    waiting = deque([document])
    while waiting:
        node = waiting.popleft()
        if isinstance(node, dict):
            yield node
        elif not isinstance(node, list):
            continue
        waiting.extend(node.values() if isinstance(node, dict) else node)


def whole_text(document: object, *keys: str) -> str | None:
    """Give the first text under any of the keys, in their order."""
    values = (value for key in keys for value in values_of(document, key))
    return next((value for value in values if isinstance(value, str) and value), None)


def whole_number(document: object, *keys: str) -> int | None:
    """Give the first whole number under any of the keys, in their order; text of digits is one."""
    values = (as_whole(value) for key in keys for value in values_of(document, key))
    return next((value for value in values if value is not None), None)


def first_uid(item: object) -> str | None:
    """Give the ROTPublicUID that an item names, or that it is."""
    for value in values_of(item, "ROTPublicUID") if isinstance(item, dict) else (item,):
        try:
            return canonical_uid(value)
        except ValueError:
            continue
    return None


def first_imei(document: object) -> str | None:
    """Give the first IMEI that is one; as a whole number it may have lost leading zeros."""
    for value in values_of(document, "IMEI"):
        text = str(value).zfill(_IMEI_DIGITS) if is_whole(value) and value < 10**_IMEI_DIGITS else value
        if isinstance(text, str) and len(text) == _IMEI_DIGITS and text.isascii() and text.isdigit():
            return text
    return None


def first_moment(document: object, *keys: str) -> datetime | None:
    """Give the first time under any of the keys that can be read."""
    values = (moment(value) for key in keys for value in values_of(document, key))
    return next((value for value in values if value is not None), None)


def moment(value: object) -> datetime | None:
    """Read a time in any form of the document; one of long before there were such devices is none."""
    try:
        read = parse_timestamp(value)
    except ValueError:
        return None
    return read if read.year >= _EARLIEST else None


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number, not below zero."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def as_whole(value: object) -> int | None:
    """Read a whole number, or text of a few digits."""
    if isinstance(value, str) and len(value) < _SERIAL_DIGITS and value.isascii() and value.isdigit():
        return int(value)
    return value if is_whole(value) else None


def read_serial(value: object) -> int | None:
    """Read a certificate's serial; a whole number is hexadecimal text taken for a decimal, as with ROTPublicUIDs.

    A sample of the document has 31 digits: a leading zero was dropped. So serials are compared as numbers.
    """
    if is_whole(value) and value < 10**_SERIAL_DIGITS:
        return int(str(value), 16)
    if not isinstance(value, str):
        return None
    digits = value.replace(":", "").lower()
    readable = 0 < len(digits) <= _SERIAL_DIGITS and not digits.strip("0123456789abcdef")
    return int(digits, 16) if readable else None


def read_pem(value: object) -> str | None:
    """Read PEM; the samples print its line ends as a backslash and an n. Whether it is whole is not looked at."""
    return value.replace("\\n", "\n") if isinstance(value, str) and value else None


def read_total(document: object) -> int | None:
    """Read ``TotalRecords`` of a page."""
    return next((total for total in values_of(document, "TotalRecords") if is_whole(total)), None)


def read_text(document: object, key: str) -> str | None:
    """Read the first text under a key, such as ``AuthToken``."""
    return whole_text(document, key)


def read_uids(document: object, key: str = "ROTPublicUIDs") -> list[str]:
    """Read the ROTPublicUIDs of a page, plain or as a member of objects; what is none is skipped."""
    uids = (first_uid(item) for item in items(document, key))
    return [uid for uid in uids if uid is not None]
