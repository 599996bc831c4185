"""Up to when catching up has come: one watermark for all, and one for each device that u-blox refused since."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Self

import orjson

from infra.ledger import Ledger
from infra.ledger.tables import from_us, to_us
from services.schedules.turn import Turn

WATERMARK: Final = "ublox.notices"
"""Up to when every notice has been fetched: microseconds since 1970 UTC."""

BEHIND: Final = "ublox.notices.behind"
"""The watermarks of the devices that were refused: a JSON object, microseconds by ROTPublicUID."""

OVERLAP: Final = "ublox.notices.overlap"
"""How far before the watermark for all a run looks again: seconds."""

CLOCKS: Final = timedelta(hours=1)
"""What the clocks of u-blox and of this machine may differ."""

LOOK_BACK: Final = timedelta(days=180) - CLOCKS
"""As old as FromDate may be."""

MOST_BEHIND: Final = 1_000
"""Devices with a watermark of their own; when more are refused it is no device's fault, and the common one stays."""

MOST_SHOWN: Final = 3
"""Refused devices in a report's line; its detail names all."""


@dataclass(slots=True)
class Lag:
    """Which devices are behind the others.

    Attributes:
        known: since when each is to be asked, as the last run left it: microseconds since 1970 UTC.
        now: the same, as this run leaves it.
    """

    known: dict[str, int]
    now: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, turn: Turn) -> Self:
        """How the last run left it."""
        marks = turn.means.ledger.firings.marks(BEHIND)
        return cls(orjson.loads(marks.get(BEHIND, "{}")))

    def marks(self, until: datetime, *, overlap_seconds: int) -> dict[str, str]:
        """The watermarks when every device was asked."""
        if len(self.now) > MOST_BEHIND:
            return {}
        own = orjson.dumps(self.now, option=orjson.OPT_SORT_KEYS).decode()
        common = {WATERMARK: str(to_us(until)), OVERLAP: str(overlap_seconds)}
        return common | ({BEHIND: own} if self.known or self.now else {})

    def told(self) -> dict[str, Any]:
        """What belongs into a firing's detail."""
        return {"behind": {uid: from_us(at).isoformat() for uid, at in self.now.items()}} if self.now else {}

    def words(self) -> str:
        """What belongs into a report's line."""
        names = ", ".join(sorted(self.now)[:MOST_SHOWN])
        more = f" and {len(self.now) - MOST_SHOWN} more" if len(self.now) > MOST_SHOWN else ""
        return f"u-blox refuses {names}{more}, asked again from where they are"

    def groups(self, uids: Collection[str]) -> list[tuple[int, list[str]]]:
        """Devices that are behind, those since the same moment together."""
        found: dict[int, list[str]] = defaultdict(list)
        for uid in sorted(uids):
            found[self.known[uid]].append(uid)
        return sorted(found.items())


def asks_since(ledger: Ledger, now: datetime) -> datetime | None:
    """What was received before does not come again by catching up; None before its first run has ended.

    What comes again is known by the event that is there, so events are not pruned until catching up has gone on.
    """
    marks = ledger.firings.marks(WATERMARK)
    if WATERMARK not in marks:
        return None
    common = from_us(int(marks[WATERMARK])) - timedelta(seconds=int(marks.get(OVERLAP, 0)))
    behind = map(from_us, orjson.loads(marks.get(BEHIND, "{}")).values())
    return max(min([common, *behind]), now - LOOK_BACK) - CLOCKS
