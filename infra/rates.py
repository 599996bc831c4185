"""How often an upstream may be called by all processes together; without Redis, by each of them.

The counting is that of the package limits: a moving window, so that no second, minute or hour holds more calls than the
rate says, wherever it begins. Each process also counts its own calls, so that it goes on without a fresh start when
Redis goes away.
"""

import time
from typing import TYPE_CHECKING, Final

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from infra.coordination import Coordination

if TYPE_CHECKING:
    import redis

_PREFIX: Final = "keyturn:rate"
_SHORTEST: Final = 0.005


class Rate:
    """A rate that processes share.

    Args:
        text: such as ``20/second``.
        name: what is limited.
        coordination: shares the count between processes.
    """

    def __init__(self, text: str, name: str, coordination: Coordination | None) -> None:
        self._item: RateLimitItem = parse(text)
        self._name = name
        self._coordination = coordination
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._shared: MovingWindowRateLimiter | None = None

    def take(self) -> float:
        """Count one call if it may be made now, and give 0; else give the seconds until it is worth asking again."""
        wait = self._take_shared()
        if wait is None:
            return _take(self._own, self._item, self._name)
        if wait == 0:
            self._own.hit(self._item, self._name)
        return wait

    def _take_shared(self) -> float | None:
        if self._coordination is None:
            return None
        return self._coordination.attempt("rate", self._take_from)

    def _take_from(self, connection: "redis.Redis") -> float:
        if self._shared is None:
            storage = RedisStorage("redis://", connection_pool=connection.connection_pool, key_prefix=_PREFIX)
            self._shared = MovingWindowRateLimiter(storage)
        return _take(self._shared, self._item, self._name)


def _take(limiter: MovingWindowRateLimiter, item: RateLimitItem, name: str) -> float:
    if limiter.hit(item, name):
        return 0.0
    return max(_SHORTEST, limiter.get_window_stats(item, name).reset_time - time.time())
