import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from infra.ledger import Ledger
from schemas.jobs import MOVES, State
from tests.conftest import Clock
from tests.support.ledger import (
    DEVICE,
    LEASE,
    OTHER,
    RENEW,
    ROTATE,
    ask,
    attempt_rows,
    claim,
    claim_one,
    device,
    job_row,
    rows,
    settle,
    states,
    wish,
)


def extend(ledger: Ledger, now: datetime, ids: list[int], worker: str) -> int:
    return ledger.work.extend(ids, worker=worker, now=now, lease=LEASE, longest=timedelta(minutes=10))


def test_a_claimed_job_tells_the_operation_all_that_it_needs(ledger: Ledger, clock: Clock) -> None:
    (job_id,) = ask(ledger, clock(), wish(days=7), evidence={"serial": "ab"})
    created = clock()
    (job,) = claim(ledger, clock.forward(minutes=1))
    assert (job.id, job.operation, job.target, job.parameters) == (job_id, ROTATE, DEVICE, {"days": 7})
    assert (job.attempt, job.fence, job.progress, job.evidence) == (1, 1, {}, {"serial": "ab"})
    assert (job.created_at, job.claimed_at) == (created, clock())
    assert states(ledger, [job_id]) == ["running"]


def test_a_job_is_not_claimed_before_its_time(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish())
    settle(ledger, clock(), claim_one(ledger, clock()), State.DUE, later=timedelta(seconds=10))
    assert claim(ledger, clock.forward(seconds=9.999)) == []
    assert len(claim(ledger, clock.forward(seconds=0.001))) == 1


def test_one_of_sixteen_threads_wins_a_job(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish())
    start = threading.Barrier(16)

    def compete(number: int) -> int:
        start.wait()
        return len(claim(ledger, clock(), worker=f"worker {number}"))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(compete, range(16))) == 1


def test_threads_share_many_jobs_and_none_is_taken_twice(ledger: Ledger, clock: Clock) -> None:
    ids = ask(ledger, clock(), *[wish(device(number)) for number in range(60)])

    def work(number: int) -> list[int]:
        taken = []
        for _ in range(30):
            taken += [job.id for job in claim(ledger, clock(), worker=f"worker {number}", limit=5)]
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [job for share in pool.map(work, range(4)) for job in share]
    assert sorted(taken) == ids


@pytest.mark.parametrize("limit", [1, 3, 10, 11])
def test_no_more_than_the_limit_is_claimed_and_the_oldest_first(ledger: Ledger, clock: Clock, limit: int) -> None:
    ids = ask(ledger, clock(), *[wish(device(number)) for number in range(10)])
    assert ledger.work.batch_size(ROTATE, clock(), limit) == min(limit, 10)
    assert [job.id for job in claim(ledger, clock(), limit=limit)] == ids[:limit]


def test_jobs_of_the_same_parameters_are_claimed_together_and_no_others(ledger: Ledger, clock: Clock) -> None:
    ids = ask(ledger, clock(), wish("a", days=7), wish("b", days=3), wish("c", days=7))
    assert [job.id for job in claim(ledger, clock())] == [ids[0], ids[2]]
    assert [job.id for job in claim(ledger, clock())] == [ids[1]]


def test_begun_and_fresh_work_are_not_claimed_together(ledger: Ledger, clock: Clock) -> None:
    """What was begun mostly only looks; it should not make a fresh call smaller."""
    begun, fresh = ask(ledger, clock(), wish("a"), wish("b"))
    settle(ledger, clock(), claim(ledger, clock(), limit=1)[0], State.DUE, progress={"asked": "taken"})
    assert [[job.id for job in claim(ledger, clock())] for _ in range(2)] == [[begun], [fresh]]


def test_operations_are_claimed_apart(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish(operation=RENEW))
    assert claim(ledger, clock(), ROTATE) == []


def test_one_job_of_a_target_runs_at_a_time(ledger: Ledger, clock: Clock) -> None:
    """Also when the two are different operations of the same system."""
    rotate, renew = ask(ledger, clock(), wish(), wish(operation=RENEW))
    (running,) = claim(ledger, clock())
    assert claim(ledger, clock(), RENEW) == []
    settle(ledger, clock(), running, State.SUCCEEDED)
    assert [job.id for job in claim(ledger, clock(), RENEW)] == [renew]
    assert states(ledger, [rotate, renew]) == ["succeeded", "running"]


def test_claims_at_once_never_run_two_jobs_of_a_target(ledger: Ledger, clock: Clock) -> None:
    """Eight threads claim two operations on four devices; what one finishes lets the next one in."""
    targets = [device(number) for number in range(4)]
    ask(ledger, clock(), *[wish(target, operation) for operation in (ROTATE, RENEW) for target in targets])
    running: set[str] = set()
    broken: list[str] = []
    guard = threading.Lock()

    def work(number: int) -> None:
        for _ in range(20):
            for job in claim(ledger, clock(), (ROTATE, RENEW)[number % 2], worker=f"worker {number}", limit=2):
                with guard:
                    broken.extend({job.target} & running)
                    running.add(job.target)
                with guard:
                    running.discard(job.target)
                settle(ledger, clock(), job, State.SUCCEEDED)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert broken == []
    assert rows(ledger, "SELECT DISTINCT state FROM jobs") == [{"state": "succeeded"}]


def test_a_job_in_back_off_holds_back_later_ones_of_its_target_only(ledger: Ledger, clock: Clock) -> None:
    first, other = ask(ledger, clock(), wish(days=1), wish(OTHER, days=1))
    claimed = {job.id: job for job in claim(ledger, clock())}
    settle(ledger, clock(), claimed[first], State.DUE, later=timedelta(minutes=10))
    settle(ledger, clock(), claimed[other], State.SUCCEEDED)
    behind, beside = ask(ledger, clock(), wish(days=2), wish(OTHER, days=2))
    assert [job.id for job in claim(ledger, clock())] == [beside]
    assert [job.id for job in claim(ledger, clock.forward(minutes=10))] == [first]
    assert states(ledger, [behind]) == ["due"]


@pytest.mark.parametrize("state", [State.AWAITING, State.PARKED])
def test_a_job_that_waits_for_its_device_or_a_person_holds_back_nobody(
    ledger: Ledger, clock: Clock, state: State
) -> None:
    ask(ledger, clock(), wish(days=1))
    settle(ledger, clock(), claim_one(ledger, clock()), state, later=timedelta(days=1))
    (later,) = ask(ledger, clock(), wish(days=2))
    assert [job.id for job in claim(ledger, clock())] == [later]


@pytest.mark.parametrize("state", sorted(MOVES[State.RUNNING]))
def test_a_settled_job_stands_where_its_outcome_put_it(ledger: Ledger, clock: Clock, state: State) -> None:
    (job_id,) = ask(ledger, clock(), wish())
    started = clock()
    (job,) = claim(ledger, started)
    settle(ledger, clock.forward(seconds=2), job, state, later=timedelta(minutes=1), upstream_status=202)
    row = job_row(ledger, job_id)
    assert (row["state"], row["reason"], row["worker"], row["lease_until"]) == (
        state,
        f"a test says {state}",
        None,
        None,
    )
    assert (row["finished_at"] is not None) is (state is State.SUCCEEDED)
    assert (row["parked_because"] is not None) is (state is State.PARKED)
    (attempt,) = attempt_rows(ledger, job_id)
    assert (attempt["number"], attempt["fence"], attempt["worker"], attempt["outcome"]) == (1, 1, "worker", state)
    assert (attempt["upstream_status"], attempt["ended_at"] - attempt["started_at"]) == (202, 2_000_000)


@pytest.mark.parametrize("state", sorted(set(State) - MOVES[State.RUNNING]))
def test_an_unlawful_move_is_refused_and_nothing_is_written(ledger: Ledger, clock: Clock, state: State) -> None:
    (job_id,) = ask(ledger, clock(), wish())
    (job,) = claim(ledger, clock())
    with pytest.raises(ValueError, match=f"a running job cannot become {state}"):
        settle(ledger, clock(), job, state)
    assert (states(ledger, [job_id]), attempt_rows(ledger, job_id)) == (["running"], [])


def test_progress_is_kept_unless_a_settlement_brings_its_own(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish())
    (job,) = claim(ledger, clock())
    assert ledger.work.note([(job, {"asked": "sending"})]) == {job.id}
    settle(ledger, clock(), job, State.DUE)
    (job,) = claim(ledger, clock())
    assert (job.progress, job.attempt, job.fence) == ({"asked": "sending"}, 2, 2)
    settle(ledger, clock(), job, State.DUE, progress={})
    assert claim(ledger, clock())[0].progress == {}


def test_waiting_that_does_not_count_gives_the_attempt_back(ledger: Ledger, clock: Clock) -> None:
    (job_id,) = ask(ledger, clock(), wish())
    for fence in (1, 2, 3):
        (job,) = claim(ledger, clock())
        assert (job.attempt, job.fence) == (1, fence)
        settle(ledger, clock(), job, State.DUE, counts=False)
    assert [attempt["fence"] for attempt in attempt_rows(ledger, job_id)] == [1, 2, 3]


def test_looking_again_at_what_the_upstream_took_spends_no_retries(ledger: Ledger, clock: Clock) -> None:
    """A device may take two weeks: 300 looks must not leave the 301st without a retry."""
    (job_id,) = ask(ledger, clock(), wish())
    settle(ledger, clock(), claim_one(ledger, clock()), State.DUE)  # one failure before it was taken
    for _ in range(5):
        settle(ledger, clock(), claim_one(ledger, clock()), State.AWAITING)
        ledger.work.wake(clock())
    (job,) = claim(ledger, clock())
    assert (job.attempt, job.fence) == (1, 7)
    assert len(attempt_rows(ledger, job_id)) == 6


def test_a_worker_that_wakes_up_late_writes_nothing(ledger: Ledger, clock: Clock) -> None:
    (job_id,) = ask(ledger, clock(), wish())
    (late,) = claim(ledger, clock(), worker="late")
    ledger.work.reclaim(clock.forward(minutes=1), max_losses=8)
    before = job_row(ledger, job_id), attempt_rows(ledger, job_id)
    assert ledger.work.note([(late, {"asked": "sending"})]) == set()
    settle(ledger, clock(), late, State.SUCCEEDED)
    assert (job_row(ledger, job_id), attempt_rows(ledger, job_id)) == before
    (_,) = claim(ledger, clock(), worker="next")
    before = job_row(ledger, job_id), attempt_rows(ledger, job_id)
    assert ledger.work.note([(late, {"asked": "sending"})]) == set()
    settle(ledger, clock(), late, State.PARKED)
    assert (job_row(ledger, job_id), attempt_rows(ledger, job_id)) == before


def test_a_batch_with_one_lost_job_settles_and_notes_the_others(ledger: Ledger, clock: Clock) -> None:
    ids = ask(ledger, clock(), wish("a"), wish("b"))
    lost, kept = claim(ledger, clock())
    settle(ledger, clock(), lost, State.DUE)
    claim(ledger, clock(), worker="another")
    assert ledger.work.note([(kept, {"n": 2}), (lost, {"n": 1})]) == {kept.id}
    settle(ledger, clock(), kept, State.SUCCEEDED)
    settle(ledger, clock(), lost, State.SUCCEEDED)
    assert states(ledger, ids) == ["running", "succeeded"]


def test_a_living_worker_keeps_its_jobs(ledger: Ledger, clock: Clock) -> None:
    (job_id,) = ask(ledger, clock(), wish())
    claim(ledger, clock(), worker="alive")
    for _ in range(5):
        clock.forward(seconds=20)
        assert extend(ledger, clock(), [job_id], "alive") == 1
        assert ledger.work.reclaim(clock(), max_losses=8) == []
    assert states(ledger, [job_id]) == ["running"]


def test_a_worker_extends_what_is_its_own_only(ledger: Ledger, clock: Clock) -> None:
    jobs = ask(ledger, clock(), wish())
    claim(ledger, clock(), worker="one")
    assert extend(ledger, clock(), jobs, "two") == 0


def test_a_worker_extends_what_it_has_in_hand_only(ledger: Ledger, clock: Clock) -> None:
    in_hand, dropped = ask(ledger, clock(), wish(), wish(OTHER))
    claim(ledger, clock())
    clock.forward(seconds=20)
    assert (extend(ledger, clock(), [], "worker"), extend(ledger, clock(), [in_hand], "worker")) == (0, 1)
    assert [job.id for job in ledger.work.reclaim(clock.forward(seconds=20), max_losses=8)] == [dropped]


def test_a_worker_extends_more_than_one_statement_takes(ledger: Ledger, clock: Clock) -> None:
    jobs = ask(ledger, clock(), *[wish(device(number)) for number in range(1_001)])
    claim(ledger, clock(), limit=2_000)
    assert extend(ledger, clock.forward(seconds=20), jobs, "worker") == 1_001
    assert ledger.work.reclaim(clock.forward(seconds=20), max_losses=8) == []


def test_a_thread_that_hangs_does_not_hold_its_job_for_ever(ledger: Ledger, clock: Clock) -> None:
    jobs = ask(ledger, clock(), wish())
    claim(ledger, clock(), worker="hangs")
    clock.forward(minutes=10)
    assert extend(ledger, clock(), jobs, "hangs") == 0
    assert [job.id for job in ledger.work.reclaim(clock(), max_losses=8)] == jobs


def test_a_lease_that_ran_out_gives_the_job_to_another(ledger: Ledger, clock: Clock) -> None:
    (job_id,) = ask(ledger, clock(), wish())
    claim(ledger, clock(), worker="dead")
    assert ledger.work.reclaim(clock.forward(seconds=30), max_losses=8) == []
    assert [(job.id, job.state) for job in ledger.work.reclaim(clock.forward(seconds=1), max_losses=8)] == [
        (job_id, State.DUE)
    ]
    assert job_row(ledger, job_id)["reason"] == "its worker was lost; waits for another"
    (lost,) = attempt_rows(ledger, job_id)
    assert (lost["outcome"], lost["worker"], lost["number"], lost["fence"]) == ("lost", "dead", 1, 1)
    (job,) = claim(ledger, clock(), worker="next")
    assert (job.attempt, job.fence) == (2, 2)


def test_a_job_that_loses_every_worker_is_parked_for_a_person(ledger: Ledger, clock: Clock) -> None:
    (job_id,) = ask(ledger, clock(), wish())
    for _ in range(3):
        claim(ledger, clock())
        ledger.work.reclaim(clock.forward(minutes=1), max_losses=3)
    row = job_row(ledger, job_id)
    assert (row["state"], row["parked_because"]) == ("parked", "our_fault")
    assert row["reason"] == "its worker was lost 3 times; look at the worker's log, then retry it"
    assert [attempt["outcome"] for attempt in attempt_rows(ledger, job_id)] == ["lost"] * 3


def test_attempts_that_ended_are_no_losses(ledger: Ledger, clock: Clock) -> None:
    """A day of an upstream's outage must not park a job whose worker is killed once."""
    (job_id,) = ask(ledger, clock(), wish())
    for _ in range(5):
        settle(ledger, clock(), claim_one(ledger, clock()), State.DUE)
    claim(ledger, clock())
    ledger.work.reclaim(clock.forward(minutes=1), max_losses=2)
    assert states(ledger, [job_id]) == ["due"]


def test_sweeps_at_once_give_a_lost_job_back_once(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), *[wish(device(number)) for number in range(40)])
    claim(ledger, clock())
    clock.forward(minutes=1)
    start = threading.Barrier(4)

    def sweep(_number: int) -> int:
        start.wait()
        return len(ledger.work.reclaim(clock(), max_losses=8))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(sweep, range(4))) == 40
    assert len(rows(ledger, "SELECT id FROM attempts")) == 40


def test_a_sweep_and_a_late_worker_at_once_leave_one_attempt(ledger: Ledger, clock: Clock) -> None:
    """Whichever comes first, the history tells one end of each attempt, and it is the one that the job shows."""
    ask(ledger, clock(), *[wish(device(number)) for number in range(40)])
    jobs = claim(ledger, clock())
    clock.forward(minutes=1)
    start = threading.Barrier(2)

    def sweep() -> None:
        start.wait()
        ledger.work.reclaim(clock(), max_losses=8)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    start.wait()
    for job in reversed(jobs):
        settle(ledger, clock(), job, State.SUCCEEDED)
    sweeper.join()
    ends = rows(ledger, "SELECT j.state, a.outcome FROM jobs j JOIN attempts a ON a.job_id = j.id ORDER BY j.id")
    assert len(ends) == 40
    assert {(end["state"], end["outcome"]) for end in ends} <= {("succeeded", "succeeded"), ("due", "lost")}


def test_an_awaiting_job_is_woken_when_its_next_look_has_come(ledger: Ledger, clock: Clock) -> None:
    (job_id,) = ask(ledger, clock(), wish())
    settle(ledger, clock(), claim_one(ledger, clock()), State.AWAITING, later=timedelta(hours=1))
    assert ledger.work.wake(clock.forward(minutes=59)) == 0
    assert claim(ledger, clock()) == []
    assert ledger.work.wake(clock.forward(minutes=1)) == 1
    assert job_row(ledger, job_id)["reason"] == "time to look again"
    assert len(claim(ledger, clock())) == 1


def test_what_is_due_is_told_by_operation(ledger: Ledger, clock: Clock) -> None:
    rotations = ask(ledger, clock(), wish("a"), wish("b"), wish("c"))
    (renewal,) = ask(ledger, clock(), wish("a", RENEW))
    due = ledger.work.due(clock(), limit=10)
    assert {name: sorted(ids) for name, ids in due.items()} == {ROTATE: rotations, RENEW: [renewal]}
    assert {name: len(ids) for name, ids in ledger.work.due(clock(), limit=2).items()} == {ROTATE: 2, RENEW: 1}


def test_what_has_no_time_yet_or_runs_is_not_due(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish("a"), wish("b"))
    resting, _ = claim(ledger, clock())
    settle(ledger, clock(), resting, State.DUE, later=timedelta(minutes=1))
    assert ledger.work.due(clock(), limit=10) == {}
    assert ledger.work.due(clock.forward(minutes=1), limit=10) == {ROTATE: [resting.id]}


@pytest.mark.parametrize("odd", ["\0", "a\0b", "\ud800", "\U0001f511 \u202e é"])
def test_odd_text_from_an_upstream_stops_no_settlement(ledger: Ledger, clock: Clock, odd: str) -> None:
    (job_id,) = ask(ledger, clock(), wish())
    (job,) = claim(ledger, clock())
    assert ledger.work.note([(job, {"said": odd})]) == {job_id}
    settle(ledger, clock(), job, State.DUE, reason=f"it said {odd}")
    assert str(job_row(ledger, job_id)["reason"]).startswith("it said ")
    assert claim(ledger, clock())[0].progress == {"said": odd}
