"""The tokens of a u-blox session: how they are obtained and how long they are good for.

No I/O and no clock: `obtaining` yields the requests to send and is sent their answers, so one flow serves the client
and the tests. Source: Security Services REST APIs 1.1.29, ``/authenticate`` and ``/refreshauthtoken``.
"""

import base64
import binascii
import json
import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import SecretStr

from schemas.errors import OurFault, TryAgain
from schemas.ublox import Authenticate, RefreshAuthToken, UbloxRequest, read_text
from services.clients import shared_session
from services.clients.answers import Answer
from services.clients.shared_session import Lasting

ASSUMED_LIFE: Final = 3600.0
"""Seconds that an AuthToken is taken to live when it does not say; both samples of the document live this long."""

REFRESH_TOKEN_LIFE: Final = 3 * 24 * 3600.0
"""The RefreshToken can be used for 3 days; it is opaque, so only the time of its receipt tells."""

_REFRESH_AT: Final = 0.8
_MARGIN: Final = 30.0
_MARGIN_SHARE: Final = 0.05
_JWT_PARTS: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens(Lasting):
    """One session; `auth` is the AuthToken.

    Attributes:
        refresh_until: when the RefreshToken is spent, in seconds since the epoch.
    """

    refresh: str | None = field(repr=False)
    refresh_until: float


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


class Seal(shared_session.Seal[Tokens]):
    """Seals sessions with u-blox by the API secret."""

    def __init__(self, api_secret: SecretStr, *, name: str) -> None:
        super().__init__(api_secret, name=name, purpose="keyturn ublox session 1", kind=Tokens)


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
