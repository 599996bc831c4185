"""Mobile keys: made, read, compared by their public halves, and told from the published ones.

Source: 2N HTTP API manual 5.15.1: DER in Base64, 1024-bit RSA keys; its samples are PKCS#1 (RFC 8017, A.1.2).
"""

import base64
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from pydantic import SecretStr

from schemas.errors import InputError
from schemas.secret import Secret
from schemas.twon import KeyType, MobileKey

RSA_BITS: Final = 1024
"""What the manual asks for and what phones and devices are made for."""

_EXPONENT: Final = 65_537
_LONGEST: Final = 8192
"""Characters of a key that are looked at; an RSA-1024 key has 812 or 816."""

_PUBLISHED: Final = frozenset(
    {
        "2af1f8e9a66bbed2148c070addf75881afcce9b68416d96c85f3030ef9bea94e",
        "893824eb4d13e9916bb8a4d85e6704528c7361cd2eeec1bf06638c2385f74fbf",
        "bf217f84762a4e0308fb1286b8899b753c6c557fc880f037d992641ebe527f41",
    }
)
"""SHA-256 of the public halves of the manual's sample keys, whose private halves everybody can read."""

_MOST_READ: Final = 4096
_read: Final[dict[bytes, bytes]] = {}
"""SHA-256 of good keys, to their public halves: a check costs 6 ms, and all devices of a location tell the same."""

_reading: Final = threading.Lock()

_Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_Public = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivateKey:
    """A mobile key with its private half.

    Attributes:
        text: the private key as a device takes it: Base64 of DER.
        public: the public half, a SubjectPublicKeyInfo in DER (RFC 5280, 4.1.2.7).
        ctime: Unix time of its making, where it is known; a device shows it and does nothing with it.
    """

    type: KeyType
    text: Secret
    public: bytes = field(repr=False)
    ctime: int | None = field(default=None, compare=False)

    @property
    def public_text(self) -> str:
        """The public half in Base64."""
        return base64.b64encode(self.public).decode()

    def dated(self, ctime: int | None) -> MobileKey:
        """Give the key as a device is to be told it, with the Unix time of its making."""
        return MobileKey(type=self.type, key=self.text, ctime=ctime)


def generate(kind: KeyType = KeyType.RSA) -> PrivateKey:
    """Make a key."""
    if kind is KeyType.RSA:
        return _told(kind, rsa.generate_private_key(_EXPONENT, RSA_BITS))
    if kind is KeyType.ECC:
        return _told(kind, ec.generate_private_key(ec.SECP256R1()))
    raise InputError([f"mobile key: cannot make one of type {kind}; expected rsa or ecc"])


def parse(text: SecretStr, kind: KeyType = KeyType.RSA) -> PrivateKey:
    """Read a private key and check all of it.

    Raises:
        InputError: it is none that a device would take; a device drops such a key without a word.
    """
    shown = text.get_secret_value()
    public = _once(f"{kind} {shown}", lambda: _check(shown, kind))
    return PrivateKey(type=kind, text=Secret(shown), public=public)


def public_half(key: MobileKey) -> bytes:
    """Give the public half of a key that a device told, as a SubjectPublicKeyInfo in DER.

    The manual does not name the encoding of `publicKey`, and its sample begins as a private key does, so all three are
    taken: SubjectPublicKeyInfo, PKCS#1 RSAPublicKey and PKCS#1 RSAPrivateKey.

    Raises:
        InputError: it cannot be read.
    """
    if key.key is not None:
        return parse(key.key, key.type).public
    if key.public_key is None:
        raise InputError(["mobile key: expected key or publicKey"])
    told = key.public_key
    return _once(f"public {told}", lambda: _public_half(told))


def is_published(public: bytes) -> bool:
    """Whether this public half belongs to one of the manual's sample keys."""
    return hashlib.sha256(public).hexdigest() in _PUBLISHED


def _once(name: str, read: Callable[[], bytes]) -> bytes:
    """Read a key that was not read before; threads that meet it at the same time wait for the first of them."""
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).digest()
    public = _read.get(digest)
    if public is None:
        with _reading:
            public = _read.get(digest)
            if public is None:
                public = read()
                if len(_read) >= _MOST_READ:
                    _read.clear()
                _read[digest] = public
    return public


def _public_half(told: str) -> bytes:
    der = _decoded(told)
    try:
        public = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        public = _loaded(der).public_key()
    if not isinstance(public, _Public):
        raise InputError([f"mobile key: expected an RSA or an elliptic curve key, not a {type(public).__name__}"])
    return _spki(public)


def _check(text: str, kind: KeyType) -> bytes:
    der = _decoded(text)
    private = _loaded(der)
    wrong = _type_fault(kind, private)
    if wrong is None and der != _written(private):
        wrong = _encoding_fault(kind, private, der)
    if wrong is not None:
        raise InputError([f"mobile key: {wrong}"])
    return _spki(private.public_key())


def _decoded(text: str) -> bytes:
    if len(text) > _LONGEST:
        raise InputError([f"mobile key: expected at most {_LONGEST} characters, not {len(text)}"])
    try:
        der = base64.b64decode(text, validate=True)
    except ValueError:
        der = b""
    if not der or base64.b64encode(der).decode() != text:
        raise InputError(["mobile key: expected standard Base64 without spaces or line ends"])
    return der


def _loaded(der: bytes) -> _Private:
    try:
        private = load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        fault = "mobile key: expected a private key in DER, PKCS#1 for RSA, whose numbers fit together"
        raise InputError([fault]) from None
    if not isinstance(private, _Private):
        raise InputError([f"mobile key: expected an RSA or an elliptic curve key, not a {type(private).__name__}"])
    return private


def _type_fault(kind: KeyType, private: _Private) -> str | None:
    if kind is KeyType.UNKNOWN:
        return "its type is unknown; expected rsa or ecc"
    if isinstance(private, rsa.RSAPrivateKey) != (kind is KeyType.RSA):
        return f"is not of type {kind}, as was said"
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size != RSA_BITS:
        return f"expected {RSA_BITS} bits, not {private.key_size}: a device drops any other size without a word"
    return None


def _encoding_fault(kind: KeyType, private: _Private, der: bytes) -> str:
    expected = "PKCS#1 RSAPrivateKey" if kind is KeyType.RSA else "SEC 1 ECPrivateKey"
    if der == private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()):
        return f"is PKCS#8; expected a {expected} in DER"
    return f"expected a {expected} in DER and nothing else"


def _told(kind: KeyType, private: _Private) -> PrivateKey:
    text = base64.b64encode(_written(private)).decode()
    return PrivateKey(type=kind, text=Secret(text), public=_spki(private.public_key()))


def _written(private: _Private) -> bytes:
    # For RSA this is PKCS#1. That ECC keys are P-256 in the like form, SEC 1, is an assumption: no document names it.
    return private.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _spki(public: _Public) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
