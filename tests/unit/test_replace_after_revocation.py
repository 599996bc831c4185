"""Once an update is under way u-blox revokes nothing: so after a leak nothing is replaced before it is revoked."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from schemas.errors import OurFault, TryAgain
from schemas.jobs import Again, Awaiting, Outcome, Parked, ParkedBecause, Spawn
from schemas.ublox import CertificateLook
from services.operations.certificate_facts import key_of
from services.operations.replace_certificate import ReplaceCertificate
from tests.conftest import Clock
from tests.support.cloud import Cloud, Phone
from tests.support.crl import CA, OTHER_CA, pem, revocation_list
from tests.support.fleet import Desk
from tests.support.ledger import DEVICE, OTHER, device

HEARTBEAT = "waiting for the device's heartbeat"


@pytest.fixture
def cloud(clock: Clock) -> Cloud:
    return Cloud(clock, **{DEVICE: Phone(), OTHER: Phone()})


@pytest.fixture
def phone(cloud: Cloud) -> Phone:
    return cloud.phones[DEVICE]


@pytest.fixture
def desk(cloud: Cloud, clock: Clock) -> Desk:
    return Desk(ReplaceCertificate(), cloud, clock)


def waits(outcome: Outcome) -> bool:
    return isinstance(outcome, Awaiting) and HEARTBEAT in outcome.reason


def test_what_is_revoked_is_replaced(cloud: Cloud, desk: Desk, phone: Phone) -> None:
    cloud.revoked[CA].add(0xA0)
    assert waits(desk.run_one(desk.job(1, DEVICE, after_revocation=True)))
    assert phone.asked == {"update": 1}


def test_what_is_not_revoked_yet_waits_and_holds_up_nobody(
    cloud: Cloud, desk: Desk, phone: Phone, clock: Clock
) -> None:
    job = desk.job(1, DEVICE, after_revocation=True)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Awaiting)  # one that is due would stand before the job that revokes
    assert outcome.reason.startswith(
        "not replaced before it is revoked: the revocation list of ca.example of 10 May 2026 12:00 UTC"
        " does not show serial a0"
    )
    assert outcome.look_at == clock() + timedelta(minutes=10)
    assert not phone.asked
    cloud.revoked[CA].add(0xA0)
    assert waits(desk.run_one(job))
    assert phone.asked == {"update": 1}


def test_the_revocation_of_an_older_certificate_is_not_enough(cloud: Cloud, desk: Desk, phone: Phone) -> None:
    """It was renewed in between, with the key that leaked."""
    cloud.revoked[CA].add(0xA0)
    cloud.renew(DEVICE)
    assert isinstance(desk.run_one(desk.job(1, DEVICE, after_revocation=True)), Awaiting)
    assert not phone.asked


@pytest.mark.parametrize("list_", ["not a list", "forged", "old"])
def test_a_list_that_cannot_be_relied_on_proves_nothing(
    cloud: Cloud, desk: Desk, phone: Phone, clock: Clock, list_: str
) -> None:
    cloud.revoked[CA].add(0xA0)
    cloud.lists[CA] = {
        "not a list": b"-----BEGIN X509 CRL-----",
        "forged": revocation_list(CA, [0xA0], clock(), signer=OTHER_CA, encoding=Encoding.DER),
        "old": revocation_list(CA, [0xA0], clock() - timedelta(days=30)),
    }[list_]
    job = desk.job(1, DEVICE, after_revocation=True)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Awaiting)
    assert outcome.reason.startswith("not replaced before it is revoked: ")
    assert not phone.asked


def test_what_nobody_revokes_needs_a_person_in_the_end(desk: Desk, phone: Phone, clock: Clock) -> None:
    job = desk.job(1, DEVICE, after_revocation=True)
    desk.run(job)
    clock.forward(days=14)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Parked)
    assert outcome.because is ParkedBecause.EXHAUSTED
    assert not phone.asked


@pytest.mark.parametrize(
    "error", [TryAgain("answered 503", call="/x", status=503), OurFault("who?", call="/x", status=401)]
)
@pytest.mark.parametrize("verb", ["crls", "authorities"])
def test_when_the_list_cannot_be_had_it_is_tried_again(
    cloud: Cloud, desk: Desk, phone: Phone, verb: str, error: TryAgain | OurFault
) -> None:
    cloud.revoked[CA].add(0xA0)
    cloud.fail(verb, error)
    job = desk.job(1, DEVICE, after_revocation=True)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Again)
    assert not phone.asked
    assert waits(desk.run_one(job))


def test_one_list_serves_the_whole_batch(cloud: Cloud, desk: Desk) -> None:
    cloud.phones |= {device(number): Phone(serial=number + 1) for number in range(98)}
    cloud.revoked[CA] |= set(range(99))
    jobs = [desk.job(number, target, after_revocation=True) for number, target in enumerate(cloud.phones)]
    outcomes = desk.run(*jobs)
    asked = [target for target, phone in cloud.phones.items() if phone.asked]
    assert (len(outcomes), len(asked)) == (100, 98)
    assert cloud.calls == {"look": 1, "crls": 1, "authorities": 1, "update": 1}


def test_an_event_that_is_planned_again_after_the_replacement_replaces_nothing(
    cloud: Cloud, desk: Desk, phone: Phone, clock: Clock
) -> None:
    """The certificate is younger than what the event tells of, and nobody revoked it."""
    event = {"occurred_at": clock().isoformat()}
    clock.forward(hours=2)
    phone.action = "UPDATE"
    cloud.heartbeat(DEVICE)
    cloud.heartbeat(DEVICE)
    outcome = desk.run_one(desk.job(1, DEVICE, event, after_revocation=True))
    assert isinstance(outcome, Parked)
    assert outcome.reason.startswith("the wish is older than the device's certificate, serial b2")
    assert not phone.asked


def test_where_no_key_is_shown_a_person_is_told_at_once_what_to_revoke(cloud: Cloud, desk: Desk, phone: Phone) -> None:
    """A renewal was under way when the certificate was revoked, and has landed since."""
    cloud.hides.add("pem")
    cloud.revoked[CA].add(0xA0)
    desk.revocations[DEVICE] = [{"serial": "a0", "ca": CA, "pending": True}]
    cloud.renew(DEVICE)
    job = desk.job(1, DEVICE, after_revocation=True)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Parked)
    assert "a renewal was under way when serial a0 was revoked" in outcome.reason
    assert "revoke it too (ublox.revoke_certificate with serial=b1), then retry this job" in outcome.reason
    assert not phone.asked
    cloud.revoked[CA].add(0xB1)
    assert waits(desk.run_one(job))
    assert phone.asked == {"update": 1}


def test_a_job_for_the_renewed_certificate_is_made_once_and_then_waited_for(
    cloud: Cloud, desk: Desk, phone: Phone
) -> None:
    cloud.revoked[CA].add(0xA0)
    key = key_of(CertificateLook(serial=0xA0, ca_name=CA, expires_at=None, pem=pem(CA, phone.owner, 0xA0)))
    desk.revocations[DEVICE] = [{"serial": "a0", "ca": CA, "key": key}]
    cloud.renew(DEVICE)
    job = desk.job(1, DEVICE, after_revocation=True)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Spawn)
    assert [child.parameters for child in outcome.children] == [{"serial": "b1", "ca_name": CA}]
    outcome = desk.run_one(job)
    assert isinstance(outcome, Awaiting)
    assert outcome.reason.startswith("not replaced before it is revoked too: it was renewed meanwhile: serial b1")
    assert not phone.asked
