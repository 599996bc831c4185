import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from infra.ledger import Ledger, Plan, Planned
from schemas.jobs import State
from tests.conftest import Clock
from tests.support.ledger import (
    DEVICE,
    OTHER,
    RENEW,
    ROTATE,
    ask,
    attempt_rows,
    claim,
    claim_one,
    confirm,
    device,
    event_row,
    job_row,
    rows,
    settle,
    states,
    take_in,
    wish,
)


def test_a_wish_becomes_a_job_that_is_due_now(ledger: Ledger, clock: Clock) -> None:
    (event,) = take_in(ledger, clock())
    plan = Plan(event_id=event, verdict="rule one", jobs=[wish(days=7)], evidence={"serial": "ab"})
    planned = ledger.planning.store([plan], clock())
    ((operation, (job,)),) = planned.due.items()
    row = job_row(ledger, job)
    assert (operation, planned.events) == (ROTATE, 1)
    assert (row["state"], row["target"], row["lock_key"], row["event_id"]) == ("due", DEVICE, f"ublox:{DEVICE}", event)
    assert (row["parameters"], row["evidence"], row["attempts"]) == ('{"days":7}', '{"serial":"ab"}', 0)
    assert event_row(ledger, event)["verdict"] == "rule one"


def test_an_event_that_leads_to_nothing_is_planned_all_the_same(ledger: Ledger, clock: Clock) -> None:
    (event,) = take_in(ledger, clock())
    assert ledger.planning.store([Plan(event_id=event, verdict="no rule matches")], clock()) == Planned(events=1)
    assert (event_row(ledger, event)["state"], ledger.inbox.waiting(10)) == ("planned", [])


def test_a_fault_of_ours_can_be_found_again(ledger: Ledger, clock: Clock) -> None:
    (event,) = take_in(ledger, clock())
    ledger.planning.store([Plan(event_id=event, verdict="could not be planned", fault=True)], clock())
    assert event_row(ledger, event)["state"] == "fault"


def test_an_event_is_planned_once_however_often_its_plan_is_stored(ledger: Ledger, clock: Clock) -> None:
    (event,) = take_in(ledger, clock())
    plan = Plan(event_id=event, verdict="first", jobs=[wish()])
    assert ledger.planning.store([plan], clock()).events == 1
    assert ledger.planning.store([plan], clock()) == Planned()
    assert len(rows(ledger, "SELECT id FROM jobs")) == 1


def test_planners_at_once_plan_each_event_once(ledger: Ledger, clock: Clock) -> None:
    """Four planners read the same sixty events; every event leads to one job, made by one of them."""
    events = take_in(ledger, clock(), 60)
    plans = [Plan(event_id=event, verdict="v", jobs=[wish(device(event))]) for event in events]
    with ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(lambda _: ledger.planning.store(plans, clock()), range(4)))
    assert sum(planned.events for planned in stored) == 60
    assert [row["event_id"] for row in rows(ledger, "SELECT event_id FROM jobs ORDER BY event_id")] == events


def test_planners_at_once_coalesce_equal_wishes_into_one_job(ledger: Ledger, clock: Clock) -> None:
    """Every planner has events of its own, all of them about one device."""
    events = take_in(ledger, clock(), 40)
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda part: ledger.planning.store(
                    [Plan(event_id=event, verdict="v", jobs=[wish()]) for event in events[part::4]], clock()
                ),
                range(4),
            )
        )
    assert len(rows(ledger, "SELECT id FROM jobs")) == 1
    assert len(rows(ledger, "SELECT event_id FROM event_jobs WHERE role = 'served'")) == 39


def test_a_wish_that_already_waits_serves_the_next_one_too(ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), wish(days=7))
    assert ask(ledger, clock(), wish(days=7)) == []
    (verdict,) = (row["verdict"] for row in rows(ledger, "SELECT verdict FROM events ORDER BY id DESC LIMIT 1"))
    assert verdict == f"a test asks; served by job {job}, which is due"


def test_two_equal_wishes_of_one_batch_are_one_job(ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), wish(days=7), wish(days=7))
    assert [row["job_id"] for row in rows(ledger, "SELECT job_id FROM event_jobs")] == [job]


def test_equal_means_equal_whatever_the_order_of_the_parameters(ledger: Ledger, clock: Clock) -> None:
    assert len(ask(ledger, clock(), wish(days=7, type="AUTOMATIC"), wish(type="AUTOMATIC", days=7))) == 1


def test_wishes_for_other_targets_or_operations_stand_beside_each_other(ledger: Ledger, clock: Clock) -> None:
    assert len(ask(ledger, clock(), wish(), wish(OTHER), wish(operation=RENEW))) == 3


def test_a_running_job_does_not_serve_a_later_wish(ledger: Ledger, clock: Clock) -> None:
    """Its look may have been before whatever caused the wish."""
    ask(ledger, clock(), wish())
    claim(ledger, clock())
    assert len(ask(ledger, clock(), wish())) == 1


@pytest.mark.parametrize("state", [State.RUNNING, State.AWAITING, State.DUE])
def test_work_under_way_serves_a_wish_that_says_so(ledger: Ledger, clock: Clock, state: State) -> None:
    (job,) = ask(ledger, clock(), wish(operation=RENEW))
    (claimed,) = claim(ledger, clock(), RENEW)
    if state is not State.RUNNING:
        settle(ledger, clock(), claimed, state, later=timedelta(hours=1))
    assert ask(ledger, clock(), wish(operation=RENEW, unless_under_way=True, validity_days=30)) == []
    assert states(ledger, [job]) == [state]


def test_a_wish_unless_under_way_is_served_by_one_of_its_own_batch(ledger: Ledger, clock: Clock) -> None:
    lenient = wish(operation=RENEW, unless_under_way=True)
    assert len(ask(ledger, clock(), lenient, lenient, wish(OTHER, RENEW, unless_under_way=True))) == 2


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.PARKED])
def test_finished_or_parked_work_serves_no_wish(ledger: Ledger, clock: Clock, state: State) -> None:
    ask(ledger, clock(), wish(operation=RENEW))
    settle(ledger, clock(), claim_one(ledger, clock(), RENEW), state)
    assert len(ask(ledger, clock(), wish(operation=RENEW, unless_under_way=True))) == 1


def test_a_newer_wish_supersedes_one_that_nobody_tried(ledger: Ledger, clock: Clock) -> None:
    (old,) = ask(ledger, clock(), wish(days=7))
    (new,) = ask(ledger, clock.forward(minutes=1), wish(days=3))
    assert states(ledger, [old, new]) == ["superseded", "due"]
    assert job_row(ledger, old)["finished_at"] is not None
    assert [job.id for job in claim(ledger, clock())] == [new]


@pytest.mark.parametrize("counts", [True, False])
def test_a_newer_wish_does_not_supersede_one_that_was_tried(
    ledger: Ledger,
    clock: Clock,
    counts: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """What was tried may have been done in part; also when waiting gave the attempt back."""
    (old,) = ask(ledger, clock(), wish(days=7))
    settle(ledger, clock(), claim_one(ledger, clock()), State.DUE, later=timedelta(minutes=1), counts=counts)
    (new,) = ask(ledger, clock(), wish(days=3))
    assert states(ledger, [old, new]) == ["due", "due"]


def test_a_newer_wish_does_not_supersede_a_look_that_is_due_again(ledger: Ledger, clock: Clock) -> None:
    """The upstream took the first one: its proof is still to come."""
    (old,) = ask(ledger, clock(), wish(operation=RENEW, validity_days=365))
    settle(ledger, clock(), claim_one(ledger, clock(), RENEW), State.AWAITING)
    ledger.work.wake(clock())
    ask(ledger, clock(), wish(operation=RENEW, validity_days=30))
    assert states(ledger, [old]) == ["due"]


def test_a_newer_wish_leaves_other_operations_of_its_target_alone(ledger: Ledger, clock: Clock) -> None:
    (renewal,) = ask(ledger, clock(), wish(operation=RENEW))
    ask(ledger, clock(), wish(days=7))
    ask(ledger, clock(), wish(days=3))
    assert states(ledger, [renewal]) == ["due"]


def test_a_confirming_event_makes_an_awaiting_job_due_with_what_it_says(ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), wish(operation=RENEW), evidence={"serial": "old"})
    settle(ledger, clock(), claim_one(ledger, clock(), RENEW), State.AWAITING, later=timedelta(days=1))
    event = confirm(ledger, clock.forward(hours=1), serial="new")
    assert event["verdict"] == f"a test confirms; confirms job {job}"
    (again,) = claim(ledger, clock(), RENEW)
    assert (again.id, again.evidence) == (job, {"serial": "new"})
    assert rows(ledger, "SELECT * FROM event_jobs") == [{"event_id": event["id"], "job_id": job, "role": "confirmed"}]


@pytest.mark.parametrize("after", [timedelta(), timedelta(seconds=1), timedelta(seconds=-1)])
def test_a_confirmation_that_comes_while_a_worker_looks_is_not_lost(
    ledger: Ledger, clock: Clock, after: timedelta
) -> None:
    """Also when the planner's clock is not the worker's: what counts is that it came during the attempt."""
    (job,) = ask(ledger, clock(), wish(operation=RENEW))
    (running,) = claim(ledger, clock(), RENEW)
    confirm(ledger, clock() + after, serial="new")
    assert states(ledger, [job]) == ["running"]
    settle(ledger, clock.forward(seconds=5), running, State.AWAITING, later=timedelta(days=1))
    assert ledger.work.wake(clock()) == 1
    assert [job.evidence for job in claim(ledger, clock(), RENEW)] == [{"serial": "new"}]


def test_a_confirmation_is_used_up_by_the_look_that_it_caused(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish(operation=RENEW))
    settle(ledger, clock(), claim_one(ledger, clock(), RENEW), State.AWAITING, later=timedelta(days=1))
    confirm(ledger, clock.forward(hours=1))
    settle(ledger, clock.forward(seconds=1), claim_one(ledger, clock(), RENEW), State.AWAITING, later=timedelta(days=1))
    assert ledger.work.wake(clock.forward(hours=1)) == 0


@pytest.mark.parametrize("target", [DEVICE, OTHER])
def test_an_event_that_nobody_waits_for_changes_nothing(ledger: Ledger, clock: Clock, target: str) -> None:
    (job,) = ask(ledger, clock(), wish(operation=RENEW))
    settle(ledger, clock(), claim_one(ledger, clock(), RENEW), State.SUCCEEDED)
    before = job_row(ledger, job)
    assert confirm(ledger, clock(), target)["verdict"] == f"a test confirms; no {RENEW} waits for it"
    assert job_row(ledger, job) == before


def test_the_event_that_asks_and_the_event_that_confirms_may_share_a_transaction(ledger: Ledger, clock: Clock) -> None:
    """A job of the same transaction has asked for nothing yet, so nothing can confirm it."""
    one, two = take_in(ledger, clock(), 2)
    plans = [
        Plan(event_id=one, verdict="asks", jobs=[wish(operation=RENEW)]),
        Plan(event_id=two, verdict="confirms", confirms=[(RENEW, DEVICE)]),
    ]
    ((job,),) = ledger.planning.store(plans, clock()).due.values()
    assert states(ledger, [job]) == ["due"]
    assert event_row(ledger, two)["verdict"] == f"confirms; no {RENEW} waits for it"


@pytest.mark.parametrize("odd", ["\0", "a\0b", "\U0001f511 é \u202e", "\ud800", "'; DROP TABLE jobs; --"])
def test_odd_text_from_a_sender_stops_no_plan(ledger: Ledger, clock: Clock, odd: str) -> None:
    odd_one, plain_one = take_in(ledger, clock(), 2)
    plans = [
        Plan(event_id=odd_one, verdict=f"said {odd}", jobs=[wish(note=odd)], evidence={"serial": odd}),
        Plan(event_id=plain_one, verdict="plain", jobs=[wish(OTHER)]),
    ]
    assert ledger.planning.store(plans, clock()).events == 2
    assert str(event_row(ledger, odd_one)["verdict"]).startswith("said ")
    (job,) = claim(ledger, clock(), limit=1)
    assert (job.parameters, job.evidence) == ({"note": odd}, {"serial": odd})


def test_a_hundred_devices_in_one_batch_are_a_hundred_jobs_in_order(ledger: Ledger, clock: Clock) -> None:
    ids = ask(ledger, clock(), *[wish(device(number)) for number in range(100)])
    assert [job.target for job in claim(ledger, clock())] == [device(number) for number in range(100)]
    assert all(json.loads(job_row(ledger, job)["progress"]) == {} for job in ids[:3])
    assert attempt_rows(ledger, ids[0]) == []


def test_a_job_behind_another_of_its_target_says_so(ledger: Ledger, clock: Clock) -> None:
    first, *_ = ask(ledger, clock(), wish(), wish(OTHER))
    (second,) = ask(ledger, clock(), wish(operation=RENEW))
    assert job_row(ledger, first)["reason"] == "waits for a worker"
    assert job_row(ledger, second)["reason"] == f"stands behind job {first} of the same target"


@pytest.mark.parametrize("state", [State.RUNNING, State.DUE, State.AWAITING, State.PARKED, State.SUCCEEDED])
def test_a_new_job_stands_behind_what_holds_it_back_and_nothing_else(
    ledger: Ledger, clock: Clock, state: State
) -> None:
    (first,) = ask(ledger, clock(), wish())
    job = claim_one(ledger, clock())
    if state is not State.RUNNING:
        settle(ledger, clock(), job, state, later=timedelta(hours=1))
    (second,) = ask(ledger, clock(), wish(operation=RENEW))
    behind = state in {State.RUNNING, State.DUE}
    reason = f"stands behind job {first} of the same target" if behind else "waits for a worker"
    assert job_row(ledger, second)["reason"] == reason


def test_jobs_of_one_event_stand_behind_each_other(ledger: Ledger, clock: Clock) -> None:
    (event,) = take_in(ledger, clock())
    ledger.planning.store([Plan(event_id=event, verdict="v", jobs=[wish(), wish(operation=RENEW)])], clock())
    assert [row["reason"] for row in rows(ledger, "SELECT reason FROM jobs ORDER BY id")] == [
        "waits for a worker",
        "stands behind another job of the same target",
    ]
