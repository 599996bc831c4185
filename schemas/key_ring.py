"""How the vault's ring keys are written: one line each, ``id:base64 of 32 bytes``, the newest first."""

import re
from base64 import b64decode, b64encode
from typing import Final

KEY_SIZE: Final = 32
"""Bytes of a ring key: AES-256."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FEWEST_BYTES: Final = 8
"""A key of fewer different bytes was typed, not drawn; of random keys not one in 10^30 has so few."""


def ring_line(key_id: str, key: bytes) -> str:
    """Write one ring key."""
    return f"{key_id}:{b64encode(key).decode()}"


def ring_keys(text: str) -> dict[str, bytes]:
    """Read the ring keys by their ids, newest first; empty lines do not count.

    Raises:
        ValueError: every bad line is named by its number; nothing of it is repeated.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    keys: dict[str, bytes] = {}
    faults = [] if lines else ["there is none"]
    for number, line in lines:
        key_id, encoded = line.split(":", 1) if ":" in line else ("", line)
        key = _decoded(encoded)
        fault = _fault(key_id, key, keys)
        if fault:
            faults.append(f"line {number} {fault}")
        keys.setdefault(key_id, key)
    if faults:
        raise ValueError("must hold one ring key per line, as 'keyturn vault new-key' writes it: " + ", ".join(faults))
    return keys


def _decoded(encoded: str) -> bytes:
    """Give the bytes, or none where it is not canonical base64: another spelling would escape the redactor."""
    try:
        key = b64decode(encoded, validate=True)
    except ValueError:
        return b""
    return key if b64encode(key).decode() == encoded else b""


def _fault(key_id: str, key: bytes, known: dict[str, bytes]) -> str | None:
    if not _ID.fullmatch(key_id):
        return "does not begin with an id (letters, digits, '.', '_', '-', at most 64) and a colon"
    if len(key) != KEY_SIZE:
        return f"has not the base64 of {KEY_SIZE} bytes behind its id"
    if len(set(key)) < _FEWEST_BYTES:
        return "has a key that is not random"
    if key_id in known:
        return "repeats an id"
    return "repeats a key under another id" if key in known.values() else None
