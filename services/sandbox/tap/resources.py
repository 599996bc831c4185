"""The resources of a Tap in general, by the registry of calls: what exists, what fits, what is read back."""

from functools import lru_cache
from typing import Any, Final

from services.clients.tap.bodies import Codec
from services.clients.tap.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from services.clients.tap.events import Method, Request
from services.clients.tap.paths import Path
from services.clients.tap.registry import Call, body_type, calls_at
from services.clients.tap.status import Status

LENIENT_TYPES: Final = frozenset({"bundle_acl"})
"""Types that the vendor's client writes wrongly; a Tap takes that too (notes §14.1)."""

_LENGTHS: Final = {
    Path.parse(place): limits
    for place, limits in {
        "/1024//9": (1, 32),
        "/1024//19": (0, 128),
        "/1024//77": (0, 100),
        "/1024//78": (0, 64),
        "/1024//84": (0, 32),
    }.items()
}
"""How long a text may be, by the vendor's schema (notes §11)."""

_INITIAL: Final = {
    Path.parse(place): body
    for place, body in {
        "/3//0": b"IoTize",
        "/3//1": b"TapNLink",
        "/3//6": b"\x01",
        "/3//7": (3300).to_bytes(4, "big"),
        "/3//10": (65536).to_bytes(4, "big"),
        "/5//3": b"\x01",
        "/1024//8": b"\x00\x01",
        "/1024//18": b"\x00\x01",
        "/1024//21": b"\x02\x61",
        "/1024//22": bytes.fromhex("C132E9BFDE58"),
        "/1024//35": b"tapnlink",
        "/1024//81": b"\x00\x00\x00\x01",
        "/1024//88": b"\x01\x04\x01\x03",
        "/1027//7": (3300).to_bytes(2, "big"),
        "/1031//0": b"\xfe",
    }.items()
}
"""What a Tap says of which zeros would say nothing, or what the vendor's client could not read."""

FULL_ACCESS: Final = b"\x41\x00\x03"
"""What a variable says of itself: read and write (notes §12)."""

_LONGEST_DEFAULT: Final = 64


def fault_of(request: Request, firmware: str) -> Status | None:
    """Say why a Tap of this firmware does not have such a call, or None (notes §4)."""
    calls = calls_at(request.method, request.path)
    if calls:
        return None if any(call.is_in(firmware) for call in calls) else Status.NOT_IMPLEMENTED
    others = (method for method in Method if method is not request.method)
    known = any(calls_at(method, request.path) for method in others)
    return Status.METHOD_NOT_ALLOWED if known else Status.NOT_FOUND


def accepts(request: Request) -> bool:
    """Say whether a body is one of those that its call takes."""
    lowest, highest = _LENGTHS.get(request.path, (0, len(request.body)))
    if not lowest <= len(request.body) <= highest:
        return False
    return any(_fits(call, request.body) for call in calls_at(request.method, request.path))


@lru_cache(maxsize=1024)
def initial(path: Path) -> bytes:
    """Give what a resource says that nobody has written: zeros that each of its types can be read from."""
    if path in _INITIAL:
        return _INITIAL[path]
    types = {call.reply for call in calls_at(Method.GET, path) if call.reply}
    if "bundle_acl" in types:
        return FULL_ACCESS
    return max((zeros_of(body_type(name)) for name in types), key=len, default=b"")


def _fits(call: Call, body: bytes) -> bool:
    if not call.request:
        return not body
    if call.optional and not body:
        return True
    name = call.request.removesuffix("?")
    codec = body_type(name)
    try:
        value = codec.decode(body)
        return name in LENIENT_TYPES or codec.encode(value) == body
    except (ProtocolError, ValueError, OverflowError):
        return False


def zeros_of(codec: Codec[Any]) -> bytes:
    """Give the shortest zeros that can be read as this type."""
    for size in range(_LONGEST_DEFAULT):
        try:
            codec.decode(bytes(size))
        except (RemoteProtocolError, LocalProtocolError, ValueError):
            continue
        return bytes(size)
    return b""
