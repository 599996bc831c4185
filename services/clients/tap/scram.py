"""The login of a Tap: keys out of a password, proofs, verifiers, session key (Tap protocol notes §7 and §10.2).

It is not RFC 5802: no client key, no XOR, no text messages. The host proves itself by ``stored``, the device by
``server``; whoever holds both can log in, so a verifier is as good as the password (§7.2, §9.7).
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass, field
from typing import Final

from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError

KEY_SIZE: Final = 16
"""Hashes, keys, proofs and session keys have 16 bytes (§7.2, §7.3)."""

NAME_SIZE: Final = 16
"""A user name has at most 16 bytes and is padded with zeros (§7.3)."""

SALT_SIZE: Final = 4
"""The salt of a user (§7.3)."""

MAX_ITERATIONS: Final = 0xFFFF
"""More cannot be written to ``/1024//42`` (§8.4); a device that asks for more would only keep us busy."""

MAX_NONCE: Final = 0xFFFF_FFFF
"""Nonces are unsigned 32-bit numbers (§7.3)."""

_PASSWORD_SALT: Final = b"n0 salt in 1oTi2e"
_PASSWORD_ROUNDS: Final = 4096
_LABEL_ROUNDS: Final = 2
_LOGIN: Final = struct.Struct(f">{NAME_SIZE}sI")
_CHALLENGE: Final = struct.Struct(f">I{SALT_SIZE}sI")
_NONCES: Final = struct.Struct(">I")


def encode_name(user: str) -> bytes:
    """Give a user name as 16 bytes: Latin-1, padded with zeros (§7.3). The password, by contrast, is UTF-8.

    Raises:
        LocalProtocolError: it has over 16 characters, or one outside Latin-1. The vendor's client would cut the name,
            or the character, and log in as somebody else.
    """
    try:
        name = user.encode("latin-1")
    except UnicodeEncodeError:
        raise LocalProtocolError("a user name of a Tap keeps to Latin-1") from None
    if len(name) > NAME_SIZE:
        raise LocalProtocolError(f"a user name has at most {NAME_SIZE} characters, not {len(name)}")
    return name.ljust(NAME_SIZE, b"\x00")


def decode_name(data: bytes) -> str:
    """Read a padded user name."""
    return data.split(b"\x00", 1)[0].decode("latin-1")


def hash_password(password: str) -> bytes:
    """Give the 16 bytes that stand for a password everywhere, the same for every user and device (§7.2)."""
    return hashlib.pbkdf2_hmac("sha1", password.encode(), _PASSWORD_SALT, _PASSWORD_ROUNDS, KEY_SIZE)


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a device keeps of a user instead of the password (§10.2). As good as the password: it does not print.

    Attributes:
        stored: 16 bytes with which the host proves itself.
        server: 16 bytes with which the device proves itself.
        salt: 4 bytes; all zero disables the login.
    """

    stored: bytes = field(repr=False)
    server: bytes = field(repr=False)
    salt: bytes = field(repr=False)

    def __post_init__(self) -> None:
        sizes = len(self.stored), len(self.server), len(self.salt)
        if sizes != (KEY_SIZE, KEY_SIZE, SALT_SIZE):
            raise LocalProtocolError(f"a verifier has 16, 16 and 4 bytes, not {sizes}")

    @classmethod
    def make(cls, password: str, *, salt: bytes, iterations: int) -> "Verifier":
        """Derive the verifier of a password (§7.2).

        Raises:
            LocalProtocolError: the salt has not 4 bytes, or the iterations are not in 1 … 65535.
        """
        return cls.from_hash(hash_password(password), salt=salt, iterations=iterations)

    @classmethod
    def from_hash(cls, hashed: bytes, *, salt: bytes, iterations: int) -> "Verifier":
        """Derive the verifier of a hashed password, which is what a login without SCRAM may bring (§7.2, §7.7).

        Raises:
            LocalProtocolError: the salt has not 4 bytes, or the iterations are not in 1 … 65535.
        """
        if not 1 <= iterations <= MAX_ITERATIONS:
            raise LocalProtocolError(f"iterations lie in 1 … {MAX_ITERATIONS}, not {iterations}")
        salted = hashlib.pbkdf2_hmac("sha256", hashed, salt, iterations, KEY_SIZE)
        return cls(_labelled(salted, b"ClientKey"), _labelled(salted, b"ServerKey"), salt)

    @classmethod
    def decode(cls, body: bytes) -> "Verifier":
        """Read the 36 bytes of a password change.

        Raises:
            RemoteProtocolError: there are not exactly 36.
        """
        if len(body) != 2 * KEY_SIZE + SALT_SIZE:
            raise RemoteProtocolError(f"a verifier has {2 * KEY_SIZE + SALT_SIZE} bytes, not {len(body)}")
        return cls(body[:KEY_SIZE], body[KEY_SIZE : 2 * KEY_SIZE], body[2 * KEY_SIZE :])

    def encode(self) -> bytes:
        """Give the 36 bytes of a password change: stored, server, salt (§10.2)."""
        return self.stored + self.server + self.salt

    def client_proof(self, client_nonce: int, server_nonce: int) -> bytes:
        """Give the 16 bytes that prove the host (§7.3, step 3)."""
        return _mac(self.stored, _u32(client_nonce), self.stored, _u32(server_nonce))

    def server_proof(self, client_nonce: int, server_nonce: int) -> bytes:
        """Give the 16 bytes that prove the device; the nonces stand the other way round (§7.3, step 4)."""
        return _mac(self.server, _u32(server_nonce), self.server, _u32(client_nonce))

    def session_key(self, client_nonce: int, server_nonce: int) -> bytes:
        """Give the 16 bytes of the session key of this login (§7.4)."""
        middle = self.server, self.salt, self.stored
        return _mac(self.server, _u32(client_nonce), *middle, _u32(server_nonce))


@dataclass(frozen=True, slots=True)
class LoginParams:
    """The body of ``GET /1024//40``, 20 bytes: user name and client nonce, unsigned 32 bits (§7.3, step 1)."""

    user: str
    nonce: int

    @classmethod
    def decode(cls, body: bytes) -> "LoginParams":
        """Read the 20 bytes.

        Raises:
            RemoteProtocolError: there are not exactly 20.
        """
        if len(body) != _LOGIN.size:
            raise RemoteProtocolError(f"login parameters have {_LOGIN.size} bytes, not {len(body)}")
        name, nonce = _LOGIN.unpack(body)
        return cls(decode_name(name), nonce)

    def encode(self) -> bytes:
        """Give the 20 bytes.

        Raises:
            LocalProtocolError: the name is not a user name, or the nonce not 32 bits.
        """
        return encode_name(self.user) + _u32(self.nonce)


@dataclass(frozen=True, slots=True)
class Challenge:
    """The answer to it, 12 bytes: server nonce, salt of the user, iterations of the user (§7.3, step 2)."""

    nonce: int
    salt: bytes
    iterations: int

    @classmethod
    def decode(cls, body: bytes) -> "Challenge":
        """Read the first 12 bytes; more are ignored, as the vendor's client does.

        Raises:
            RemoteProtocolError: there are fewer, or the iterations are not in 1 … 65535.
        """
        if len(body) < _CHALLENGE.size:
            raise RemoteProtocolError(f"a challenge has {_CHALLENGE.size} bytes, not {len(body)}")
        challenge = cls(*_CHALLENGE.unpack_from(body))
        if not 1 <= challenge.iterations <= MAX_ITERATIONS:
            raise RemoteProtocolError(f"iterations lie in 1 … {MAX_ITERATIONS}, not {challenge.iterations}")
        return challenge

    def encode(self) -> bytes:
        """Give the 12 bytes.

        Raises:
            LocalProtocolError: a number does not fit 32 bits, or the salt has not 4 bytes.
        """
        if len(self.salt) != SALT_SIZE:
            raise LocalProtocolError(f"a salt has {SALT_SIZE} bytes, not {len(self.salt)}")
        return _u32(self.nonce) + self.salt + _u32(self.iterations)


@dataclass(frozen=True, slots=True)
class Admission:
    """What the device has after a good proof: its own proof for the answer, and the session key, 16 bytes each."""

    proof: bytes = field(repr=False)
    key: bytes = field(repr=False)


class DeviceLogin:
    """The device's side of one login: hands out one challenge, judges one proof, forgets (§7.3)."""

    def __init__(self) -> None:
        self._pending: tuple[Verifier, int, int] | None = None

    def challenge(self, params: LoginParams, verifier: Verifier, *, iterations: int, nonce: int) -> Challenge:
        """Begin a login; one that was under way is forgotten.

        For an unknown user pass a made-up verifier, so that the answer does not tell who exists (§7.6).

        Args:
            params: what the host sent.
            verifier: of that user.
            iterations: the count with which the verifier was made (§8.4).
            nonce: a fresh server nonce, unsigned 32 bits.
        """
        self._pending = verifier, params.nonce, nonce
        return Challenge(nonce, verifier.salt, iterations)

    def admit(self, proof: bytes) -> Admission | None:
        """Judge the host's proof in constant time; None is a no. Either way the challenge is spent."""
        pending, self._pending = self._pending, None
        if pending is None:
            return None
        verifier, *nonces = pending
        right = hmac.compare_digest(proof, verifier.client_proof(*nonces))
        if not right or not any(verifier.salt):
            return None
        return Admission(verifier.server_proof(*nonces), verifier.session_key(*nonces))


def proves_device(verifier: Verifier, proof: bytes, *, client_nonce: int, server_nonce: int) -> bool:
    """Say in constant time whether the device has proved that it knows the verifier (§7.3, step 4)."""
    return hmac.compare_digest(proof, verifier.server_proof(client_nonce, server_nonce))


def _labelled(salted: bytes, label: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", salted, label, _LABEL_ROUNDS, KEY_SIZE)


def _mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.digest(key, b"".join(parts), "sha256")[:KEY_SIZE]


def _u32(number: int) -> bytes:
    if not 0 <= number <= MAX_NONCE:
        raise LocalProtocolError(f"{number} does not fit 32 bits")
    return _NONCES.pack(number)
