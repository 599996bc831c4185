"""What a person may do with a job, and that it is done once and recorded."""

import asyncio
import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from infra.ledger import Ledger
from infra.ledger.steering import Order, Steer, Unlawful, steer
from schemas.access import Role
from schemas.jobs import MOVES, State
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.ledger import ROTATE, ask, claim, claim_one, device, job_row, rows, settle, wish


@pytest.fixture
def site(ledger: Ledger, clock: Clock) -> AdminSite:
    return AdminSite(ledger, clock)


def job_in(ledger: Ledger, clock: Clock, state: State, number: int = 1) -> int:
    """A job that stands in a state."""
    (job,) = ask(ledger, clock(), wish(device(number)))
    match state:
        case State.DUE:
            pass
        case State.RUNNING:
            claim(ledger, clock())
        case State.SUCCEEDED | State.AWAITING | State.PARKED:
            (claimed,) = [one for one in claim(ledger, clock()) if one.id == job]
            settle(ledger, clock(), claimed, state, later=timedelta(hours=1))
        case _:
            ledger_set(ledger, job, state)
    assert job_row(ledger, job)["state"] == state
    return job


def ledger_set(ledger: Ledger, job: int, state: State) -> None:
    with ledger.database.writing() as connection:
        connection.execute(text("UPDATE jobs SET state = :state WHERE id = :id"), {"state": state.value, "id": job})


def actions(ledger: Ledger) -> list[tuple[str, str, str]]:
    found = ledger.audit.page(before=None, limit=100)
    return [
        (one.entry.action, one.entry.subject, one.entry.reason) for one in found if one.entry.action.startswith("job.")
    ]


def test_a_parked_job_that_is_retried_runs_again_with_new_tries(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    job = job_in(ledger, clock, State.PARKED)
    response = site.post(f"/jobs/{job}/retry", {"reason": "the device is back"}, role=Role.OPERATOR)
    assert response.json()["changed"] is True
    assert response.json()["job"]["state"] == "due"
    row = job_row(ledger, job)
    assert (row["attempts"], row["parked_because"]) == (0, None)
    assert "the device is back" in row["reason"]
    assert actions(ledger) == [("job.retry", f"job/{job}", "the device is back")]
    assert site.rung == [("keyturn.ublox.rotate_e2e_key", [job])]
    assert [found.id for found in claim(ledger, clock())] == [job]
    assert ledger.audit.verify().holds


@pytest.mark.parametrize("state", list(State))
def test_only_lawful_moves_are_made(site: AdminSite, ledger: Ledger, clock: Clock, state: State) -> None:
    answers = {
        Steer.RETRY: {State.PARKED: State.DUE, State.DUE: State.DUE},
        Steer.CANCEL: {
            **{known: State.CANCELLED for known, moves in MOVES.items() if State.CANCELLED in moves},
            State.CANCELLED: State.CANCELLED,
        },
        Steer.FORCE: {State.DUE: State.DUE},
    }
    for number, what in enumerate(Steer, start=1):
        job = job_in(ledger, clock, state, number)
        response = site.post(f"/jobs/{job}/{what}")
        goal = answers[what].get(state)
        if goal is None:
            assert f"job {job} is {state}" in problem(response, 409)["detail"]
            assert job_row(ledger, job)["state"] == state
        else:
            assert response.json()["job"]["state"] == goal
        changed = goal is not None and goal is not state
        assert (f"job/{job}" in {subject for _, subject, _ in actions(ledger)}) == changed


def test_a_cancelled_job_is_finished_and_stays_so(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    job = job_in(ledger, clock, State.PARKED)
    assert site.post(f"/jobs/{job}/cancel").json()["changed"] is True
    assert site.post(f"/jobs/{job}/cancel").json()["changed"] is False
    assert job_row(ledger, job)["finished_at"] is not None
    assert job_row(ledger, job)["parked_because"] == "refused"
    assert claim(ledger, clock()) == []
    assert len(actions(ledger)) == 1
    assert site.rung == []


def test_a_forced_job_does_not_wait_for_its_back_off(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), wish())
    settle(ledger, clock(), claim_one(ledger, clock()), State.DUE, later=timedelta(hours=2))
    assert claim(ledger, clock()) == []
    assert site.post(f"/jobs/{job}/force").json()["changed"] is True
    assert site.post(f"/jobs/{job}/force").json()["changed"] is False
    assert job_row(ledger, job)["attempts"] == 1
    assert [found.id for found in claim(ledger, clock())] == [job]
    assert len(actions(ledger)) == 1


def test_a_job_that_never_was_is_not_found(site: AdminSite, ledger: Ledger) -> None:
    for what in Steer:
        problem(site.post(f"/jobs/77/{what}"), 404)
    assert actions(ledger) == []


def test_the_same_key_with_the_same_request_gets_the_first_answer(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    job = job_in(ledger, clock, State.PARKED)
    once = {"Idempotency-Key": "a-1"}
    first = site.post(f"/jobs/{job}/retry", {"reason": "x"}, headers=once)
    claim_one(ledger, clock())  # the job has moved on, so the action itself would now be refused
    again = site.post(f"/jobs/{job}/retry", {"reason": "x"}, headers=once)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert len(actions(ledger)) == 1
    assert len(site.rung) == 1
    problem(site.post(f"/jobs/{job}/retry", {"reason": "y"}, headers=once), 422)
    problem(site.post(f"/jobs/{job}/cancel", {"reason": "x"}, headers=once), 422)
    other = site.post(f"/jobs/{job}/retry", {"reason": "x"}, role=Role.OPERATOR, headers=once)
    problem(other, 409)  # another caller's key is another key, and the job runs


def test_what_was_refused_is_not_remembered_under_the_key(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    job = job_in(ledger, clock, State.SUCCEEDED)
    once = {"Idempotency-Key": "a-1"}
    problem(site.post(f"/jobs/{job}/retry", headers=once), 409)
    ledger_set(ledger, job, State.PARKED)
    assert site.post(f"/jobs/{job}/retry", headers=once).json()["changed"] is True


def test_a_key_is_forgotten_after_a_day(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    job = job_in(ledger, clock, State.PARKED)
    once = {"Idempotency-Key": "a-1"}
    site.post(f"/jobs/{job}/cancel", headers=once)
    clock.forward(days=1, seconds=1)
    assert site.post(f"/jobs/{job}/cancel", {"reason": "y"}, headers=once).json()["changed"] is False
    assert len(rows(ledger, "SELECT key FROM answers")) == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 201])
def test_what_is_no_idempotency_key_is_refused(site: AdminSite, ledger: Ledger, clock: Clock, key: str) -> None:
    job = job_in(ledger, clock, State.PARKED)
    document = problem(site.post(f"/jobs/{job}/retry", headers={"Idempotency-Key": key}), 422)
    assert document["faults"][0]["at"] == "header/Idempotency-Key"


def test_requests_with_one_key_at_the_same_time_are_done_once(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    job = job_in(ledger, clock, State.PARKED)
    site.key(Role.ADMIN)

    async def all_at_once() -> list[bytes]:
        headers = {"Idempotency-Key": "a-1"}
        sent = [site.send("POST", f"/jobs/{job}/retry", json={}, headers=headers) for _ in range(12)]
        return [response.content for response in await asyncio.gather(*sent)]

    assert len(set(asyncio.run(all_at_once()))) == 1
    assert len(actions(ledger)) == 1
    assert len(site.rung) == 1


def test_a_new_key_is_shown_once_and_a_repeat_does_not_make_another(site: AdminSite, ledger: Ledger) -> None:
    once = {"Idempotency-Key": "a-1"}
    made = site.post("/keys", {"name": "ann", "role": "viewer", "days": 3}, headers=once)
    assert made.status_code == 201
    key = made.json()["key"]
    assert site.get("/whoami", role=None, headers={"Authorization": f"Bearer {key}"}).json()["name"] == "ann"
    problem(site.post("/keys", {"name": "ann", "role": "viewer", "days": 3}, headers=once), 409)
    assert len(ledger.keys.list()) == 2
    assert key[16:] not in str(rows(ledger, "SELECT * FROM answers"))
    assert key not in site.get("/keys").text


def test_the_last_key_of_an_admin_is_not_ended_over_the_api(site: AdminSite) -> None:
    own = site.get("/whoami").json()["id"]
    assert "last living key" in problem(site.post(f"/keys/{own}/end"), 409)["detail"]
    other, _ = site.new_key(Role.ADMIN)
    assert site.post(f"/keys/{other}/end").json()["living"] is False
    assert site.post(f"/keys/{other}/end").json()["living"] is False
    problem(site.post("/keys/000000000000/end"), 404)


def test_two_who_end_each_other_leave_one(site: AdminSite, ledger: Ledger) -> None:
    keys = [site.get("/whoami").json()["id"], site.new_key(Role.ADMIN)[0]]

    async def both() -> list[int]:
        sent = [site.send("POST", f"/keys/{key}/end", json={}) for key in keys]
        return sorted(response.status_code for response in await asyncio.gather(*sent))

    statuses = asyncio.run(both())
    assert statuses in ([200, 401], [200, 409])
    assert len([key for key in ledger.keys.list() if key.ended_at is None]) == 1


def test_a_worker_and_a_person_who_want_one_job_do_not_both_get_it(ledger: Ledger, clock: Clock) -> None:
    jobs = ask(ledger, clock(), *(wish(device(number)) for number in range(30)))
    start = threading.Barrier(2)
    cancelled: set[int] = set()

    def person() -> None:
        start.wait()
        for job in jobs:
            try:
                with ledger.database.writing() as connection:
                    steer(connection, Order(job=job, steer=Steer.CANCEL, actor="test"), clock())
            except Unlawful:
                continue
            cancelled.add(job)

    thread = threading.Thread(target=person)
    thread.start()
    start.wait()
    claimed = {job.id for _ in range(10) for job in claim(ledger, clock(), ROTATE, limit=3)}
    thread.join()
    assert claimed.isdisjoint(cancelled)
    assert claimed | cancelled | {r["id"] for r in rows(ledger, "SELECT id FROM jobs WHERE state='due'")} == set(jobs)
