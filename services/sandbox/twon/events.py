"""The event log of a device: its history, and the channels through which it is read.

Source: 2N HTTP API manual, 5.10 api log. The clock is Unix time in seconds.
"""

import asyncio
import re
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.sandbox.twon.envelope import ApiError

BATCH: Final = 128
"""A pull gives so many events at most."""

LONGEST_CHANNEL: Final = 3600
SHORTEST_CHANNEL: Final = 1
USUAL_CHANNEL: Final = 90

KINDS: Final = ("DeviceState", "ConfigurationChanged", "MobKeyEntered")
"""The events that the twin knows."""

_LARGEST: Final = 2**32 - 1
_SINCE: Final = re.compile(r"-([0-9]{1,9})")

Event = dict[str, Any]
Visible = Callable[[str], bool]
"""Whether the account may see events of a kind."""


@dataclass(slots=True)
class Channel:
    """A queue of events that nobody has pulled yet.

    Attributes:
        kinds: what it is filtered for; None is everything.
        duration: it is closed when it is not pulled for so many seconds.
    """

    kinds: frozenset[str] | None
    duration: int
    pulled_at: float
    queue: deque[Event]
    filled: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, event: Event) -> None:
        """Queue an event that passes the filter."""
        if self.kinds is None or event["event"] in self.kinds:
            self.queue.append(event)
            self.filled.set()

    def pull(self, now: float) -> list[Event]:
        """Give the oldest events and forget them."""
        self.pulled_at = now
        events = [self.queue.popleft() for _ in range(min(BATCH, len(self.queue)))]
        if not self.queue:
            self.filled.clear()
        return events


class EventLog:
    """What happened at a device since it was started; ids count from 1 again after a restart.

    Args:
        clock: tells Unix time.
        most: how many events are kept.
    """

    def __init__(self, clock: Callable[[], float], *, most: int) -> None:
        self._clock = clock
        self._most = most
        self.history: deque[Event] = deque(maxlen=most)
        self.channels: dict[int, Channel] = {}
        self.restart()

    @property
    def up_time(self) -> int:
        """Seconds since the last restart."""
        return int(self._clock() - self._started)

    def restart(self) -> None:
        """Forget events and channels, as a restart does."""
        for channel in self.channels.values():
            channel.filled.set()
        self.history.clear()
        self.channels.clear()
        self._started = self._clock()
        self._last_id = 0
        self.note("DeviceState", {"state": "startup"}, visible=True)

    def note(self, kind: str, params: Mapping[str, Any], *, visible: bool) -> None:
        """Write an event down.

        Args:
            kind: one of `KINDS`.
            params: its parameters.
            visible: whether the account may see it; else no channel gets it.
        """
        self._last_id += 1
        now = int(self._clock())
        event = {"id": self._last_id, "tzShift": 0, "utcTime": now, "upTime": self.up_time, "event": kind}
        event["params"] = dict(params)
        self.history.append(event)
        if visible:
            self._expire()
            for channel in self.channels.values():
                channel.take(event)

    def subscribe(self, parameters: Mapping[str, str], visible: Visible) -> int:
        """Open a channel and give its id.

        Raises:
            ApiError: `include` or `duration` is wrong (12).
        """
        self._expire()
        now, include = self._clock(), parameters.get("include", "new")
        duration = whole_number(parameters, "duration", USUAL_CHANNEL)
        if not SHORTEST_CHANNEL <= duration <= LONGEST_CHANNEL:
            raise ApiError(12, "duration")
        wanted = parameters.get("filter", "")
        kinds = frozenset(wanted.split(",")) if wanted else None
        channel = Channel(kinds, duration, now, deque(maxlen=self._most))
        for event in self._included(include, now):
            if visible(event["event"]):
                channel.take(event)
        number = secrets.randbits(32)
        self.channels[number] = channel
        return number

    def channel(self, parameters: Mapping[str, str]) -> tuple[int, Channel]:
        """Find a channel by the parameter `id`.

        Raises:
            ApiError: the id is missing (11), or unknown or expired (12).
        """
        self._expire()
        if "id" not in parameters:
            raise ApiError(11, "id")
        number = whole_number(parameters, "id", 0)
        if number not in self.channels:
            raise ApiError(12, "id")
        return number, self.channels[number]

    def _included(self, include: str, now: float) -> list[Event]:
        since = _SINCE.fullmatch(include)
        if since is not None:
            return [event for event in self.history if event["utcTime"] >= now - int(since[1])]
        if include not in {"new", "all"}:
            raise ApiError(12, "include")
        return list(self.history) if include == "all" else []

    def _expire(self) -> None:
        now = self._clock()
        for number, channel in list(self.channels.items()):
            if now - channel.pulled_at > channel.duration:
                del self.channels[number]


def whole_number(parameters: Mapping[str, str], name: str, default: int) -> int:
    """Read a number of 32 bits without a sign.

    Raises:
        ApiError: it is none (12).
    """
    text = parameters.get(name, str(default))
    fits = text.isascii() and text.isdecimal() and len(text) <= len(str(_LARGEST))
    if not fits or int(text) > _LARGEST:
        raise ApiError(12, name)
    return int(text)
