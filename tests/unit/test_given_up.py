"""Certificate work that was given up and is tried again, by a person or by the scan: it remembers what it asked for.

The device may have done it meanwhile, and u-blox may have the request still; neither may be billed a second time.
"""

from collections.abc import Callable

import pytest

from schemas.jobs import Done, Job, Parked, ParkedBecause
from services.operations.delete_certificate import DeleteCertificate
from services.operations.replace_certificate import ReplaceCertificate
from services.operations.transfer_root_ca import TransferRootCa
from tests.conftest import Clock
from tests.support.cloud import Cloud, Phone
from tests.support.crl import CA, OTHER_CA
from tests.support.fleet import Desk
from tests.support.ledger import DEVICE, OTHER

Begin = Callable[[Cloud, Clock], tuple[Desk, Job]]


@pytest.fixture
def cloud(clock: Clock) -> Cloud:
    return Cloud(clock, **{DEVICE: Phone(), OTHER: Phone()})


def replacement(cloud: Cloud, clock: Clock) -> tuple[Desk, Job]:
    desk = Desk(ReplaceCertificate(), cloud, clock)
    return desk, desk.job(1, DEVICE)


def transfer(cloud: Cloud, clock: Clock) -> tuple[Desk, Job]:
    desk = Desk(TransferRootCa(), cloud, clock)
    return desk, desk.job(1, DEVICE, from_ca=CA, to_ca=OTHER_CA)


def deletion(cloud: Cloud, clock: Clock) -> tuple[Desk, Job]:
    desk = Desk(DeleteCertificate(), cloud, clock)
    return desk, desk.job(1, DEVICE)


def until_parked(desk: Desk, job: Job, clock: Clock) -> Parked:
    for _ in range(12):
        outcome = desk.run_one(job)
        if isinstance(outcome, Parked):
            return outcome
        clock.forward(days=14)
    raise AssertionError(outcome)


@pytest.mark.parametrize("begin", [replacement, transfer, deletion])
def test_what_the_device_did_meanwhile_is_seen(cloud: Cloud, clock: Clock, begin: Begin) -> None:
    desk, job = begin(cloud, clock)
    assert until_parked(desk, job, clock).because is ParkedBecause.EXHAUSTED
    paid = dict(cloud.phones[DEVICE].asked)
    cloud.heartbeat(DEVICE)
    cloud.heartbeat(DEVICE)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Done), outcome
    assert cloud.phones[DEVICE].asked == paid


@pytest.mark.parametrize("hides", ["nothing", "action"])
@pytest.mark.parametrize("begin", [replacement, transfer])
def test_what_u_blox_has_still_is_not_asked_for_again(cloud: Cloud, clock: Clock, begin: Begin, hides: str) -> None:
    cloud.hides |= {hides}
    desk, job = begin(cloud, clock)
    until_parked(desk, job, clock)
    paid = dict(cloud.phones[DEVICE].asked)
    for _ in range(3):  # each time somebody tries again
        desk.run_one(job)
        until_parked(desk, job, clock)
    assert cloud.phones[DEVICE].asked == paid


def test_a_certificate_that_came_after_the_deletion_was_given_up_is_not_deleted(cloud: Cloud, clock: Clock) -> None:
    desk, job = deletion(cloud, clock)
    until_parked(desk, job, clock)
    phone = cloud.phones[DEVICE]
    paid, phone.serial, phone.action = dict(phone.asked), 0xB1, None
    outcome = desk.run_one(job)
    assert isinstance(outcome, Parked), outcome
    assert outcome.because is ParkedBecause.REFUSED
    assert phone.asked == paid
