"""``ublox.check_clones``: tells of devices that were cloned or that u-blox has a doubt about; no webhook does.

Source: Security Services REST APIs 1.1.29, ``/device/clone/get`` and ``/device/suspicious/get``.
"""

from datetime import timedelta
from typing import Final

import structlog

from infra.ledger import Effects
from services.schedules.devices import Devices
from services.schedules.turn import Found, Turn

LOOK_BACK: Final = timedelta(days=180)
"""The document bounds notices so; it says nothing for clones."""

MOST_NAMED: Final = 200
_MARK: Final = "suspect:"

log = structlog.get_logger(__name__)


def work(turn: Turn) -> Found:
    """Ask for every device of the account; each one found is told once."""
    ublox, now = turn.means.ublox, turn.means.clock()
    found: dict[str, str] = {}
    devices = Devices(ublox)
    since = now - LOOK_BACK
    for cloned, suspicious in devices.asked(lambda uids: (ublox.clones(uids, since), ublox.suspects(uids))):
        found |= {f"{one.uid} was cloned": one.uid for one in cloned}
        found |= {f"{one.uid} is suspicious: {one.reason or 'no reason told'}": one.uid for one in suspicious}
    told = turn.means.ledger.firings.marks(_MARK)
    news = sorted(words for words in found if _MARK + words not in told)
    for words in news:
        log.error("alert", alert=words)
    return Found(
        reason=f"{devices.met} devices; {len(set(found.values()))} cloned or suspicious, {len(news)} of them news",
        attention=bool(found or devices.refused),
        detail={**devices.told(), "found": sorted(found)[:MOST_NAMED], "news": len(news)},
        effects=Effects(marks=dict.fromkeys((_MARK + words for words in news), now.isoformat())),
    )
