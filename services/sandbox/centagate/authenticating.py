"""The calls that open, renew and check a session.

Source: Username and Password Authentication API, Check User Session API; ``auth/refresh`` is called by a vendor demo
and missing from the current document.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from services.sandbox.centagate.bodies import Login, Refresh, read
from services.sandbox.centagate.codes import Code, Refusal
from services.sandbox.centagate.invented import NOTHING, TIME_WINDOW
from services.sandbox.centagate.sessions import Administrator, Session
from services.sandbox.centagate.signing import is_signed, same
from services.sandbox.centagate.twin import COMPANY_ID, Twin

Body = Mapping[str, Any]


def log_in(twin: Twin, body: Body) -> str:
    """``auth/authBasic``."""
    login = read(Login, body)
    if not same(login.integration_key, twin.app.integration_key):
        raise Refusal(Code.API_NOT_FOUND)
    if not is_signed(login, twin.app.secret_key):
        raise Refusal(Code.INVALID_SIGNATURE)
    _check_time(twin, login.unix_timestamp)
    admin = twin.administrators.get(login.username)
    if not same(login.password, admin.password if admin else "") or admin is None:
        raise Refusal(Code.INVALID_CREDENTIALS)
    finished = not (admin.second_factor or twin.dials.second_factor)
    return _told(twin, admin, twin.sessions.begin(admin.username, finished=finished, alone=twin.dials.single_session))


def refresh(twin: Twin, body: Body) -> str:
    """``auth/refresh``: a new pair for an old one, which is over then."""
    wish = read(Refresh, body)
    _check_time(twin, wish.unix_timestamp)
    session = twin.sessions.of_auth_token(wish.username, wish.auth_token, life=twin.dials.session_seconds)
    if session is None:
        raise Refusal(Code.INVALID_SESSION)
    twin.sessions.end(session)
    fresh = twin.sessions.begin(session.username, finished=True, alone=twin.dials.single_session)
    return _told(twin, twin.administrators[session.username], fresh)


def check_session(twin: Twin, username: str, token: str) -> str:
    """``session/check``."""
    if twin.sessions.of_cen_token(username, token, life=twin.dials.session_seconds) is None:
        raise Refusal(Code.INVALID_SESSION)
    return NOTHING


def admitted(twin: Twin, username: str, token: str) -> None:
    """Let a management call pass.

    Raises:
        Refusal: 23018, the cenToken is of no open session of this administrator; 10001, who may manage nothing.
    """
    check_session(twin, username, token)
    if not twin.administrators[username].may_manage:
        raise Refusal(Code.PERMISSION_NOT_ALLOWED)


def _check_time(twin: Twin, unix_timestamp: str) -> None:
    if abs(twin.server_time() - int(unix_timestamp)) > TIME_WINDOW:
        raise Refusal(Code.REQUEST_EXPIRED)


def _told(twin: Twin, admin: Administrator, session: Session) -> str:
    """``object`` of an authentication: JSON as a text inside the JSON of the answer."""
    return orjson.dumps(
        {
            "authToken": session.auth_token,
            "secretCode": session.secret_code,
            "userId": str(1 + list(twin.administrators).index(admin.username)),
            "email": f"{admin.username}@sandbox.invalid",
            "companyId": COMPANY_ID,
            "authMethods": "" if session.finished else twin.dials.auth_methods,
            "multiStepAuth": str(not session.finished).lower(),
            "passwordExpired": "false",
            "useSystemPassword": "true",
            "spIdList": "",
            "defAccId": "",
        }
    ).decode()
