"""What the conditions of one event type answer, remembered by what they see: an answer depends on nothing else."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import orjson

from schemas.events import Notification
from schemas.playbook import DeviceWork
from services.playbook.conditions import Condition, view_of
from services.playbook.sight import seen_of

REMEMBERED: Final = 1024
"""Answers of one event type; most events show their conditions what another has shown them already."""

LONGEST_REMEMBERED: Final = 2048
"""Bytes of what the conditions see, as JSON."""

Answer = bool | str
"""Whether a condition holds; text says why it cannot be told."""


class Answers:
    """Asks the conditions of the rules of one event type. Threads may share it.

    Args:
        conditions: one for each rule; None holds always.
    """

    def __init__(self, conditions: Sequence[Condition | None]) -> None:
        there = [condition for condition in conditions if condition]
        keys = [condition.keys for condition in there]
        known = [some for some in keys if some is not None]
        self._conditions = tuple(conditions)
        self._always: tuple[Answer, ...] | None = None if there else (True,) * len(self._conditions)
        self._fields = frozenset[str]().union(*(condition.fields for condition in there))
        self._keys = frozenset[str]().union(*known) if len(known) == len(keys) else None
        self._recalled = lru_cache(maxsize=REMEMBERED)(self._asked)
        self.work = any(condition.work for condition in there)
        """Whether a condition reads what is at hand for the device."""

    def of(self, notification: Notification, work: DeviceWork) -> tuple[Answer, ...]:
        """Give the answer of each condition."""
        if self._always is not None:
            return self._always
        try:
            seen = orjson.dumps(seen_of(notification, self._fields, self._keys, work))
        except orjson.JSONEncodeError as error:
            fault = f"the event cannot be shown to a condition: {error}"
            return tuple(condition is None or fault for condition in self._conditions)
        if len(seen) > LONGEST_REMEMBERED:
            return self._asked(seen)
        return self._recalled(bytes(memoryview(seen)))  # a copy: orjson's own keeps the room that it wrote into

    def _asked(self, seen: bytes) -> tuple[Answer, ...]:
        view = view_of(orjson.loads(seen))
        return tuple(
            condition is None or (view if isinstance(view, str) else condition.holds(view))
            for condition in self._conditions
        )
