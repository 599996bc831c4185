"""What a worker has in hand, and what becomes of it when the ledger or the worker falters."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.broker import PREFIX
from infra.ledger import Ledger
from schemas.errors import LedgerUnavailable
from schemas.jobs import Job, Outcome
from tests.conftest import Clock
from tests.support.ledger import ROTATE, ask, attempt_rows, claim, job_row, states, wish
from tests.support.works import Bell, Obedient, done, make_runner, take_away

RING = PREFIX + ROTATE


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.runner.time.sleep", lambda _: None)


@pytest.mark.usefixtures("no_pauses")
def test_a_ledger_that_stays_away_has_the_jobs_given_to_another(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    """The outcomes are lost; the leases of what nobody works on are not renewed."""

    def act_and_lose_the_ledger(jobs: Sequence[Job]) -> Mapping[int, Outcome]:
        take_away(ledger, times=4)
        return done(jobs)

    (job,) = ask(ledger, clock(), wish())
    runner = make_runner(ledger, clock, Obedient(act_and_lose_the_ledger), bell)
    with pytest.raises(LedgerUnavailable):
        runner.perform(ROTATE)
    clock.forward(seconds=20)
    assert (runner.keep_leases(), states(ledger, [job])) == (0, ["running"])
    ledger.work.reclaim(clock.forward(seconds=20), max_losses=8)
    assert states(ledger, [job]) == ["due"]


def test_a_ledger_that_is_away_after_the_claim_stops_no_job(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    """It could not say whether more waits, so the bell is rung to be safe."""
    (job,) = ask(ledger, clock(), wish())
    runner = make_runner(ledger, clock, Obedient(), bell)
    claim_jobs = ledger.work.claim

    def claim_and_lose_the_ledger(*words: Any, **more: Any) -> list[Job]:
        jobs = claim_jobs(*words, **more)
        take_away(ledger, times=1)
        return jobs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger.work, "claim", claim_and_lose_the_ledger)
        assert runner.perform(ROTATE) == 1
    assert (states(ledger, [job]), bell.tasks()) == (["succeeded"], [RING])


def test_a_claim_is_carried_out_although_another_ring_comes_between(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    (job,) = ask(ledger, clock(), wish())
    runner = make_runner(ledger, clock, Obedient(), bell)
    batch_size = ledger.work.batch_size

    def ring_between(*words: Any) -> int:
        runner._gates[ROTATE].asked = True  # noqa: SLF001 - no other way to come between
        return batch_size(*words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger.work, "batch_size", ring_between)
        runner.perform(ROTATE)
    assert states(ledger, [job]) == ["succeeded"]


def test_a_late_worker_changes_nothing(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    """Its lease ran out while the upstream thought about it, and another worker has the job now."""
    (job,) = ask(ledger, clock(), wish())

    def dawdle(jobs: Sequence[Job]) -> Mapping[int, Outcome]:
        ledger.work.reclaim(clock.forward(minutes=1), max_losses=8)
        claim(ledger, clock(), worker="another")
        return done(jobs)

    make_runner(ledger, clock, Obedient(dawdle), bell).perform(ROTATE)
    row = job_row(ledger, job)
    assert (row["state"], row["worker"], row["fence"]) == ("running", "another", 2)
    assert [attempt["outcome"] for attempt in attempt_rows(ledger, job)] == ["lost"]


def test_a_worker_keeps_the_leases_of_what_it_works_on(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    kept: list[int] = []

    def slow(jobs: Sequence[Job]) -> Mapping[int, Outcome]:
        clock.forward(seconds=20)
        kept.append(runner.keep_leases())
        ledger.work.reclaim(clock.forward(seconds=20), max_losses=8)
        return done(jobs)

    (job,) = ask(ledger, clock(), wish())
    runner = make_runner(ledger, clock, Obedient(slow), bell)
    runner.perform(ROTATE)
    assert (kept, states(ledger, [job])) == ([1], ["succeeded"])


def test_a_job_that_came_back_is_kept_although_its_first_attempt_ends(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    """One thread hung for too long; another of the same process has the job when it ends."""
    kept: list[int] = []

    def hang(jobs: Sequence[Job]) -> Mapping[int, Outcome]:
        if jobs[0].fence == 1:
            ledger.work.reclaim(clock.forward(minutes=11), max_losses=8)
            operation.answer = wait
            pool.submit(runner.perform, ROTATE)
            assert second.acquire(timeout=60)
        return done(jobs)

    def wait(jobs: Sequence[Job]) -> Mapping[int, Outcome]:
        second.release()
        assert first.acquire(timeout=60)
        kept.append(runner.keep_leases())
        return done(jobs)

    ask(ledger, clock(), wish())
    first, second = threading.Semaphore(0), threading.Semaphore(0)
    operation = Obedient(hang)
    runner = make_runner(ledger, clock, operation, bell)
    with ThreadPoolExecutor(1) as pool:
        runner.perform(ROTATE)
        first.release()
    assert kept == [1]
