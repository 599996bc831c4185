"""Beats fire moments, workers do them: once each, whatever is doubled, lost or late."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from structlog.testing import capture_logs

from infra.ledger import Effects, FiringLost, Ledger, Plan, Planned
from schemas.errors import Refused, TryAgain
from schemas.fleet import Fleet
from schemas.rhythm import CAP
from schemas.schedules import Firing, FiringState, Schedule, Spec
from services.schedules import Beat, Wanted
from services.schedules.shipped import SHIPPED, respecified
from tests.conftest import Clock
from tests.support.ledger import rows, take_in, wish
from tests.support.rounds import LEASE, House, housed, playbook_of, rung, schedule

if TYPE_CHECKING:
    from services.clients.ublox import Ublox

PRUNE = "ledger.prune"


@pytest.fixture
def house(ledger: Ledger, clock: Clock) -> Iterator[House]:
    with housed(ledger, clock) as house:
        yield house


def states(house: House, name: str) -> list[str]:
    """How the firings of a schedule stand, oldest first."""
    return [firing.state.value for firing in reversed(house.ledger.firings.of(name, 1_000))]


def beat(house: House) -> Beat:
    return Beat(house.ledger, ring=house.bell, wanted=lambda _known, _now: ())


def test_the_shipped_schedules_are_there_at_the_first_sweep_and_never_written_again(house: House, clock: Clock) -> None:
    house.sweep()
    assert {one.name for one in house.ledger.schedules.all()} == set(SHIPPED)
    (prune,) = [one for one in house.ledger.schedules.all() if one.name == "prune"]
    mine = respecified(prune, Spec(cron="0 12 * * *", timezone="Europe/Paris"), clock(), enabled=False)
    with house.ledger.database.writing() as connection:
        assert house.ledger.schedules.change(connection, mine)
    house.sweep()
    assert house.ledger.schedules.find("prune") == replace(mine, revision=2)


def test_a_moment_fires_rings_and_is_done(house: House, clock: Clock) -> None:
    house.only(schedule("often", PRUNE, clock(), every_seconds=60))
    house.sweep()
    assert rung(house.bell) == [PRUNE]
    assert states(house, "often") == ["waiting"]
    house.performer().perform(PRUNE)
    assert states(house, "often") == ["succeeded"]
    assert house.last("often").reason == "0 rows and 0 firings deleted"
    found = house.ledger.schedules.find("often")
    assert found is not None
    assert found.next_due == clock() + timedelta(minutes=1)


def test_any_number_of_beats_and_workers_fire_and_do_a_moment_once(house: House, clock: Clock) -> None:
    house.only(*(schedule(f"s{number}", PRUNE, clock(), every_seconds=60) for number in range(5)))
    with ThreadPoolExecutor(6) as threads:
        for _ in range(3):
            list(threads.map(lambda _: beat(house)(clock()), range(6)))
        done = list(threads.map(lambda _: house.performer().perform(PRUNE), range(6)))
    assert sum(done) == 5
    assert [states(house, f"s{number}") for number in range(5)] == [["succeeded"]] * 5
    assert all(house.last(f"s{number}").detail["attempt"] == 1 for number in range(5))


@pytest.mark.parametrize(
    ("policy", "fired", "told"),
    [("skip", 0, 24), ("once", 1, 23), ("all", 24, None)],
)
def test_missed_moments_come_to_what_the_policy_says(
    policy: str, fired: int, told: int | None, house: House, clock: Clock
) -> None:
    """A day and a half hour pass; the latest moment is half an hour ago."""
    house.only(schedule("hourly", PRUNE, clock(), due_in=timedelta(hours=1), every_seconds=3600, catch_up=policy))
    clock.forward(hours=24, minutes=30)
    with capture_logs() as logs:
        house.sweep()
    firings = house.ledger.firings.of("hourly", 100)
    assert sum(firing.state is FiringState.WAITING for firing in firings) == fired
    assert firings[0].detail.get("not_fired") == told
    assert [log["moments"] for log in logs if log["event"] == "a schedule was missed"] == [24]
    house.performer().perform(PRUNE)
    house.work()
    assert sum(firing.state is FiringState.SUCCEEDED for firing in house.ledger.firings.of("hourly", 100)) == fired


def test_a_moment_that_is_only_a_little_late_is_not_missed(house: House, clock: Clock) -> None:
    house.only(schedule("hourly", PRUNE, clock(), every_seconds=3600, catch_up="skip"))
    clock.forward(minutes=4)
    house.sweep()
    assert states(house, "hourly") == ["waiting"]


def test_all_missed_moments_fire_up_to_a_cap_and_the_rest_is_told(house: House, clock: Clock) -> None:
    house.only(schedule("often", PRUNE, clock(), every_seconds=60, catch_up="all"))
    clock.forward(hours=24)
    house.sweep()
    firings = house.ledger.firings.of("often", 1_000)
    assert len(firings) == CAP == 100
    assert firings[0].detail["not_fired"] == 1441 - CAP
    assert "1441 moments had come" in firings[0].detail["missed"]
    assert house.performer().perform(PRUNE) == CAP


def test_a_queue_without_a_worker_does_not_fill(house: House, clock: Clock) -> None:
    house.only(schedule("often", PRUNE, clock(), every_seconds=60))
    for _ in range(5):
        house.sweep()
        clock.forward(minutes=1)
    assert states(house, "often") == ["skipped"] * 4 + ["waiting"]
    assert "no worker came" in house.ledger.firings.of("often", 2)[1].reason


def test_a_lost_worker_s_firing_goes_to_another_and_the_late_one_writes_nothing(house: House, clock: Clock) -> None:
    house.only(schedule("often", PRUNE, clock(), every_seconds=3600))
    house.sweep()
    ledger = house.ledger
    first = ledger.firings.claim(PRUNE, worker="lost", now=clock(), lease=LEASE)
    assert first is not None
    assert ledger.firings.claim(PRUNE, worker="other", now=clock(), lease=LEASE) is None
    clock.forward(seconds=31)
    second = ledger.firings.claim(PRUNE, worker="other", now=clock(), lease=LEASE)
    assert second is not None
    assert second.detail["attempt"] == 2
    effects = Effects(plans=[Plan(event_id=None, verdict="", jobs=[wish()])], marks={"mine": "late"})
    with pytest.raises(FiringLost):
        ledger.firings.move(first, FiringState.SUCCEEDED, {"kind": PRUNE}, effects, clock())
    assert rows(ledger, "SELECT id FROM jobs") == []
    ledger.firings.move(second, FiringState.SUCCEEDED, {"kind": PRUNE}, effects, clock())
    assert len(rows(ledger, "SELECT id FROM jobs WHERE event_id IS NULL")) == 1
    assert ledger.firings.marks("mine") == {"mine": "late"}


def test_what_a_firing_causes_is_committed_with_it_or_not_at_all(house: House, clock: Clock) -> None:
    house.only(schedule("often", PRUNE, clock(), every_seconds=3600))
    house.sweep()
    firing = house.ledger.firings.claim(PRUNE, worker="worker", now=clock(), lease=LEASE)
    assert firing is not None
    broken = Effects(plans=[Plan(event_id=None, verdict="", jobs=[wish()])], marks={"a": cast("str", None)})
    with pytest.raises(Exception, match=r"(?i)null"):
        house.ledger.firings.move(firing, FiringState.SUCCEEDED, {"kind": PRUNE}, broken, clock())
    assert rows(house.ledger, "SELECT id FROM jobs") == []
    assert states(house, "often") == ["running"]


def test_a_lease_is_renewed_while_the_work_lasts(house: House, clock: Clock) -> None:
    house.only(schedule("often", "ublox.scan_clones", clock(), every_seconds=3600))
    house.sweep()
    performer = house.performer()

    class Slow:
        def walk(self) -> Iterator[str]:
            clock.forward(seconds=25)
            performer.keep_leases()
            clock.forward(seconds=25)
            assert house.ledger.firings.ready(clock()) == []
            return iter(())

    performer._means = replace(house.means, ublox=cast("Ublox", SimpleNamespace(devices=Slow())))  # noqa: SLF001 - one slow call is all it needs
    performer.perform("ublox.scan_clones")
    assert states(house, "often") == ["succeeded"]


def test_passing_trouble_is_tried_again_and_then_told(house: House, clock: Clock) -> None:
    house.only(schedule("often", "ublox.scan_clones", clock(), every_seconds=3600))
    house.sweep()
    house.turn(error_rate=1)
    for attempt in (1, 2):
        house.performer().perform("ublox.scan_clones")
        assert house.last("often").state is FiringState.WAITING
        assert "answered 503" in house.last("often").reason
        assert house.last("often").detail["attempt"] == attempt
        assert house.performer().perform("ublox.scan_clones") == 0  # not before its time
        clock.forward(seconds=60)
    house.performer().perform("ublox.scan_clones")
    assert states(house, "often") == ["failed"]
    assert house.last("often").reason.endswith("(after 3 attempts)")


def test_it_is_tried_no_longer_than_until_the_next_moment(house: House, clock: Clock) -> None:
    house.only(schedule("often", "ublox.scan_clones", clock(), every_seconds=10))
    house.sweep()

    class Away:
        def walk(self) -> Iterator[str]:
            raise TryAgain("u-blox is away", call="/device/list/get", retry_after=11)

    house.performer(ublox=SimpleNamespace(devices=Away())).perform("ublox.scan_clones")
    assert states(house, "often") == ["failed"]


def test_a_refusal_is_told_at_once(house: House, clock: Clock) -> None:
    house.only(schedule("often", "ublox.scan_clones", clock(), every_seconds=3600))
    house.sweep()

    class Refusing:
        def walk(self) -> Iterator[str]:
            raise Refused("the quota is spent", call="/device/list/get", status=403)

    with capture_logs() as logs:
        house.performer(ublox=SimpleNamespace(devices=Refusing())).perform("ublox.scan_clones")
    assert (states(house, "often"), house.last("often").reason) == (["failed"], "the quota is spent")
    assert ("schedule failed", "error") in [(log["event"], log["log_level"]) for log in logs]


def test_our_own_fault_is_told_without_what_it_quotes(house: House, clock: Clock) -> None:
    house.only(schedule("often", "ublox.scan_clones", clock(), every_seconds=10))
    house.sweep()

    class Broken:
        def walk(self) -> Iterator[str]:
            raise ZeroDivisionError("secret words")

    house.performer(ublox=SimpleNamespace(devices=Broken())).perform("ublox.scan_clones")
    clock.forward(seconds=60)
    house.performer(ublox=SimpleNamespace(devices=Broken())).perform("ublox.scan_clones")
    assert "ZeroDivisionError" in house.last("often").reason
    assert "secret" not in str(house.last("often").detail)


def test_wrong_parameters_are_told_with_their_place(house: House, clock: Clock) -> None:
    wrong = schedule("odd", "ublox.catch_up", clock(), every_seconds=60, parameters={"overlap": 3})
    unknown = schedule("who", "ublox.sing", clock(), every_seconds=60)
    house.only(wrong, unknown)
    house.sweep()
    house.performer().perform("ublox.catch_up")
    assert "parameters.overlap" in house.last("odd").reason


def test_the_prune_of_the_night_deletes_what_is_old(house: House, clock: Clock) -> None:
    for event in take_in(house.ledger, clock(), 1_001):
        house.ledger.planning.store([Plan(event_id=event, verdict="no rule matches")], clock())
    clock.forward(days=91)
    house.only(schedule("often", PRUNE, clock(), every_seconds=60))
    house.work()
    assert rows(house.ledger, "SELECT id FROM events") == []
    assert house.last("often").detail["rows"] == 1_001


RULES = """
version = 1

[[rules]]
name = "weekly"
on = {{ schedule = "0 3 * * 1", timezone = "Europe/Paris", jitter_seconds = 600{more} }}
{effect}
"""


def rules(effect: str = '[[rules.do]]\noperation = "ublox.rotate_e2e_key"', more: str = "") -> str:
    return RULES.format(effect=effect, more=more)


def monday(clock: Clock) -> None:
    """Half a minute after three on Monday morning in Paris; the tests begin on a Sunday noon."""
    clock.forward(hours=13, seconds=30)


def fleet(devices: list[str]) -> Fleet:
    return Fleet.model_validate({"version": 1, "sites": [{"name": "one", "devices": devices}]})


def test_a_rule_with_a_schedule_asks_for_its_work_on_the_whole_fleet(ledger: Ledger, clock: Clock) -> None:
    devices = [f"{number:016x}" for number in range(1, 1_201)]
    with housed(ledger, clock, playbook=rules()) as house:
        house.sweep()
        assert ledger.schedules.find("rule:weekly") is not None
        monday(clock)
        house.sweep()
        due = house.last("rule:weekly").due_at
        house.performer(fleet=lambda: fleet(devices)).perform("playbook.rule")
        assert house.last("rule:weekly").reason == "asked for 1200 jobs on 1200 targets"
    jobs = rows(ledger, "SELECT target, rule, not_before FROM jobs")
    assert sorted(job["target"] for job in jobs) == devices
    assert {job["rule"] for job in jobs} == {"weekly"}
    spread = [job["not_before"] for job in jobs]
    assert max(spread) - min(spread) > timedelta(minutes=8) / timedelta(microseconds=1)
    assert due + timedelta(minutes=10) > clock()


def test_a_rule_whose_worker_died_half_way_goes_on_and_asks_for_nothing_twice(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [f"{number:016x}" for number in range(1, 1_201)]
    with housed(ledger, clock, playbook=rules()) as house:
        house.sweep()
        monday(clock)
        house.sweep()
        moves, move = iter((True, False)), ledger.firings.move

        def dies(
            firing: Firing, state: FiringState, detail: Mapping[str, Any], effects: Effects, now: datetime
        ) -> tuple[Firing, Planned]:
            if not next(moves):
                raise KeyboardInterrupt
            return move(firing, state, detail, effects, now)

        with monkeypatch.context() as patched:
            patched.setattr(ledger.firings, "move", dies)  # the process is gone before its second commit
            with pytest.raises(KeyboardInterrupt):
                house.performer(fleet=lambda: fleet(devices)).perform("playbook.rule")
        assert len(rows(ledger, "SELECT id FROM jobs")) == 500
        clock.forward(minutes=1)
        house.performer(fleet=lambda: fleet(devices)).perform("playbook.rule")
        assert house.last("rule:weekly").reason == "asked for 1200 jobs on 1200 targets"
    assert sorted(row["target"] for row in rows(ledger, "SELECT target FROM jobs")) == devices


def test_a_rule_may_raise_an_alert_on_its_schedule(ledger: Ledger, clock: Clock) -> None:
    with housed(ledger, clock, playbook=rules('alert = "look at the stock"')) as house, capture_logs() as logs:
        house.sweep()
        monday(clock)
        house.work()
        assert house.last("rule:weekly").state is FiringState.ATTENTION
    assert [log["alert"] for log in logs if log["event"] == "alert"] == ["look at the stock"]


def test_the_schedules_of_rules_follow_the_playbook(ledger: Ledger, clock: Clock) -> None:
    with housed(ledger, clock, playbook=rules()) as house:
        house.sweep()
        house.playbook = playbook_of(rules(more=', catch_up = "all"'))
        house.sweep()
        found = ledger.schedules.find("rule:weekly")
        assert found is not None
        assert found.spec.catch_up == "all"
        house.playbook = playbook_of()
        house.sweep()
        assert ledger.schedules.find("rule:weekly") is None


def test_a_rule_that_changes_what_it_does_still_fires_what_was_missed(ledger: Ledger, clock: Clock) -> None:
    """The house stands still over two Mondays, and comes back with another playbook."""
    with housed(ledger, clock, playbook=rules()) as house:
        house.sweep()
        clock.forward(days=8)
        house.playbook = playbook_of(rules(more=', catch_up = "all"'))
        house.sweep()
        assert states(house, "rule:weekly") == ["waiting", "waiting"]


def test_a_beat_that_brings_a_rule_up_to_date_takes_no_moment_back(ledger: Ledger, clock: Clock) -> None:
    """Between its look and its change another beat has fired the moment that it saw."""
    with housed(ledger, clock, playbook=rules()) as house:
        house.sweep()
        seen = {one.name: one for one in ledger.schedules.all()}
        monday(clock)
        house.sweep()
        changed = playbook_of(rules(more=', catch_up = "all"'))
        for _ in range(2):
            list(Wanted(ledger, lambda: changed)(seen, clock()))
        found = ledger.schedules.find("rule:weekly")
        assert found is not None
        assert (found.spec.catch_up, found.revision) == ("all", 2)
        assert found.next_due == house.last("rule:weekly").due_at + timedelta(days=7)


def test_a_job_that_is_to_begin_later_holds_up_nobody(house: House, clock: Clock) -> None:
    later = replace(wish(), not_before=clock() + timedelta(hours=1))
    plans = [Plan(event_id=None, verdict="", jobs=[later])]
    with house.ledger.database.writing() as connection:
        house.ledger.planning.add(connection, plans, clock())
        urgent = [Plan(event_id=None, verdict="", jobs=[wish(days=3)])]
        house.ledger.planning.add(
            connection, [replace(urgent[0], jobs=[wish(operation="ublox.renew_certificate")])], clock()
        )
    claimed = house.ledger.work.claim("ublox.renew_certificate", worker="w", now=clock(), lease=LEASE, limit=10)
    assert len(claimed) == 1
    assert house.ledger.work.claim("ublox.rotate_e2e_key", worker="w", now=clock(), lease=LEASE, limit=10) == []


def test_a_schedule_that_cannot_be_read_keeps_no_other_waiting(house: House, clock: Clock) -> None:
    odd = schedule("odd", PRUNE, clock(), every_seconds=60)
    house.only(replace(odd, spec=Spec(cron="61 * * * *")), schedule("often", PRUNE, clock(), every_seconds=60))
    with capture_logs() as logs:
        house.sweep()
    assert states(house, "often") == ["waiting"]
    assert [log["schedule"] for log in logs if log["event"] == "a schedule cannot be read"] == ["odd"]


def test_a_beat_that_comes_late_to_a_changed_schedule_fires_nothing(house: House, clock: Clock) -> None:
    house.only(schedule("often", PRUNE, clock(), every_seconds=60))
    seen = house.ledger.schedules.find("often")
    assert isinstance(seen, Schedule)
    house.sweep()
    firing = house.last("often")
    assert not house.ledger.schedules.fire(seen, [firing], clock() + timedelta(hours=1))
    assert states(house, "often") == ["waiting"]


def test_wanted_without_a_playbook_gives_the_shipped_ones(ledger: Ledger, clock: Clock) -> None:
    assert {one.name for one in Wanted(ledger)({}, clock())} == set(SHIPPED)
