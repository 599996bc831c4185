from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.ledger import Question
from schemas.errors import Busy, NotYet, OurFault, Refused, TryAgain, UpstreamError
from schemas.jobs import MOVES, Again, Ask, Awaiting, Done, Job, NewJob, Outcome, Parked, ParkedBecause, Spawn, State
from schemas.limits import NEVER
from services.operations.contract import BUSY_PAUSE, outcome_of
from services.settling import Patience, settlement_of

NOW = datetime(2026, 5, 10, 12, 0, tzinfo=UTC)
PATIENCE = Patience(max_attempts=3, base=2.0, cap=60.0)


def job(attempt: int = 1) -> Job:
    return Job(
        id=7,
        operation="ublox.rotate_e2e_key",
        target="0002000089282245",
        parameters={},
        fence=4,
        attempt=attempt,
        claimed_at=NOW,
        created_at=NOW,
    )


def test_a_verified_job_has_succeeded_and_says_what_was_seen() -> None:
    settled = settlement_of(job(), Done(note="looked again: it is so", status=200), NOW, PATIENCE)
    assert (settled.state, settled.reason, settled.upstream_status) == (State.SUCCEEDED, "looked again: it is so", 200)


def test_an_awaiting_job_looks_again_when_it_was_told_to_and_keeps_what_it_knows() -> None:
    outcome = Awaiting(reason="heartbeat", look_at=NOW + timedelta(hours=1), progress={"asked": "taken"}, status=200)
    settled = settlement_of(job(), outcome, NOW, PATIENCE)
    assert (settled.state, settled.not_before) == (State.AWAITING, NOW + timedelta(hours=1))
    assert (settled.progress, settled.upstream_status) == ({"asked": "taken"}, 200)


def test_a_job_with_children_waits_for_them_and_at_the_latest_until_its_own_look() -> None:
    child = NewJob(operation="ublox.transfer_root_ca", target="0002000089282245")
    outcome = Spawn(reason="moving", children=[child], look_at=NOW + timedelta(hours=1), progress={"devices": 1})
    settled = settlement_of(job(), outcome, NOW, PATIENCE)
    assert (settled.state, settled.not_before) == (State.AWAITING, NOW + timedelta(hours=1))
    assert (list(settled.children), settled.progress) == ([child], {"devices": 1})


def test_a_job_that_asks_is_held_until_a_person_has_decided() -> None:
    outcome = Ask(reason="7 devices would move", step="transfer", role="admin", progress={"devices": 7})
    settled = settlement_of(job(), outcome, NOW, PATIENCE)
    assert (settled.state, settled.not_before, settled.progress) == (State.HELD, NEVER, {"devices": 7})
    assert settled.reason == "7 devices would move; waits for approval by an admin"
    assert settled.asks == Question(step="transfer", role="admin")


@pytest.mark.parametrize("because", list(ParkedBecause))
def test_a_parked_job_says_which_person_is_needed(because: ParkedBecause) -> None:
    settled = settlement_of(job(), Parked(reason="no", because=because, status=400), NOW, PATIENCE)
    assert (settled.state, settled.parked_because, settled.upstream_status) == (State.PARKED, because, 400)
    assert (settled.reason, settled.not_before) == ("no", NOW)


def test_passing_trouble_is_tried_again_after_a_pause_that_a_person_can_read() -> None:
    settled = settlement_of(job(), Again(reason="answered 503", status=503, progress={"a": 1}), NOW, PATIENCE)
    assert settled.state is State.DUE
    assert NOW + timedelta(seconds=2) <= settled.not_before <= NOW + timedelta(seconds=6)
    assert settled.reason == f"answered 503; next attempt {settled.not_before:%d %b %H:%M:%S} UTC"
    assert (settled.progress, settled.upstream_status, settled.counts) == ({"a": 1}, 503, True)


def test_a_pause_that_the_upstream_asked_for_is_kept_to_the_second() -> None:
    settled = settlement_of(job(), Again(reason="slow down", after=120.0), NOW, PATIENCE)
    assert settled.not_before == NOW + timedelta(seconds=120)


def test_a_pause_of_nothing_means_at_once() -> None:
    assert settlement_of(job(), Again(reason="now", after=0.0), NOW, PATIENCE).not_before == NOW


@pytest.mark.parametrize(("our_fault", "because"), [(False, ParkedBecause.EXHAUSTED), (True, ParkedBecause.OUR_FAULT)])
def test_the_last_attempt_parks_and_tells_spent_retries_from_our_own_fault(
    our_fault: bool,  # noqa: FBT001 - a column of the table
    because: ParkedBecause,
) -> None:
    outcome = Again(reason="failed", our_fault=our_fault, status=500)
    assert settlement_of(job(attempt=2), outcome, NOW, PATIENCE).state is State.DUE
    settled = settlement_of(job(attempt=3), outcome, NOW, PATIENCE)
    assert (settled.state, settled.parked_because, settled.upstream_status) == (State.PARKED, because, 500)
    assert settled.reason == "failed (after 3 attempts)"


def test_a_retry_after_does_not_outlive_the_last_attempt() -> None:
    assert settlement_of(job(attempt=3), Again(reason="x", after=5.0), NOW, PATIENCE).state is State.PARKED


def test_waiting_for_a_busy_upstream_spends_no_attempt_however_often() -> None:
    settled = settlement_of(job(attempt=99), Again(reason="busy", after=3600.0, counts=False), NOW, PATIENCE)
    assert (settled.state, settled.counts) == (State.DUE, False)
    assert settled.not_before == NOW + timedelta(hours=1)


@given(attempt=st.integers(1, 100_000), base=st.floats(0.001, 60), factor=st.floats(1, 10_000), chain=st.text())
def test_a_pause_lies_between_the_base_and_the_cap(attempt: int, base: float, factor: float, chain: str) -> None:
    patience = Patience(max_attempts=8, base=base, cap=base * factor)
    assert base <= patience.pause(attempt, chain) <= patience.cap


@given(attempt=st.integers(1, 200), chain=st.text())
def test_each_pause_grows_from_the_one_before_it_by_three_times_at_most(attempt: int, chain: str) -> None:
    before, pause = PATIENCE.pause(attempt, chain), PATIENCE.pause(attempt + 1, chain)
    assert pause <= min(PATIENCE.cap, 3 * before)
    assert pause == PATIENCE.pause(attempt + 1, chain), "it can be told again"


def test_pauses_are_spread_so_that_a_thousand_failures_do_not_return_together() -> None:
    pauses = [PATIENCE.pause(5, f"job {number}") for number in range(1000)]
    assert min(pauses) < 15
    assert max(pauses) > 45
    assert max(pauses.count(pause) for pause in set(pauses) - {PATIENCE.cap}) == 1


def test_what_we_held_back_ourselves_leaves_no_trace_of_an_attempt() -> None:
    error = NotYet("u-blox breaker open, next probe 12:00:30 UTC", call="/c", sent=False, retry_after=30.0)
    settled = settlement_of(job(attempt=99), outcome_of(error), NOW, PATIENCE)
    assert (settled.state, settled.counts, settled.tried) == (State.DUE, False, False)
    assert settled.not_before == NOW + timedelta(seconds=30)
    assert settled.reason.startswith("u-blox breaker open, next probe 12:00:30 UTC; next attempt")


OUTCOMES = st.one_of(
    st.builds(Done, note=st.text()),
    st.builds(Awaiting, reason=st.text(), look_at=st.just(NOW), progress=st.just({})),
    st.builds(Parked, reason=st.text(), because=st.sampled_from(ParkedBecause)),
    st.builds(
        Again,
        reason=st.text(),
        after=st.none() | st.floats(0, 86_400),
        counts=st.booleans(),
        our_fault=st.booleans(),
    ),
)


@given(outcome=OUTCOMES, attempt=st.integers(1, 10))
def test_every_outcome_is_a_lawful_move_of_its_own_job(outcome: Outcome, attempt: int) -> None:
    claimed = job(attempt)
    settled = settlement_of(claimed, outcome, NOW, PATIENCE)
    assert settled.job is claimed
    assert settled.state in MOVES[State.RUNNING]
    assert settled.not_before >= NOW
    assert (settled.parked_because is not None) is (settled.state is State.PARKED)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (TryAgain("t", call="/c", status=429, retry_after=9.0), Again(reason="t", after=9.0, status=429)),
        (TryAgain("t", call="/c"), Again(reason="t")),
        (Busy("b", call="/c", status=409), Again(reason="b", after=3600.0, status=409, counts=False)),
        (Refused("r", call="/c", status=400), Parked(reason="r", because=ParkedBecause.REFUSED, status=400)),
        (OurFault("o", call="/c", status=401), Again(reason="o", status=401, our_fault=True)),
        (UpstreamError("u", call="/c", status=418), Again(reason="u", status=418, our_fault=True)),
    ],
)
def test_each_failure_of_an_upstream_has_one_meaning(error: UpstreamError, outcome: Outcome) -> None:
    assert outcome_of(error) == outcome


def test_a_busy_upstream_is_asked_again_after_hours_not_seconds() -> None:
    assert timedelta(hours=1) <= BUSY_PAUSE <= timedelta(hours=24)
