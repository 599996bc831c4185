"""``ublox.catch_up``: fetches notices that never came by webhook into the same inbox, and tells which they are.

Source: Security Services REST APIs 1.1.29, ``/notification/get``. It goes back 180 days and has no word for
certificates and root CAs: those are the certificate scan's (`certificates`). u-blox sends no event id, so what was
pushed is known by its content: the polled notice is written as the webhook would have sent it, with the same receipt.
Where only the form of the timestamp differs (with or without seconds or zone), the pushed one is found by device, type
and payload.

The watermark moves only when every device was asked, together with the report. A device that u-blox refuses has a
watermark of its own until it answers, so it holds back no other; the report names it. A run that was cut short is done
again from the same watermarks; what it had brought in is told by the firing's name in the events' ``hook``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import orjson
import structlog
from pydantic import BaseModel, ConfigDict, Field

from infra.broker import PLAN
from infra.ledger import Arrival, Effects
from infra.ledger.polled import Missed
from infra.ledger.tables import from_us, to_us
from schemas.events import Notification, parse_timestamp, read_notification, receipt_of, receipt_of_raw
from services.clients.ublox import Ublox
from services.schedules.devices import Devices
from services.schedules.lag import LOOK_BACK, WATERMARK, Lag
from services.schedules.silence import Alarm, alarms_of
from services.schedules.turn import Found, Turn

MOST_NAMED: Final = 1_000
"""Notices that a report names; of more it tells the number, and the events have them all."""

_Page = list[dict[str, Any] | None]

_SECONDS: Final = re.compile(r"T\d\d:\d\d:\d\d")

log = structlog.get_logger(__name__)


class CatchUpParameters(BaseModel):
    """How far a run looks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    overlap_seconds: int = Field(3600, ge=0, le=604_800, description="looked at again behind the watermark")
    margin_seconds: int = Field(60, ge=0, le=3600, description="younger notices may still be pushed: left for later")
    first_days: int = Field(1, ge=1, le=179, description="how far the very first run looks back")
    silence: bool = Field(default=True, description="whether to raise an alarm when a source is quiet")


def work(turn: Turn) -> Found:
    """Catch up once."""
    wanted = CatchUpParameters.model_validate(turn.spec.parameters)
    polled, ledger = turn.means.ledger.polled, turn.means.ledger
    if "after" not in turn.known:
        turn.note({"after": polled.newest(), "until": to_us(turn.means.clock())})
    since, until = _period(turn, wanted)
    lag = Lag.read(turn)
    counts = _fetched(turn, since, until, lag) if since < until else {"devices": 0, "notices": 0}
    if counts.get("new"):
        turn.means.ring(PLAN, [])
    missed, named = polled.missed(hook_of(turn), after=int(turn.known["after"]), limit=MOST_NAMED)
    alarms = alarms_of(ledger, turn.means.clock()) if wanted.silence else []
    for alarm in alarms:
        log.error("alert", alert=alarm.words)
    marks = lag.marks(until, overlap_seconds=wanted.overlap_seconds) if since < until else {}
    marks |= {alarm.mark: alarm.value for alarm in alarms}
    return Found(
        reason=_told(counts, missed, alarms, lag),
        attention=bool(missed or alarms or counts.get("refused")),
        detail={
            "since": since.isoformat(),
            "until": until.isoformat(),
            **counts,
            **lag.told(),
            "never_pushed": missed,
            "notices_never_pushed": [_line(one) for one in named],
            "silent": [alarm.words for alarm in alarms],
        },
        effects=Effects(marks=marks),
    )


def hook_of(turn: Turn) -> str:
    """What stands in place of the hook's name in the events of this firing."""
    return f"{turn.firing.schedule}@{to_us(turn.firing.due_at)}"


def _period(turn: Turn, wanted: CatchUpParameters) -> tuple[datetime, datetime]:
    """From the watermark, a little before it, until a little before this firing began."""
    began = from_us(int(turn.known["until"]))
    until = began - timedelta(seconds=wanted.margin_seconds)
    mark = turn.means.ledger.firings.marks(WATERMARK).get(WATERMARK)
    since = began - timedelta(days=wanted.first_days) if mark is None else from_us(int(mark))
    since -= timedelta(seconds=wanted.overlap_seconds) if mark else timedelta()
    return max(since, turn.means.clock() - LOOK_BACK), until


def _fetched(turn: Turn, since: datetime, until: datetime, lag: Lag) -> dict[str, Any]:
    """Bring in what is new of every device of the account, and what is older of those behind; give what was met."""
    ublox, devices = turn.means.ublox, Devices(turn.means.ublox)
    counts = Counter[str]()
    there: set[str] = set()

    def ask(uids: Sequence[str]) -> list[_Page]:
        there.update(lag.known.keys() & set(uids))
        return list(ublox.information.notices(uids, since, until))

    for pages in devices.asked(ask):
        _take_in(turn, pages, counts)
    earliest = turn.means.clock() - LOOK_BACK
    for began, uids in lag.groups(there - devices.refused.keys()):
        begin = max(from_us(began), earliest)
        if begin < since:
            for pages in devices.asked_of(uids, partial(_older, ublox, begin, since)):
                _take_in(turn, pages, counts)
    lag.now = {uid: lag.known.get(uid, to_us(since)) for uid in devices.refused}
    return {"notices": 0, **counts, **devices.told()}


def _older(ublox: Ublox, since: datetime, until: datetime, uids: Sequence[str]) -> list[_Page]:
    return list(ublox.information.notices(uids, since, until))


def _take_in(turn: Turn, pages: Iterable[_Page], counts: Counter[str]) -> None:
    for page in pages:
        readable = [document for document in page if document is not None and _is_storable(document)]
        counts["notices"] += len(page)
        counts["unreadable"] += len(page) - len(readable)
        counts["new"] += len(_accepted(turn, list(_arrivals(turn, readable))))


def _is_storable(document: Mapping[str, Any]) -> bool:
    """Whether it can be written as a body again; half a surrogate pair and whole numbers beyond 64 bits cannot."""
    try:
        orjson.dumps(document)
    except TypeError:
        return False
    return True


def _accepted(turn: Turn, arrivals: Sequence[Arrival]) -> list[int]:
    fresh = _not_pushed(turn, arrivals)
    return turn.means.ledger.inbox.accept(fresh) if fresh else []


def _arrivals(turn: Turn, documents: Sequence[Mapping[str, Any]]) -> Iterator[Arrival]:
    """Each notice as the receiver would have stored it; one that cannot be understood is stored with its fault."""
    for document in documents:
        body = orjson.dumps(document)
        fault, notification = None, Notification(event_type="", device=None, occurred_at=None, payload={})
        try:
            notification = read_notification(document)
        except ValueError as error:
            fault = str(error)
        yield Arrival(
            receipt=receipt_of_raw(body) if fault else receipt_of(document, notification),
            hook=hook_of(turn),
            event_type=notification.event_type or None,
            device=notification.device,
            occurred_at=notification.occurred_at,
            received_at=turn.means.clock(),
            body=body,
            source="poll",
            fault=fault,
        )


def _not_pushed(turn: Turn, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Those that no pushed notice is the same as, but for the form of its timestamp."""
    times = [arrival.occurred_at for arrival in arrivals if arrival.occurred_at]
    devices = {arrival.device for arrival in arrivals if arrival.device}
    if not times or not devices:
        return list(arrivals)
    first, last = min(times).replace(second=0, microsecond=0), max(times).replace(second=59, microsecond=999_999)
    pushed = turn.means.ledger.polled.pushed(devices, first, last)
    known: dict[tuple[str, str, str], list[str]] = {}
    for one in pushed:
        key = (one.device, one.event_type, _payload(one.body))
        known.setdefault(key, []).append(_stamp(one.body))
    return [
        arrival
        for arrival in arrivals
        if not any(
            _same_moment(_stamp(arrival.body), stamp)
            for stamp in known.get((arrival.device or "", arrival.event_type or "", _payload(arrival.body)), ())
        )
    ]


def _same_moment(one: str, other: str) -> bool:
    """Whether two timestamps tell the same moment in different forms; one may leave out the seconds."""
    if one == other:
        return False  # the receipts are the same then, and the inbox finds the repeat
    try:
        first, second = parse_timestamp(one), parse_timestamp(other)
    except ValueError:
        return False
    coarse = bool(_SECONDS.search(one)) != bool(_SECONDS.search(other))
    return first == second or (coarse and first.replace(second=0) == second.replace(second=0))


def _stamp(body: bytes) -> str:
    return str(orjson.loads(body).get("Timestamp"))


def _payload(body: bytes) -> str:
    return orjson.dumps(orjson.loads(body).get("Payload"), option=orjson.OPT_SORT_KEYS).decode()


def _line(missed: Missed) -> dict[str, str | None]:
    at = None if missed.occurred_at is None else missed.occurred_at.isoformat()
    return {"receipt": missed.receipt, "type": missed.event_type, "device": missed.device, "at": at}


def _told(counts: Mapping[str, Any], missed: int, alarms: Sequence[Alarm], lag: Lag) -> str:
    said = [f"{counts['notices']} notices of {counts['devices']} devices; {missed} of them never came by webhook"]
    if lag.now:
        said.append(lag.words())
    return "; ".join([*said, *(alarm.words for alarm in alarms)])
