"""Certificates that move to another CA, and certificates that go."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.errors import Busy, Refused
from schemas.jobs import Again, Awaiting, Done, Outcome, Parked, ParkedBecause
from services.operations.delete_certificate import DeleteCertificate, DeleteCertificateParameters
from services.operations.transfer_root_ca import TransferRootCa, TransferRootCaParameters
from tests.conftest import Clock
from tests.support.cloud import Cloud, Phone
from tests.support.crl import CA, OTHER_CA
from tests.support.fleet import DOUBT, Desk, Killed
from tests.support.ledger import DEVICE, OTHER

OVER: dict[str, Any] = {"from_ca": CA, "to_ca": OTHER_CA}
HEARTBEAT = "waiting for the device's heartbeat"


@pytest.fixture
def cloud(clock: Clock) -> Cloud:
    return Cloud(clock, **{DEVICE: Phone(), OTHER: Phone(serial=0xA1)})


@pytest.fixture
def phone(cloud: Cloud) -> Phone:
    return cloud.phones[DEVICE]


@pytest.fixture
def moving(cloud: Cloud, clock: Clock) -> Desk:
    return Desk(TransferRootCa(), cloud, clock)


@pytest.fixture
def deleting(cloud: Cloud, clock: Clock) -> Desk:
    return Desk(DeleteCertificate(), cloud, clock)


def waits(outcome: Outcome) -> bool:
    return isinstance(outcome, Awaiting) and HEARTBEAT in outcome.reason


def test_a_device_is_transferred_at_its_heartbeat(cloud: Cloud, moving: Desk, phone: Phone) -> None:
    job = moving.job(1, DEVICE, **OVER)
    asked = moving.run_one(job)
    assert isinstance(asked, Awaiting)
    assert asked.reason == f"u-blox took the transfer; {HEARTBEAT}, until 24 May 2026 12:00 UTC"
    assert waits(moving.run_one(job))
    cloud.heartbeat(DEVICE)
    done = moving.run_one(job)
    assert done == Done(note="looked again: of other.example, serial b1, expires 09 Jun 2027")
    assert phone.asked == {"transfer": 1}


def test_a_device_that_is_there_already_is_left_alone(cloud: Cloud, moving: Desk, phone: Phone) -> None:
    phone.ca_name = OTHER_CA
    assert isinstance(moving.run_one(moving.job(1, DEVICE, **OVER)), Done)
    assert cloud.calls == {"look": 1}


def test_a_renewal_by_the_old_ca_in_between_is_not_the_end(cloud: Cloud, moving: Desk, phone: Phone) -> None:
    job = moving.job(1, DEVICE, **OVER)
    moving.run(job)
    phone.serial, phone.ca_name = 0xA9, CA
    assert waits(moving.run_one(job))
    cloud.heartbeat(DEVICE)
    assert isinstance(moving.run_one(job), Done)


@pytest.mark.parametrize(
    ("phone", "reason"),
    [
        (Phone(serial=None), "u-blox answers, but shows no certificate to transfer"),
        (Phone(blacklisted=True), "the device is blacklisted: it gets no certificate"),
        (Phone(ca_name="third.example"), "the certificate is of third.example, not of ca.example"),
        (Phone(ca_name=None), "the certificate is of an unknown CA, not of ca.example"),
    ],
)
def test_what_cannot_be_transferred_is_found_before_the_call(clock: Clock, phone: Phone, reason: str) -> None:
    cloud = Cloud(clock, **{DEVICE: phone})
    desk = Desk(TransferRootCa(), cloud, clock)
    assert desk.run_one(desk.job(1, DEVICE, **OVER)) == Parked(reason=reason, because=ParkedBecause.REFUSED)
    assert cloud.calls == {"look": 1}


@pytest.mark.parametrize(
    "given", [{"from_ca": CA, "to_ca": CA}, {"from_ca": CA}, {"from_ca": CA, "to_ca": "a" * 46}, OVER | {"more": 1}]
)
def test_what_the_document_forbids_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TransferRootCaParameters.model_validate(given)
    with pytest.raises(ValidationError):
        DeleteCertificateParameters.model_validate({"more": 1})


@pytest.mark.parametrize("hides", [set(), {"action"}])
def test_while_an_update_is_under_way_nothing_is_transferred_or_deleted(
    cloud: Cloud, moving: Desk, deleting: Desk, phone: Phone, hides: set[str]
) -> None:
    """Where the service does not name what waits, its answer does."""
    phone.action = "UPDATE"
    cloud.hides |= hides
    cloud.refuses[DEVICE] = Busy("an update is under way", call="/x", status=400)
    for desk, job in ((moving, moving.job(1, DEVICE, **OVER)), (deleting, deleting.job(2, DEVICE))):
        outcome = desk.run_one(job)
        assert isinstance(outcome, Again)
        assert (outcome.after, outcome.counts) == (3600.0, False)
    assert not phone.asked


@pytest.mark.parametrize("acts", [False, True])
def test_a_worker_that_died_in_the_call_asks_again_only_where_nothing_waits(
    cloud: Cloud, moving: Desk, deleting: Desk, clock: Clock, *, acts: bool
) -> None:
    for desk, verb, uid, given in ((moving, "transfer", DEVICE, OVER), (deleting, "delete", OTHER, {})):
        cloud.fail(verb, Killed(), acts=acts)
        job = desk.job(1, uid, **given)
        with pytest.raises(Killed):
            desk.run(job)
        assert waits(desk.run_one(job)) is acts
        clock.now += DOUBT
        assert waits(desk.run_one(job))
        assert cloud.phones[uid].asked == {verb: 1}
        cloud.heartbeat(uid)
        assert isinstance(desk.run_one(job), Done)


def test_after_the_deadline_a_transfer_is_asked_once_more_and_then_parked(
    moving: Desk, phone: Phone, clock: Clock
) -> None:
    job = moving.job(1, DEVICE, **OVER)
    moving.run(job)
    phone.action = None  # the service has lost it
    clock.forward(days=14)
    assert waits(moving.run_one(job))
    assert phone.asked == {"transfer": 2}
    clock.forward(days=14)
    outcome = moving.run_one(job)
    assert isinstance(outcome, Parked)
    assert outcome.reason == (
        "2 deadlines passed, and the device has serial a0, expires 09 Jun 2027 of ca.example: does it still wake up?"
    )


def test_a_refused_device_stands_alone(cloud: Cloud, moving: Desk) -> None:
    cloud.refuses[OTHER] = Refused("no quota", call="/x", status=403)
    outcomes = moving.run(moving.job(1, DEVICE, **OVER), moving.job(2, OTHER, **OVER))
    assert waits(outcomes[1])
    assert outcomes[2] == Parked(reason="no quota", because=ParkedBecause.REFUSED, status=403)


def test_a_certificate_is_deleted_at_the_heartbeat(cloud: Cloud, deleting: Desk, phone: Phone) -> None:
    job = deleting.job(1, DEVICE)
    assert waits(deleting.run_one(job))
    assert waits(deleting.run_one(job))
    cloud.heartbeat(DEVICE)
    assert deleting.run_one(job) == Done(note="u-blox shows that the device has no certificate")
    assert phone.asked == {"delete": 1}


def test_where_there_is_no_certificate_there_is_nothing_to_delete(cloud: Cloud, deleting: Desk, phone: Phone) -> None:
    phone.serial = None
    assert isinstance(deleting.run_one(deleting.job(1, DEVICE)), Done)
    assert cloud.calls == {"look": 1}


def test_an_answer_without_a_word_on_certificates_is_no_proof_that_there_is_none(
    cloud: Cloud, deleting: Desk, phone: Phone
) -> None:
    cloud.hides = {"certificate", "pending"}
    outcome = deleting.run_one(deleting.job(1, DEVICE))
    assert isinstance(outcome, Parked)
    assert outcome.reason == "u-blox shows neither a certificate nor whether an action waits: is there one to delete?"
    cloud.hides = set()
    assert waits(deleting.run_one(deleting.job(2, DEVICE)))
    assert phone.asked == {"delete": 1}


def test_a_device_between_the_two_heartbeats_of_an_update_is_not_one_without_a_certificate(
    cloud: Cloud, deleting: Desk, phone: Phone
) -> None:
    phone.serial, phone.action = None, "UPDATE"
    job = deleting.job(1, DEVICE)
    assert isinstance(deleting.run_one(job), Again)
    cloud.heartbeat(DEVICE)
    assert waits(deleting.run_one(job))
    assert phone.asked == {"delete": 1}


def test_a_certificate_that_came_after_the_deletion_is_a_persons_to_judge(deleting: Desk, phone: Phone) -> None:
    job = deleting.job(1, DEVICE)
    deleting.run(job)
    phone.serial, phone.action = 0xC1, None
    outcome = deleting.run_one(job)
    assert isinstance(outcome, Parked)
    assert "after the deletion was asked for the device got another certificate, serial c1" in outcome.reason
    assert phone.asked == {"delete": 1}


def test_a_blacklisted_device_may_lose_its_certificate(deleting: Desk, phone: Phone) -> None:
    phone.blacklisted = True
    assert waits(deleting.run_one(deleting.job(1, DEVICE)))
