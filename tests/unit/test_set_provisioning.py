"""What a device may do and how often it calls in, set at its next heartbeat."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.errors import Refused
from schemas.jobs import Awaiting, Done, Outcome, Parked, ParkedBecause
from services.operations.set_provisioning import SetProvisioning, SetProvisioningParameters
from tests.conftest import Clock
from tests.support.cloud import Cloud, Phone
from tests.support.fleet import DOUBT, Desk, Killed
from tests.support.ledger import DEVICE, OTHER

ON: dict[str, Any] = {"authorizations": {"LocalDPR": "ENABLED"}}
OFF: dict[str, Any] = {"authorizations": {"LocalDPR": "DISABLED"}}
PAIRING = {"authorizations": {"LocalC2CKeyPairing": "ENABLED"}}


@pytest.fixture
def cloud(clock: Clock) -> Cloud:
    return Cloud(clock, **{DEVICE: Phone(enabled={"ZTPV1": True}), OTHER: Phone(enabled={"ZTPV1": True})})


@pytest.fixture
def phone(cloud: Cloud) -> Phone:
    return cloud.phones[DEVICE]


@pytest.fixture
def desk(cloud: Cloud, clock: Clock) -> Desk:
    return Desk(SetProvisioning(), cloud, clock)


def waits(outcome: Outcome) -> bool:
    return isinstance(outcome, Awaiting) and "waiting for the device's heartbeat" in outcome.reason


def test_an_authorization_is_set_at_the_heartbeat(cloud: Cloud, desk: Desk, phone: Phone) -> None:
    job = desk.job(1, DEVICE, **ON)
    assert waits(desk.run_one(job))
    assert waits(desk.run_one(job))
    cloud.heartbeat(DEVICE)
    assert desk.run_one(job) == Done(note="looked again: LocalDPR ENABLED")
    assert phone.asked == {"provisioning": 1}
    assert phone.enabled == {"ZTPV1": True, "LocalDPR": True}


def test_a_heartbeat_is_set_at_the_heartbeat(cloud: Cloud, desk: Desk, phone: Phone) -> None:
    phone.heartbeat = timedelta(days=1)
    job = desk.job(1, DEVICE, heartbeat_seconds=3600)
    assert waits(desk.run_one(job))
    assert waits(desk.run_one(job))
    cloud.heartbeat(DEVICE)
    assert desk.run_one(job) == Done(note="looked again: a heartbeat of 3600 s")
    assert phone.asked == {"provisioning": 1}


@pytest.mark.parametrize(
    ("enabled", "given"),
    [({"LocalDPR": True}, ON), ({"LocalDPR": False}, OFF), ({"ZTPV1": True}, OFF)],
)
def test_what_is_so_already_is_not_asked_for(clock: Clock, enabled: dict[str, bool], given: dict[str, Any]) -> None:
    cloud = Cloud(clock, **{DEVICE: Phone(enabled=enabled)})
    desk = Desk(SetProvisioning(), cloud, clock)
    outcome = desk.run_one(desk.job(1, DEVICE, **given))
    assert isinstance(outcome, Done)
    assert outcome.note.startswith("already so: ")
    assert cloud.calls == {"look": 1}


def test_what_somebody_else_is_about_to_undo_is_asked_for(desk: Desk, phone: Phone) -> None:
    phone.enabled, phone.wished = {"LocalDPR": True}, {"LocalDPR": False}
    assert waits(desk.run_one(desk.job(1, DEVICE, **ON)))
    assert phone.wished == {"LocalDPR": True}


def test_what_waits_for_the_device_already_is_not_asked_for(desk: Desk, phone: Phone) -> None:
    phone.wished = {"LocalDPR": True}
    assert waits(desk.run_one(desk.job(1, DEVICE, **ON)))
    assert not phone.asked


def test_a_heartbeat_that_somebody_else_is_about_to_change_is_asked_for(cloud: Cloud, desk: Desk, phone: Phone) -> None:
    phone.heartbeat, phone.wished_heartbeat = timedelta(hours=1), timedelta(days=1)
    job = desk.job(1, DEVICE, heartbeat_seconds=3600)
    assert waits(desk.run_one(job))
    assert phone.wished_heartbeat == timedelta(hours=1)
    cloud.heartbeat(DEVICE)
    assert desk.run_one(job) == Done(note="looked again: a heartbeat of 3600 s")
    assert phone.heartbeat == timedelta(hours=1)


def test_a_heartbeat_that_waits_for_the_device_already_is_not_asked_for(desk: Desk, phone: Phone) -> None:
    phone.heartbeat, phone.wished_heartbeat = timedelta(days=1), timedelta(hours=1)
    assert waits(desk.run_one(desk.job(1, DEVICE, heartbeat_seconds=3600)))
    assert not phone.asked


def test_what_came_true_is_done_though_somebody_wishes_otherwise_since(cloud: Cloud, desk: Desk, phone: Phone) -> None:
    job = desk.job(1, DEVICE, heartbeat_seconds=3600)
    assert waits(desk.run_one(job))
    cloud.heartbeat(DEVICE)
    phone.wished_heartbeat = timedelta(days=1)
    assert desk.run_one(job) == Done(note="looked again: a heartbeat of 3600 s")
    assert phone.wished_heartbeat == timedelta(days=1)


def test_where_the_service_shows_no_properties_its_answer_is_all_there_is(cloud: Cloud, desk: Desk) -> None:
    cloud.hides.add("properties")
    job = desk.job(1, DEVICE, **ON)
    assert waits(desk.run_one(job))
    outcome = desk.run_one(job)
    assert isinstance(outcome, Done)
    assert outcome.note.startswith("accepted, not verifiable: ")


def test_a_device_that_never_wakes_up_needs_a_person_in_the_end(desk: Desk, clock: Clock) -> None:
    job = desk.job(1, DEVICE, **ON)
    for _ in range(2):
        assert waits(desk.run_one(job))
        clock.forward(days=14)
    outcome = desk.run_one(job)
    assert isinstance(outcome, Parked)
    assert outcome.reason == ("2 deadlines passed, and the device has not: LocalDPR ENABLED: does it still wake up?")


def test_a_worker_that_died_in_the_call_leaves_the_device_provisioned_once(
    cloud: Cloud, desk: Desk, phone: Phone, clock: Clock
) -> None:
    cloud.fail("provisioning", Killed(), acts=True)
    job = desk.job(1, DEVICE, **ON)
    with pytest.raises(Killed):
        desk.run(job)
    assert waits(desk.run_one(job))
    clock.now += DOUBT
    assert waits(desk.run_one(job))
    assert phone.asked == {"provisioning": 1}


def test_a_blacklisted_device_is_enabled_nothing_but_may_be_disabled(desk: Desk, phone: Phone) -> None:
    phone.blacklisted, phone.enabled = True, {"LocalC2C": True}
    refused = desk.run_one(desk.job(1, DEVICE, **ON))
    assert refused == Parked(
        reason="the device is blacklisted: nothing is enabled on it", because=ParkedBecause.REFUSED
    )
    assert waits(desk.run_one(desk.job(2, DEVICE, authorizations={"LocalC2C": "DISABLED"})))


def test_a_refused_device_stands_alone(cloud: Cloud, desk: Desk) -> None:
    cloud.refuses[OTHER] = Refused("no", call="/x", status=400)
    outcomes = desk.run(desk.job(1, DEVICE, **ON), desk.job(2, OTHER, **ON))
    assert (waits(outcomes[1]), type(outcomes[2])) == (True, Parked)


def test_key_pairing_is_not_enabled_by_accident() -> None:
    with pytest.raises(ValidationError, match="say allow_key_pairing if you mean it"):
        SetProvisioningParameters.model_validate(PAIRING)
    SetProvisioningParameters.model_validate({**PAIRING, "allow_key_pairing": True})
    SetProvisioningParameters.model_validate({"authorizations": {"LocalC2CKeyPairing": "DISABLED"}})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"authorizations": {}},
        {"authorizations": {"Evaluation": "ENABLED"}},
        {"authorizations": {"LocalDPR": "ON"}},
        {"heartbeat_seconds": 0},
        {"heartbeat_seconds": 10**18},
        ON | {"more": 1},
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SetProvisioningParameters.model_validate(given)
