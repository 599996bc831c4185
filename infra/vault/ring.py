"""The key ring: the keys that seal the keys of the secrets, newest first."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NoReturn, Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.errors import ConfigurationError
from schemas.key_ring import KEY_SIZE, ring_keys, ring_line

VARIABLE: Final = "KEYTURN_VAULT_KEYS"

CHECK_SIZE: Final = 8
"""Bytes by which a sealed secret tells its ring key from another one of the same id."""


def new_ring_line() -> str:
    """Make a ring key under an id of its own, as the settings hold it."""
    key_id = f"{datetime.now(UTC):%Y-%m-%d}-{secrets.token_hex(2)}"
    return ring_line(key_id, secrets.token_bytes(KEY_SIZE))


class RingKey:
    """One key of the ring; it seals, and does not show itself.

    Attributes:
        id: its name in the settings and beside each secret.
        cipher: AES-256-GCM with it.
        check: the first bytes of an HMAC-SHA-256 under it, of which nobody finds the key.
    """

    def __init__(self, key_id: str, key: bytes) -> None:
        self.id = key_id
        self.cipher = AESGCM(key)
        self.check = hmac.digest(key, b"keyturn/ring-key", hashlib.sha256)[:CHECK_SIZE]

    def __repr__(self) -> str:
        return f"RingKey({self.id!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a ring key is not pickled")


class KeyRing:
    """Keys by their ids. The newest seals; the others open what they have sealed."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Take the keys in order, newest first, at least one."""
        self._keys = {key_id: RingKey(key_id, key) for key_id, key in keys.items()}
        self.newest = next(iter(self._keys.values()))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a ring as the settings hold it: lines of ``id:base64 of 32 bytes``, newest first.

        Raises:
            ConfigurationError: every bad line by its number, without its content.
        """
        try:
            return cls(ring_keys(text))
        except ValueError as error:
            raise ConfigurationError(f"{VARIABLE} {error}") from None

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, newest first."""
        return tuple(self._keys)

    def key(self, key_id: str, *, of: str) -> RingKey:
        """Give the key of an id.

        Raises:
            ConfigurationError: the ring has none; `of` says which secret needs it.
        """
        found = self._keys.get(key_id)
        if found is None:
            raise ConfigurationError(
                f"the secret {of!r} is sealed by the ring key {key_id!r}, which {VARIABLE} does not hold:"
                " add its line again, below the newest"
            )
        return found

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self.ids)})"
