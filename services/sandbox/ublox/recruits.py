"""Devices that are to be made: how many, and in what variety."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

CA_DAYS_LEFT: Final = 3250
DEFAULT_CA: Final = "sandbox-ca.example"
DEFAULT_PROFILE: Final = "mbYbAX-CoEqE97TMFBsUKQ"

Range = tuple[float, float]
"""From, to; each device gets a value of its own, drawn with the seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recruits:
    """Devices to be made.

    Attributes:
        heartbeat_seconds: of all, or of each of them; None follows the dial.
        heartbeat_range: instead of it; even over the logarithm, so that hours and weeks come as often.
        certificate_days: whole life of the certificate; when None, 365 days or as many as are left.
        certificate_days_range: instead of it.
        certificate_days_left: when None, the whole life.
        bootstrapping: they come from the factory and register now, rather than having done so long ago.
        profile_uid: None is for devices whose profile was not sealed.
    """

    count: int
    first: str | None = None
    heartbeat_seconds: float | tuple[float, ...] | None = None
    heartbeat_range: Range | None = None
    certificate_days: float | None = None
    certificate_days_range: Range | None = None
    certificate_days_left: float | None = 365
    ca_name: str = DEFAULT_CA
    ca_days_left: float = CA_DAYS_LEFT
    tags: frozenset[str] = frozenset()
    blacklisted: bool = False
    bootstrapping: bool = False
    profile_uid: str | None = DEFAULT_PROFILE
    seed: int = 1

    def heartbeats(self) -> Iterator[float | None]:
        """The heartbeat of each device."""
        random = Random(self.seed)  # noqa: S311 - variety, not secrecy
        for number in range(self.count):
            if self.heartbeat_range:
                low, high = (math.log(limit) for limit in self.heartbeat_range)
                yield float(round(math.exp(random.uniform(low, high))))
            elif isinstance(self.heartbeat_seconds, tuple):
                yield self.heartbeat_seconds[number]
            else:
                yield self.heartbeat_seconds

    def lives(self) -> Iterator[tuple[float, float]]:
        """Days of the whole life of each certificate, and days that are left of it."""
        random = Random(-self.seed - 1)  # noqa: S311 - as above
        for _ in range(self.count):
            left = self.certificate_days_left
            if self.certificate_days_range:
                low, high = self.certificate_days_range
                whole = float(random.randint(round(low), round(high)))
            else:
                whole = max(365.0, left or 0) if self.certificate_days is None else self.certificate_days
            yield whole, whole if left is None else min(left, whole)
