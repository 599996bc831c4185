"""The session of an administrator: how it is opened, and how the cenToken of its calls is made.

Sources: CENTAGATE "Username And Password Authentication API" (authBasic) and "Token Registration API" (CenToken). The
documents disagree on the order of the optional fields in the log-in's hmac; without them all orders are the same, so
none is sent. How long a session lasts is not documented: one that has ended is answered 23018.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from pydantic import SecretStr

from infra.coordination import Coordination
from schemas.centagate import Reaction, read_object, read_text
from schemas.errors import OurFault, TryAgain
from services.clients.answers import Answer
from services.clients.centagate.faults import code_of
from services.clients.shared_session import Lasting, Seal, SharedSession, session_name

LOGIN: Final = "/auth/authBasic"

ASSUMED_LIFE: Final = 1800.0
"""Seconds after which a session is opened anew unasked."""

REFUSAL_HOLDS: Final = 300.0
"""Seconds without another log-in after a refusal: an account that fails again and again gets locked."""

REFUSAL_HOLDS_AT_MOST: Final = 6 * 3600.0
"""What they grow to; who has mended the password restarts the worker, which logs in at once."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Administrator:
    """Who speaks to CENTAGATE: an account, and the Web API app that it uses.

    Attributes:
        integration_key: of the app; it names the app.
        secret_key: of the app; it signs the log-in.
    """

    username: str
    password: SecretStr
    integration_key: SecretStr
    secret_key: SecretStr

    def secrets(self) -> tuple[str, ...]:
        """Give the secrets, which no text may repeat."""
        return tuple(one.get_secret_value() for one in (self.password, self.integration_key, self.secret_key))


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys(Lasting):
    """An open session; `auth` is the authToken exactly as received."""

    secret_code: str = field(repr=False)

    def cen_token(self, username: str) -> str:
        """Make the cenToken of every management call of this session; `username` is the administrator's."""
        return _signed(self.secret_code, username + self.auth)


def login_body(admin: Administrator, now: float) -> dict[str, Any]:
    """Give the body of the log-in, secrets in clear: for the wire and for nothing else."""
    password, integration_key = admin.password.get_secret_value(), admin.integration_key.get_secret_value()
    moment = str(int(now))
    text = admin.username + password + integration_key + moment
    return {
        "username": admin.username,
        "password": password,
        "integrationKey": integration_key,
        "unixTimestamp": moment,
        "hmac": _signed(admin.secret_key.get_secret_value(), text),
    }


def read_session(answer: Answer, now: float) -> Keys:
    """Read the session out of the answer to the log-in.

    Raises:
        OurFault: the log-in was refused, or a second factor is still wanted.
        TryAgain: passing trouble there, or an answer without a session.
    """
    code = code_of(answer, LOGIN)
    if code.reaction is Reaction.RETRY:
        raise TryAgain(f"{LOGIN} answered {code.text}", call=LOGIN, status=answer.status)
    if code.reaction is not Reaction.DONE:
        raise OurFault(f"the log-in was refused: {code.text}", call=LOGIN, status=answer.status)
    held = read_object(answer.document)
    auth, secret_code = _raw(held, "authToken"), _raw(held, "secretCode")
    if secret_code == "":
        raise OurFault(_second_factor(held), call=LOGIN, status=answer.status)
    if not auth or secret_code is None:
        text = f"{LOGIN} answered {answer.status} without authToken and secretCode"
        raise TryAgain(text, call=LOGIN, status=answer.status)
    ends = now + ASSUMED_LIFE
    return Keys(auth=auth, secret_code=secret_code, refresh_at=ends, usable_until=ends)


def open_shared(
    admin: Administrator,
    *,
    account: str,
    log_in: Callable[[dict[str, Any]], Answer],
    coordination: Coordination | None,
    clock: Callable[[], float],
) -> SharedSession[Keys]:
    """Make the session that the threads and processes of an account share; it is opened when it is needed.

    Args:
        admin: who logs in.
        account: what tells this account's session from others.
        log_in: sends a log-in and gives its answer.
        coordination: shares the session between processes.
        clock: the time now, in seconds since the epoch.
    """

    def obtain(_held: Keys | None) -> Keys:
        now = clock()
        keys = read_session(log_in(login_body(admin, now)), now)
        _log.info("centagate.session_opened", call=LOGIN)
        return keys

    name = session_name("centagate", account)
    return SharedSession(
        "centagate",
        name=name,
        seal=Seal(admin.secret_key, name=name, purpose="keyturn centagate session 1", kind=Keys),
        obtain=obtain,
        coordination=coordination,
        clock=clock,
        refusal_holds=(REFUSAL_HOLDS, REFUSAL_HOLDS_AT_MOST),
    )


def _signed(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _raw(held: object, key: str) -> str | None:
    """A text exactly as it came: the authToken is hashed as received."""
    value = held.get(key) if isinstance(held, dict) else None
    return value if isinstance(value, str) else None


def _second_factor(held: object) -> str:
    methods = re.sub(r"[^A-Za-z0-9_, -]", "", read_text(held, "authMethods") or "")[:100]
    wanted = f", one of {methods}" if methods else ""
    return (
        f"the password was accepted, but a second factor is still wanted{wanted}: let this administrator use the app"
        " without step-up authentication"
    )
