"""The access keys of a device: what it takes for a key, and what a PUT makes of its list of four.

Source: 2N HTTP API manual, 5.15.1 api mobilekey config.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from services.sandbox.twon.open_points import RSA_BITS, InvalidKey, OpenPoints, PublicEncoding, SingleKey

SLOTS: Final = 4
"""How many keys a device holds; the first is the primary one."""

_LATEST: Final = 2**32 - 1
_KINDS_REMEMBERED: Final = 4096


class KeyType(StrEnum):
    """The algorithm of a key."""

    RSA = "rsa"
    ECC = "ecc"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key pair that a device holds for its location.

    Attributes:
        type: the algorithm.
        private: what was sent, DER in Base64.
        public: the public half, DER SubjectPublicKeyInfo in Base64; also what a phone calls the key by.
        pkcs1: the public half of an RSA key as PKCS#1 in Base64.
        ctime: creation time in Unix seconds, None where it is not known.
    """

    type: KeyType
    private: str = field(repr=False)
    public: str
    pkcs1: str
    ctime: int | None = None

    def shown(self, points: OpenPoints, *, publicly: bool) -> dict[str, Any]:
        """Give the element of the list that a GET answers."""
        document: dict[str, Any] = {"type": str(self.type)}
        if publicly:
            plain = self.type is KeyType.ECC or points.public_encoding is PublicEncoding.SPKI
            document["publicKey"] = self.public if plain else self.pkcs1
        else:
            document["key"] = self.private
        if self.ctime is not None:
            document["ctime"] = self.ctime + points.ctime_shift
        return document


Slots = tuple[AccessKey | None, ...]
"""Always four of them."""

NO_KEYS: Final[Slots] = (None,) * SLOTS


def read_key(element: object, *, ecc: bool) -> AccessKey | None:
    """Take an element of a PUT for a key, or give None where a device drops it in silence.

    Args:
        element: ``{"type": …, "key": …, "ctime": …}``; type and ctime may be missing.
        ecc: whether this firmware knows ECC keys.
    """
    if not isinstance(element, Mapping):
        return None
    type_, text, ctime = element.get("type", KeyType.RSA), element.get("key"), element.get("ctime")
    if type_ not in ([KeyType.RSA, KeyType.ECC] if ecc else [KeyType.RSA]) or not isinstance(text, str):
        return None
    key = _parsed(KeyType(type_), text)
    known = isinstance(ctime, int) and not isinstance(ctime, bool) and 0 < ctime <= _LATEST
    return None if key is None else replace(key, ctime=ctime if known else None)


def installed(former: Slots, wish: Sequence[object], points: OpenPoints, *, ecc: bool) -> Slots:
    """Give what the four places hold after a PUT of ``keys``: missing ones are deleted, invalid ones never arrive."""
    read = [read_key(element, ecc=ecc) for element in wish[:SLOTS]]
    if points.invalid_key is InvalidKey.FORMER:
        read = [key or former[place] for place, key in enumerate(read)]
    elif points.invalid_key is InvalidKey.CLOSED_UP:
        read = [key for key in read if key is not None]
    return _filled(read)


def put_in_front(former: Slots, element: object, points: OpenPoints, *, ecc: bool) -> Slots:
    """Give what the four places hold after a PUT of ``key`` alone."""
    key = read_key(element, ecc=ecc)
    if key is None or points.single_key is SingleKey.UNKNOWN:
        return former
    kept = former if points.single_key is SingleKey.SHIFTED else former[1:]
    return _filled([key, *(other for other in kept if other is not None)])


def new_key(ctime: int | None = None) -> AccessKey:
    """Make an RSA key as the web page's "generate" does."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    made = _parsed(KeyType.RSA, _encoded(private))
    if made is None:
        raise AssertionError("a key that was just made is valid")
    return replace(made, ctime=ctime)


def _filled(keys: Sequence[AccessKey | None]) -> Slots:
    return (*keys, *NO_KEYS)[:SLOTS]


@lru_cache(maxsize=_KINDS_REMEMBERED)
def _parsed(type_: KeyType, text: str) -> AccessKey | None:
    """Read DER in Base64: PKCS#1 for RSA, SEC1 for ECC, in the one form in which it may be written."""
    try:
        private = load_der_private_key(base64.b64decode(text, validate=True), password=None)
    except (binascii.Error, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if type_ is KeyType.RSA:
        fits = isinstance(private, rsa.RSAPrivateKey) and private.key_size == RSA_BITS
    else:
        fits = isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1)
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) or not fits or _encoded(private) != text:
        return None
    public = private.public_key()
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pkcs1 = public.public_bytes(Encoding.DER, PublicFormat.PKCS1) if type_ is KeyType.RSA else b""
    return AccessKey(type_, text, _base64(spki), _base64(pkcs1))


def _encoded(private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return _base64(private.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
