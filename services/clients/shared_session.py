"""One session with a cloud service for every thread and process of an account.

Who needs it takes the one in memory. When it must change, one thread of the process goes, and among processes the one
that Redis lets go; the others take what it brought. Without Redis each process keeps its own session. Failures are
shared as well: who waited for an attempt that failed does not repeat it.
"""

import dataclasses
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from infra.coordination import Coordination, Turn
from schemas.errors import OurFault, TryAgain, UpstreamError

TURN: Final = 20.0
"""Seconds after which another process may log in although the one whose turn it was has not come back."""

PATIENCE: Final = 5.0
"""Seconds to wait for another process; logging in twice does no harm."""

REFUSAL_HOLDS: Final = 10.0
"""Seconds without another log-in after our credentials or a fresh token were refused, however many jobs wait."""

QUIET: Final = 15.0
"""Seconds between attempts to refresh ahead of need, while the held token still works."""

_POLL: Final = 0.05
_MOST_DOUBLINGS: Final = 30
_NONCE: Final = 12

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lasting:
    """What every session has; times in seconds since the epoch.

    Attributes:
        auth: the token that the service may refuse.
        refresh_at: from here on a new one is fetched ahead of need.
        usable_until: a little before the end, so that a request under way does not outlive its token.
        generation: grows with every change, so that processes whose clocks differ agree on which session is newer.
    """

    auth: str = field(repr=False)
    refresh_at: float
    usable_until: float
    generation: int = 1


H = TypeVar("H", bound=Lasting)


class Seal(Generic[H]):
    """Seals sessions for Redis: AES-256-GCM, the key derived from our own secret, the name bound as associated data.

    Args:
        secret: what only the processes of this account know.
        name: under which the session is shared.
        purpose: parts the keys that are derived from the same secret.
        kind: what a sealed session is.
    """

    def __init__(self, secret: SecretStr, *, name: str, purpose: str, kind: type[H]) -> None:
        derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode())
        self._cipher = AESGCM(derive.derive(secret.get_secret_value().encode()))
        self._name = name.encode()
        self._kind = kind

    def close(self, session: H) -> bytes:
        """Seal a session."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, json.dumps(dataclasses.asdict(session)).encode(), self._name)

    def open(self, sealed: bytes | None) -> H | None:
        """Open a sealed session; None for anything that we did not seal under this name and secret."""
        if sealed is None:
            return None
        try:
            content = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], self._name)
            return self._kind(**json.loads(content))
        except (InvalidTag, ValueError, TypeError):
            return None


def session_name(system: str, account: str) -> str:
    """Give the name under which the session of an account is shared; nothing can be read from it."""
    return f"{system}:session:{hashlib.sha256(account.encode()).hexdigest()[:32]}"


class SharedSession(Generic[H]):
    """Gives the session, and replaces one that was refused.

    Args:
        system: the outside system, for the log.
        name: see `session_name`.
        obtain: opens a session, by refreshing the given one where that can be done.
        refusal_holds: see `REFUSAL_HOLDS`; each further refusal in a row doubles it, up to the second figure.
    """

    def __init__(
        self,
        system: str,
        *,
        name: str,
        seal: Seal[H],
        obtain: Callable[[H | None], H],
        coordination: Coordination | None,
        clock: Callable[[], float],
        refusal_holds: tuple[float, float] = (REFUSAL_HOLDS, REFUSAL_HOLDS),
    ) -> None:
        self._system, self._name, self._seal = system, name, seal
        self._open = obtain
        self._coordination = coordination
        self._clock = clock
        self._refusal_holds, self._holds_at_most = refusal_holds
        self._refusals = 0
        self._lock = threading.Lock()
        self._held: H | None = None
        self._quiet_until = 0.0
        self._attempts = 0
        self._failure: UpstreamError | None = None
        self._failure_holds_until = 0.0
        self._in_vain: tuple[str, float] | None = None

    def current(self) -> H:
        """Give a session that should work.

        Raises:
            TryAgain: the service could not be asked for one.
            OurFault: it refuses our credentials.
        """
        held, now = self._held, self._clock()
        if held is None or now >= held.usable_until:
            return self._change(refused=None)
        if now >= held.refresh_at and now >= self._quiet_until and self._lock.acquire(blocking=False):
            try:
                return self._refresh_ahead(held)
            finally:
                self._lock.release()
        return held

    def replace(self, refused: str) -> H | None:
        """Give another session for one whose token was refused; None when another has just been tried in vain.

        Raises:
            TryAgain: the service could not be asked for one.
            OurFault: it refuses our credentials.
        """
        if self._in_vain is not None and self._in_vain[0] == refused and self._clock() < self._in_vain[1]:
            return None
        return self._change(refused=refused)

    def in_vain(self, token: str) -> None:
        """Note that a fresh token was refused as well."""
        self._in_vain = (token, self._clock() + self._refusal_holds)

    def _change(self, *, refused: str | None) -> H:
        seen = self._attempts
        with self._lock:
            held = self._held
            if held is not None and held.auth != refused and self._clock() < held.usable_until:
                return held
            if self._failure is not None and (self._attempts != seen or self._clock() < self._failure_holds_until):
                raise _unsent(self._failure)
            try:
                known = held if refused else None  # an ended session may be followed by any that lasts
                self._held = self._shared(newer_than=known) or self._fetch(newer_than=known)
            except UpstreamError as error:
                self._remember(error)
                raise _unsent(error) from None
            finally:
                self._attempts += 1
            self._failure, self._refusals = None, 0
            return self._held

    def _refresh_ahead(self, held: H) -> H:
        """Refresh while the held token still works: nobody waits, and a failure costs nothing."""
        if self._held is not None and self._held is not held:
            return self._held
        self._quiet_until = self._clock() + QUIET
        try:
            self._held = self._shared(newer_than=held) or self._fetch(newer_than=held, refreshing=held)
        except UpstreamError as error:
            text = f"{self._system}.refresh_failed"
            _log.warning(text, call=error.call, status=error.status, error=type(error).__name__)
            if isinstance(error, TryAgain) and error.retry_after is not None:
                self._quiet_until = self._clock() + error.retry_after
            return held
        if self._held is not held:
            self._quiet_until = 0.0
        return self._held

    def _fetch(self, *, newer_than: H | None, refreshing: H | None = None) -> H:
        """Obtain a session when it is our turn, or take the one that another process obtains meanwhile."""
        if self._coordination is None:
            return self._obtain(refreshing)
        with self._coordination.single_flight(self._name + ":turn", ttl=TURN) as turn:
            if turn is Turn.THEIRS and refreshing is not None:
                return refreshing
            shared = self._shared(newer_than=newer_than)  # whoever had the turn before us may just have put it there
            ends = time.monotonic() + (PATIENCE if turn is Turn.THEIRS else 0)
            while shared is None and self._coordination.available and time.monotonic() < ends:
                time.sleep(_POLL)
                shared = self._shared(newer_than=newer_than)
            return shared or self._obtain(refreshing)

    def _shared(self, *, newer_than: H | None) -> H | None:
        """Take the session that the processes share, unless it has ended or is no newer than the one that we had."""
        if self._coordination is None:
            return None
        shared = self._seal.open(self._coordination.get(self._name))
        if shared is None or self._clock() >= shared.usable_until:
            return None
        return shared if newer_than is None or shared.generation > newer_than.generation else None

    def _obtain(self, refreshing: H | None) -> H:
        began = self._clock()
        generation = 1 if self._held is None else self._held.generation + 1
        session = dataclasses.replace(self._open(refreshing), generation=generation)
        if self._coordination is not None:
            lasts = max(1.0, session.usable_until - began)
            self._coordination.put(self._name, self._seal.close(session), ttl=lasts)
        return session

    def _remember(self, error: UpstreamError) -> None:
        pause = getattr(error, "retry_after", None) or 0.0
        if isinstance(error, OurFault):
            pause = min(self._refusal_holds * 2.0**self._refusals, self._holds_at_most)
            self._refusals = min(self._refusals + 1, _MOST_DOUBLINGS)
        self._failure, self._failure_holds_until = error, self._clock() + pause


def _unsent(error: UpstreamError) -> UpstreamError:
    """Give each waiting thread an error of its own, for a call that was not made because there is no session."""
    if isinstance(error, TryAgain):
        kind = type(error)  # what our own guard holds back stays so
        return kind(str(error), call=error.call, status=error.status, sent=False, retry_after=error.retry_after)
    return type(error)(str(error), call=error.call, status=error.status, sent=False)
