"""AuthTokens that are real RS256 JWTs and RefreshTokens that say nothing.

Source: Authentication APIs. Life and claims are those of the document's sample tokens.
"""

import base64
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from services.sandbox.ublox.dials import Scheme

REFRESH_LIFE: Final = timedelta(days=3)
"""``/refreshauthtoken``: "The RefreshToken can be used for 3 days"."""

ISSUER: Final = "https://cognito-idp.sandbox.invalid/sandbox_pool"
_KEY_ID: Final = "sandbox-signing-key"
_PARTS: Final = 3

Claims = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Login:
    """What a refreshed token keeps from the first one: the samples agree in both members."""

    api_key: str
    event_id: str
    at: datetime


@cache
def _signing_key() -> rsa.RSAPrivateKey:
    """One per process: it takes a while to find. The audience tells the tokens of two twins apart."""
    return rsa.generate_private_key(65537, 2048)


@dataclass(kw_only=True, slots=True)
class Tokens:
    """Issues and checks the tokens of some accounts."""

    accounts: Mapping[str, str]
    clock: Callable[[], datetime]
    _key: rsa.RSAPrivateKey = field(default_factory=_signing_key)
    _audience: str = field(default_factory=lambda: secrets.token_hex(13))
    _logins: dict[str, _Login] = field(default_factory=dict)

    def log_in(self, api_key: str, api_secret: str, *, life: int) -> tuple[str, str] | None:
        """Give AuthToken and RefreshToken, or None when key and secret do not belong together."""
        expected = self.accounts.get(api_key, "")
        if not expected or not secrets.compare_digest(expected.encode(), api_secret.encode()):
            return None
        login = _Login(api_key=api_key, event_id=str(uuid.uuid4()), at=self.clock())
        refresh_token = ".".join(secrets.token_urlsafe(size) for size in (24, 256, 12, 256, 16))
        self._logins[refresh_token] = login
        return self._signed(self._claims(login, life)), refresh_token

    def refresh(self, api_key: str, refresh_token: str, *, life: int) -> str | None:
        """Give a new AuthToken, or None when the RefreshToken is unknown, over, or of another key."""
        login = self._logins.get(refresh_token)
        if login is None or login.api_key != api_key or self.clock() - login.at > REFRESH_LIFE:
            return None
        return self._signed(self._claims(login, life))

    def admits(self, header: str | None, scheme: Scheme) -> bool:
        """Whether the ``Authorization`` header holds a token of ours that is not over."""
        token = bare_token(header or "", scheme)
        claims = self._verified(token) if token else None
        return claims is not None and claims["aud"] == self._audience and claims["exp"] > self.clock().timestamp()

    def _claims(self, login: _Login, life: int) -> Claims:
        now = int(self.clock().timestamp())
        return {
            "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, login.api_key)),
            "aud": self._audience,
            "event_id": login.event_id,
            "token_use": "id",
            "auth_time": int(login.at.timestamp()),
            "iss": ISSUER,
            "cognito:username": login.api_key,
            "exp": now + life,
            "iat": now,
        }

    def _signed(self, claims: Claims) -> str:
        head = _encoded(orjson.dumps({"kid": _KEY_ID, "alg": "RS256"}))
        text = head + b"." + _encoded(orjson.dumps(claims))
        signature = self._key.sign(text, padding.PKCS1v15(), SHA256())
        return (text + b"." + _encoded(signature)).decode()

    def _verified(self, token: str) -> Claims | None:
        text, _, signature = token.rpartition(".")
        if not token.isascii() or token.count(".") != _PARTS - 1:
            return None
        try:
            self._key.public_key().verify(_decoded(signature), text.encode(), padding.PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return None
        claims: Claims = orjson.loads(_decoded(text.partition(".")[2]))
        return claims


def bare_token(header: str, scheme: Scheme) -> str:
    """Take the token out of an ``Authorization`` header, or nothing when the header has the wrong form."""
    word, space, rest = header.partition(" ")
    if space and word.lower() == "bearer":
        return "" if scheme is Scheme.BARE else rest
    return "" if space or scheme is Scheme.BEARER else header


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
