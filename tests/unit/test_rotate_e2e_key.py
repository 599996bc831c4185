from collections.abc import Collection
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.errors import OurFault, Refused, TryAgain, UpstreamError
from schemas.jobs import Again, Done, Parked, ParkedBecause
from schemas.ublox import RotationPolicy, RotationType
from services.operations.contract import UNVERIFIABLE
from services.operations.rotate_e2e_key import RotateE2EKey, RotateE2EKeyParameters
from tests.conftest import Clock
from tests.support.fleet import Desk, Device, Fleet
from tests.support.ledger import DEVICE, OTHER, device

WEEKLY = RotationPolicy(type=RotationType.AUTOMATIC, days=7)
DAILY = RotationPolicy(type=RotationType.AUTOMATIC, days=1)
SILENCE = TryAgain("no whole answer", call="/e2e/key/rotate")


@pytest.fixture
def fleet() -> Fleet:
    return Fleet({DEVICE: Device(), OTHER: Device()})


@pytest.fixture
def desk(fleet: Fleet, clock: Clock) -> Desk:
    return Desk(RotateE2EKey(), fleet, clock)


def test_a_device_without_the_policy_gets_it_and_shows_it(fleet: Fleet, desk: Desk) -> None:
    assert desk.run_one(desk.job(1, DEVICE)) == Done(note="looked again: AUTOMATIC every 7 days")
    assert fleet.devices[DEVICE].rotation == WEEKLY
    assert fleet.devices[OTHER].rotation is None


def test_a_continuous_policy_is_told_without_days(fleet: Fleet, desk: Desk) -> None:
    assert desk.run_one(desk.job(1, DEVICE, type="CONTINUOUS")) == Done(note="looked again: CONTINUOUS")
    assert fleet.devices[DEVICE].rotation == RotationPolicy(type=RotationType.CONTINUOUS)


def test_a_device_that_has_the_policy_already_is_left_alone(fleet: Fleet, desk: Desk) -> None:
    fleet.devices[DEVICE].rotation = WEEKLY
    assert desk.run_one(desk.job(1, DEVICE)) == Done(note="already AUTOMATIC every 7 days; nothing to do")
    assert fleet.devices[DEVICE].rotations == 0


def test_whoever_says_so_is_asked_again_all_the_same(fleet: Fleet, desk: Desk) -> None:
    fleet.devices[DEVICE].rotation = WEEKLY
    told = "asked again; the policy shown is AUTOMATIC every 7 days"
    assert desk.run_one(desk.job(1, DEVICE, even_if_set=True)) == Done(note=told)
    assert fleet.devices[DEVICE].rotations == 1


def test_another_policy_is_replaced(fleet: Fleet, desk: Desk) -> None:
    fleet.devices[DEVICE].rotation = DAILY
    assert isinstance(desk.run_one(desk.job(1, DEVICE)), Done)
    assert fleet.devices[DEVICE].rotation == WEEKLY


def test_a_service_that_shows_no_policy_is_believed_and_the_note_says_so(fleet: Fleet, desk: Desk) -> None:
    fleet.hides.add("rotation")
    said = f"{UNVERIFIABLE}: the service shows no policy to look at; it said: The automatic rotation has been set."
    assert desk.run_one(desk.job(1, DEVICE)) == Done(note=said)


def test_a_device_that_the_second_look_does_not_show_is_not_a_success(
    fleet: Fleet, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate = fleet.e2e.rotate

    def then_lose_it(uids: Collection[str], policy: RotationPolicy) -> str:
        said: str = rotate(uids, policy)
        del fleet.devices[DEVICE]
        return said

    monkeypatch.setattr(fleet.e2e, "rotate", then_lose_it)
    expected = "asked for AUTOMATIC every 7 days, but the second look does not show the device"
    assert desk.run_one(desk.job(1, DEVICE)) == Again(reason=expected)


def test_an_accepted_policy_that_does_not_show_is_not_a_success(fleet: Fleet, desk: Desk) -> None:
    fleet.devices[DEVICE].rotation, fleet.ignores = DAILY, True
    expected = "asked for AUTOMATIC every 7 days, but the device shows AUTOMATIC every 1 days"
    assert desk.run_one(desk.job(1, DEVICE)) == Again(reason=expected)


def test_a_blacklisted_device_gets_no_keys(fleet: Fleet, desk: Desk) -> None:
    fleet.devices[DEVICE].blacklisted = True
    outcome = desk.run_one(desk.job(1, DEVICE))
    assert outcome == Parked(reason="the device is blacklisted: it gets no keys", because=ParkedBecause.REFUSED)
    assert fleet.devices[DEVICE].rotations == 0


def test_a_device_that_the_service_does_not_know_needs_a_person(desk: Desk) -> None:
    outcome = desk.run_one(desk.job(1, device(404)))
    assert outcome == Parked(reason="u-blox answers, but not about this device", because=ParkedBecause.REFUSED)


def test_a_refused_device_does_not_hold_the_others(fleet: Fleet, desk: Desk) -> None:
    fleet.refuses[OTHER] = Refused("no subscription", call="/e2e/key/rotate", status=403)
    outcomes = desk.run(desk.job(1, DEVICE), desk.job(2, OTHER))
    assert isinstance(outcomes[1], Done)
    assert outcomes[2] == Parked(reason="no subscription", because=ParkedBecause.REFUSED, status=403)
    assert fleet.devices[OTHER].rotations == 0


@pytest.mark.parametrize("acts", [True, False])
def test_after_an_answer_that_was_lost_the_next_attempt_looks_first(
    fleet: Fleet,
    desk: Desk,
    acts: bool,  # noqa: FBT001 - a column of the table
) -> None:
    fleet.fail("rotate", SILENCE, acts=acts)
    job = desk.job(1, DEVICE)
    assert desk.run_one(job) == Again(reason="no whole answer")
    assert isinstance(desk.run_one(job), Done)
    assert (fleet.devices[DEVICE].rotation, fleet.devices[DEVICE].rotations) == (WEEKLY, 1)


def test_when_the_second_look_fails_the_next_attempt_finds_the_work_done(fleet: Fleet, desk: Desk) -> None:
    fleet.fail("look", TryAgain("answered 503", call="/device/info/get", status=503, retry_after=9.0), after=1)
    job = desk.job(1, DEVICE)
    assert desk.run_one(job) == Again(reason="answered 503", after=9.0, status=503)
    assert desk.run_one(job) == Done(note="already AUTOMATIC every 7 days; nothing to do")
    assert fleet.devices[DEVICE].rotations == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (
            TryAgain("slow down", call="/x", status=429, retry_after=30.0),
            Again(reason="slow down", after=30.0, status=429),
        ),
        (OurFault("who are you?", call="/x", status=401), Again(reason="who are you?", status=401, our_fault=True)),
    ],
)
def test_when_the_first_look_fails_nothing_is_asked(
    fleet: Fleet, desk: Desk, error: UpstreamError, outcome: Again
) -> None:
    fleet.fail("look", error)
    assert desk.run(desk.job(1, DEVICE), desk.job(2, OTHER)) == {1: outcome, 2: outcome}
    assert [known.rotations for known in fleet.devices.values()] == [0, 0]


def test_a_hundred_devices_are_one_look_one_call_and_one_look(clock: Clock) -> None:
    fleet = Fleet({device(number): Device() for number in range(100)})
    desk = Desk(RotateE2EKey(), fleet, clock)
    outcomes = desk.run(*[desk.job(number, device(number)) for number in range(100)])
    assert len(outcomes) == 100
    assert all(known.rotation == WEEKLY for known in fleet.devices.values())
    assert fleet.calls == {"look": 2, "rotate": 1}


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        ({}, WEEKLY),
        ({"days": 1}, DAILY),
        ({"type": "AUTOMATIC", "days": None}, WEEKLY),
        ({"type": "CONTINUOUS"}, RotationPolicy(type=RotationType.CONTINUOUS)),
    ],
)
def test_what_a_playbook_leaves_out_is_filled(given: dict[str, Any], policy: RotationPolicy) -> None:
    assert RotateE2EKeyParameters.model_validate(given).policy == policy


@pytest.mark.parametrize("days", [1, 30])
def test_the_bounds_of_the_document_are_allowed(days: int) -> None:
    assert RotateE2EKeyParameters(days=days).policy.days == days


@pytest.mark.parametrize(
    "given",
    [{"days": 0}, {"days": 31}, {"type": "NONE"}, {"type": "CONTINUOUS", "days": 7}, {"dayz": 7}, {"days": "often"}],
)
def test_what_the_document_forbids_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RotateE2EKeyParameters.model_validate(given)
