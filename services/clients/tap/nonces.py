"""Where production takes its fresh numbers from: the operating system's generator (Tap protocol notes §14.2).

The vendor's client draws its nonces and salts from ``Math.random`` (§9.7).
"""

import secrets
from collections.abc import Callable
from typing import Final

from services.clients.tap.channel import BLOCK
from services.clients.tap.scram import SALT_SIZE

NONCE_SIZE: Final = 4
"""A client nonce has 32 bits (§7.3)."""


class SecureNonces:
    """Fresh numbers for logins, verifiers and IVs; none is ever all zero.

    Args:
        source: gives so many random bytes.
    """

    def __init__(self, source: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._source = source

    def nonce(self) -> int:
        """Give an unsigned 32-bit number, not 0."""
        return int.from_bytes(self._fresh(NONCE_SIZE), "big")

    def salt(self) -> bytes:
        """Give four bytes, of which the first is not zero: an all-zero salt disables a login (§10.2)."""
        salt = self._fresh(SALT_SIZE)
        while not salt[0]:
            salt = self._fresh(SALT_SIZE)
        return salt

    def iv(self) -> bytes:
        """Give sixteen bytes, not all zero, for that is the IV of a session that has none yet (§9.2)."""
        return self._fresh(BLOCK)

    def _fresh(self, size: int) -> bytes:
        data = self._source(size)
        while not any(data):
            data = self._source(size)
        return data
