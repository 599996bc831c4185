from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.errors import Busy, LedgerUnavailable, OurFault, Refused, TryAgain, UpstreamError
from schemas.events import EventType
from schemas.jobs import Again, Awaiting, Done, Outcome, Parked, ParkedBecause
from services.operations.renew_certificate import RenewCertificate, RenewCertificateParameters
from tests.conftest import Clock
from tests.support.fleet import EXPIRY, Desk, Device, Fleet
from tests.support.ledger import DEVICE, OTHER, device

HEARTBEAT = "waiting for the device's heartbeat"
NOTICE = {"type": EventType.CERTIFICATE_EXPIRATION}
RENEWED = {"type": EventType.CERTIFICATE_RENEWAL}


def failure(status: int) -> UpstreamError:
    return TryAgain(f"answered {status}", call="/ztp/devicecertificate/renew", status=status)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet({DEVICE: Device(), OTHER: Device()})


@pytest.fixture
def desk(fleet: Fleet, clock: Clock) -> Desk:
    return Desk(RenewCertificate(), fleet, clock)


@pytest.fixture
def phone(fleet: Fleet) -> Device:
    return fleet.devices[DEVICE]


def waits(outcome: Outcome) -> bool:
    return isinstance(outcome, Awaiting) and HEARTBEAT in outcome.reason


def test_a_renewal_is_asked_for_then_awaited_then_seen(fleet: Fleet, desk: Desk, phone: Device, clock: Clock) -> None:
    job = desk.job(1, DEVICE, validity_days=90)
    asked = desk.run_one(job)
    assert isinstance(asked, Awaiting)
    assert asked.reason == f"u-blox took the renewal; {HEARTBEAT}, until 24 May 2026 12:00 UTC"
    assert asked.look_at == clock() + timedelta(hours=1)
    assert (phone.billed, phone.validity_days) == (1, 90)
    clock.forward(hours=1)
    assert waits(desk.run_one(job))
    fleet.heartbeat(DEVICE)
    assert desk.run_one(job) == Done(note="looked again: serial a1, expires 07 Sep 2026")
    assert phone.billed == 1


def test_a_renewal_that_somebody_else_asked_for_is_awaited_without_another(desk: Desk, phone: Device) -> None:
    phone.pending = True
    assert waits(desk.run_one(desk.job(1, DEVICE)))
    assert phone.billed == 0


def test_no_look_lies_beyond_the_deadline(desk: Desk, clock: Clock) -> None:
    job = desk.job(1, DEVICE)
    desk.run(job)
    deadline = clock() + timedelta(days=14)
    clock.forward(days=13, hours=23, minutes=30)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Awaiting)
    assert outcome.look_at == deadline


@pytest.mark.parametrize(
    ("days_left", "until"),
    [
        (30, timedelta(days=14)),
        (7, timedelta(days=6)),
        (1, timedelta(hours=24)),
        (-5, timedelta(hours=24)),
        (None, timedelta(days=14)),
    ],
)
def test_the_deadline_comes_a_day_before_the_certificate_ends(
    desk: Desk, phone: Device, clock: Clock, days_left: int | None, until: timedelta
) -> None:
    phone.expires_at = None if days_left is None else clock() + timedelta(days=days_left)
    outcome = desk.run_one(desk.job(1, DEVICE))
    assert isinstance(outcome, Awaiting)
    assert outcome.progress["deadline"] == (clock() + until).isoformat()


def test_after_the_deadline_it_is_asked_once_more_and_then_parked(
    fleet: Fleet, desk: Desk, phone: Device, clock: Clock
) -> None:
    fleet.hides.add("pending")
    job = desk.job(1, DEVICE)
    assert waits(desk.run_one(job))
    clock.forward(days=14)
    assert waits(desk.run_one(job))
    assert phone.billed == 2
    clock.forward(days=13)
    assert waits(desk.run_one(job))
    clock.forward(days=1)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Parked)
    assert outcome.because is ParkedBecause.EXHAUSTED
    assert outcome.reason.startswith("2 deadlines passed, and the device still has serial a0")
    assert phone.billed == 2


def test_a_renewal_that_still_stands_at_the_deadline_is_waited_for_once_more_without_another(
    desk: Desk, phone: Device, clock: Clock
) -> None:
    job = desk.job(1, DEVICE)
    desk.run(job)
    clock.forward(days=14)
    assert isinstance(desk.run_one(job), Awaiting)
    clock.forward(days=14)
    assert isinstance(desk.run_one(job), Parked)
    assert phone.billed == 1


def test_a_certificate_that_is_not_shown_for_a_while_is_waited_for(fleet: Fleet, desk: Desk) -> None:
    job = desk.job(1, DEVICE)
    desk.run(job)
    fleet.hides.add("certificate")
    assert isinstance(desk.run_one(job), Awaiting)
    fleet.hides.clear()
    fleet.heartbeat(DEVICE)
    assert isinstance(desk.run_one(job), Done)


def test_a_blacklisted_device_gets_no_certificate(desk: Desk, phone: Device) -> None:
    phone.blacklisted = True
    outcome = desk.run_one(desk.job(1, DEVICE))
    assert isinstance(outcome, Parked)
    assert (outcome.because, phone.billed) == (ParkedBecause.REFUSED, 0)


def test_a_device_that_wakes_up_in_the_second_round_is_done(
    fleet: Fleet, desk: Desk, phone: Device, clock: Clock
) -> None:
    job = desk.job(1, DEVICE)
    desk.run(job)
    phone.pending = False  # the service has forgotten it
    clock.forward(days=14)
    desk.run(job)
    fleet.heartbeat(DEVICE)
    assert isinstance(desk.run_one(job), Done)


def test_a_late_notice_about_an_older_certificate_renews_nothing(desk: Desk, phone: Device) -> None:
    phone.serial, phone.expires_at = 0xA1, EXPIRY + timedelta(days=365)
    job = desk.job(1, DEVICE, {**NOTICE, "serial": "0a0", "expires": "2026-06-09T00:00Z"})
    assert desk.run_one(job) == Done(note="the notice is about an older certificate; serial a1, expires 09 Jun 2027")
    assert phone.billed == 0


@pytest.mark.parametrize(
    "evidence",
    [
        {},
        {"serial": "A0", "expires": "2026-06-09T00:00Z"},
        {"serial": "0000a0", "expires": "2026-06-09T00:00Z"},
        {"serial": "b7", "expires": "2026-07-09T00:00Z"},  # what it tells of lives longer than what the device has
        {"serial": "b7", "expires": "soon"},
        {"serial": "b7", "expires": None},
        {"serial": None, "expires": "2026-01-01"},
        {"serial": ["b7"], "expires": {"a": 1}},
    ],
)
def test_any_other_notice_renews(desk: Desk, phone: Device, evidence: dict[str, Any]) -> None:
    assert waits(desk.run_one(desk.job(1, DEVICE, NOTICE | evidence)))
    assert phone.billed == 1


@pytest.mark.parametrize("event_type", [{}, {"type": EventType.CERTIFICATE_RENEWAL}])
def test_only_an_expiration_notice_can_be_late(desk: Desk, phone: Device, event_type: dict[str, Any]) -> None:
    phone.serial, phone.expires_at = 0xA1, EXPIRY + timedelta(days=365)
    evidence = {**event_type, "serial": "a0", "expires": "2026-06-09T00:00Z"}
    assert waits(desk.run_one(desk.job(1, DEVICE, evidence)))
    assert phone.billed == 1


def test_a_service_that_shows_no_certificate_afterwards_is_proved_by_the_event(fleet: Fleet, desk: Desk) -> None:
    desk.run(desk.job(1, DEVICE))
    fleet.hides.add("certificate")
    told = "the renewal event names serial a1; u-blox shows no certificate to look at"
    assert desk.run_one(desk.job(1, DEVICE, {**RENEWED, "serial": "A1"})) == Done(note=told)


@pytest.mark.parametrize(
    "evidence",
    [
        {},
        {**RENEWED, "serial": "a0"},
        {**RENEWED, "serial": "not hex"},
        {**NOTICE, "serial": "9f"},  # the notice that caused the job may name another serial: it proves nothing
        {"serial": "a1"},
    ],
)
def test_an_event_that_names_no_new_serial_proves_nothing(fleet: Fleet, desk: Desk, evidence: dict[str, Any]) -> None:
    desk.run(desk.job(1, DEVICE))
    fleet.hides.add("certificate")
    assert not isinstance(desk.run_one(desk.job(1, DEVICE, evidence)), Done)


def test_a_device_without_a_certificate_needs_a_person(desk: Desk, phone: Device) -> None:
    phone.serial = None
    outcome = desk.run_one(desk.job(1, DEVICE))
    assert outcome == Parked(reason="u-blox answers, but shows no certificate to renew", because=ParkedBecause.REFUSED)


def test_a_device_that_the_service_does_not_know_needs_a_person(desk: Desk) -> None:
    outcome = desk.run_one(desk.job(1, device(404)))
    assert outcome == Parked(reason="u-blox answers, but not about this device", because=ParkedBecause.REFUSED)


def test_a_certificate_without_a_ca_cannot_be_renewed(fleet: Fleet, desk: Desk, phone: Device) -> None:
    fleet.hides.add("ca_name")
    outcome = desk.run_one(desk.job(1, DEVICE))
    assert outcome == Parked(reason="u-blox does not tell the certificate's CA", because=ParkedBecause.REFUSED)
    assert phone.billed == 0


def test_each_ca_is_asked_for_its_own_devices(fleet: Fleet, desk: Desk) -> None:
    fleet.devices[OTHER].ca_name = "other.example"
    outcomes = desk.run(desk.job(1, DEVICE), desk.job(2, OTHER))
    assert all(map(waits, outcomes.values()))
    assert [known.billed for known in fleet.devices.values()] == [1, 1]
    assert fleet.calls == {"look": 1, "renew": 2}


def test_trouble_with_one_ca_does_not_hold_the_other(fleet: Fleet, desk: Desk) -> None:
    fleet.devices[OTHER].ca_name = "other.example"
    fleet.fail("renew", failure(429))
    outcomes = desk.run(desk.job(1, DEVICE), desk.job(2, OTHER))
    assert (isinstance(outcomes[1], Again), waits(outcomes[2])) == (True, True)


def test_a_job_that_another_worker_has_taken_is_not_sent(fleet: Fleet, desk: Desk, phone: Device) -> None:
    desk.lost = {1}
    outcomes = desk.run(desk.job(1, DEVICE), desk.job(2, OTHER))
    assert list(outcomes) == [2]
    assert (phone.billed, fleet.devices[OTHER].billed) == (0, 1)


def test_a_job_that_is_lost_between_two_calls_is_not_sent(fleet: Fleet, desk: Desk, phone: Device) -> None:
    """All are refused together; before the halves are sent another worker takes one of them."""
    fleet.devices |= {device(2): Device(), device(4): Device()}
    fleet.refuses[OTHER] = Refused("no subscription", call="/x", status=403)

    def lose_one_later() -> None:
        desk.lost = {1} if desk.progress else set()

    desk.before_note = lose_one_later
    targets = [DEVICE, device(2), OTHER, device(4)]
    outcomes = desk.run(*[desk.job(number, target) for number, target in enumerate(targets, start=1)])
    assert {number: type(outcome) for number, outcome in outcomes.items()} == {2: Awaiting, 3: Parked, 4: Awaiting}
    assert (phone.billed, fleet.devices[device(2)].billed) == (0, 1)


def test_an_attempt_that_has_lasted_too_long_sends_no_more(fleet: Fleet, desk: Desk, clock: Clock) -> None:
    fleet.hides.add("pending")
    fleet.refuses[OTHER] = Refused("no subscription", call="/x", status=403)
    desk.before_note = lambda: clock.forward(minutes=5)
    jobs = [desk.job(1, DEVICE), desk.job(2, OTHER)]
    outcomes = desk.run(*jobs)  # both in one call after five minutes, the first alone after ten
    late = Again(reason="not sent: the attempt has lasted more than 8 minutes", counts=False, progress={})
    assert (waits(outcomes[1]), outcomes[2]) == (True, late)
    assert isinstance(desk.run_one(jobs[1]), Parked)


def test_a_ledger_that_fails_between_two_cas_takes_nothing_back(fleet: Fleet, desk: Desk) -> None:
    fleet.devices[OTHER].ca_name = "other.example"
    fleet.hides.add("pending")
    jobs = [desk.job(1, DEVICE), desk.job(2, OTHER)]

    def fail_once_something_is_noted() -> None:
        if desk.progress:
            raise LedgerUnavailable("the disk is full")

    desk.before_note = fail_once_something_is_noted
    outcomes = desk.run(*jobs)
    assert waits(outcomes[1])
    assert outcomes[2] == Again(reason="not sent: the disk is full", counts=False, progress={})
    desk.before_note = lambda: None
    assert waits(desk.run_one(jobs[1]))
    assert [known.billed for known in fleet.devices.values()] == [1, 1]


def test_when_every_job_is_lost_nothing_is_sent(fleet: Fleet, desk: Desk) -> None:
    desk.lost = {1}
    assert desk.run(desk.job(1, DEVICE)) == {}
    assert fleet.calls["renew"] == 0


def test_a_refused_device_stands_alone(fleet: Fleet, desk: Desk) -> None:
    fleet.refuses[OTHER] = Refused("no subscription", call="/x", status=403)
    outcomes = desk.run(desk.job(1, DEVICE), desk.job(2, OTHER))
    assert waits(outcomes[1])
    assert outcomes[2] == Parked(reason="no subscription", because=ParkedBecause.REFUSED, status=403)


def test_a_device_with_an_update_under_way_waits_for_hours_and_alone(fleet: Fleet, desk: Desk) -> None:
    fleet.refuses[OTHER] = Busy("update under way", call="/x", status=409)
    outcomes = desk.run(desk.job(1, DEVICE), desk.job(2, OTHER))
    assert waits(outcomes[1])
    busy = outcomes[2]
    assert isinstance(busy, Again)
    assert (busy.after, busy.counts) == (3600.0, False)


def test_when_the_look_fails_nothing_is_asked(fleet: Fleet, desk: Desk) -> None:
    fleet.fail("look", failure(503))
    outcomes = desk.run(desk.job(1, DEVICE), desk.job(2, OTHER))
    assert outcomes == dict.fromkeys((1, 2), Again(reason="answered 503", status=503))
    assert fleet.calls["renew"] == 0


@pytest.mark.parametrize("error", [failure(503), OurFault("answered 404", call="/device/info/get", status=404)])
def test_a_look_that_fails_after_the_renewal_was_taken_spends_no_attempt(
    fleet: Fleet, desk: Desk, clock: Clock, error: UpstreamError
) -> None:
    job = desk.job(1, DEVICE)
    desk.run(job)
    for _ in range(20):  # also long after the deadline
        clock.forward(days=1)
        fleet.fail("look", error)
        outcome = desk.run_one(job)
        assert isinstance(outcome, Awaiting)
        assert outcome.reason.startswith(f"the look failed: {error}; {HEARTBEAT}")
        assert (outcome.look_at, outcome.status) == (clock() + timedelta(hours=1), error.status)
    fleet.heartbeat(DEVICE)
    assert isinstance(desk.run_one(job), Done)


def test_a_hundred_devices_are_one_look_and_one_call(clock: Clock) -> None:
    fleet = Fleet({device(number): Device() for number in range(100)})
    desk = Desk(RenewCertificate(), fleet, clock)
    assert all(map(waits, desk.run(*[desk.job(n, device(n)) for n in range(100)]).values()))
    assert fleet.calls == {"look": 1, "renew": 1}


@pytest.mark.parametrize("days", [30, 365, 3650])
def test_the_bounds_of_the_document_are_allowed(days: int) -> None:
    assert RenewCertificateParameters(validity_days=days).validity_days == days


@pytest.mark.parametrize("given", [{"validity_days": 29}, {"validity_days": 3651}, {"validity": 365}])
def test_what_the_document_forbids_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RenewCertificateParameters.model_validate(given)


@pytest.mark.parametrize(("ca_lives_longer", "is_asked"), [(timedelta(days=1), False), (timedelta(days=2), True)])
def test_a_certificate_that_ends_with_its_root_ca_is_not_renewed(
    desk: Desk, phone: Device, *, ca_lives_longer: timedelta, is_asked: bool
) -> None:
    """It would be billed, and live no longer."""
    desk.ca_ends = {"ca.example": EXPIRY + ca_lives_longer, "other.example": EXPIRY}
    outcome = desk.run_one(desk.job(1, DEVICE, evidence=NOTICE))
    assert phone.billed == is_asked
    assert waits(outcome) is is_asked
    if not is_asked:
        reason = "serial a0, expires 09 Jun 2026, ends with its root CA ca.example: roll that"
        assert outcome == Parked(reason=reason, because=ParkedBecause.REFUSED, progress={"serial": "a0"})
