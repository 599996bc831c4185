"""On the whitelist or off it."""

import pytest

from schemas.errors import NotYet, Refused, TryAgain
from schemas.jobs import Again, Done, Parked
from services.operations.contract import outcome_of
from services.operations.set_whitelist import SetWhitelist
from tests.conftest import Clock
from tests.support.cloud import Cloud, Phone
from tests.support.fleet import Desk
from tests.support.ledger import DEVICE, OTHER, device

STRANGER = "356726108599999"
"""An entry of the whitelist by an IMEI alone, of a device that no job is about."""

SLOWLY = NotYet("asked often enough", call="/device", retry_after=60.0)


@pytest.fixture
def cloud(clock: Clock) -> Cloud:
    return Cloud(clock, **{DEVICE: Phone(), OTHER: Phone()})


@pytest.fixture
def desk(cloud: Cloud, clock: Clock) -> Desk:
    return Desk(SetWhitelist(), cloud, clock)


def test_a_device_is_put_on_it_and_taken_off_it(cloud: Cloud, desk: Desk) -> None:
    assert desk.run_one(desk.job(1, DEVICE, listed=True)) == Done(note="looked again: on the whitelist")
    assert cloud.whitelist == {DEVICE}
    assert desk.run_one(desk.job(2, DEVICE, listed=False)) == Done(note="looked again: not on the whitelist")
    assert cloud.whitelist == set()


def test_a_device_that_is_where_it_should_be_is_left_alone(cloud: Cloud, desk: Desk) -> None:
    cloud.whitelist = {DEVICE}
    assert desk.run_one(desk.job(1, DEVICE, listed=True)) == Done(note="already on the whitelist")
    assert desk.run_one(desk.job(2, OTHER, listed=False)) == Done(note="already not on the whitelist")
    assert cloud.calls == {"whitelist": 2}


@pytest.mark.parametrize("listed_by", [{"uid", "imei"}, {"imei"}, {"uid"}])
def test_a_device_is_taken_off_whatever_id_it_is_listed_by(cloud: Cloud, desk: Desk, listed_by: set[str]) -> None:
    ids = {"uid": DEVICE, "imei": cloud.phones[DEVICE].imei or ""}
    cloud.whitelist = {ids[name] for name in listed_by} | {OTHER, cloud.phones[OTHER].imei or ""}
    assert desk.run_one(desk.job(1, DEVICE, listed=False)) == Done(note="looked again: not on the whitelist")
    assert cloud.whitelist == {OTHER, cloud.phones[OTHER].imei}


def test_of_a_device_without_a_known_imei_no_more_is_claimed_than_was_seen(cloud: Cloud, desk: Desk) -> None:
    unknown = device(7)
    cloud.refuses[unknown] = Refused("Bad Request. Invalid ROTPublicUIDs", call="/device/info/get", status=400)
    cloud.whitelist, cloud.phones[OTHER].imei = {DEVICE, STRANGER}, None
    outcomes = desk.run(*[desk.job(number, uid, listed=False) for number, uid in enumerate((DEVICE, OTHER, unknown))])
    unsure = "already not on the whitelist; u-blox tells no IMEI, by which it might be"
    assert outcomes == {0: Done(note="looked again: not on the whitelist"), 1: Done(note=unsure), 2: Done(note=unsure)}


def test_nothing_is_claimed_while_u_blox_cannot_tell_the_imei(cloud: Cloud, desk: Desk) -> None:
    cloud.whitelist = {STRANGER}
    cloud.fail("look", TryAgain("no answer", call="/device/info/get", status=503))
    assert desk.run_one(desk.job(1, DEVICE, listed=False)) == Again(reason="no answer", status=503)
    assert "change_whitelist" not in cloud.calls


def test_a_hundred_devices_are_two_walks_and_one_call(cloud: Cloud, desk: Desk) -> None:
    cloud.phones = {device(number): Phone() for number in range(100)}
    jobs = [desk.job(number, uid, listed=True) for number, uid in enumerate(cloud.phones)]
    assert all(isinstance(outcome, Done) for outcome in desk.run(*jobs).values())
    assert cloud.calls == {"whitelist": 2, "change_whitelist": 1}


def test_a_hundred_devices_that_u_blox_does_not_know_cost_no_look(cloud: Cloud, desk: Desk) -> None:
    jobs = [desk.job(number, device(number), listed=False) for number in range(100)]
    assert set(desk.run(*jobs).values()) == {Done(note="already not on the whitelist")}
    assert cloud.calls == {"whitelist": 1}


def test_devices_leave_a_list_with_imeis_however_slowly_u_blox_may_be_asked(cloud: Cloud, desk: Desk) -> None:
    cloud.phones = {}
    left = [desk.job(number, device(number), listed=False) for number in range(100)]
    cloud.whitelist = {job.target for job in left} | {STRANGER}
    while left:
        cloud.fail("look", SLOWLY, after=40)
        outcomes = desk.run(*left)
        assert cloud.whitelist == {STRANGER}
        waiting = [job for job in left if not isinstance(outcomes[job.id], Done)]
        assert {outcomes[job.id] for job in waiting} <= {outcome_of(SLOWLY)}
        assert len(waiting) < len(left)
        left = waiting


def test_what_became_of_others_is_kept_when_the_second_look_must_wait(cloud: Cloud, desk: Desk) -> None:
    cloud.whitelist = {DEVICE}
    cloud.fail("whitelist", SLOWLY, after=1)
    outcomes = desk.run(desk.job(1, DEVICE, listed=False), desk.job(2, OTHER, listed=False))
    assert outcomes == {1: outcome_of(SLOWLY), 2: Done(note="already not on the whitelist")}


def test_what_is_not_seen_afterwards_is_tried_again(cloud: Cloud, desk: Desk) -> None:
    cloud.ignores = True
    outcome = desk.run_one(desk.job(1, DEVICE, listed=True))
    assert outcome == Again(reason="asked for, but the device is not on the whitelist")


def test_a_refused_device_stands_alone(cloud: Cloud, desk: Desk) -> None:
    cloud.refuses[OTHER] = Refused("no", call="/x", status=400)
    outcomes = desk.run(desk.job(1, DEVICE, listed=True), desk.job(2, OTHER, listed=True))
    assert (type(outcomes[1]), type(outcomes[2])) == (Done, Parked)
