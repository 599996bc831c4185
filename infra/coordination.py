"""What processes tell each other through Redis, and how they do without it.

Nothing here is truth: Redis may be away, hung or wiped at any moment. Every call fails open, within the socket timeout,
and after a failure Redis is left alone for a short while, so that callers do not pay the timeout again and again. When
the pause ends, one caller tries; the others go on without Redis until that one has come back with an answer.
"""

import contextlib
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Final, TypeVar

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from schemas.errors import ConfigurationError

SOCKET_TIMEOUT: Final = 0.5
"""Seconds for connecting and for each answer; redis-py 8 would wait 5 s for each and try again ten times."""

PAUSE: Final = 2.0
"""Seconds for which Redis is left alone after a failure."""

_RELEASE: Final = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
"""A lock that ran out may belong to somebody else by now, so only the holder's own token is removed."""

_SWAP: Final = (
    "local held = redis.call('get', KEYS[1]) or '' "
    "if held ~= ARGV[1] then return 0 end redis.call('set', KEYS[1], ARGV[2], 'px', ARGV[3]) return 1"
)
"""Replaces a value that is still the one that was read; an absent one is empty."""

_FOUND_AT_ONCE: Final = 500

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class Turn(Enum):
    """Whose turn it is to do what only one process should do."""

    MINE = "mine"
    THEIRS = "theirs"
    UNKNOWN = "unknown"  # Redis cannot say: act alone


class Coordination:
    """Shared values and single flight between processes; without Redis each process stands alone.

    Attributes:
        failures: how many calls found Redis unavailable; calls during the pause are not counted.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = SOCKET_TIMEOUT,
        pause: float = PAUSE,
        prefix: str = "keyturn:",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            self._redis = redis.Redis.from_url(
                url,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                retry=Retry(NoBackoff(), 0),
                protocol=2,  # no HELLO and no maintenance messages: one round trip less on a new connection
            )
        except ValueError:
            raise ConfigurationError("the Redis URL must be like redis://host:6379/0") from None
        self._pause = pause
        self._prefix = prefix
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._away = False
        self._quiet_until = 0.0
        self.failures = 0

    @property
    def available(self) -> bool:
        """Whether Redis answered the last time."""
        return not self._away

    def get(self, name: str) -> bytes | None:
        """Give the shared value, or None when there is none or Redis is unavailable."""
        value = self._try("get", lambda: self._redis.get(self._prefix + name))
        return value if isinstance(value, bytes) else None

    def put(self, name: str, value: bytes, *, ttl: float) -> bool:
        """Share a value for `ttl` seconds; False when Redis is unavailable."""
        kept = self._try("put", lambda: self._redis.set(self._prefix + name, value, px=_milliseconds(ttl)))
        return bool(kept)

    def swap(self, name: str, old: bytes | None, new: bytes, *, ttl: float) -> bool | None:
        """Share a new value if the shared one is still `old`; None when Redis is unavailable."""
        key, bound = self._prefix + name, (old or b"", new, _milliseconds(ttl))
        swapped = self._try("swap", lambda: self._redis.eval(_SWAP, 1, key, *bound))
        return None if swapped is None else bool(swapped)

    def find(self, prefix: str, *, limit: int) -> dict[str, bytes] | None:
        """Give up to `limit` shared values whose names begin with `prefix`; None when Redis is unavailable."""

        def walk() -> dict[str, bytes]:
            names = self._redis.scan_iter(match=f"{self._prefix}{prefix}*", count=_FOUND_AT_ONCE)
            keys = list(itertools.islice(names, limit))
            found = zip(keys, self._redis.mget(keys), strict=True) if keys else ()
            return {_text(key).removeprefix(self._prefix): value for key, value in found if isinstance(value, bytes)}

        return self._try("find", walk)

    def add(self, name: str, amounts: Mapping[str, float]) -> bool:
        """Add to shared sums, all or none; False when Redis is unavailable."""

        def send() -> bool:
            with self._redis.pipeline(transaction=True) as pipeline:
                for field, amount in amounts.items():
                    pipeline.hincrbyfloat(self._prefix + name, field, amount)
                pipeline.execute()
            return True

        return bool(self._try("add", send))

    def sums(self, name: str) -> dict[str, float] | None:
        """Give the shared sums of a name; None when Redis is unavailable."""
        held = self._try("sums", lambda: self._redis.hgetall(self._prefix + name))
        return None if held is None else {_text(field): float(value) for field, value in held.items()}

    def attempt(self, operation: str, call: Callable[["redis.Redis"], _T]) -> _T | None:
        """Do something else with Redis, under the same bounds; None when it is unavailable."""
        return self._try(operation, lambda: call(self._redis))

    @contextlib.contextmanager
    def single_flight(self, name: str, *, ttl: float) -> Iterator[Turn]:
        """Say whose turn it is; a turn of ours ends with the block, or after `ttl` seconds if this process dies."""
        key, token = self._prefix + name, uuid.uuid4().hex
        taken = self._try("lock", lambda: (self._redis.set(key, token, nx=True, px=_milliseconds(ttl)),))
        turn = Turn.UNKNOWN if taken is None else Turn.MINE if taken[0] else Turn.THEIRS
        try:
            yield turn
        finally:
            if turn is Turn.MINE:
                self._try("release", lambda: self._redis.eval(_RELEASE, 1, key, token))

    def close(self) -> None:
        """Close every connection."""
        self._redis.close()

    def _try(self, operation: str, call: Callable[[], _T]) -> _T | None:
        if not self._may_try():
            return None
        try:
            result = call()
        except (redis.RedisError, OSError) as error:
            self._failed(operation, error)
            return None
        self._answered()
        return result

    def _may_try(self) -> bool:
        if not self._away:
            return True
        with self._lock:
            now = self._monotonic()
            if now < self._quiet_until:
                return False
            self._quiet_until = now + self._pause  # the others wait for what this caller finds
            return True

    def _failed(self, operation: str, error: Exception) -> None:
        with self._lock:
            self.failures += 1
            first, self._away = not self._away, True
            self._quiet_until = self._monotonic() + self._pause
        if first:
            _log.warning("redis.unavailable", operation=operation, error=type(error).__name__)

    def _answered(self) -> None:
        if not self._away:
            return
        with self._lock:
            back, self._away = self._away, False
            self._quiet_until = 0.0
        if back:
            _log.info("redis.back", failures=self.failures)


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
