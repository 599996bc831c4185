"""A device gets new keys: asked for once, and done when two heartbeats have brought them."""

from datetime import timedelta

import pytest

from schemas.errors import Refused
from schemas.jobs import Again, Awaiting, Done, Outcome, Parked, ParkedBecause
from services.operations.replace_certificate import ReplaceCertificate
from tests.conftest import Clock
from tests.support.cloud import Cloud, Phone
from tests.support.crl import OTHER_CA
from tests.support.fleet import DOUBT, Desk, Killed
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


def test_keys_are_replaced_over_two_heartbeats(cloud: Cloud, desk: Desk, phone: Phone) -> None:
    job = desk.job(1, DEVICE)
    asked = desk.run_one(job)
    assert isinstance(asked, Awaiting)
    assert asked.reason == f"u-blox took the replacement; {HEARTBEAT}, until 24 May 2026 12:00 UTC"
    cloud.heartbeat(DEVICE)
    assert phone.serial is None
    assert waits(desk.run_one(job))  # no certificate in between is not the end
    cloud.heartbeat(DEVICE)
    assert desk.run_one(job) == Done(note="looked again: serial b2, expires 09 Jun 2027, with a new public key")
    assert phone.asked == {"update": 1}


def test_a_new_serial_number_with_the_old_key_is_not_the_end(cloud: Cloud, desk: Desk, phone: Phone) -> None:
    """The device was renewed just before it took the update."""
    job = desk.job(1, DEVICE)
    desk.run(job)
    cloud.renew(DEVICE)
    assert waits(desk.run_one(job))
    phone.action = None  # the service has lost the update
    outcome = desk.run_one(job)
    assert isinstance(outcome, Parked)
    assert outcome.reason.endswith("but its key is the old one: it was renewed, not replaced")


def test_where_no_certificate_is_shown_whole_the_serial_number_decides_and_that_is_said(
    cloud: Cloud, desk: Desk
) -> None:
    cloud.hides.add("pem")
    job = desk.job(1, DEVICE)
    desk.run(job)
    cloud.heartbeat(DEVICE)
    cloud.heartbeat(DEVICE)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Done)
    assert outcome.note.endswith("the service does not show whether the key is new")


@pytest.mark.parametrize("hides", [set(), {"action"}, {"pending"}])
@pytest.mark.parametrize("beats", [0, 1])
def test_an_update_under_way_is_never_asked_for_twice(
    cloud: Cloud, desk: Desk, phone: Phone, clock: Clock, hides: set[str], beats: int
) -> None:
    """Whatever the service shows, and wherever the device stands still: two deadlines, one call."""
    cloud.hides |= hides
    job = desk.job(1, DEVICE)
    assert waits(desk.run_one(job))
    for _ in range(beats):
        cloud.heartbeat(DEVICE)
    for _ in range(2):
        clock.forward(days=13, hours=23)
        assert waits(desk.run_one(job))
        clock.forward(hours=1)
        outcome = desk.run_one(job)
    assert isinstance(outcome, Parked)
    assert outcome.because is ParkedBecause.EXHAUSTED
    assert outcome.reason.startswith("2 deadlines passed, and the device has ")
    assert phone.asked == {"update": 1}


def test_an_update_that_the_service_says_it_has_not_is_asked_for_once_more(
    desk: Desk, phone: Phone, clock: Clock
) -> None:
    job = desk.job(1, DEVICE)
    desk.run(job)
    phone.action = None
    clock.forward(days=14)
    assert waits(desk.run_one(job))
    assert phone.asked == {"update": 2}


@pytest.mark.parametrize("beats", [0, 1])
def test_an_update_that_somebody_else_asked_for_is_waited_for(
    cloud: Cloud, desk: Desk, phone: Phone, beats: int
) -> None:
    phone.action = "UPDATE"
    for _ in range(beats):
        cloud.heartbeat(DEVICE)
    job = desk.job(1, DEVICE)
    assert waits(desk.run_one(job))
    cloud.heartbeat(DEVICE)
    cloud.heartbeat(DEVICE)
    assert isinstance(desk.run_one(job), Done)
    assert not phone.asked


def test_an_action_that_the_service_does_not_name_may_be_an_update_so_nothing_is_asked(
    cloud: Cloud, desk: Desk, phone: Phone
) -> None:
    phone.action = "UPDATE"
    cloud.hides.add("action")
    outcome = desk.run_one(desk.job(1, DEVICE))
    assert isinstance(outcome, Again)
    assert (outcome.after, outcome.counts, phone.asked) == (3600.0, False, {})


def test_a_renewal_that_waits_does_not_keep_new_keys_waiting(desk: Desk, phone: Phone) -> None:
    """It would keep the old key."""
    phone.action = "RENEW"
    assert waits(desk.run_one(desk.job(1, DEVICE)))
    assert phone.asked == {"update": 1}


@pytest.mark.parametrize("acts", [False, True])
def test_a_worker_that_died_in_the_call_asks_again_only_where_it_is_not_under_way(
    cloud: Cloud, desk: Desk, phone: Phone, clock: Clock, *, acts: bool
) -> None:
    cloud.fail("update", Killed(), acts=acts)
    job = desk.job(1, DEVICE)
    with pytest.raises(Killed):
        desk.run(job)
    first = desk.run_one(job)
    assert waits(first) is acts
    clock.now += DOUBT
    assert waits(desk.run_one(job))
    assert phone.asked == {"update": 1}
    cloud.heartbeat(DEVICE)
    cloud.heartbeat(DEVICE)
    assert isinstance(desk.run_one(job), Done)


def test_a_worker_that_died_while_the_device_changed_keys_sees_the_end(cloud: Cloud, desk: Desk) -> None:
    cloud.fail("update", Killed(), acts=True)
    job = desk.job(1, DEVICE)
    with pytest.raises(Killed):
        desk.run(job)
    cloud.heartbeat(DEVICE)
    assert waits(desk.run_one(job))
    cloud.heartbeat(DEVICE)
    assert isinstance(desk.run_one(job), Done)


@pytest.mark.parametrize(
    ("phone", "reason"),
    [
        (Phone(serial=None), "u-blox answers, but shows no certificate to replace"),
        (Phone(blacklisted=True), "the device is blacklisted: it gets no certificate"),
        (Phone(ca_name=None), "u-blox does not tell the certificate's CA"),
    ],
)
def test_what_cannot_be_replaced_is_found_before_the_call(clock: Clock, phone: Phone, reason: str) -> None:
    cloud = Cloud(clock, **{DEVICE: phone})
    desk = Desk(ReplaceCertificate(), cloud, clock)
    assert desk.run_one(desk.job(1, DEVICE)) == Parked(reason=reason, because=ParkedBecause.REFUSED)
    assert cloud.calls == {"look": 1}


def test_each_ca_is_asked_for_its_own_devices_and_a_refused_device_stands_alone(cloud: Cloud, desk: Desk) -> None:
    cloud.phones |= {device(number): Phone() for number in range(10)}
    cloud.phones[OTHER].ca_name = OTHER_CA
    cloud.refuses[device(3)] = Refused("no subscription", call="/x", status=403)
    targets = list(cloud.phones)
    outcomes = desk.run(*[desk.job(number, target) for number, target in enumerate(targets)])
    parked = [targets[number] for number, outcome in outcomes.items() if not waits(outcome)]
    assert parked == [device(3)]
    assert cloud.calls["look"] == 1


def test_a_device_that_calls_in_rarely_has_time_for_two_heartbeats(cloud: Cloud, desk: Desk, clock: Clock) -> None:
    cloud.phones[DEVICE].heartbeat = timedelta(days=14)
    outcome = desk.run_one(desk.job(1, DEVICE))
    assert isinstance(outcome, Awaiting)
    assert outcome.progress["deadline"] == (clock() + timedelta(days=35)).isoformat()
