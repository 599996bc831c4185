"""What the ``/e2e`` calls answer: keys, as secrets, and what goes with them.

Source: Security Services REST APIs 1.1.29, ``/e2e/uplink/…`` and ``/e2e/downlink/…``. There are several variants of
each answer, of which the document shows one. Nothing of an answer is kept as sent, because it holds keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.secret import Secret
from schemas.ublox.reading import as_whole, first_uid


@dataclass(frozen=True, kw_only=True, slots=True)
class EndToEndKeys:
    """The parameters of one direction for one device; None where the answer does not say.

    Keys and vectors are base64, padded: the document leaves the padding of ``AESIV`` out.

    Attributes:
        key: decrypts (uplink).
        encryption_key: encrypts (downlink).
        authentication_key: signs, or verifies.
        key_bits: the length of `encryption_key`.
        kiv: the identity vector that the key was made from; it travels in the clear.
    """

    uid: str | None
    key: Secret | None = None
    encryption_key: Secret | None = None
    authentication_key: Secret | None = None
    key_bits: int | None = None
    authentication_key_bits: int | None = None
    cipher_suite: str | None = None
    mac_bits: int | None = None
    nonce: str | None = None
    kiv: str | None = None
    aes_iv: str | None = None


def read_keys(document: object) -> EndToEndKeys:
    """Read an answer of any of the five calls."""
    own = {name.lower(): value for name, value in document.items()} if isinstance(document, Mapping) else {}
    return EndToEndKeys(
        uid=first_uid(document) if own else None,
        key=_secret(own.get("key")),
        encryption_key=_secret(own.get("encryptionkey")),
        authentication_key=_secret(own.get("authenticationkey")),
        key_bits=as_whole(own.get("keylength")),
        authentication_key_bits=as_whole(own.get("authkeylength")),
        cipher_suite=_text(own.get("ciphersuite")),
        mac_bits=as_whole(own.get("maclength")),
        nonce=_padded(own.get("nonce")),
        kiv=_padded(own.get("kiv")),
        aes_iv=_padded(own.get("aesiv")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _padded(value: Any) -> str | None:
    text = _text(value)
    return None if text is None else text + "=" * (-len(text) % 4)


def _secret(value: Any) -> Secret | None:
    text = _padded(value)
    return None if text is None else Secret(text)
