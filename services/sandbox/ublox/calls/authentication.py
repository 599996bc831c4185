"""Authentication APIs, and ``/apiversion``."""

from typing import Final

from services.sandbox.ublox.bodies import NOT_AUTHORIZED, Body, Json, Refusal, Request, read
from services.sandbox.ublox.twin import Twin

API_VERSION: Final = "1.1.1"
"""``/apiversion``: the sample's, not the document's own 1.1.29."""


class Login(Body):
    """``/authenticate``."""

    APIKey: str
    APISecret: str


class Refresh(Body):
    """``/refreshauthtoken``."""

    APIKey: str
    RefreshToken: str


def authenticate(twin: Twin, body: Request) -> Json:
    """``/authenticate``: an AuthToken and a RefreshToken for a good key and secret."""
    wish = read(Login, body)
    tokens = twin.tokens.log_in(wish.APIKey, wish.APISecret, life=twin.dials.token_life_seconds)
    if tokens is None:
        raise Refusal(401, NOT_AUTHORIZED)
    return dict(zip(("AuthToken", "RefreshToken"), tokens, strict=True))


def refresh(twin: Twin, body: Request) -> Json:
    """``/refreshauthtoken``: a new AuthToken and nothing else."""
    wish = read(Refresh, body)
    token = twin.tokens.refresh(wish.APIKey, wish.RefreshToken, life=twin.dials.token_life_seconds)
    if token is None:
        raise Refusal(401, NOT_AUTHORIZED)
    return {"AuthToken": token}


def api_version(_twin: Twin, _body: Request) -> Json:
    """``/apiversion``."""
    return {"Version": API_VERSION}
