"""One session for every thread and process of an account: logged in once, refreshed ahead of its end.

Who needs a token takes the one in memory. When it must change, one thread of the process goes, and among processes the
one that Redis lets go; the others take what it brought. Without Redis each process keeps its own session. Failures are
shared as well: who waited for an attempt that failed does not repeat it.
"""

import dataclasses
import hashlib
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog
from pydantic import SecretStr

from infra.coordination import Coordination, Turn
from schemas.errors import OurFault, TryAgain, UpstreamError
from services.clients.answers import Answer
from services.clients.ublox.tokens import Seal, Step, Tokens, obtaining

TURN: Final = 20.0
"""Seconds after which another process may log in although the one whose turn it was has not come back."""

PATIENCE: Final = 5.0
"""Seconds to wait for another process; logging in twice does no harm."""

REFUSAL_HOLDS: Final = 10.0
"""Seconds without another log-in after our credentials or a fresh token were refused, however many jobs wait."""

QUIET: Final = 15.0
"""Seconds between attempts to refresh ahead of need, while the held token still works."""

_POLL: Final = 0.05

_log = structlog.get_logger(__name__)


class Session:
    """Gives the AuthToken, and replaces one that was refused.

    Args:
        send: sends a step of the flow and gives its answer.
        account: what tells this account's session from others, without secrets being readable from it.
    """

    def __init__(
        self,
        api_key: SecretStr,
        api_secret: SecretStr,
        *,
        account: str,
        send: Callable[[Step], Answer],
        coordination: Coordination | None,
        clock: Callable[[], float],
    ) -> None:
        self._api_key, self._api_secret = api_key, api_secret
        self._name = "ublox:session:" + hashlib.sha256(account.encode()).hexdigest()[:32]
        self._seal = Seal(api_secret, name=self._name)
        self._send = send
        self._coordination = coordination
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Tokens | None = None
        self._quiet_until = 0.0
        self._attempts = 0
        self._failure: UpstreamError | None = None
        self._failure_holds_until = 0.0
        self._in_vain: tuple[str, float] | None = None

    def token(self) -> str:
        """Give a token that should work.

        Raises:
            TryAgain: u-blox could not be asked for one.
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
        return held.auth

    def replace(self, refused: str) -> str:
        """Give another token for one that was answered 401, or the same when another has just been tried in vain.

        Raises:
            TryAgain: u-blox could not be asked for one.
            OurFault: it refuses our credentials.
        """
        if self._in_vain is not None and self._in_vain[0] == refused and self._clock() < self._in_vain[1]:
            return refused
        return self._change(refused=refused)

    def in_vain(self, token: str) -> None:
        """Note that a fresh token was refused as well."""
        self._in_vain = (token, self._clock() + REFUSAL_HOLDS)

    def _change(self, *, refused: str | None) -> str:
        seen = self._attempts
        with self._lock:
            held = self._held
            if held is not None and held.auth != refused and self._clock() < held.usable_until:
                return held.auth
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
            self._failure = None
            return self._held.auth

    def _refresh_ahead(self, held: Tokens) -> str:
        """Refresh while the held token still works: nobody waits, and a failure costs nothing."""
        if self._held is not None and self._held is not held:
            return self._held.auth
        self._quiet_until = self._clock() + QUIET
        try:
            self._held = self._shared(newer_than=held) or self._fetch(newer_than=held, refreshing=held)
        except UpstreamError as error:
            _log.warning("ublox.refresh_failed", call=error.call, status=error.status, error=type(error).__name__)
            if isinstance(error, TryAgain) and error.retry_after is not None:
                self._quiet_until = self._clock() + error.retry_after
            return held.auth
        if self._held is not held:
            self._quiet_until = 0.0
        return self._held.auth

    def _fetch(self, *, newer_than: Tokens | None, refreshing: Tokens | None = None) -> Tokens:
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

    def _shared(self, *, newer_than: Tokens | None) -> Tokens | None:
        """Take the session that the processes share, unless it has ended or is no newer than the one that we had."""
        if self._coordination is None:
            return None
        shared = self._seal.open(self._coordination.get(self._name))
        if shared is None or self._clock() >= shared.usable_until:
            return None
        return shared if newer_than is None or shared.generation > newer_than.generation else None

    def _obtain(self, held: Tokens | None) -> Tokens:
        now = self._clock()
        flow = obtaining(self._api_key, self._api_secret, held=held, now=now)
        step = next(flow)
        while True:
            try:
                step = flow.send(self._send(step))
            except StopIteration as end:
                generation = 1 if self._held is None else self._held.generation + 1
                obtained: Tokens = end.value
                tokens = dataclasses.replace(obtained, generation=generation)
                break
        _log.info("ublox.session_opened", call=step.request.path, usable_for=round(tokens.usable_until - now))
        if self._coordination is not None:
            self._coordination.put(self._name, self._seal.close(tokens), ttl=max(1.0, tokens.usable_until - now))
        return tokens

    def _remember(self, error: UpstreamError) -> None:
        pause = REFUSAL_HOLDS if isinstance(error, OurFault) else getattr(error, "retry_after", None) or 0.0
        self._failure, self._failure_holds_until = error, self._clock() + pause


def _unsent(error: UpstreamError) -> UpstreamError:
    """Give each waiting thread an error of its own, for a call that was not made because there is no session."""
    if isinstance(error, TryAgain):
        return TryAgain(str(error), call=error.call, status=error.status, sent=False, retry_after=error.retry_after)
    return type(error)(str(error), call=error.call, status=error.status, sent=False)
