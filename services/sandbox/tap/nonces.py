"""Where the twin's fresh numbers come from."""

import secrets
from typing import Final

from services.clients.tap.channel import BLOCK
from services.clients.tap.scram import MAX_NONCE, SALT_SIZE

_LARGEST_BYTE: Final = 255


class SecureNonces:
    """Numbers from the system's secure generator (Tap protocol notes §14.2)."""

    def nonce(self) -> int:
        """Give an unsigned 32-bit number for a login."""
        return secrets.randbelow(MAX_NONCE + 1)

    def salt(self) -> bytes:
        """Give four bytes for a verifier, of which the first is not zero."""
        return bytes([1 + secrets.randbelow(_LARGEST_BYTE)]) + secrets.token_bytes(SALT_SIZE - 1)

    def iv(self) -> bytes:
        """Give sixteen bytes for an initialization vector or a key."""
        return secrets.token_bytes(BLOCK)
