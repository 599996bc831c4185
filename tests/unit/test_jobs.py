import pytest

from schemas.jobs import MOVES, NewJob, State

LAWFUL = {
    ("held", "due"),
    ("held", "cancelled"),
    ("held", "superseded"),
    ("due", "held"),
    ("due", "running"),
    ("due", "cancelled"),
    ("due", "superseded"),
    ("running", "succeeded"),
    ("running", "awaiting"),
    ("running", "due"),
    ("running", "held"),
    ("running", "parked"),
    ("awaiting", "due"),
    ("awaiting", "cancelled"),
    ("awaiting", "superseded"),
    ("parked", "due"),
    ("parked", "held"),
    ("parked", "cancelled"),
    ("parked", "superseded"),
}


def test_the_lawful_moves_are_these_and_no_others() -> None:
    assert {(start.value, end.value) for start, ends in MOVES.items() for end in ends} == LAWFUL


def test_every_state_has_a_row_in_the_table() -> None:
    assert set(MOVES) == set(State)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.CANCELLED, State.SUPERSEDED])
def test_a_final_state_is_never_left(state: State) -> None:
    assert not MOVES[state]


@pytest.mark.parametrize("state", list(State))
def test_every_state_can_be_reached_from_the_first(state: State) -> None:
    reached = {State.HELD}
    for _ in State:
        reached |= {end for start in reached for end in MOVES[start]}
    assert state in reached


def test_only_a_claim_makes_a_job_run() -> None:
    assert {start for start, ends in MOVES.items() if State.RUNNING in ends} == {State.DUE}


def test_a_job_belongs_to_the_system_that_its_operation_names() -> None:
    job = NewJob(operation="ublox.rotate_e2e_key", target="0002000089282245")
    assert (job.system, job.lock_key) == ("ublox", "ublox:0002000089282245")


def test_two_operations_on_one_target_share_its_lock() -> None:
    rotate, renew = (NewJob(operation=f"ublox.{verb}", target="a") for verb in ("rotate_e2e_key", "renew_certificate"))
    assert rotate.lock_key == renew.lock_key
    assert rotate.lock_key != NewJob(operation="twon.rotate_mobile_key", target="a").lock_key
