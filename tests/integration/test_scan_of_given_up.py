"""The certificate scan takes up what was given up while its device was silent, once, and on its terms."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import time, timedelta

import pytest

from infra.ledger import GivenUp, Ledger
from infra.ledger.standing import Released
from schemas.jobs import ParkedBecause, State
from schemas.limits import Budget, Limits, Window
from services.schedules.seen_devices import as_seen
from tests.conftest import Clock
from tests.support.ledger import DEVICE, ask, claim, claim_one, device, job_row, settle, states, wish
from tests.support.rounds import House, housed, rung
from tests.support.scanning import DAY, HOUR, RENEW, TRANSFER, Account, scan, targets


@pytest.fixture
def house(ledger: Ledger, clock: Clock) -> Iterator[House]:
    with housed(ledger, clock) as house:
        yield house


@pytest.fixture
def account(clock: Clock) -> Account:
    return Account(clock)


def given_up(
    house: House, *, serial: str | None = "a0", because: ParkedBecause = ParkedBecause.EXHAUSTED, **known: object
) -> int:
    """A renewal that was parked, because its device never woke up unless another reason is told."""
    ledger, now = house.ledger, house.clock()
    (number,) = ask(ledger, now, wish(DEVICE, RENEW, when="in time", validity_days=365))
    job = claim_one(ledger, now, RENEW)
    progress = {"asked": "taken", "serial": serial, "rounds": 2, **known} if serial else {}
    settle(ledger, now, job, State.PARKED, parked_because=because, progress=progress)
    return number


def test_a_renewal_that_was_given_up_is_not_asked_for_again_while_its_device_is_silent(
    house: House, account: Account, clock: Clock
) -> None:
    account.enlist(DEVICE, 3, seen=40 * DAY)
    job = given_up(house)
    for _ in range(3):
        clock.forward(days=1)
        assert scan(house, account) == []  # the job itself has raised the alarm
    assert states(house.ledger, [job]) == ["parked"]
    assert targets(house) == [DEVICE]


@pytest.mark.parametrize("serial", [0xA0, 0xA1])
def test_it_goes_on_when_its_device_has_called_in_again(
    serial: int, house: House, account: Account, clock: Clock
) -> None:
    """With the new certificate, or still with the old one."""
    job = given_up(house)
    clock.forward(hours=1)
    account.enlist(DEVICE, 3, serial=serial, seen=timedelta(minutes=1))
    house.bell.rung.clear()
    scan(house, account)
    row = job_row(house.ledger, job)
    assert (row["state"], row["reason"]) == ("due", "its device has called in again; looking")
    assert json.loads(row["progress"]) == {"serial": "a0", "redriven": clock().isoformat()}
    assert rung(house.bell).count(RENEW) >= 1
    assert targets(house) == [DEVICE]


def test_a_move_to_another_ca_goes_on_too(house: House, account: Account, clock: Clock) -> None:
    """Its device has moved meanwhile: a job that waits for nothing must not stay with the parked ones."""
    ledger, now = house.ledger, house.clock()
    (job,) = ask(ledger, now, wish(DEVICE, TRANSFER, from_ca="old.example", to_ca="new.example"))
    progress = {"asked": "taken", "serial": "a0", "rounds": 2}
    claimed = claim_one(ledger, now, TRANSFER)
    settle(ledger, now, claimed, State.PARKED, parked_because=ParkedBecause.EXHAUSTED, progress=progress)
    clock.forward(hours=1)
    account.enlist(DEVICE, 3, serial=0xA1, seen=timedelta(minutes=1))
    house.bell.rung.clear()
    scan(house, account)
    assert states(ledger, [job]) == ["due"]
    assert TRANSFER in rung(house.bell)
    assert targets(house) == [DEVICE, DEVICE], "it bars no renewal"


def all_given_up(house: House, account: Account, limits: Limits, *numbers: int, operation: str = TRANSFER) -> list[int]:
    """Jobs that were parked on these terms, one a day, and whose devices are back."""
    jobs = []
    for number in numbers:
        jobs += ask(house.ledger, house.clock(), replace(wish(device(number), operation), limits=limits))
        claimed = claim_one(house.ledger, house.clock(), operation)
        progress = {"asked": "taken", "serial": "a0", "rounds": 2}
        because = ParkedBecause.EXHAUSTED
        settle(house.ledger, house.clock(), claimed, State.PARKED, parked_because=because, progress=progress)
        house.clock.forward(days=1)
    for number in numbers:
        account.enlist(device(number), 365, seen=timedelta(minutes=1))
    return jobs


def test_what_goes_on_counts_anew_in_its_budget(house: House, account: Account, clock: Clock) -> None:
    """As if a person had retried it: it may be billed again."""
    limits = Limits(budget=Budget(jobs=2, per="day"))
    jobs = all_given_up(house, account, limits, 1, 2, 3)
    ask(house.ledger, clock(), replace(wish(device(9), TRANSFER), limits=limits))
    scan(house, account)
    assert sorted(states(house.ledger, jobs)) == ["due", "held", "held"]
    clock.forward(days=1)
    house.sweep()
    assert sorted(states(house.ledger, jobs)) == ["due", "due", "due"]


def test_a_renewal_that_begins_anew_waits_for_its_window(house: House, account: Account, clock: Clock) -> None:
    """Nothing of it is under way any more, so it does not run late either."""
    limits = Limits(window=Window(opens=time(11), closes=time(13), timezone="UTC"))
    (job,) = all_given_up(house, account, limits, 1, operation=RENEW)
    clock.forward(hours=10)
    account.enlist(device(1), 365, seen=timedelta(minutes=1))
    scan(house, account)
    for hours, state, claimable in ((0, "held", 0), (13, "due", None), (4, "held", 0), (20, "due", 1)):
        clock.forward(hours=hours)
        house.sweep()
        assert states(house.ledger, [job]) == [state], clock()
        if claimable is not None:
            assert len(claim(house.ledger, clock(), RENEW)) == claimable
    assert json.loads(job_row(house.ledger, job)["progress"])["serial"] == "a0"


def test_a_move_that_goes_on_knows_what_it_has_asked_for(house: House, account: Account, clock: Clock) -> None:
    """U-blox may have its request still: it gets another deadline before it may be billed again."""
    (job,) = all_given_up(house, account, Limits(), 1)
    scan(house, account)
    progress = json.loads(job_row(house.ledger, job)["progress"])
    assert progress == {"asked": "taken", "serial": "a0", "rounds": 1, "redriven": clock().isoformat()}


def test_one_that_was_given_up_twice_waits_for_a_person(house: House, account: Account, clock: Clock) -> None:
    job = given_up(house, redriven="2026-05-01T00:00:00+00:00")
    clock.forward(hours=1)
    account.enlist(DEVICE, 3, seen=timedelta(minutes=1))
    scan(house, account)
    assert states(house.ledger, [job]) == ["parked"]
    account.enlist(DEVICE, 365, serial=0xA1, seen=timedelta(minutes=1))
    clock.forward(days=1)
    scan(house, account)
    assert states(house.ledger, [job]) == ["due"]


def test_one_that_was_given_up_before_it_had_looked_goes_on_when_u_blox_answers(house: House, account: Account) -> None:
    job = given_up(house, serial=None)
    account.enlist(DEVICE, 100, seen=9 * DAY)
    scan(house, account)
    assert states(house.ledger, [job]) == ["due"]


def test_a_job_that_somebody_moved_meanwhile_is_left(house: House, clock: Clock) -> None:
    job = given_up(house)
    (found,) = house.ledger.certificates.given_up()
    old: GivenUp = replace(found, parked_at=clock() - HOUR)
    assert house.ledger.certificates.try_again({job: old}, clock(), reason="x") == ([], Released())
    moved, released = house.ledger.certificates.try_again({job: found}, clock(), reason="x")
    assert (moved, released.due) == ([job], {RENEW: [job]})
    assert house.ledger.certificates.given_up() == []


def seen_since(house: House, account: Account, *, serial: int) -> None:
    """Some job has looked at the device, which has called in."""
    account.enlist(DEVICE, 300, serial=serial, seen=timedelta(minutes=1))
    house.ledger.certificates.store([as_seen(account.looks[DEVICE], house.clock())])
    account.calls.clear()


def test_what_was_refused_costs_no_look_before_its_device_has_another_certificate(
    house: House, account: Account, clock: Clock
) -> None:
    """It may have called in: with the certificate that must not be renewed nothing has changed."""
    scan(house, account)
    job = given_up(house, because=ParkedBecause.REFUSED)
    for serial, state, looks in ((0xA0, "parked", 0), (0xA1, "due", 1)):
        clock.forward(days=1)
        seen_since(house, account, serial=serial)
        scan(house, account)
        assert (states(house.ledger, [job]), account.calls["look"]) == ([state], looks)


def test_what_was_refused_is_not_counted_again(house: House, account: Account, clock: Clock) -> None:
    """Nothing was asked for: after a roll of a root CA the budget is for those that need a renewal."""
    limits = Limits(budget=Budget(jobs=1, per="month"))
    (job,) = ask(house.ledger, clock(), replace(wish(DEVICE, RENEW), limits=limits))
    settle(house.ledger, clock(), claim_one(house.ledger, clock(), RENEW), State.PARKED, progress={"serial": "a0"})
    clock.forward(days=1)
    seen_since(house, account, serial=0xA1)
    scan(house, account)
    assert states(house.ledger, [job]) == ["due"]
