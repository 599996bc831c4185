"""A certificate is revoked at once, and exactly the one that was meant, however often its job runs."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from schemas.errors import Busy, LedgerUnavailable, OurFault, Refused, TryAgain
from schemas.jobs import Again, Awaiting, Done, Parked, ParkedBecause
from services.operations.revoke_certificate import RevokeCertificate, RevokeCertificateParameters
from tests.conftest import Clock
from tests.support.cloud import Cloud, Phone
from tests.support.crl import CA, OTHER_CA, revocation_list
from tests.support.fleet import Desk, Killed
from tests.support.ledger import DEVICE, OTHER, device

SEEN = "looked again: revoked: the revocation list of ca.example of 10 May 2026 12:00 UTC shows serial a0"


@pytest.fixture
def cloud(clock: Clock) -> Cloud:
    return Cloud(clock, **{DEVICE: Phone(), OTHER: Phone(serial=0xA1)})


@pytest.fixture
def phone(cloud: Cloud) -> Phone:
    return cloud.phones[DEVICE]


@pytest.fixture
def desk(cloud: Cloud, clock: Clock) -> Desk:
    return Desk(RevokeCertificate(), cloud, clock)


def test_a_certificate_is_revoked_and_found_in_the_list(cloud: Cloud, desk: Desk) -> None:
    assert desk.run_one(desk.job(1, DEVICE)) == Done(note=SEEN)
    assert cloud.revoked == {CA: {0xA0}, OTHER_CA: set()}


def test_one_that_is_revoked_already_is_not_asked_for(cloud: Cloud, desk: Desk) -> None:
    cloud.revoked[CA].add(0xA0)
    outcome = desk.run_one(desk.job(1, DEVICE))
    assert isinstance(outcome, Done)
    assert outcome.note.startswith("already revoked: ")
    assert cloud.calls["revoke"] == 0


@pytest.mark.parametrize("acts", [False, True])
def test_a_job_that_is_repeated_after_the_replacement_spares_the_new_certificate(
    cloud: Cloud, desk: Desk, phone: Phone, *, acts: bool
) -> None:
    cloud.fail("revoke", Killed(), acts=acts)
    job = desk.job(1, DEVICE)
    with pytest.raises(Killed):
        desk.run(job)
    phone.action = "UPDATE"
    cloud.heartbeat(DEVICE)
    cloud.heartbeat(DEVICE)
    assert phone.serial == 0xB2
    outcome = desk.run_one(job)
    assert isinstance(outcome, Done)
    assert outcome.note.endswith("shows serial a0")
    assert cloud.revoked[CA] == {0xA0}


def test_a_second_request_that_is_refused_after_a_crash_is_no_failure_of_the_first(
    cloud: Cloud, desk: Desk, clock: Clock
) -> None:
    cloud.fail("revoke", Killed(), acts=True)
    job, cloud.publishes = desk.job(1, DEVICE), False
    with pytest.raises(Killed):
        desk.run(job)
    cloud.fail("revoke", Refused("It is revoked", call="/ztp/devicecertificate/revoke", status=400))
    assert isinstance(desk.run_one(job), Awaiting)
    assert cloud.calls["revoke"] == 2
    clock.forward(minutes=5)
    cloud.publishes = True
    assert isinstance(desk.run_one(job), Done)
    assert cloud.calls["revoke"] == 2


def test_while_an_update_is_under_way_it_waits_and_remembers_which_one(
    cloud: Cloud, desk: Desk, phone: Phone, clock: Clock
) -> None:
    phone.action = "UPDATE"
    job = desk.job(1, DEVICE)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Again)
    assert (outcome.after, outcome.counts, cloud.calls["revoke"]) == (3600.0, False, 0)
    cloud.heartbeat(DEVICE)
    cloud.heartbeat(DEVICE)
    clock.forward(hours=1)
    assert isinstance(desk.run_one(job), Done)
    assert cloud.revoked[CA] == {0xA0}


def test_an_update_that_only_the_answer_tells_of_is_waited_for_too(cloud: Cloud, desk: Desk) -> None:
    cloud.fail("revoke", Busy("an update is under way", call="/x", status=400))
    job = desk.job(1, DEVICE)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Again)
    assert (outcome.after, outcome.counts) == (3600.0, False)
    assert desk.run_one(job) == Done(note=SEEN)


def test_what_the_list_does_not_show_is_not_done(cloud: Cloud, desk: Desk, clock: Clock) -> None:
    """U-blox took it; it is looked for every minute for a day, without another call."""
    cloud.publishes = False
    job = desk.job(1, DEVICE)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Awaiting)
    assert outcome.look_at == clock.now + timedelta(minutes=1)
    clock.forward(hours=23)
    assert isinstance(desk.run_one(job), Awaiting)
    clock.forward(hours=1)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Parked)
    assert outcome.because is ParkedBecause.EXHAUSTED
    assert "took the revocation of serial a0, but after 24 hours" in outcome.reason
    cloud.publishes = True
    assert isinstance(desk.run_one(job), Done)
    assert cloud.calls["revoke"] == 1


@pytest.mark.parametrize("list_", ["not a list", "forged", "old"])
def test_a_list_that_cannot_be_relied_on_holds_up_no_revocation_and_proves_none(
    cloud: Cloud, desk: Desk, clock: Clock, list_: str
) -> None:
    cloud.lists[CA] = {
        "not a list": b"?",
        "forged": revocation_list(CA, [0xA0], clock(), signer=OTHER_CA),
        "old": revocation_list(CA, [0xA0], clock() - timedelta(days=30)),
    }[list_]
    job = desk.job(1, DEVICE)
    outcome = desk.run_one(job)
    assert cloud.revoked[CA] == {0xA0}
    assert isinstance(outcome, Again)
    assert outcome.reason.startswith("u-blox took the revocation of serial a0, but the revocation list of ca.example ")
    assert isinstance(desk.run_one(job), Again)
    cloud.lists.clear()
    assert isinstance(desk.run_one(job), Done)
    assert cloud.calls["revoke"] == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TryAgain("answered 503", call="/x", status=503), Again),
        (OurFault("who?", call="/x", status=401), Again),
        (Refused("no subscription", call="/x", status=403), Parked),
    ],
)
def test_when_the_list_cannot_be_had_after_the_call_it_says_that_it_was_taken(
    cloud: Cloud, desk: Desk, error: TryAgain, kind: type[Again | Parked]
) -> None:
    cloud.fail("crls", error, after=1)
    job = desk.job(1, DEVICE)
    outcome = desk.run_one(job)
    assert isinstance(outcome, kind)
    assert outcome.reason.startswith("u-blox took the revocation of serial a0, but ")
    assert cloud.revoked[CA] == {0xA0}


def test_an_answer_that_fails_after_acting_is_no_matter(cloud: Cloud, desk: Desk) -> None:
    cloud.fail("revoke", TryAgain("answered 504", call="/x", status=504), acts=True)
    assert desk.run_one(desk.job(1, DEVICE)) == Done(note=SEEN)


def test_a_failure_ends_the_round_and_spares_the_rest_for_the_next(cloud: Cloud, desk: Desk) -> None:
    cloud.fail("revoke", TryAgain("answered 503", call="/x", status=503))
    jobs = [desk.job(1, DEVICE), desk.job(2, OTHER)]
    assert all(isinstance(outcome, Again) for outcome in desk.run(*jobs).values())
    assert cloud.calls["revoke"] == 1
    assert all(isinstance(outcome, Done) for outcome in desk.run(*jobs).values())
    assert cloud.revoked[CA] == {0xA0, 0xA1}


def test_a_certificate_that_is_refused_stands_alone(cloud: Cloud, desk: Desk) -> None:
    cloud.fail("revoke", Refused("no quota", call="/x", status=403))
    outcomes = desk.run(desk.job(1, DEVICE), desk.job(2, OTHER))
    assert outcomes[1] == Parked(reason="no quota", because=ParkedBecause.REFUSED, status=403)
    assert isinstance(outcomes[2], Done)


def test_a_hundred_are_a_hundred_calls_and_two_looks(cloud: Cloud, desk: Desk) -> None:
    cloud.phones |= {device(number): Phone(serial=number + 1) for number in range(98)}
    outcomes = desk.run(*[desk.job(number, target) for number, target in enumerate(cloud.phones)])
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert cloud.calls == {"look": 1, "crls": 2, "authorities": 2, "revoke": 100}


def test_a_job_that_another_worker_has_taken_is_not_sent(cloud: Cloud, desk: Desk) -> None:
    desk.lost = {1}
    assert list(desk.run(desk.job(1, DEVICE), desk.job(2, OTHER))) == [2]
    assert cloud.revoked[CA] == {0xA1}


def test_nothing_is_sent_that_could_not_be_noted(cloud: Cloud, desk: Desk) -> None:
    def fail() -> None:
        raise LedgerUnavailable("the disk is full")

    desk.before_note = fail
    outcome = desk.run_one(desk.job(1, DEVICE))
    assert outcome == Again(reason="not sent: the disk is full", counts=False)
    assert cloud.calls["revoke"] == 0


def test_an_attempt_that_has_lasted_too_long_sends_no_more(cloud: Cloud, desk: Desk, clock: Clock) -> None:
    desk.before_note = lambda: clock.forward(minutes=9)
    outcome = desk.run_one(desk.job(1, DEVICE))
    assert isinstance(outcome, Again)
    assert (outcome.reason, outcome.counts) == ("not sent: the attempt has lasted more than 8 minutes", False)
    assert cloud.calls["revoke"] == 0


def test_a_named_certificate_is_revoked_also_when_the_device_has_another(cloud: Cloud, desk: Desk) -> None:
    assert isinstance(desk.run_one(desk.job(1, DEVICE, serial="0c")), Done)
    assert cloud.revoked[CA] == {0xC}
    assert isinstance(desk.run_one(desk.job(2, DEVICE, serial="0D", ca_name=OTHER_CA)), Done)
    assert cloud.revoked[OTHER_CA] == {0xD}


@pytest.mark.parametrize(
    ("phone", "given", "reason"),
    [
        (Phone(serial=None), {}, "shows no certificate to revoke: give the serial number"),
        (Phone(ca_name=None), {}, "does not tell the certificate's CA: give its ca_name"),
        (Phone(serial=None), {"serial": "a0"}, "does not have this certificate now: give the ca_name of its CA"),
        (Phone(), {"ca_name": OTHER_CA}, "the certificate is of ca.example, not of other.example"),
    ],
)
def test_what_cannot_be_revoked_is_found_before_the_call(
    clock: Clock, phone: Phone, given: dict[str, Any], reason: str
) -> None:
    cloud = Cloud(clock, **{DEVICE: phone})
    desk = Desk(RevokeCertificate(), cloud, clock)
    outcome = desk.run_one(desk.job(1, DEVICE, **given))
    assert isinstance(outcome, Parked)
    assert (outcome.because, cloud.calls) == (ParkedBecause.REFUSED, {"look": 1})
    assert reason in outcome.reason


def test_an_event_that_is_planned_again_after_the_replacement_revokes_nothing(
    cloud: Cloud, desk: Desk, phone: Phone, clock: Clock
) -> None:
    """The new certificate is younger than what the event tells of."""
    event = {"occurred_at": clock().isoformat()}
    clock.forward(hours=2)
    phone.action = "UPDATE"
    cloud.heartbeat(DEVICE)
    cloud.heartbeat(DEVICE)
    outcome = desk.run_one(desk.job(1, DEVICE, event))
    assert isinstance(outcome, Parked)
    assert "the wish is older than the device's certificate" in outcome.reason
    assert cloud.calls["revoke"] == 0
    assert isinstance(desk.run_one(desk.job(2, OTHER, event)), Done)


def test_an_event_of_the_last_of_all_days_is_younger_than_any_certificate(desk: Desk) -> None:
    event = {"occurred_at": "9999-12-31T23:59:59+00:00"}
    assert isinstance(desk.run_one(desk.job(1, DEVICE, event)), Done)


def test_a_serial_number_that_lost_its_leading_zero_is_found_before_the_call() -> None:
    with pytest.raises(ValidationError, match=r"even number of hexadecimal digits, not 31: put a 0 before it"):
        RevokeCertificateParameters(serial="1" * 31)
    assert RevokeCertificateParameters(serial="0" + "1" * 31).serial == "0" + "1" * 31


@pytest.mark.parametrize("serial", ["", "  ", "00", "xy", "0x10", "1" * 42, "a0 b0", 160])
def test_what_is_no_serial_number_is_refused(serial: object) -> None:
    with pytest.raises(ValidationError):
        RevokeCertificateParameters.model_validate({"serial": serial})


def test_a_serial_number_may_be_written_as_certificates_print_it() -> None:
    assert RevokeCertificateParameters(serial="0A:1B").serial == "0a1b"


@pytest.mark.parametrize("pending", [False, True])
def test_a_renewal_that_waits_while_its_certificate_is_revoked_is_told_of(
    desk: Desk, phone: Phone, *, pending: bool
) -> None:
    """It keeps the key, under a serial number that nobody has revoked."""
    phone.action = "RENEW" if pending else None
    with capture_logs() as logs:
        assert desk.run_one(desk.job(1, DEVICE)) == Done(note=SEEN)
    words = (
        f"device {DEVICE}: serial a0 is revoked, but a certificate action waits for the device, and what comes of it"
        " may have the same key: replace it"
    )
    assert [log["alert"] for log in logs if log["event"] == "alert"] == ([words] if pending else [])
