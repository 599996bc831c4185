"""A renewal that may have been asked for is not asked for again while u-blox may still work on it."""

from datetime import timedelta

import pytest

from schemas.errors import Busy, OurFault, Refused, TryAgain, UpstreamError
from schemas.jobs import Again, Awaiting, Done, Job, Outcome, Parked, ParkedBecause
from services.operations.renew_certificate import RenewCertificate
from tests.conftest import Clock
from tests.support.fleet import DOUBT, Desk, Device, Fleet, Killed
from tests.support.ledger import DEVICE, OTHER, device

SILENCE = TryAgain("no whole answer", call="/ztp/devicecertificate/renew")
UNKNOWN = "it is not known whether u-blox took the request; waiting for the device's heartbeat"


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
    return isinstance(outcome, Awaiting) and "waiting for the device's heartbeat" in outcome.reason


def is_unknown(outcome: Outcome) -> bool:
    return isinstance(outcome, Awaiting) and outcome.reason.startswith(UNKNOWN)


def killed(fleet: Fleet, desk: Desk, *, acts: bool = False) -> Job:
    """A job whose worker died in the call."""
    fleet.fail("renew", Killed(), acts=acts)
    job = desk.job(1, DEVICE)
    with pytest.raises(Killed):
        desk.run(job)
    return job


def test_a_worker_that_died_after_the_call_never_asks_twice(fleet: Fleet, desk: Desk, phone: Device) -> None:
    job = killed(fleet, desk, acts=True)
    assert waits(desk.run_one(job))  # the pending renewal shows, which decides at once
    fleet.heartbeat(DEVICE)
    assert isinstance(desk.run_one(job), Done)
    assert phone.billed == 1


def test_nothing_is_asked_while_the_service_may_still_work_on_the_first_request(
    fleet: Fleet, desk: Desk, phone: Device, clock: Clock
) -> None:
    """The service takes the request seconds after the worker died: until then it shows that nothing is pending."""
    job = killed(fleet, desk)
    clock.forward(seconds=5)
    assert desk.run_one(job) == Again(
        reason="the answer to the request of 12:00:00 UTC is not known, u-blox may still work on it;"
        " not asked again before 12:01:15 UTC",
        after=70.0,
        counts=False,
    )
    phone.billed, phone.pending = 1, True
    assert waits(desk.run_one(job))
    assert (phone.billed, fleet.calls["renew"]) == (1, 1)


def test_when_it_shows_afterwards_that_nothing_waits_it_is_asked_again(
    fleet: Fleet, desk: Desk, phone: Device, clock: Clock
) -> None:
    job = killed(fleet, desk)
    clock.forward(seconds=74)
    assert isinstance(desk.run_one(job), Again)
    assert fleet.calls["renew"] == 1
    clock.forward(seconds=1)
    assert waits(desk.run_one(job))
    assert phone.billed == 1


def test_a_new_serial_number_decides_at_once(fleet: Fleet, desk: Desk) -> None:
    job = killed(fleet, desk, acts=True)
    fleet.heartbeat(DEVICE)
    assert isinstance(desk.run_one(job), Done)


def test_a_certificate_that_is_not_shown_meanwhile_needs_no_person_yet(fleet: Fleet, desk: Desk, clock: Clock) -> None:
    job = killed(fleet, desk)
    fleet.hides.add("certificate")
    assert isinstance(desk.run_one(job), Again)
    clock.forward(seconds=75)
    assert isinstance(desk.run_one(job), Parked)


def test_when_nobody_can_tell_whether_it_was_asked_a_day_decides(
    fleet: Fleet, desk: Desk, phone: Device, clock: Clock
) -> None:
    fleet.hides.add("pending")
    job = killed(fleet, desk)
    clock.now += DOUBT
    assert is_unknown(desk.run_one(job))
    clock.forward(hours=23, minutes=59)
    assert is_unknown(desk.run_one(job))
    assert phone.billed == 0
    clock.forward(minutes=1)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Awaiting)
    assert outcome.reason.startswith("u-blox took the renewal")
    assert phone.billed == 1


def test_a_request_that_nobody_could_tell_of_and_that_shows_up_is_waited_for(
    fleet: Fleet, desk: Desk, phone: Device, clock: Clock
) -> None:
    fleet.hides.add("pending")
    job = killed(fleet, desk, acts=True)
    clock.now += DOUBT
    assert is_unknown(desk.run_one(job))
    fleet.hides.clear()
    outcome = desk.run_one(job)
    assert isinstance(outcome, Awaiting)
    assert outcome.reason.startswith("a renewal is under way")
    clock.forward(days=2)
    assert waits(desk.run_one(job))
    assert phone.billed == 1


def test_requests_that_nobody_can_tell_of_come_to_an_end(fleet: Fleet, desk: Desk, phone: Device, clock: Clock) -> None:
    """A gateway always says 504 although the service takes every request, and the device never wakes up."""
    fleet.hides.add("pending")
    job = desk.job(1, DEVICE)
    for _ in range(2):
        fleet.fail("renew", failure(504), acts=True)
        assert isinstance(desk.run_one(job), Again)
        clock.now += DOUBT
        assert is_unknown(desk.run_one(job))
        clock.forward(days=1)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Parked)
    assert (outcome.because, phone.billed) == (ParkedBecause.EXHAUSTED, 2)


@pytest.mark.parametrize("status", [None, 500, 502, 503, 504, 418])
def test_an_answer_that_leaves_a_doubt_is_not_followed_by_a_second_request(
    fleet: Fleet, desk: Desk, phone: Device, clock: Clock, status: int | None
) -> None:
    """A gateway may say 5xx for a request that the service took; the renewal that it hides is still billed."""
    fleet.hides.add("pending")
    fleet.fail("renew", SILENCE if status is None else failure(status), acts=True)
    job = desk.job(1, DEVICE)
    assert isinstance(desk.run_one(job), Again)
    assert isinstance(desk.run_one(job), Again)
    clock.now += DOUBT
    assert is_unknown(desk.run_one(job))
    assert phone.billed == 1


@pytest.mark.parametrize(
    "error",
    [
        failure(429),
        OurFault("answered 401", call="/x", status=401),
        OurFault("answered 403", call="/x", status=403),
        OurFault("answered 404", call="/x", status=404),
        OurFault("answered 410", call="/x", status=410),
        Busy("an update is under way", call="/x", status=400),
        TryAgain("no connection", call="/x", sent=False),
    ],
)
def test_an_answer_that_leaves_no_doubt_is_followed_by_another_request(
    fleet: Fleet, desk: Desk, phone: Device, error: UpstreamError
) -> None:
    fleet.hides.add("pending")
    fleet.fail("renew", error)
    job = desk.job(1, DEVICE)
    assert isinstance(desk.run_one(job), Again)
    assert phone.billed == 0
    assert waits(desk.run_one(job))
    assert phone.billed == 1


def test_a_failure_halfway_through_a_batch_leaves_no_doubt_about_those_not_yet_sent(
    fleet: Fleet, desk: Desk, phone: Device, clock: Clock
) -> None:
    """All four are refused together, the first half fails: the second half never left the house."""
    fleet.hides.add("pending")
    fleet.devices |= {device(2): Device(), device(4): Device()}
    fleet.refuses[OTHER] = Refused("no subscription", call="/x", status=403)
    fleet.fail("renew", failure(504))
    targets = [DEVICE, device(2), OTHER, device(4)]
    jobs = [desk.job(number, target) for number, target in enumerate(targets, start=1)]
    outcomes = desk.run(*jobs)
    assert [isinstance(outcomes[job.id], Again) for job in jobs] == [True] * 4
    assert waits(desk.run_one(jobs[3]))
    clock.forward(hours=1)
    assert is_unknown(desk.run_one(jobs[0]))
    assert [phone.billed, fleet.devices[device(4)].billed] == [0, 1]


def test_no_wait_is_longer_than_the_window(fleet: Fleet, desk: Desk, clock: Clock) -> None:
    fleet.fail("renew", SILENCE)
    job = desk.job(1, DEVICE)
    desk.run(job)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Again)
    assert timedelta(seconds=outcome.after or 0) == DOUBT
    clock.now += DOUBT
    assert waits(desk.run_one(job))
