from datetime import timedelta

import pytest

from infra.ledger import Health, Ledger, Plan
from infra.ledger.upkeep import MOST_STANDSTILLS
from schemas.jobs import State
from tests.conftest import Clock
from tests.support.ledger import (
    RENEW,
    arrival,
    ask,
    attempt_rows,
    claim,
    claim_one,
    confirm,
    device,
    job_row,
    rows,
    settle,
    states,
    take_in,
    wish,
)

KEEP = timedelta(days=30)


def test_an_empty_ledger_has_nothing_to_tell(ledger: Ledger, clock: Clock) -> None:
    assert ledger.upkeep.health(clock()) == Health(
        oldest_due=None, oldest_unplanned=None, last_sweep=None, parked_jobs=0, faulty_events=0
    )


def test_health_tells_the_age_of_what_waits(ledger: Ledger, clock: Clock) -> None:
    due = clock()
    ask(ledger, due, wish())
    unplanned = clock.forward(minutes=1)
    take_in(ledger, unplanned, 2)
    swept = clock.forward(minutes=1)
    ledger.upkeep.note("last_sweep", swept)
    assert ledger.upkeep.health(clock()) == Health(
        oldest_due=due, oldest_unplanned=unplanned, last_sweep=swept, parked_jobs=0, faulty_events=0
    )


def test_health_counts_what_waits_for_a_person(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), *[wish(device(number)) for number in range(3)])
    parked, retried, _ = claim(ledger, clock())
    settle(ledger, clock(), parked, State.PARKED)
    settle(ledger, clock(), retried, State.DUE)
    faulty, sound = take_in(ledger, clock(), 2)
    plans = [Plan(event_id=faulty, verdict="v", fault=True), Plan(event_id=sound, verdict="v")]
    ledger.planning.store(plans, clock())
    health = ledger.upkeep.health(clock())
    assert (health.parked_jobs, health.faulty_events) == (1, 1)


def test_a_job_that_rests_does_not_count_as_waiting(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish())
    settle(ledger, clock(), claim_one(ledger, clock()), State.DUE, later=timedelta(hours=1))
    assert ledger.upkeep.health(clock()).oldest_due is None
    assert ledger.upkeep.health(clock() + timedelta(hours=2)).oldest_due == clock() + timedelta(hours=1)


def test_a_note_remembers_when_something_last_happened(ledger: Ledger, clock: Clock) -> None:
    assert ledger.upkeep.noted("last_prune") is None
    ledger.upkeep.note("last_prune", clock())
    ledger.upkeep.note("last_prune", clock.forward(hours=1))
    assert ledger.upkeep.noted("last_prune") == clock()


def test_the_latest_standstills_are_remembered(ledger: Ledger, clock: Clock) -> None:
    stood = []
    for _ in range(MOST_STANDSTILLS + 2):
        since = clock()
        ledger.upkeep.note_standstill(since, clock.forward(minutes=6))
        ledger.upkeep.note_standstill(since, clock.forward(minutes=1))  # its first sweep did not come to its end
        stood.append((since, clock()))
    assert ledger.upkeep.standstills() == stood[:1:-1]


def test_finished_work_is_deleted_with_its_history_when_it_is_old(ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), wish())
    settle(ledger, clock(), claim_one(ledger, clock()), State.SUCCEEDED)
    assert ledger.upkeep.prune(clock.forward(days=30), keep=KEEP) == 0
    assert ledger.upkeep.prune(clock.forward(seconds=1), keep=KEEP) == 2  # the job and its event
    assert (
        rows(ledger, "SELECT id FROM jobs") == rows(ledger, "SELECT id FROM events") == attempt_rows(ledger, job) == []
    )


def test_a_superseded_job_is_finished_too(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish(days=1))
    (kept,) = ask(ledger, clock(), wish(days=2))
    ledger.upkeep.prune(clock.forward(days=31), keep=KEEP)
    assert [row["id"] for row in rows(ledger, "SELECT id FROM jobs")] == [kept]


@pytest.mark.parametrize("state", [State.RUNNING, State.AWAITING, State.DUE, State.PARKED])
def test_open_and_parked_work_stays_whatever_its_age_and_so_does_its_event(
    ledger: Ledger, clock: Clock, state: State
) -> None:
    (job,) = ask(ledger, clock(), wish())
    (claimed,) = claim(ledger, clock())
    if state is not State.RUNNING:
        settle(ledger, clock(), claimed, state)
    assert ledger.upkeep.prune(clock.forward(days=3650), keep=KEEP) == 0
    assert states(ledger, [job]) == [state]
    assert job_row(ledger, job)["event_id"] in [row["id"] for row in rows(ledger, "SELECT id FROM events")]


def test_an_event_that_open_work_served_or_that_confirmed_it_stays(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish(operation=RENEW))
    ask(ledger, clock(), wish(operation=RENEW))  # served by the first
    settle(ledger, clock(), claim_one(ledger, clock(), RENEW), State.AWAITING, later=timedelta(days=1))
    confirm(ledger, clock())
    ledger.upkeep.prune(clock.forward(days=3650), keep=KEEP)
    assert len(rows(ledger, "SELECT id FROM events")) == 3


def test_events_that_led_to_nothing_are_deleted_but_not_those_that_wait(ledger: Ledger, clock: Clock) -> None:
    planned, waiting = take_in(ledger, clock(), 2)
    ledger.planning.store([Plan(event_id=planned, verdict="no rule matches")], clock())
    ledger.inbox.accept([arrival(clock(), fault="not JSON")])
    assert ledger.upkeep.prune(clock.forward(days=31), keep=KEEP) == 2
    assert [row["id"] for row in rows(ledger, "SELECT id FROM events")] == [waiting]


def test_an_event_that_could_not_be_planned_is_kept_until_somebody_looks(ledger: Ledger, clock: Clock) -> None:
    (faulty,) = take_in(ledger, clock())
    ledger.planning.store([Plan(event_id=faulty, verdict="could not be planned", fault=True)], clock())
    assert ledger.upkeep.prune(clock.forward(days=3650), keep=KEEP) == 0
    assert [row["id"] for row in rows(ledger, "SELECT id FROM events")] == [faulty]


def test_a_number_that_was_deleted_is_never_given_again(ledger: Ledger, clock: Clock) -> None:
    """Logs and receipts name jobs and events by their numbers."""
    (job,) = ask(ledger, clock(), wish())
    settle(ledger, clock(), claim_one(ledger, clock()), State.SUCCEEDED)
    ledger.upkeep.prune(clock.forward(days=31), keep=KEEP)
    assert ask(ledger, clock(), wish()) == [job + 1]


def test_a_large_harvest_is_brought_in_by_and_by(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), *[wish(device(number)) for number in range(7)])
    for job in claim(ledger, clock()):
        settle(ledger, clock(), job, State.SUCCEEDED)
    clock.forward(days=31)
    assert [ledger.upkeep.prune(clock(), keep=KEEP, limit=3) for _ in range(5)] == [6, 6, 2, 0, 0]
