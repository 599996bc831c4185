from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from infra.broker import PLAN, PREFIX
from infra.ledger import Ledger
from schemas.errors import LedgerUnavailable
from schemas.jobs import State
from services.sweep import MAX_LOSSES, RING_FOR, sweep
from tests.conftest import Clock
from tests.support.ledger import (
    DEVICE,
    OTHER,
    RENEW,
    ROTATE,
    ask,
    claim,
    claim_one,
    device,
    rows,
    settle,
    states,
    take_in,
    wish,
)
from tests.support.works import Bell, take_away


@pytest.fixture
def bell() -> Bell:
    return Bell()


def sweep_once(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    sweep(ledger, ring=bell, clock=clock)


def test_a_still_house_is_left_alone(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    with capture_logs() as logs:
        sweep_once(ledger, clock, bell)
    assert (bell.rung, logs) == ([], [])
    assert ledger.upkeep.health(clock()).last_sweep == clock()


def test_events_that_wait_ring_for_the_planner(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    take_in(ledger, clock(), 3)
    sweep_once(ledger, clock, bell)
    assert bell.rung == [(PLAN, [])]


def test_jobs_whose_time_has_come_ring_for_their_operation(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    """A message that was lost costs one sweep."""
    rotation, renewal = ask(ledger, clock(), wish(), wish(operation=RENEW))
    sweep_once(ledger, clock, bell)
    assert sorted(bell.rung) == sorted([(PREFIX + ROTATE, [rotation]), (PREFIX + RENEW, [renewal])])


def test_a_message_names_a_bounded_number_of_jobs(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    ask(ledger, clock(), *[wish(device(number)) for number in range(RING_FOR + 1)])
    sweep_once(ledger, clock, bell)
    ((_, ids),) = bell.rung
    assert len(ids) == RING_FOR == 20


def test_a_job_of_a_lost_worker_is_given_back_and_rung_for_in_the_same_sweep(
    ledger: Ledger, clock: Clock, bell: Bell
) -> None:
    (job,) = ask(ledger, clock(), wish())
    claim(ledger, clock())
    clock.forward(minutes=1)
    with capture_logs() as logs:
        sweep_once(ledger, clock, bell)
    assert bell.rung == [(PREFIX + ROTATE, [job])]
    assert [(log["event"], log["jobs"]) for log in logs] == [("jobs lost their worker", 1)]


def test_a_job_that_loses_every_worker_is_parked_with_an_error(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    job, _ = ask(ledger, clock(), wish(), wish(OTHER))
    settle(ledger, clock(), claim(ledger, clock())[1], State.SUCCEEDED)
    with capture_logs() as logs:
        for _ in range(MAX_LOSSES):
            assert states(ledger, [job]) != ["parked"]
            clock.forward(minutes=1)
            sweep_once(ledger, clock, bell)
            claim(ledger, clock())
    assert states(ledger, [job]) == ["parked"]
    (error,) = (log for log in logs if log["log_level"] == "error")
    assert error == {
        "event": "job parked",
        "job_id": job,
        "operation": ROTATE,
        "target": DEVICE,
        "because": "our_fault",
        "reason": "its worker was lost 8 times; look at the worker's log, then retry it",
        "log_level": "error",
    }


def test_an_awaiting_job_is_woken_and_rung_for_in_the_same_sweep(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    (job,) = ask(ledger, clock(), wish(operation=RENEW))
    settle(ledger, clock(), claim_one(ledger, clock(), RENEW), State.AWAITING, later=timedelta(hours=1))
    sweep_once(ledger, clock, bell)
    assert bell.rung == []
    clock.forward(hours=1)
    sweep_once(ledger, clock, bell)
    assert bell.rung == [(PREFIX + RENEW, [job])]


def test_a_doubled_sweep_changes_nothing_more(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    (job,) = ask(ledger, clock(), wish())
    claim(ledger, clock())
    clock.forward(minutes=1)
    sweep_once(ledger, clock, bell)
    sweep_once(ledger, clock, bell)
    assert states(ledger, [job]) == ["due"]
    assert len(rows(ledger, "SELECT id FROM attempts")) == 1


def test_a_fault_in_the_schedules_keeps_no_job_waiting(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    (job,) = ask(ledger, clock(), wish())

    def broken(_now: object) -> None:
        raise ValueError("such a schedule cannot be")

    with capture_logs() as logs:
        sweep(ledger, ring=bell, clock=clock, fire=broken)
    assert bell.rung == [(PREFIX + ROTATE, [job])]
    assert [log["event"] for log in logs] == ["schedules could not be fired"]
    assert ledger.upkeep.health(clock()).last_sweep == clock()


def test_a_standstill_is_noted_when_the_sweep_goes_on(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    sweep_once(ledger, clock, bell)
    since = clock.forward(minutes=5)
    sweep_once(ledger, clock, bell)
    assert ledger.upkeep.standstills() == []
    clock.forward(minutes=6)
    sweep_once(ledger, clock, bell)
    assert ledger.upkeep.standstills() == [(since, clock())]


def test_a_ledger_that_is_away_ends_the_sweep_and_the_next_one_makes_up_for_it(
    ledger: Ledger, clock: Clock, bell: Bell
) -> None:
    (job,) = ask(ledger, clock(), wish())
    take_away(ledger, times=1)
    with pytest.raises(LedgerUnavailable, match="disk is full"):
        sweep_once(ledger, clock, bell)
    sweep_once(ledger, clock, bell)
    assert bell.rung == [(PREFIX + ROTATE, [job])]
