"""Envelope encryption with AES-256-GCM: a random data key seals the value, a ring key seals the data key.

A sealed secret is, byte by byte (sizes in brackets)::

    format (1) | check of the ring key (8) | nonce (12), data key (32), tag (16) | nonce (12), value (any), tag (16)

The id and the name of the row are bound to both parts as associated data, the id of the ring key to the first: a part
that was moved to another row does not open there. A data key seals one value once. A ring key seals data keys under
random nonces, for which NIST SP 800-38D, section 8.3, allows 2^32 uses.
"""

import hmac
import os
import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.vault.ring import CHECK_SIZE, VARIABLE, RingKey
from schemas.errors import ConfigurationError, InputError
from schemas.key_ring import KEY_SIZE

FORMAT: Final = 1
NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16
WRAPPED_SIZE: Final = KEY_SIZE + TAG_SIZE

_HEAD: Final = struct.Struct(f"B{CHECK_SIZE}s{NONCE_SIZE}s{WRAPPED_SIZE}s{NONCE_SIZE}s")


class Place(NamedTuple):
    """The row that a value is sealed for."""

    id: str
    name: str

    def bound(self, *more: str) -> bytes:
        """The associated data; neither ids nor names have a NUL."""
        return "\0".join(("keyturn/secret", str(FORMAT), *more, *self)).encode()


@dataclass(frozen=True, slots=True)
class Envelope:
    """The parts of a sealed secret."""

    check: bytes
    wrap_nonce: bytes
    wrapped: bytes
    value_nonce: bytes
    value: bytes

    @classmethod
    def decode(cls, sealed: bytes, place: Place) -> "Envelope":
        """Take a sealed secret apart.

        Raises:
            InputError: it is none, or one of another format.
        """
        if len(sealed) < _HEAD.size + TAG_SIZE or sealed[0] != FORMAT:
            raise InputError([f"the secret {place.name!r} does not open: it is not sealed in format {FORMAT}"])
        _, check, wrap_nonce, wrapped, value_nonce = _HEAD.unpack_from(sealed)
        return cls(check, wrap_nonce, wrapped, value_nonce, sealed[_HEAD.size :])

    def encode(self) -> bytes:
        """Put the parts together."""
        return _HEAD.pack(FORMAT, self.check, self.wrap_nonce, self.wrapped, self.value_nonce) + self.value


def seal(value: bytes, key: RingKey, place: Place) -> bytes:
    """Seal a value for one row."""
    data_key, nonce = AESGCM.generate_key(8 * KEY_SIZE), os.urandom(NONCE_SIZE)
    sealed = AESGCM(data_key).encrypt(nonce, value, place.bound("value"))
    return Envelope(*_wrap(data_key, key, place), nonce, sealed).encode()


def unseal(sealed: bytes, key: RingKey, place: Place) -> bytes:
    """Open a value.

    Raises:
        ConfigurationError: another key of this id has sealed it.
        InputError: it was changed, or sealed for another row.
    """
    envelope = Envelope.decode(sealed, place)
    data_key = _unwrap(envelope, key, place)
    try:
        return AESGCM(data_key).decrypt(envelope.value_nonce, envelope.value, place.bound("value"))
    except InvalidTag:
        raise _spoilt(place, key) from None


def rewrap(sealed: bytes, key: RingKey, place: Place, *, to: RingKey) -> bytes:
    """Seal the data key with another ring key. The value is not opened.

    Raises:
        ConfigurationError, InputError: as of `unseal`.
    """
    envelope = Envelope.decode(sealed, place)
    wrapping = _wrap(_unwrap(envelope, key, place), to, place)
    return Envelope(*wrapping, envelope.value_nonce, envelope.value).encode()


def _wrap(data_key: bytes, key: RingKey, place: Place) -> tuple[bytes, bytes, bytes]:
    nonce = os.urandom(NONCE_SIZE)
    return key.check, nonce, key.cipher.encrypt(nonce, data_key, place.bound("key", key.id))


def _unwrap(envelope: Envelope, key: RingKey, place: Place) -> bytes:
    """Open the data key. The check chooses the words only: it may be spoilt itself."""
    is_its_key = hmac.compare_digest(envelope.check, key.check)
    try:
        data_key = key.cipher.decrypt(envelope.wrap_nonce, envelope.wrapped, place.bound("key", key.id))
    except InvalidTag:
        if is_its_key:
            raise _spoilt(place, key) from None
        raise ConfigurationError(
            f"the secret {place.name!r} does not open: {VARIABLE} holds another key under the id {key.id!r}"
            " than the one that sealed it"
        ) from None
    if not is_its_key:
        raise _spoilt(place, key)
    return data_key


def _spoilt(place: Place, key: RingKey) -> InputError:
    return InputError(
        [f"the secret {place.name!r} does not open with its ring key {key.id!r}: it was changed or moved"]
    )
