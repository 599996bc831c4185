"""Which logins a Tap has refused, so that none is repeated blindly: a wrong password tried again and again locks the
user out, and how many tries a Tap grants and for how long it locks is not known (Tap protocol notes §7.6).

The memory of one process. Passwords are kept as keyed digests.
"""

import hmac
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from pydantic import SecretStr

from schemas.errors import OurFault, TryAgain
from services.clients.tap.errors import LoginFault

CALL: Final = "login"

_MOST_DOUBLINGS: Final = 30


class WrongCredentials(OurFault):
    """The Tap refuses this user or password, or has done so a short while ago."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caution:
    """How careful we are with logins; times in seconds.

    Attributes:
        remember: how long a refused password is not sent to the same Tap and user again.
        tries: how many different passwords may be refused within that time before none is sent.
        locked: the first pause after the Tap says that it is locked; it doubles each time.
        longest: the longest pause.
    """

    remember: float = 600.0
    tries: int = 3
    locked: float = 60.0
    longest: float = 3600.0


@dataclass(slots=True)
class _Record:
    refused: dict[bytes, float] = field(default_factory=dict, repr=False)
    locks: int = 0
    locked_until: float = 0.0
    keep_until: float = 0.0


class Attempts:
    """What is remembered of logins, by Tap and user; all threads of a process may share it.

    Args:
        caution: how careful to be.
        clock: seconds on a clock that never goes back.
    """

    def __init__(self, caution: Caution | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._caution = caution or Caution()
        self._clock = clock
        self._naming = os.urandom(32)
        self._lock = Lock()
        self._records: dict[tuple[str, str], _Record] = {}

    def check(self, tap: str, user: str, password: SecretStr) -> None:
        """Let a login pass, or not; nothing has been sent then.

        Raises:
            TryAgain: the Tap is locked for some time still.
            WrongCredentials: this password, or several others, have been refused a short while ago.
        """
        now = self._clock()
        with self._lock:
            record = self._records.get((tap, user), _Record())
            locked = record.locked_until - now
            waits = {digest: until - now for digest, until in record.refused.items() if until > now}
        if locked > 0:
            text = f"Tap {tap} has locked {user!r} after too many failures; the next try is in {locked:.0f} s"
            raise TryAgain(text, call=CALL, sent=False, retry_after=locked)
        same = waits.get(self._digest(password))
        if same is not None:
            text = f"Tap {tap} has refused this password of {user!r}; it is not sent again for {same:.0f} s"
            raise WrongCredentials(text, call=CALL, sent=False)
        if len(waits) >= self._caution.tries:
            pause = min(waits.values())
            text = f"Tap {tap} has refused {len(waits)} passwords of {user!r}; none is sent for {pause:.0f} s"
            raise WrongCredentials(text, call=CALL, sent=False)

    def refused(self, tap: str, user: str, password: SecretStr, fault: LoginFault) -> float | None:
        """Remember a login that was refused; where the Tap has locked itself, give the seconds to wait."""
        now = self._clock()
        with self._lock:
            self._forget_old(now)
            record = self._records.setdefault((tap, user), _Record())
            record.keep_until = now + 2 * max(self._caution.longest, self._caution.remember)
            if fault is LoginFault.WRONG_CREDENTIALS:
                record.refused[self._digest(password)] = now + self._caution.remember
            if fault is not LoginFault.TOO_MANY_ATTEMPTS:
                return None
            pause = min(self._caution.locked * 2.0**record.locks, self._caution.longest)
            record.locks = min(record.locks + 1, _MOST_DOUBLINGS)
            record.locked_until = now + pause
            return pause

    def forget(self, tap: str, user: str) -> None:
        """Forget what went before: a login has succeeded, or the user has a new password."""
        with self._lock:
            self._records.pop((tap, user), None)

    def _digest(self, password: SecretStr) -> bytes:
        return hmac.digest(self._naming, password.get_secret_value().encode(), "sha256")

    def _forget_old(self, now: float) -> None:
        for key in [key for key, record in self._records.items() if record.keep_until < now]:
            del self._records[key]
        for record in self._records.values():
            record.refused = {digest: until for digest, until in record.refused.items() if until > now}
