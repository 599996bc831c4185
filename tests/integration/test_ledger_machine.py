"""Random lives of jobs, on both databases: whatever happens, no move is unlawful and nothing is lost or doubled."""

# ruff: noqa: D102 - a rule's name is its sentence

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from infra.ledger import Ledger, Plan
from infra.ledger.tables import metadata
from schemas.jobs import MOVES, Job, State
from tests.conftest import Clock
from tests.support.ledger import LEASE, RENEW, ROTATE, claim, device, rows, settle, take_in, wish

TARGETS = st.sampled_from([device(number) for number in range(3)])
OPERATIONS = st.sampled_from([ROTATE, RENEW])
DAYS = st.sampled_from([1, 7])
MAX_LOSSES = 3


class JobLives(RuleBasedStateMachine):
    """Does to the ledger what receivers, planners, workers and sweeps do, in any order."""

    ledger: Ledger

    def __init__(self) -> None:
        super().__init__()
        with self.ledger.database.writing() as connection:
            for table in metadata.sorted_tables:
                connection.execute(text(f"DELETE FROM {table.name}"))  # noqa: S608 - our own names
        self.clock = Clock()
        self.workers = 0
        self.held: list[Job] = []  # every job that any worker ever got, also those that it has lost since
        self.plans: list[Plan] = []
        self.claims = 0
        self.seen: dict[int, dict[str, Any]] = {}

    @contextmanager
    def one_move(self) -> Iterator[None]:
        """Whatever is done inside moves each job by one lawful move at most."""
        before = self.jobs()
        yield
        for number, row in self.jobs().items():
            if number not in before:
                assert row["state"] in {"due", "held"}
            elif row["state"] != before[number]["state"]:
                assert State(row["state"]) in MOVES[State(before[number]["state"])]

    def jobs(self) -> dict[int, dict[str, Any]]:
        return {row["id"]: row for row in rows(self.ledger, "SELECT * FROM jobs ORDER BY id")}

    def store(self, *plans: Plan) -> None:
        with self.one_move():
            assert self.ledger.planning.store(plans, self.clock()).events == len(plans)
        self.plans += plans

    @rule(wishes=st.lists(st.builds(wish, TARGETS, OPERATIONS, unless_under_way=st.booleans(), days=DAYS), max_size=3))
    def events_lead_to_wishes(self, wishes: list[Any]) -> None:
        events = take_in(self.ledger, self.clock(), len(wishes)) if wishes else []
        self.store(*[Plan(event_id=event, verdict="v", jobs=[job]) for event, job in zip(events, wishes, strict=True)])

    @rule(uid=TARGETS, operation=OPERATIONS)
    def an_event_confirms(self, uid: str, operation: str) -> None:
        (event,) = take_in(self.ledger, self.clock())
        self.store(Plan(event_id=event, verdict="v", confirms=[(operation, uid)], evidence={"event": event}))

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def a_plan_is_stored_again(self, data: st.DataObject) -> None:
        before = self.jobs()
        plan = data.draw(st.sampled_from(self.plans))
        assert self.ledger.planning.store([plan], self.clock()).events == 0
        assert self.jobs() == before

    @rule(operation=OPERATIONS, limit=st.integers(1, 3))
    def a_worker_claims(self, operation: str, limit: int) -> None:
        self.workers += 1
        with self.one_move():
            got = claim(self.ledger, self.clock(), operation, worker=f"worker {self.workers}", limit=limit)
        assert len(got) <= limit
        assert len({str(job.parameters) for job in got}) <= 1
        self.held += got
        self.claims += len(got)

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(),
        state=st.sampled_from(sorted(MOVES[State.RUNNING])),
        later=st.sampled_from([0, 10, 100]),
        counts=st.booleans(),
    )
    def a_worker_settles_perhaps_late(
        self,
        data: st.DataObject,
        state: State,
        later: int,
        counts: bool,  # noqa: FBT001 - drawn by name
    ) -> None:
        job = data.draw(st.sampled_from(self.held))
        before = self.jobs()
        with self.one_move():
            settle(self.ledger, self.clock(), job, state, later=timedelta(seconds=later), counts=counts)
        row = before[job.id]
        if row["state"] == "running" and row["fence"] == job.fence:
            assert self.jobs()[job.id]["state"] == state
        else:
            assert self.jobs() == before

    @precondition(lambda self: self.held)
    @rule(data=st.data(), known=st.integers())
    def a_worker_notes_perhaps_late(self, data: st.DataObject, known: int) -> None:
        job = data.draw(st.sampled_from(self.held))
        row = self.jobs()[job.id]
        ours = row["state"] == "running" and row["fence"] == job.fence
        assert self.ledger.work.note([(job, {"known": known})]) == ({job.id} if ours else set())

    @rule(number=st.integers(1, 20))
    def a_worker_extends(self, number: int) -> None:
        ids, longest = {job.id for job in self.held}, timedelta(minutes=2)
        with self.one_move():
            self.ledger.work.extend(ids, worker=f"worker {number}", now=self.clock(), lease=LEASE, longest=longest)

    @rule(seconds=st.sampled_from([1, 9, 31, 100]))
    def time_passes(self, seconds: int) -> None:
        self.clock.forward(seconds=seconds)

    @rule()
    def the_sweep_gives_back(self) -> None:
        with self.one_move():
            self.ledger.work.reclaim(self.clock(), max_losses=MAX_LOSSES)

    @rule()
    def the_sweep_wakes(self) -> None:
        with self.one_move():
            self.ledger.work.wake(self.clock())
        late = [row for row in self.jobs().values() if row["state"] == "awaiting"]
        assert all(row["not_before"] > self.clock().timestamp() * 1_000_000 for row in late)

    @invariant()
    def one_job_of_a_target_runs(self) -> None:
        running = Counter(row["lock_key"] for row in self.jobs().values() if row["state"] == "running")
        assert all(count == 1 for count in running.values())

    @invariant()
    def no_job_is_lost_and_no_fence_falls(self) -> None:
        jobs = self.jobs()
        for number, row in self.seen.items():
            assert jobs[number]["fence"] >= row["fence"]
            assert jobs[number]["target"] == row["target"]
        self.seen = jobs

    @invariant()
    def every_claim_has_one_end_or_still_runs(self) -> None:
        ends = rows(self.ledger, "SELECT job_id, fence, count(*) AS ends FROM attempts GROUP BY job_id, fence")
        running = [row for row in self.jobs().values() if row["state"] == "running"]
        assert all(end["ends"] == 1 for end in ends)
        assert len(ends) + len(running) == self.claims == sum(row["fence"] for row in self.jobs().values())

    @invariant()
    def what_stands_is_told_whole(self) -> None:
        for row in self.jobs().values():
            assert (row["worker"] is not None) is (row["lease_until"] is not None) is (row["state"] == "running")
            assert (row["parked_because"] is not None) is (row["state"] == "parked")
            assert (row["finished_at"] is not None) is (row["state"] in {"succeeded", "superseded"})
            assert 0 <= row["attempts"] <= row["fence"]
            assert row["reason"]

    @invariant()
    def every_event_was_planned_once(self) -> None:
        causes = Counter(row["event_id"] for row in self.jobs().values())
        assert all(count == 1 for count in causes.values())
        assert len(rows(self.ledger, "SELECT id FROM events WHERE state = 'planned'")) == len(self.plans)


@pytest.fixture
def lives(ledger: Ledger) -> type[JobLives]:
    return type("Lives", (JobLives,), {"ledger": ledger})


def test_whatever_happens_the_ledger_keeps_its_promises(lives: type[JobLives]) -> None:
    bounds = settings(
        max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    run_state_machine_as_test(lives, settings=bounds)
