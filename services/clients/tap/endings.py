"""Where an answer in clear ends, as far as its request tells: responses carry no length (Tap protocol notes §5.1).

Without this a client has to wait for a while of quiet after every answer in clear; with it only after those whose
length really is open, such as texts.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from services.clients.tap.channel import BLOCK
from services.clients.tap.events import Method, Request
from services.clients.tap.frames import MIN_RESPONSE, STATUS_WORD
from services.clients.tap.paths import Path
from services.clients.tap.registry import calls_at
from services.clients.tap.scram import KEY_SIZE
from services.clients.tap.state import INITIALIZE_PATH, PROOF_PATH, SET_IV_PATH
from services.clients.tap.status import is_success

SIZES: Final[Mapping[str, int]] = {
    "": 0,
    "bool": 1,
    "uint8": 1,
    "int8": 1,
    "uint16": 2,
    "int16": 2,
    "uint32": 4,
    "int32": 4,
    "float": 4,
    "version": 4,
    "ipv4": 4,
    "mac": 6,
    "security_options": 2,
    "host_protocol": 2,
    "host_protocol_set": 2,
    "frame_sizes": 4,
    "wifi_mode": 1,
    "challenge": 12,
}
"""Bytes of a reply of that type; a type that is not named has an open length."""

FIXED: Final[Mapping[Path, int]] = {PROOF_PATH: KEY_SIZE, INITIALIZE_PATH: KEY_SIZE, SET_IV_PATH: BLOCK}
"""Bytes of the replies that the registry calls bytes and the protocol fixes (§7.3, §8.2, §9.4)."""


@lru_cache(maxsize=1024)
def reply_sizes(method: Method, path: Path) -> frozenset[int]:
    """Give the sizes in bytes that a good reply's body can have; none where its length is open."""
    if path in FIXED:
        return frozenset({FIXED[path]})
    types = {call.reply for call in calls_at(method, path)} or {"" if method is not Method.GET else "bytes"}
    return frozenset(SIZES[name] for name in types) if types <= SIZES.keys() else frozenset()


def is_whole(request: Request, data: bytes | bytearray, *, sizes: frozenset[int] | None = None) -> bool:
    """Say whether bytes are, beyond doubt, the whole answer in clear to a request.

    Args:
        request: what was asked.
        data: what has come.
        sizes: of a good reply's body in bytes, where the caller knows better than the registry.
    """
    if len(data) < MIN_RESPONSE or not data.endswith(STATUS_WORD):
        return False
    if not is_success(data[0]):
        return len(data) == MIN_RESPONSE
    known = reply_sizes(request.method, request.path) if sizes is None else sizes
    return len(data) - MIN_RESPONSE in known
