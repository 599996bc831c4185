"""Which fault strikes which request: the state of the dial of that name."""

from collections.abc import Sequence
from random import Random

from services.sandbox.twon.dials import Deed, Strike


class Strikes:
    """The faults that are still to come.

    Args:
        strikes: the first that fits a request strikes it.
        random: decides where a fault strikes only a share.
    """

    def __init__(self, strikes: Sequence[Strike], random: Random) -> None:
        self._random = random
        self._left = [_Left(strike) for strike in strikes]

    def next(self, method: str, path: str) -> Strike | None:
        """Give the fault that strikes this request, or None."""
        for left in self._left:
            if left.fits(method, path) and left.counts_down(self._random):
                return left.strike
        return None


class _Left:
    """How often one fault is still to be passed by, and still to strike."""

    def __init__(self, strike: Strike) -> None:
        self.strike = strike
        self._skip = strike.skip
        self._times = strike.times

    def fits(self, method: str, path: str) -> bool:
        """Whether it is meant for such a request and not spent."""
        if self._times == 0 or (self.strike.do is Deed.FORGET and method != "PUT"):
            return False
        return self.strike.on in {"", path, method, f"{method} {path}"}

    def counts_down(self, random: Random) -> bool:
        """Whether it strikes now."""
        if self.strike.share < 1 and random.random() >= self.strike.share:
            return False
        if self._skip:
            self._skip -= 1
            return False
        if self._times is not None:
            self._times -= 1
        return True
