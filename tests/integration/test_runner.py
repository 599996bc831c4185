import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from infra.broker import PREFIX
from infra.ledger import Ledger, Plan
from schemas.errors import Busy, LedgerUnavailable, OurFault, Refused, TryAgain, UpstreamError
from schemas.jobs import Again, Awaiting, Done, Job, Outcome, Parked, ParkedBecause
from tests.conftest import Clock
from tests.support.ledger import (
    DEVICE,
    OTHER,
    ROTATE,
    ask,
    attempt_rows,
    claim,
    device,
    job_row,
    rows,
    states,
    take_in,
    wish,
)
from tests.support.works import Bell, Obedient, OneByOne, done, make_runner, take_away

RING = PREFIX + ROTATE


def failing(error: Exception) -> Obedient:
    def fail(_jobs: Sequence[Job]) -> Mapping[int, Outcome]:
        raise error

    return Obedient(fail)


def answering(outcome: Outcome) -> Obedient:
    return Obedient(lambda jobs: {job.id: outcome for job in jobs})


@pytest.fixture
def bell() -> Bell:
    return Bell()


def test_a_due_job_is_carried_out_and_settled(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    (job,) = ask(ledger, clock(), wish())
    operation = Obedient()
    assert make_runner(ledger, clock, operation, bell).perform(ROTATE) == 1
    row = job_row(ledger, job)
    assert (row["state"], row["reason"], operation.batches) == ("succeeded", "it is so", [[DEVICE]])
    assert bell.rung == []


def test_a_ring_for_nothing_does_nothing(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    operation = Obedient()
    assert make_runner(ledger, clock, operation, bell).perform(ROTATE) == 0
    assert (operation.batches, bell.rung) == ([], [])


@pytest.mark.parametrize(
    ("outcome", "state", "because"),
    [
        (Done(note="n"), "succeeded", None),
        (Again(reason="r", after=60.0), "due", None),
        (Again(reason="r", counts=False), "due", None),
        (Parked(reason="r", because=ParkedBecause.REFUSED), "parked", "refused"),
        (Parked(reason="r", because=ParkedBecause.EXHAUSTED), "parked", "exhausted"),
        (Parked(reason="r", because=ParkedBecause.OUR_FAULT), "parked", "our_fault"),
    ],
)
def test_every_outcome_is_settled(
    ledger: Ledger, clock: Clock, bell: Bell, outcome: Outcome, state: str, because: str | None
) -> None:
    (job,) = ask(ledger, clock(), wish())
    make_runner(ledger, clock, answering(outcome), bell).perform(ROTATE)
    row = job_row(ledger, job)
    assert (row["state"], row["parked_because"]) == (state, because)
    assert [attempt["outcome"] for attempt in attempt_rows(ledger, job)] == [state]


def test_an_awaiting_job_keeps_its_progress_for_the_next_look(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    (job,) = ask(ledger, clock(), wish())
    outcome = Awaiting(reason="heartbeat", look_at=clock() + timedelta(hours=1), progress={"asked": "taken"})
    make_runner(ledger, clock, answering(outcome), bell).perform(ROTATE)
    assert states(ledger, [job]) == ["awaiting"]
    ledger.work.wake(clock.forward(hours=1))
    assert claim(ledger, clock())[0].progress == {"asked": "taken"}


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (TryAgain("answered 503", call="/x", status=503), "due", "answered 503; next attempt"),
        (Busy("update under way", call="/x", status=409), "due", "update under way; next attempt 10 May 13:00:00"),
        (Refused("no", call="/x", status=400), "parked", "no"),
        (OurFault("who are you?", call="/x", status=401), "due", "who are you?; next attempt"),
    ],
)
def test_an_upstream_that_fails_holds_for_every_job_of_the_batch(
    ledger: Ledger, clock: Clock, bell: Bell, error: UpstreamError, state: str, reason: str
) -> None:
    jobs = ask(ledger, clock(), wish(), wish(OTHER))
    make_runner(ledger, clock, failing(error), bell).perform(ROTATE)
    for job in jobs:
        row = job_row(ledger, job)
        assert row["state"] == state
        assert row["reason"].startswith(reason)
        assert attempt_rows(ledger, job)[0]["upstream_status"] == error.status


def test_an_operation_that_breaks_is_our_fault_and_is_told_without_its_words(
    ledger: Ledger, clock: Clock, bell: Bell
) -> None:
    (job,) = ask(ledger, clock(), wish())
    runner = make_runner(ledger, clock, failing(KeyError("a secret")), bell)
    with capture_logs() as logs:
        for _ in range(3):
            runner.perform(ROTATE)
            clock.forward(minutes=2)
    row = job_row(ledger, job)
    assert (row["state"], row["parked_because"]) == ("parked", "our_fault")
    assert row["reason"] == "Keyturn failed: KeyError (after 3 attempts)"
    assert [log["log_level"] for log in logs if log["event"] == "an operation failed"] == ["error"] * 3


def test_a_job_without_an_outcome_is_tried_again_and_the_others_are_settled(
    ledger: Ledger, clock: Clock, bell: Bell
) -> None:
    forgotten, told = ask(ledger, clock(), wish(), wish(OTHER))
    operation = Obedient(lambda _: {told: Done(note="n"), 999: Done(note="nobody asked")})
    make_runner(ledger, clock, operation, bell).perform(ROTATE)
    assert states(ledger, [forgotten, told]) == ["due", "succeeded"]
    assert job_row(ledger, forgotten)["reason"].startswith(f"{ROTATE} gave no outcome for this job; next attempt")


def test_a_ledger_that_is_away_during_the_work_spends_no_attempt(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    (job,) = ask(ledger, clock(), wish())
    make_runner(ledger, clock, failing(LedgerUnavailable("locked")), bell).perform(ROTATE)
    assert states(ledger, [job]) == ["due"]
    assert claim(ledger, clock.forward(minutes=2))[0].attempt == 1


def test_a_ledger_that_is_away_for_a_moment_gets_the_outcomes_when_it_is_back(
    ledger: Ledger, clock: Clock, bell: Bell
) -> None:
    def act_and_lose_the_ledger(jobs: Sequence[Job]) -> Mapping[int, Outcome]:
        take_away(ledger, times=1)
        return done(jobs)

    (job,) = ask(ledger, clock(), wish())
    make_runner(ledger, clock, Obedient(act_and_lose_the_ledger), bell).perform(ROTATE)
    assert states(ledger, [job]) == ["succeeded"]


def test_a_burst_is_claimed_in_full_batches_and_each_rings_for_the_next(
    ledger: Ledger, clock: Clock, bell: Bell
) -> None:
    ask(ledger, clock(), *[wish(device(number)) for number in range(250)])
    operation = Obedient()
    runner = make_runner(ledger, clock, operation, bell, linger=0.2)
    assert [runner.perform(ROTATE) for _ in range(3)] == [100, 100, 50]
    assert bell.tasks() == [RING, RING]
    assert [target for batch in operation.batches for target in batch] == [device(number) for number in range(250)]


def test_a_lone_job_does_not_wait_for_company(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    """The linger here is longer than any test may take."""
    ask(ledger, clock(), wish())
    began = time.monotonic()
    assert make_runner(ledger, clock, Obedient(), bell, linger=20.0).perform(ROTATE) == 1
    assert time.monotonic() - began < 10


def test_a_job_waits_for_those_of_events_about_to_be_planned(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    """The planner is behind: one job is there, ninety-nine are events yet. The linger outlasts any test."""
    ask(ledger, clock(), wish())
    events = take_in(ledger, clock(), 99)
    operation = Obedient()
    runner = make_runner(ledger, clock, operation, bell, linger=20.0)
    with ThreadPoolExecutor(1) as pool:
        performed = pool.submit(runner.perform, ROTATE)
        plans = [
            Plan(event_id=event, verdict="a test asks", jobs=[wish(device(event))], evidence={}) for event in events
        ]
        ledger.planning.store(plans, clock())
        assert performed.result(timeout=60) == 100
    assert [len(batch) for batch in operation.batches] == [100]


def test_jobs_of_other_parameters_are_rung_for_at_once(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    """One claim takes equal parameters only; what is left must not wait for the sweep."""
    jobs = ask(ledger, clock(), *[wish(device(days), days=days) for days in (1, 2, 3)])
    runner = make_runner(ledger, clock, Obedient(), bell)
    runner.perform(ROTATE)
    while bell.rung:
        bell.rung.pop()
        runner.perform(ROTATE)
    assert states(ledger, jobs) == ["succeeded"] * 3


def test_calls_at_once_lose_no_job(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    """Twenty threads are rung while jobs come in; what their calls leave behind, they rang for."""
    runner = make_runner(ledger, clock, Obedient(), bell, linger=0.05)

    def ring(number: int) -> None:
        ask(ledger, clock(), *[wish(device(number * 10 + offset)) for offset in range(10)])
        runner.perform(ROTATE)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(ring, range(20)))
    while bell.rung:
        bell.rung.pop()
        runner.perform(ROTATE)
    assert rows(ledger, "SELECT state, count(*) AS jobs FROM jobs GROUP BY state") == [
        {"state": "succeeded", "jobs": 200}
    ]
    assert len(rows(ledger, "SELECT id FROM attempts")) == 200


def test_an_operation_without_batches_takes_one_job_at_a_time(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    ask(ledger, clock(), wish(), wish(OTHER))
    operation = OneByOne()
    runner = make_runner(ledger, clock, operation, bell, linger=60.0)
    assert [runner.perform(ROTATE) for _ in range(3)] == [1, 1, 0]
    assert operation.batches == [[DEVICE], [OTHER]]
    assert bell.tasks() == [RING, RING]


def test_each_parked_job_is_an_error_of_its_own_in_the_log(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    parked, fine = ask(ledger, clock(), wish(), wish(OTHER))
    ends: dict[int, Outcome] = {
        parked: Parked(reason="it says no", because=ParkedBecause.REFUSED),
        fine: Done(note="n"),
    }
    with capture_logs() as logs:
        make_runner(ledger, clock, Obedient(lambda _: ends), bell).perform(ROTATE)
    assert [log for log in logs if log["log_level"] == "error"] == [
        {
            "event": "job parked",
            "job_id": parked,
            "operation": ROTATE,
            "target": DEVICE,
            "because": "refused",
            "reason": "it says no",
            "log_level": "error",
        }
    ]


def test_what_was_settled_is_logged_in_one_line(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    ask(ledger, clock(), wish(), wish(OTHER))
    with capture_logs() as logs:
        make_runner(ledger, clock, Obedient(), bell).perform(ROTATE)
    assert [(log["event"], log["succeeded"]) for log in logs] == [("jobs settled", 2)]
