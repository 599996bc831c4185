"""The device's side of HTTP Digest authentication (RFC 7616, with ``qop=auth``) and the life of its nonces."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from functools import partial
from typing import Final, Protocol
from urllib.request import parse_http_list, parse_keqv_list

REALM: Final = "HTTP API"
_MOST_NONCES: Final = 64
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_NC_LENGTH: Final = 8
_WANTED: Final = ("username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce")


class Algorithm(StrEnum):
    """The hash, as it is named in a challenge."""

    MD5 = "MD5"
    SHA_256 = "SHA-256"


class _Hash(Protocol):
    def hexdigest(self) -> str: ...


_HASHES: Final[dict[Algorithm, Callable[[bytes], _Hash]]] = {
    Algorithm.MD5: partial(hashlib.md5, usedforsecurity=False),
    Algorithm.SHA_256: hashlib.sha256,
}


class Verdict(Enum):
    """What an authorization is worth."""

    GOOD = auto()
    STALE = auto()
    """The password is right and the nonce is not good any more."""
    WRONG = auto()


@dataclass(slots=True)
class _Nonce:
    issued: float
    spent: set[int] = field(default_factory=set)
    """The values of ``nc`` that were used."""


@dataclass(slots=True)
class Digest:
    """Challenges and their answers for one account of one device."""

    user: str
    password: str = field(repr=False)
    algorithm: Algorithm
    _nonces: dict[str, _Nonce] = field(default_factory=dict)

    def challenge(self, now: float, *, stale: bool = False) -> str:
        """Give a ``WWW-Authenticate`` with a fresh nonce."""
        nonce = secrets.token_hex(16)
        self._nonces[nonce] = _Nonce(now)
        while len(self._nonces) > _MOST_NONCES:
            del self._nonces[next(iter(self._nonces))]
        parts = f'realm="{REALM}", qop="auth", algorithm={self.algorithm}, nonce="{nonce}"'
        return f"Digest {parts}" + (", stale=true" if stale else "")

    def judge(self, credentials: str, method: str, target: str, now: float, *, uses: int, seconds: float) -> Verdict:
        """Say what the part of an ``Authorization`` behind the word Digest is worth.

        Args:
            credentials: what the client sent.
            method: of the request.
            target: its path and query as sent.
            now: the time, in seconds.
            uses: how many requests a nonce is good for.
            seconds: how long a nonce is good.
        """
        try:
            said = parse_keqv_list(parse_http_list(credentials))
        except (ValueError, IndexError):
            return Verdict.WRONG
        if not self._fits(said, target) or not secrets.compare_digest(
            self._response(said, method).encode(), said["response"].lower().encode()
        ):
            return Verdict.WRONG
        nonce = self._nonces.get(said["nonce"])
        if nonce is None or now - nonce.issued > seconds:
            return Verdict.STALE
        count = int(said["nc"], base=16)
        if count in nonce.spent:
            return Verdict.WRONG
        if len(nonce.spent) >= uses:
            return Verdict.STALE
        nonce.spent.add(count)
        return Verdict.GOOD

    def forget(self) -> None:
        """Let every nonce be stale."""
        self._nonces.clear()

    def _fits(self, said: dict[str, str], target: str) -> bool:
        return (
            all(name in said for name in _WANTED)
            and said["realm"] == REALM
            and said["qop"] == "auth"
            and said["uri"] == target
            and said.get("algorithm", Algorithm.MD5).upper() == self.algorithm
            and len(said["nc"]) == _NC_LENGTH
            and set(said["nc"]) <= _HEX
        )

    def _response(self, said: dict[str, str], method: str) -> str:
        """RFC 7616, 3.4.1; a wrong user name gives another hash, so both are compared at once."""
        secret = self._hash(f"{self.user}:{REALM}:{self.password}")
        if not secrets.compare_digest(said["username"].encode(), self.user.encode()):
            secret = self._hash(secrets.token_hex())
        request = self._hash(f"{method}:{said['uri']}")
        return self._hash(f"{secret}:{said['nonce']}:{said['nc']}:{said['cnonce']}:auth:{request}")

    def _hash(self, text: str) -> str:
        return _HASHES[self.algorithm](text.encode()).hexdigest()
