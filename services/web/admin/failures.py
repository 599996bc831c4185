"""How many wrong keys a peer may show: a bounded table in the process, a bucket of tries for each peer."""

import hashlib
import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

TRIES: Final = 10
"""Wrong keys that a peer may show at once."""

REFILL_SECONDS: Final = 6.0
"""Seconds until it may show one more."""

MOST_PEERS: Final = 4_096
MOST_FRIENDS: Final = 1_024


class Failures:
    """Counts wrong keys by peer. A key that opened before passes even where its peer is over the limit.

    Behind a proxy every caller has one address: a stranger who guesses must not lock out those who have keys. Keys
    cannot be guessed anyway; the limit keeps the ledger and the log from those who try.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()  # peer: tries spent, as of when
        self._friends: OrderedDict[bytes, None] = OrderedDict()

    def wait(self, peer: str, key: str) -> int:
        """Seconds until this peer may show this key; 0 for now."""
        with self._lock:
            spent = self._now_spent(_network(peer))
            if spent <= TRIES - 1 or _digest(key) in self._friends:
                return 0
            return int((spent - TRIES + 1) * REFILL_SECONDS) + 1

    def opened(self, key: str) -> None:
        """Remember a key that opened."""
        with self._lock:
            self._friends[_digest(key)] = None
            self._friends.move_to_end(_digest(key))
            if len(self._friends) > MOST_FRIENDS:
                self._friends.popitem(last=False)

    def failed(self, peer: str, key: str) -> None:
        """Count a key that did not open; one that did once is a friend no more."""
        network = _network(peer)
        with self._lock:
            self._friends.pop(_digest(key), None)
            self._spent[network] = (self._now_spent(network) + 1, self._clock())
            self._spent.move_to_end(network)
            if len(self._spent) > MOST_PEERS:
                self._spent.popitem(last=False)

    @property
    def size(self) -> tuple[int, int]:
        """How many peers and keys are remembered."""
        with self._lock:
            return len(self._spent), len(self._friends)

    def _now_spent(self, network: str) -> float:
        spent, then = self._spent.get(network, (0.0, 0.0))
        return max(0.0, spent - (self._clock() - then) / REFILL_SECONDS)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()


def _network(peer: str) -> str:
    """An IPv6 caller has a whole /64 to call from, so that counts as one."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return peer
