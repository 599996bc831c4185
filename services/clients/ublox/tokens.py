"""The tokens of a u-blox session: how they are obtained, how long they are good for, and how they are sealed for Redis.

No I/O and no clock: `obtaining` yields the requests to send and is sent their answers, so one flow serves the client
and the tests. Source: Security Services REST APIs 1.1.29, ``/authenticate`` and ``/refreshauthtoken``.
"""

import base64
import binascii
import dataclasses
import json
import math
import os
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from schemas.errors import OurFault, TryAgain
from schemas.ublox import Authenticate, RefreshAuthToken, UbloxRequest, read_text
from services.clients.answers import Answer

ASSUMED_LIFE: Final = 3600.0
"""Seconds that an AuthToken is taken to live when it does not say; both samples of the document live this long."""

REFRESH_TOKEN_LIFE: Final = 3 * 24 * 3600.0
"""The RefreshToken can be used for 3 days; it is opaque, so only the time of its receipt tells."""

_REFRESH_AT: Final = 0.8
_MARGIN: Final = 30.0
_MARGIN_SHARE: Final = 0.05
_JWT_PARTS: Final = 3
_NONCE: Final = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """One session; times in seconds since the epoch.

    Attributes:
        refresh_at: from here on a new AuthToken is fetched ahead of need.
        usable_until: a little before the end, so that a request under way does not outlive its token.
        refresh_until: when the RefreshToken is spent.
        generation: grows with every change, so that processes whose clocks differ agree on which session is newer.
    """

    auth: str = field(repr=False)
    refresh: str | None = field(repr=False)
    refresh_at: float
    usable_until: float
    refresh_until: float
    generation: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A request of the flow, and the AuthToken that goes with it, if any."""

    request: UbloxRequest
    auth: str | None = field(repr=False)


def obtaining(
    api_key: SecretStr, api_secret: SecretStr, *, held: Tokens | None, now: float
) -> Generator[Step, Answer, Tokens]:
    """Refresh the held session if that can be done, else log in.

    Raises:
        OurFault: the log-in was refused.
        TryAgain: the answer holds no token.
    """
    if held is not None and held.refresh is not None and now < min(held.refresh_until, held.usable_until):
        request = RefreshAuthToken(api_key=api_key, refresh_token=SecretStr(held.refresh))
        answer = yield Step(request=request, auth=held.auth)  # the document marks this call as authorized
        if answer.ok:
            auth = _token(answer, "AuthToken")
            return session(auth, held.refresh, now=now, refresh_until=held.refresh_until)
    answer = yield Step(request=Authenticate(api_key=api_key, api_secret=api_secret), auth=None)
    if not answer.ok:
        raise OurFault(f"the log-in was refused: {answer.text}", call=answer.path, status=answer.status)
    refresh = read_text(answer.json(), "RefreshToken")
    return session(_token(answer, "AuthToken"), refresh, now=now, refresh_until=now + REFRESH_TOKEN_LIFE)


def session(auth: str, refresh: str | None, *, now: float, refresh_until: float) -> Tokens:
    """Work out the times of a session from the AuthToken's own claims, which are read and not verified."""
    claims = _claims(auth)
    ends, begins = _seconds(claims, "exp"), _seconds(claims, "iat")
    life = ASSUMED_LIFE
    if ends is not None:
        life = ends - (begins if begins is not None and begins < ends else now)
    if life <= 0:
        life = ASSUMED_LIFE
    if ends is None or ends <= now:
        ends = now + life  # our clock runs ahead of theirs, so only the length of the life can be used
    return Tokens(
        auth=auth,
        refresh=refresh,
        refresh_at=ends - (1 - _REFRESH_AT) * life,
        usable_until=ends - min(_MARGIN, _MARGIN_SHARE * life),
        refresh_until=refresh_until,
    )


class Seal:
    """Seals sessions for Redis: AES-256-GCM, the key derived from the API secret, the name bound as associated data."""

    def __init__(self, api_secret: SecretStr, *, name: str) -> None:
        derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"keyturn ublox session 1")
        self._cipher = AESGCM(derive.derive(api_secret.get_secret_value().encode()))
        self._name = name.encode()

    def close(self, tokens: Tokens) -> bytes:
        """Seal a session."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, json.dumps(dataclasses.asdict(tokens)).encode(), self._name)

    def open(self, sealed: bytes | None) -> Tokens | None:
        """Open a sealed session; None for anything that we did not seal under this name and secret."""
        if sealed is None:
            return None
        try:
            content = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], self._name)
            return Tokens(**json.loads(content))
        except (InvalidTag, ValueError, TypeError):
            return None


def _token(answer: Answer, key: str) -> str:
    """Read a token that can stand in a header."""
    token = read_text(answer.json(), key)
    if token is not None and token.isascii() and token.isprintable() and " " not in token:
        return token
    raise TryAgain(f"{answer.path} answered {answer.status} without {key}", call=answer.path, status=answer.status)


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != _JWT_PARTS:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _seconds(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) else None
