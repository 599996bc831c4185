"""Administrators, and the sessions that their logins open.

Source: Username and Password Authentication API, Check User Session API. How long a session lives is not documented.
"""

import base64
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from services.sandbox.centagate.signing import cen_token, same

COMPANY_ADMIN: Final = 2
"""``roles`` of User Registration API."""

_TOKEN_BYTES: Final = 40
"""Not a multiple of three, so that the Base64 text ends in ``=``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Administrator:
    """Who may log in; `second_factor`: the password alone opens no session. Another role may manage nothing."""

    username: str
    password: str = field(repr=False)
    role: int = COMPANY_ADMIN
    second_factor: bool = False

    @property
    def may_manage(self) -> bool:
        """Whether the management calls are open to this administrator."""
        return self.role == COMPANY_ADMIN


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A login; `secret_code` is empty while a second factor is still required."""

    username: str
    auth_token: str = field(repr=False)
    secret_code: str = field(repr=False)
    at: datetime

    @property
    def finished(self) -> bool:
        """Whether no second factor is missing."""
        return bool(self.secret_code)


@dataclass(kw_only=True, slots=True)
class Sessions:
    """The sessions that are open."""

    clock: Callable[[], datetime]
    _open: list[Session] = field(default_factory=list)

    def begin(self, username: str, *, finished: bool, alone: bool) -> Session:
        """Open a session; `alone` ends those that the same administrator has."""
        if alone:
            self._open = [session for session in self._open if session.username != username]
        session = Session(
            username=username,
            auth_token=_new_auth_token(),
            secret_code=secrets.token_hex(32) if finished else "",
            at=self.clock(),
        )
        self._open.append(session)
        return session

    def of_cen_token(self, username: str, token: str, *, life: float) -> Session | None:
        """Find the session that a call belongs to; one that is over or waits for its second factor admits nothing."""
        return _first(
            s for s in self._of(username, life) if same(cen_token(username, s.auth_token, s.secret_code), token)
        )

    def of_auth_token(self, username: str, token: str, *, life: float) -> Session | None:
        """Find a finished session by its authToken."""
        return _first(session for session in self._of(username, life) if same(session.auth_token, token))

    def end(self, session: Session) -> None:
        """Close one session."""
        self._open.remove(session)

    def end_all(self) -> int:
        """Close every session and say how many there were."""
        ended = len(self._open)
        self._open = []
        return ended

    def count(self, *, life: float) -> int:
        """How many sessions are open."""
        return sum(session.finished for session in self._living(life))

    def _of(self, username: str, life: float) -> list[Session]:
        return [session for session in self._living(life) if session.username == username and session.finished]

    def _living(self, life: float) -> list[Session]:
        now = self.clock()
        self._open = [session for session in self._open if now - session.at < timedelta(seconds=life)]
        return self._open


def _first(found: Iterator[Session]) -> Session | None:
    return next(found, None)


def _new_auth_token() -> str:
    """Base64 text with each of the characters that a careless client spoils."""
    while True:
        token = base64.b64encode(secrets.token_bytes(_TOKEN_BYTES)).decode()
        if {"+", "/", "="} <= set(token):
            return token
