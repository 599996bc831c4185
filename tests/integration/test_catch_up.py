"""Catching up: what never came by webhook is found, handled once and named."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from infra.ledger import Ledger
from infra.ledger.tables import to_us
from schemas.errors import Refused
from schemas.events import EventType
from schemas.schedules import FiringState
from services.sandbox.ublox import notices
from services.schedules import lag
from services.schedules.silence import usual_pause
from tests.conftest import Clock
from tests.support.ledger import rows
from tests.support.rounds import House, housed, push, schedule

CATCH_UP = "ublox.catch_up"
MISSED = 500


@pytest.fixture
def house(ledger: Ledger, clock: Clock) -> Iterator[House]:
    with housed(ledger, clock) as house:
        yield house


def often(clock: Clock, **parameters: Any) -> Any:
    """A catch-up every quarter of an hour, due now."""
    return schedule("catch", CATCH_UP, clock(), every_seconds=900, parameters=parameters)


def happen(house: House, uids: list[str], kind: EventType = EventType.BOOTSTRAP) -> list[dict[str, Any]]:
    """Let something happen to devices, of which no webhook tells; give what it would have carried."""
    compose = {EventType.BOOTSTRAP: notices.bootstrap, EventType.PROPERTIES_CHANGE: notices.properties_change}
    documents = []
    for uid in uids:
        device = house.twin.fleet.devices[uid]
        if kind is EventType.ERRORS:
            documents.append(notices.error(device, house.clock(), notices.SAMPLE_ERROR))
        else:
            documents.append(compose[kind](device, house.clock()))
        house.twin.announce(documents[-1])
    return documents


def run_on(house: House, clock: Clock, *, minutes: int) -> None:
    """Let time pass in which the beats never stand still."""
    for _ in range(minutes // 5):
        clock.forward(minutes=5)
        house.sweep()


def receipts(ledger: Ledger, source: str) -> list[str]:
    return [
        row["receipt"] for row in rows(ledger, "SELECT receipt FROM events WHERE source = :s ORDER BY id", s=source)
    ]


def test_after_a_day_of_standstill_everything_is_handled_once_and_named(
    house: House, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing runs for 24 hours: 500 notices can only be polled, and three schedules are missed, one by each policy."""
    catch = often(clock)
    hourly = [
        schedule(
            f"{policy}-hourly", "ledger.prune", clock(), due_in=timedelta(hours=1), every_seconds=3600, catch_up=policy
        )
        for policy in ("skip", "once", "all")
    ]
    house.only(catch, *hourly)
    uids = house.recruit(MISSED)
    pushed = happen(house, uids[:50])
    for document in pushed:
        push(house.ledger, document, clock())
    clock.forward(minutes=2)
    house.work()
    assert house.last("catch").detail["never_pushed"] == 0

    for _ in range(4):  # 24 hours in which nobody is there
        clock.forward(hours=6)
        happen(house, uids[: MISSED // 4])
        uids = uids[MISSED // 4 :]
    clock.forward(minutes=30)
    assert uids == []
    for _ in range(3):
        house.work()
        clock.forward(seconds=30)

    caught = next(one for one in house.ledger.firings.of("catch", 10) if one.detail.get("never_pushed"))
    polled = receipts(house.ledger, "poll")
    assert caught.state is FiringState.ATTENTION
    assert caught.detail["never_pushed"] == MISSED == len(set(polled))
    assert [notice["receipt"] for notice in caught.detail["notices_never_pushed"]] == polled
    assert {one["device"] for one in caught.detail["notices_never_pushed"]} == set(house.twin.fleet.devices)
    assert "500 of them never came by webhook" in caught.reason

    assert rows(house.ledger, "SELECT state, count(*) AS n FROM events GROUP BY state") == [
        {"state": "planned", "n": 550}
    ]
    per_device = rows(house.ledger, "SELECT target, count(*) AS n FROM jobs GROUP BY target")
    assert len(per_device) == MISSED
    assert {row["n"] for row in per_device} == {1, 2}  # the fifty that were told of before have two
    assert rows(house.ledger, "SELECT DISTINCT state FROM jobs") == [{"state": "succeeded"}]
    fired = {
        one.name: sum(firing.state is FiringState.SUCCEEDED for firing in house.ledger.firings.of(one.name, 100))
        for one in hourly
    }
    assert fired == {"skip-hourly": 0, "once-hourly": 1, "all-hourly": 24}
    with capsys.disabled():
        print(f"\n24 h away: {caught.reason}; hourly schedules fired {fired}")


def test_what_was_pushed_is_not_taken_in_again(house: House, clock: Clock) -> None:
    """Of every kind that can be polled; the receipts agree although a polled notice has no EventType."""
    house.only(often(clock))
    (uid,) = house.recruit(1)
    for kind in (EventType.BOOTSTRAP, EventType.PROPERTIES_CHANGE, EventType.ERRORS):
        for document in happen(house, [uid], kind):
            push(house.ledger, document, clock())
    clock.forward(minutes=15)
    house.work()
    assert (receipts(house.ledger, "poll"), house.last("catch").detail["notices"]) == ([], 3)


@pytest.mark.parametrize("kind", [EventType.BOOTSTRAP, EventType.PROPERTIES_CHANGE, EventType.ERRORS])
def test_a_polled_notice_has_the_receipt_that_its_webhook_would_have_had(
    kind: EventType, house: House, clock: Clock
) -> None:
    house.only(often(clock))
    (document,) = happen(house, house.recruit(1), kind)
    clock.forward(minutes=15)
    house.work()
    assert push(house.ledger, document, clock()) == []  # late, it finds its own receipt
    (row,) = rows(house.ledger, "SELECT source, event_type, body FROM events")
    assert (row["source"], row["event_type"], orjson.loads(bytes(row["body"]))) == ("poll", kind, document)


@pytest.mark.parametrize("stamp", ["2026-05-10T12:00Z", "2026-05-10T12:00:00Z", "2026-05-10T12:00:00+00:00"])
def test_another_form_of_the_same_time_is_known(stamp: str, house: House, clock: Clock) -> None:
    """The twin polls 2026-05-10T12:00:00; who pushed may write it otherwise."""
    house.only(often(clock))
    (document,) = happen(house, house.recruit(1))
    push(house.ledger, document | {"Timestamp": stamp}, clock())
    clock.forward(minutes=15)
    house.work()
    assert receipts(house.ledger, "poll") == []


def test_a_real_repeat_is_no_other_form_of_the_same(house: House, clock: Clock) -> None:
    house.only(often(clock))
    (uid,) = house.recruit(1)
    push(house.ledger, happen(house, [uid])[0], clock())
    clock.forward(seconds=20)
    happen(house, [uid])
    clock.forward(minutes=15)
    house.work()
    assert len(receipts(house.ledger, "poll")) == 1


def test_what_is_very_young_is_left_for_the_next_time(house: House, clock: Clock) -> None:
    """Its webhook may still be on its way."""
    house.only(often(clock))
    uids = house.recruit(1)
    clock.forward(minutes=14, seconds=30)
    happen(house, uids)
    clock.forward(seconds=30)
    house.work()
    assert receipts(house.ledger, "poll") == []
    clock.forward(minutes=15)
    house.work()
    assert len(receipts(house.ledger, "poll")) == 1


def test_a_run_that_was_cut_short_is_done_again_and_names_everything(house: House, clock: Clock) -> None:
    """The first try brings in some, then u-blox goes away; the watermark has not moved."""
    house.only(often(clock))
    happen(house, house.recruit(250))
    clock.forward(minutes=15)
    house.sweep()
    notices_of, calls = house.means.ublox.information.notices, iter(range(10))

    class Flaky:
        def notices(self, uids: list[str], since: datetime, until: datetime) -> Any:
            if next(calls) == 1:
                house.turn(error_rate=1)
            return notices_of(uids, since, until)

    flaky = SimpleNamespace(devices=house.means.ublox.devices, information=Flaky())
    house.performer(ublox=flaky).perform(CATCH_UP)
    assert (house.last("catch").state, len(receipts(house.ledger, "poll"))) == (FiringState.WAITING, 100)
    assert house.ledger.firings.marks("ublox.") == {}
    house.turn(error_rate=0)
    clock.forward(seconds=60)
    house.performer().perform(CATCH_UP)
    assert house.last("catch").detail["never_pushed"] == 250
    assert len(house.last("catch").detail["notices_never_pushed"]) == 250


class _Choosy:
    """u-blox as it refuses some devices."""

    def __init__(self, house: House, *refused: str) -> None:
        self._ublox = house.means.ublox
        self.devices, self.information = self._ublox.devices, self
        self.refused = set(refused)
        self.asked: list[tuple[set[str], datetime]] = []

    def notices(self, uids: list[str], since: datetime, until: datetime) -> Any:
        if self.refused & set(uids):
            raise Refused("is not yours", call="/notification/get", status=403)
        self.asked.append((set(uids), since))
        return self._ublox.information.notices(uids, since, until)


def test_a_device_that_is_refused_is_named_and_holds_no_other_back(house: House, clock: Clock) -> None:
    house.only(often(clock))
    uids = house.recruit(5)
    ublox = _Choosy(house, uids[2])
    happen(house, uids)
    for _ in range(3):
        clock.forward(minutes=15)
        house.work(ublox=ublox)
    mark = int(house.ledger.firings.marks("ublox.notices")["ublox.notices"])
    assert mark == to_us(clock() - timedelta(minutes=1)), "the others' watermark moves"
    assert ublox.asked[-1][1] == clock() - timedelta(minutes=76), "and they are asked from it"
    last = house.last("catch")
    assert last.state is FiringState.ATTENTION
    assert list(last.detail["behind"]) == list(last.detail["refused"]) == [uids[2]]
    assert f"u-blox refuses {uids[2]}, asked again from where they are" in last.reason
    assert len(receipts(house.ledger, "poll")) == 4
    clock.forward(hours=5)
    happen(house, [uids[2]])
    clock.forward(minutes=15)
    ublox.refused.clear()
    house.work(ublox=ublox)
    found = house.last("catch")
    assert (found.detail["never_pushed"], "behind" in found.detail) == (2, False), "the old notice and the new one"
    assert len(receipts(house.ledger, "poll")) == 6
    assert house.ledger.firings.marks("ublox.notices.behind") == {"ublox.notices.behind": "{}"}


def prune(house: House) -> str:
    """Have the prune of the night keep nothing for longer than a day; give what it says."""
    house.sweep()
    house.performer(retention=timedelta(days=1)).perform("ledger.prune")
    return house.last("prune-daily").reason


def test_after_an_outage_the_prune_forgets_nothing_that_is_polled_again(house: House, clock: Clock) -> None:
    """The outage was longer than the retention, and the prune comes first."""
    house.only(often(clock), schedule("prune-daily", "ledger.prune", clock(), every_seconds=86_400))
    for document in happen(house, house.recruit(1)):
        push(house.ledger, document, clock())
    clock.forward(minutes=15)
    house.work()
    clock.forward(days=3)
    assert prune(house).endswith("events since 10 May 10:14 UTC are kept: catching up may bring them again")
    house.work()
    assert house.last("catch").detail["notices"] == 1
    assert (receipts(house.ledger, "poll"), len(receipts(house.ledger, "webhook"))) == ([], 1)
    clock.forward(days=1)
    house.sweep()
    house.performer().perform(CATCH_UP)
    assert "are kept" not in prune(house)
    assert receipts(house.ledger, "webhook") == []


def test_what_a_device_that_is_behind_may_bring_again_is_not_pruned(house: House, clock: Clock) -> None:
    house.only(often(clock), schedule("prune-daily", "ledger.prune", clock(), every_seconds=86_400))
    (uid,) = house.recruit(1)
    ublox = _Choosy(house, uid)
    for document in happen(house, [uid]):
        push(house.ledger, document, clock())
    clock.forward(minutes=15)
    house.work(ublox=ublox)
    for _ in range(2):
        clock.forward(days=3)
        house.sweep()
        house.performer(ublox=ublox).perform(CATCH_UP)
    assert "are kept" in prune(house)
    clock.forward(minutes=15)
    ublox.refused.clear()
    house.work(ublox=ublox)
    assert (receipts(house.ledger, "poll"), len(receipts(house.ledger, "webhook"))) == ([], 1)


def test_a_refused_device_that_leaves_the_account_is_forgotten(house: House, clock: Clock) -> None:
    house.only(often(clock))
    uids = house.recruit(2)
    ublox = _Choosy(house, uids[0])
    clock.forward(minutes=15)
    house.work(ublox=ublox)
    assert list(house.last("catch").detail["behind"]) == [uids[0]]
    del house.twin.fleet.devices[uids[0]]
    clock.forward(minutes=15)
    house.work(ublox=ublox)
    assert "behind" not in house.last("catch").detail


def test_when_almost_everybody_is_refused_the_watermark_stays(
    house: House, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "MOST_BEHIND", 2)
    house.only(often(clock))
    uids = house.recruit(4)
    clock.forward(minutes=15)
    house.work(ublox=_Choosy(house, *uids[:3]))
    assert house.ledger.firings.marks("ublox.notices") == {}
    assert len(house.last("catch").detail["refused"]) == 3


def test_pages_are_followed_to_the_last(house: House, clock: Clock) -> None:
    house.only(often(clock))
    uids = house.recruit(1)
    for _ in range(250):
        happen(house, uids)
        clock.forward(seconds=1)
    clock.forward(minutes=15)
    house.work()
    assert len(receipts(house.ledger, "poll")) == 250


def test_a_first_run_looks_back_a_day_and_a_late_one_no_more_than_180(house: House, clock: Clock) -> None:
    house.only(often(clock))
    uids = house.recruit(1)
    happen(house, uids)
    clock.forward(days=2)
    house.work()
    assert receipts(house.ledger, "poll") == []
    clock.forward(days=300)
    house.work()
    since = datetime.fromisoformat(house.last("catch").detail["since"])
    assert since == clock() - timedelta(days=180) + timedelta(hours=1)


def test_a_notice_that_makes_no_sense_is_counted_and_sinks_no_other(house: House, clock: Clock) -> None:
    house.only(often(clock))
    uids = house.recruit(2)
    good, odd = happen(house, uids)
    odd["Payload"] = "not an object"
    clock.forward(minutes=15)
    house.work()
    found = rows(house.ledger, "SELECT state, verdict FROM events ORDER BY state")
    assert [row["state"] for row in found] == ["malformed", "planned"]
    assert "Payload must be a JSON object" in found[0]["verdict"]
    assert good["Payload"] != odd["Payload"]


@pytest.mark.parametrize("stamp", ["0001-01-01T00:00:00", "9999-12-31T23:59:59"])
def test_a_notice_of_the_first_or_last_of_all_days_is_known_and_holds_no_other_back(
    stamp: str, house: House, clock: Clock
) -> None:
    """The first is what .NET writes for no date at all."""
    house.only(often(clock))
    uids = house.recruit(2)
    odd = notices.bootstrap(house.twin.fleet.devices[uids[0]], clock()) | {"Timestamp": stamp}
    house.twin.announce(odd)
    push(house.ledger, odd | {"Timestamp": f"{stamp}Z"}, clock())
    happen(house, uids[1:])
    clock.forward(minutes=15)
    house.work()
    caught = house.last("catch")
    assert (caught.detail["notices"], caught.detail["never_pushed"]) == (2, 1)
    mark = int(house.ledger.firings.marks("ublox.notices")["ublox.notices"])
    assert mark == to_us(clock() - timedelta(minutes=1))


@pytest.mark.parametrize("value", [10**30, "half a pair \ud800"])
def test_a_notice_that_cannot_be_written_again_is_counted_and_sinks_no_other(
    house: House, clock: Clock, value: object
) -> None:
    house.only(often(clock))
    _, odd = happen(house, house.recruit(2))
    choosy = _Choosy(house)
    whole = choosy.notices

    def notices(uids: list[str], since: datetime, until: datetime) -> Any:
        for page in whole(uids, since, until):
            yield [{**one, "Payload": value} if one["ROTPublicUID"] == odd["ROTPublicUID"] else one for one in page]

    choosy.notices = notices  # type: ignore[method-assign] # the odd notice comes only this way
    clock.forward(minutes=15)
    house.sweep()
    house.performer(ublox=choosy).perform(CATCH_UP)
    assert len(receipts(house.ledger, "poll")) == 1
    assert house.last("catch").detail["unreadable"] == 1


def test_a_source_that_is_quiet_for_longer_than_usual_raises_one_alarm(house: House, clock: Clock) -> None:
    house.only(often(clock))
    uids = house.recruit(1)
    for _ in range(12):
        run_on(house, clock, minutes=30)
        house.work()
        for document in happen(house, uids):
            push(house.ledger, document, clock())
    told = []
    for _ in range(8):
        run_on(house, clock, minutes=15)
        with capture_logs() as logs:
            house.work()
        told.append([log["alert"] for log in logs if log["event"] == "alert"])
    words = "no DEVICE_BOOTSTRAP_EVENT for 1 h 15 min; its longest pause of late was 0 h 30 min"
    assert told == [[], [], [], [], [words], [], [], []]


def test_our_own_standstill_is_nobody_s_silence(house: House, clock: Clock) -> None:
    house.only(often(clock))
    uids = house.recruit(1)
    for _ in range(12):
        clock.forward(minutes=10)
        house.work()
        for document in happen(house, uids):
            push(house.ledger, document, clock())
    clock.forward(days=1)
    house.work()
    assert house.last("catch").detail["silent"] == []


def test_after_a_standstill_a_silence_is_found_as_soon_as_before(house: House, clock: Clock) -> None:
    """The day in which nothing could be pushed is no usual pause of the source."""
    house.only(often(clock))
    uids = house.recruit(1)
    for _ in range(2):
        clock.forward(days=1)
        for _ in range(12):
            clock.forward(minutes=1)
            house.sweep()
            for document in happen(house, uids):
                push(house.ledger, document, clock())
    run_on(house, clock, minutes=65)
    house.work()
    words = "no DEVICE_BOOTSTRAP_EVENT for 1 h 5 min; its longest pause of late was 0 h 1 min"
    assert house.last("catch").detail["silent"] == [words]


def test_a_receiver_that_ran_on_alone_makes_no_pause_shorter(house: House, clock: Clock) -> None:
    """Only what schedules and works stood still: the notices of that time came, and their pauses count."""
    house.only(often(clock))
    uids = house.recruit(1)
    house.sweep()
    for _ in range(12):
        clock.forward(hours=6)
        for document in happen(house, uids):
            push(house.ledger, document, clock())
    run_on(house, clock, minutes=90)
    house.work()
    assert house.last("catch").detail["silent"] == []


def test_a_source_with_few_notices_says_nothing_of_what_is_usual() -> None:
    start = datetime(2026, 5, 10, tzinfo=UTC)
    assert usual_pause([start - timedelta(hours=hour) for hour in range(10)]) is None
    assert usual_pause([start - timedelta(hours=hour) for hour in range(11)]) == timedelta(hours=1)
