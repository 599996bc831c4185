"""Cursors: where a list goes on, signed, so that one that was changed or belongs to another list is refused."""

import base64
import binascii
import hashlib
import hmac
import struct
from typing import Final

from pydantic import BaseModel

from schemas.admin import Fault, PageQuery
from schemas.errors import LedgerUnavailable
from services.web.admin.contract import Call
from services.web.admin.problems import Problem

_POSITION: Final = struct.Struct(">q")
_SEAL_SIZE: Final = 16


def position(call: Call, query: PageQuery) -> int | None:
    """The id below which the asked page begins; None for the first page.

    Raises:
        Problem: the cursor is not one that this list gave.
    """
    place = mark(call, query)
    return None if place is None else int(_POSITION.unpack(place)[0])


def mark(call: Call, query: PageQuery) -> bytes | None:
    """What a list that has no numbers gave as its place; None for the first page.

    Raises:
        Problem: the cursor is not one that this list gave.
    """
    if query.cursor is None:
        return None
    try:
        data = base64.b64decode(query.cursor.encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        data = b""
    place, seal = data[:-_SEAL_SIZE], data[-_SEAL_SIZE:]
    if not place or not hmac.compare_digest(seal, _seal(call, query, place)):
        fault = Fault(at="query/cursor", detail="expected the `next` of a page of this very list, unchanged")
        raise Problem(422, "the cursor is none of this list", faults=[fault])
    return place


def cursor(call: Call, query: PageQuery, below: int | None) -> str | None:
    """The cursor of the page below an id; None at the end of the list."""
    return None if below is None else sealed(call, query, _POSITION.pack(below))


def sealed(call: Call, query: PageQuery, place: bytes) -> str:
    """The cursor of the page behind a place."""
    return base64.urlsafe_b64encode(place + _seal(call, query, place)).decode()


def _seal(call: Call, query: BaseModel, place: bytes) -> bytes:
    """Bind a place to the list: its address and its filters."""
    filters = query.model_dump_json(exclude={"cursor", "limit"})
    bound = b"\0".join((call.path.encode(), filters.encode(), place))
    return hmac.digest(_key(call), bound, hashlib.sha256)[:_SEAL_SIZE]


def _key(call: Call) -> bytes:
    key = call.ledger.admin.watermark("cursor_key")
    if key is None:
        raise LedgerUnavailable("the ledger has no cursor_key among its watermarks")
    return bytes.fromhex(key)
