"""Wishes for one target in any order: what was wished last is what is true in the end, on both databases."""

# ruff: noqa: D102 - a rule's name is its sentence

import itertools
from datetime import datetime, time, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from infra.ledger import Ledger, Plan
from infra.ledger.foresight import foresee
from infra.ledger.spending import terms_of, unused
from infra.ledger.steering import Order, Steer, Unlawful, steer
from schemas.jobs import NewJob, State
from schemas.limits import Approval, Budget, Limits, Window
from tests.conftest import Clock
from tests.support.ledger import DEVICE, RENEW, claim, rows, settle, states

NIGHT = Limits(window=Window(opens=time(2), closes=time(5), timezone="UTC"))
TERMS = {"none": None, "night": NIGHT, "person": Limits(approval=Approval(role="operator"))}


def wished(days: int, limits: Limits | None = None) -> NewJob:
    return NewJob(operation=RENEW, target=DEVICE, parameters={"validity_days": days}, limits=limits)


def add(ledger: Ledger, clock: Clock, *jobs: NewJob) -> int | None:
    """Plan wishes in one batch; give the newest job, if that made one."""
    with ledger.database.writing() as connection:
        made = ledger.planning.add(connection, [Plan(event_id=None, verdict="", jobs=jobs)], clock()).made
    return int(rows(ledger, "SELECT max(id) AS id FROM jobs")[0]["id"]) if made else None


def run_all(ledger: Ledger, clock: Clock) -> list[int]:
    """Open every window and run whatever can run; give the days that were set, in order."""
    clock.now = datetime.fromisoformat("2026-05-11T02:00:01+00:00")
    ledger.holding.look(clock())
    done = []
    while got := claim(ledger, clock(), RENEW):
        for job in got:
            done.append(job.parameters["validity_days"])
            settle(ledger, clock(), job, State.SUCCEEDED)
    return done


@pytest.mark.parametrize("terms", ["none", "night"])
def test_a_due_job_serves_a_newer_wish_only_together_with_the_place_of_what_came_between(
    ledger: Ledger, clock: Clock, terms: str
) -> None:
    first, second = add(ledger, clock, wished(365)), add(ledger, clock, wished(30, NIGHT))
    assert first is not None
    assert second is not None
    (foreseen,) = foresee(ledger.database, [wished(365, TERMS[terms])], clock())
    assert (foreseen.then, foreseen.job, foreseen.supersedes) == ("served", first, [second])
    assert add(ledger, clock, wished(365, TERMS[terms])) is None
    assert states(ledger, [first, second]) == ["due", "superseded"]
    assert run_all(ledger, clock) == [365]


def test_in_one_batch_what_was_wished_last_comes_last(ledger: Ledger, clock: Clock) -> None:
    add(ledger, clock, wished(365), wished(30), wished(365))
    assert run_all(ledger, clock) == [365, 30, 365]


def test_what_was_tried_meanwhile_cannot_give_way_so_the_newest_wish_gets_a_job(ledger: Ledger, clock: Clock) -> None:
    late = NewJob(
        operation=RENEW, target=DEVICE, parameters={"validity_days": 365}, not_before=clock() + timedelta(hours=1)
    )
    first, second = add(ledger, clock, late), add(ledger, clock, wished(30, NIGHT))
    assert first is not None
    assert second is not None
    clock.now = datetime.fromisoformat("2026-05-11T02:00:01+00:00")
    ledger.holding.look(clock())
    with ledger.database.writing() as connection:  # as when the first had waited longer
        connection.execute(text("UPDATE jobs SET not_before = not_before * 2 WHERE id = :id"), {"id": first})
    (job,) = claim(ledger, clock(), RENEW)
    settle(ledger, clock(), job, State.DUE, later=timedelta(minutes=1))
    third = add(ledger, clock, wished(365))
    assert third is not None
    assert states(ledger, [first, second, third]) == ["superseded", "due", "due"]


class Wishes(RuleBasedStateMachine):
    """Wishes, sweeps, workers and a person's cancel, in any order, for one target."""

    ledger: Ledger

    def __init__(self) -> None:
        super().__init__()
        with self.ledger.database.writing() as connection:
            for table in ("jobs", "attempts", "spending"):
                connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - our own names
        self.clock = Clock()
        self.newest: int | None = None  # what was wished last by somebody whom no other word is waited for

    @rule(days=st.sampled_from([30, 365]), terms=st.sampled_from(["none", "night", "budget"]))
    def somebody_wishes(self, days: int, terms: str) -> None:
        limits = Limits(budget=Budget(jobs=2, per="hour")) if terms == "budget" else TERMS[terms]
        (foreseen,) = foresee(self.ledger.database, [wished(days, limits)], self.clock())
        made = add(self.ledger, self.clock, wished(days, limits))
        assert (foreseen.then == "served") is (made is None), "a dry run tells what follows"
        gone = rows(self.ledger, "SELECT id FROM jobs WHERE state = 'superseded'")
        assert set(foreseen.supersedes) <= {row["id"] for row in gone}
        if made is not None:
            assert states(self.ledger, [made]) == [foreseen.then]
        self.newest = days

    @rule(hours=st.sampled_from([1, 5, 13]))
    def time_passes_and_the_sweep_looks(self, hours: int) -> None:
        self.ledger.holding.look(self.clock.forward(hours=hours))

    @rule(state=st.sampled_from([State.SUCCEEDED, State.PARKED]))
    def a_worker_works(self, state: State) -> None:
        for job in claim(self.ledger, self.clock(), RENEW, limit=1):
            settle(self.ledger, self.clock(), job, state)

    @rule(data=st.data(), what=st.sampled_from([Steer.RETRY, Steer.CANCEL]))
    def a_person_steers(self, data: st.DataObject, what: Steer) -> None:
        jobs = rows(self.ledger, "SELECT id FROM jobs WHERE state IN ('held', 'due', 'parked') ORDER BY id")
        if not jobs:
            return
        job = data.draw(st.sampled_from([row["id"] for row in jobs]))
        try:
            with self.ledger.database.writing() as connection:
                steer(connection, Order(job=job, steer=what, actor="key:x"), self.clock())
        except Unlawful:
            return
        self.newest = None  # a person has changed what is wished

    @invariant()
    def no_two_neighbours_in_line_wait_for_the_same(self) -> None:
        line = rows(self.ledger, "SELECT parameters FROM jobs WHERE state IN ('held', 'due') AND fence = 0 ORDER BY id")
        assert all(one != other for one, other in itertools.pairwise(line))

    @invariant()
    def what_is_wished_last_is_last_in_line(self) -> None:
        line = rows(self.ledger, "SELECT parameters FROM jobs WHERE state IN ('held', 'due') AND fence = 0 ORDER BY id")
        if self.newest is not None and line:
            assert line[-1]["parameters"] == f'{{"validity_days":{self.newest}}}'

    @invariant()
    def what_is_counted_ran_or_will(self) -> None:
        counted = int(rows(self.ledger, "SELECT coalesce(sum(jobs), 0) AS jobs FROM spending")[0]["jobs"])
        jobs = rows(self.ledger, "SELECT * FROM jobs")
        waiting = [row for row in jobs if row["state"] in {"held", "due"}]
        unspent = [row for row in waiting if unused(terms_of(row["hold"], row["created_at"]), row["fence"]) is not None]
        assert counted == sum(row["fence"] for row in jobs) + len(unspent)


def test_whatever_is_wished_order_and_budget_hold(ledger: Ledger) -> None:
    machine = type("OfLedger", (Wishes,), {"ledger": ledger})
    bounds = settings(
        max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    run_state_machine_as_test(machine, settings=bounds)
