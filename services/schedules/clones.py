"""``ublox.scan_clones``: tells of devices that were cloned or that u-blox has a doubt about; no webhook does.

Source: Security Services REST APIs 1.1.29, ``/device/clone/get`` and ``/device/suspicious/get``.

Each finding is written into the inbox once, as ``DEVICE_CLONED`` or ``DEVICE_SUSPICIOUS``, so that the playbook can
answer it. Its timestamp is the moment of the schedule: a run that is done again writes the same receipt.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson
import structlog

from infra.broker import PLAN
from infra.ledger import Arrival, Effects
from infra.ledger.tables import storable
from schemas.events import FoundType, read_notification, receipt_of
from schemas.ublox import Suspect
from services.schedules.catch_up import hook_of
from services.schedules.devices import Devices
from services.schedules.turn import Found, Turn

LOOK_BACK: Final = timedelta(days=180)
"""The document bounds notices so; it says nothing for clones."""

MOST_NAMED: Final = 200
_MARK: Final = "suspect:"
_LONGEST: Final = 200
"""Characters of a mark's name; longer ones have no place in an index of PostgreSQL."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Finding:
    type: FoundType
    suspect: Suspect

    @property
    def words(self) -> str:
        """What is told of it, and by what it is known again."""
        if self.type is FoundType.CLONED:
            return f"{self.suspect.uid} was cloned"
        return f"{self.suspect.uid} is suspicious: {self.suspect.reason or 'no reason told'}"

    @property
    def mark(self) -> str:
        """By what it is known again, whatever u-blox says of it."""
        words = self.words
        if len(words) > _LONGEST or not words.isprintable():
            words = hashlib.sha256(words.encode(errors="replace")).hexdigest()
        return _MARK + words


def work(turn: Turn) -> Found:
    """Ask for every device of the account; each one found is told once."""
    ublox, now = turn.means.ublox, turn.means.clock()
    found: dict[str, _Finding] = {}
    devices = Devices(ublox)
    since = now - LOOK_BACK
    for cloned, suspicious in devices.asked(
        lambda uids: (ublox.information.clones(uids, since), ublox.information.suspects(uids))
    ):
        findings = [_Finding(FoundType.CLONED, one) for one in cloned]
        findings += [_Finding(FoundType.SUSPICIOUS, one) for one in suspicious]
        found |= {finding.words: finding for finding in findings}
    told = turn.means.ledger.firings.marks(_MARK)
    news = sorted(words for words, finding in found.items() if finding.mark not in told)
    for words in news:
        log.error("alert", alert=words)
    _take_in(turn, (found[words] for words in news))
    return Found(
        reason=f"{devices.met} devices; {len({one.suspect.uid for one in found.values()})} cloned or suspicious,"
        f" {len(news)} of them news",
        attention=bool(found or devices.refused),
        detail={**devices.told(), "found": sorted(found)[:MOST_NAMED], "news": len(news)},
        effects=Effects(marks=dict.fromkeys((found[words].mark for words in news), now.isoformat())),
    )


def _take_in(turn: Turn, findings: Iterable[_Finding]) -> None:
    """Write the findings as events; those that an earlier try of this firing wrote are there already."""
    arrivals = [_arrival(turn, finding) for finding in findings]
    if arrivals and turn.means.ledger.inbox.accept(arrivals):
        turn.means.ring(PLAN, [])


def _arrival(turn: Turn, finding: _Finding) -> Arrival:
    document: dict[str, Any] = {
        "EventType": str(finding.type),
        "ROTPublicUID": finding.suspect.uid,
        "Timestamp": turn.firing.due_at.isoformat(),
        "Payload": {"Reason": storable(finding.suspect.reason)},
    }
    notification = read_notification(document)
    return Arrival(
        receipt=receipt_of(document, notification),
        hook=hook_of(turn),
        event_type=notification.event_type,
        device=notification.device,
        occurred_at=notification.occurred_at,
        received_at=turn.means.clock(),
        body=orjson.dumps(document),
        source="poll",
    )
