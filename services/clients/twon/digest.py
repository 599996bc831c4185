"""Digest authentication (RFC 7616, and RFC 2617 before it): the client's side, without I/O.

httpx brings a Digest client, but at an unknown algorithm, at `auth-int` or at a garbled challenge it ends in errors
that are not its own, of several challenges it takes the first even where it cannot answer it, and it does not tell a
nonce that ran out from a wrong password. 2N devices change their nonces, so that difference decides.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.request import parse_http_list

from pydantic import SecretStr

_HASHES: Final = {"md5": "md5", "sha-256": "sha256", "sha-512-256": "sha512_256"}
_SESSION: Final = "-sess"

DIGESTS: Final = "MD5, SHA-256 or SHA-512-256, with or without -sess, and qop auth or none"
"""What can be answered, for people."""

_SCHEME: Final = r"[A-Za-z][\w-]{0,30}"
_PART: Final = re.compile(rf"(?:({_SCHEME})\s+)?([A-Za-z][\w*-]*)\s*=\s*(.*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """What a server wants answered (RFC 7616, 3.3).

    Attributes:
        algorithm: as the server spells it; None means MD5.
        protected: whether the answer counts its requests, which is `qop` of ``auth``; servers before RFC 2617 do not.
        stale: whether only the nonce ran out; the credentials were right.
    """

    realm: str
    nonce: str
    algorithm: str | None = None
    opaque: str | None = None
    protected: bool = True
    stale: bool = False


def schemes(headers: Iterable[str]) -> list[str]:
    """Name the schemes of WWW-Authenticate headers, in their order and in lower case."""
    return [scheme for scheme, _ in _challenges(headers)]


def read_challenge(headers: Iterable[str]) -> Challenge | None:
    """Give the first Digest challenge that can be answered, or None."""
    for scheme, parts in _challenges(headers):
        challenge = _read(parts) if scheme == "digest" else None
        if challenge is not None:
            return challenge
    return None


class Responder:
    """Answers one challenge for as long as the server takes its nonce, without a round trip in between."""

    def __init__(self, user: str, password: SecretStr, challenge: Challenge) -> None:
        self._user, self._challenge = user, challenge
        self._count = 0
        # One cnonce for the life of a nonce: with -sess the key is made of the first one (RFC 7616, 3.4.2), and some
        # servers make it anew of the latest. The count keeps the answers apart.
        self._cnonce = secrets.token_hex(16)
        algorithm = (challenge.algorithm or "md5").lower()
        self._hash = _HASHES[algorithm.removesuffix(_SESSION)]
        self._per_session = algorithm.endswith(_SESSION)
        key = self._digest(f"{user}:{challenge.realm}:{password.get_secret_value()}")
        self._key = self._digest(f"{key}:{challenge.nonce}:{self._cnonce}") if self._per_session else key

    def answer(self, method: str, uri: str) -> str:
        """Give the value of the Authorization header of the next request.

        Args:
            method: such as ``GET``.
            uri: path and query, exactly as they stand in the request.
        """
        self._count += 1
        challenge, nc = self._challenge, f"{self._count:08x}"
        middle = f"{nc}:{self._cnonce}:auth:" if challenge.protected else ""
        proof = self._digest(f"{self._key}:{challenge.nonce}:{middle}{self._digest(f'{method}:{uri}')}")
        quoted = {"username": self._user, "realm": challenge.realm, "nonce": challenge.nonce, "uri": uri}
        bare = {} if challenge.algorithm is None else {"algorithm": challenge.algorithm}
        if challenge.opaque is not None:
            quoted["opaque"] = challenge.opaque
        if challenge.protected or self._per_session:
            quoted["cnonce"] = self._cnonce
        if challenge.protected:
            bare |= {"qop": "auth", "nc": nc}
        parts = [f'{name}="{_escaped(value)}"' for name, value in quoted.items()]
        parts += [f"{name}={value}" for name, value in bare.items()]
        return "Digest " + ", ".join([*parts, f'response="{proof}"'])

    def _digest(self, text: str) -> str:
        return hashlib.new(self._hash, text.encode(), usedforsecurity=False).hexdigest()


def _challenges(headers: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Take headers apart; one header may hold several challenges (RFC 9110, 11.6.1)."""
    scheme, parts = "", dict[str, str]()
    for item in (item for header in headers for item in parse_http_list(header)):
        found = _PART.fullmatch(item)
        begun = found[1] if found is not None else item if re.fullmatch(_SCHEME, item, re.ASCII) else None
        if begun is not None:
            if scheme:
                yield scheme, parts
            scheme, parts = begun.lower(), {}
        if found is not None:
            parts[found[2].lower()] = found[3][1:-1] if found[3].startswith('"') else found[3]
    if scheme:
        yield scheme, parts


def _read(parts: dict[str, str]) -> Challenge | None:
    algorithm = parts.get("algorithm")
    known = (algorithm or "md5").lower().removesuffix(_SESSION) in _HASHES
    qops = re.split(r"[,\s]+", parts["qop"].strip().lower()) if parts.get("qop") else None
    sendable = all(value.isascii() and value.isprintable() for value in parts.values())
    if not (known and sendable and "realm" in parts and parts.get("nonce") and (qops is None or "auth" in qops)):
        return None
    return Challenge(
        realm=parts["realm"],
        nonce=parts["nonce"],
        algorithm=algorithm,
        opaque=parts.get("opaque"),
        protected=qops is not None,
        stale=parts.get("stale", "").lower() == "true",
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
