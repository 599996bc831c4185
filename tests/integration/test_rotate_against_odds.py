"""A rotation among devices that are silent or refuse, and with a ledger that goes away."""

import time
from typing import Any

import pytest

from schemas.errors import LedgerUnavailable
from schemas.mobile_keys import Origin
from services.sandbox.twon.keys import new_key
from tests.support.rotation import LOBBY, HandClock, Opens, turned
from tests.support.vault import everything


def test_one_device_with_an_unknown_key_parks_the_job_and_all_others_have_the_key_as_a_secondary(opens: Opens) -> None:
    house = opens(3, firmware="2.50")
    stranger = house.twins[1]
    old = stranger.slots[0]
    assert old is not None
    unknown = new_key()
    stranger.slots = (old, unknown, None, None)
    job = house.rotate()
    assert job["state"] == "parked"
    assert stranger.serial in job["reason"]
    made = house.held()[0].public
    assert stranger.keys == (old.public, unknown.public)
    assert {keys for serial, keys in house.lists().items() if serial != stranger.serial} == {(old.public, made)}
    stranger.slots = (old, None, None, None)
    house.redrive(job["id"])
    house.work()
    assert house.job(job["id"])["state"] == "succeeded"
    assert house.distinct() == {(made, old.public)}


@pytest.mark.parametrize("offline", ["silent", "refused"])
def test_a_device_that_does_not_answer_is_waited_for_without_spending_an_attempt(
    opens: Opens, moment: HandClock, offline: str
) -> None:
    house = opens(3)
    ((old,),) = house.distinct()
    with turned(house, 1, offline=offline) as serial:
        job = house.rotate()
        assert (job["state"], job["attempts"]) == ("awaiting", 0)
        assert "the key is on 2 of 3 devices of Lobby" in job["reason"]
        assert serial in job["reason"]
        made = house.held()[0].public
        assert house.lists().pop(serial) == (old,)
        assert {keys for name, keys in house.lists().items() if name != serial} == {(old, made)}
        for _ in range(5):
            moment.forward(minutes=6)
            assert house.work() == 1
            assert house.job(job["id"])["state"] == "awaiting"
    moment.forward(minutes=6)
    house.work()
    assert house.job(job["id"])["state"] == "succeeded"
    assert house.distinct() == {(made, old)}


def test_no_key_is_made_while_no_device_answers(opens: Opens) -> None:
    house = opens(2)
    house.park.turn(offline="refused")
    job = house.rotate()
    assert job["state"] == "awaiting"
    assert "no device of Lobby was changed" in job["reason"]
    assert [key.origin for key in house.held()] == [Origin.READ]


def test_a_key_that_a_device_drops_in_silence_parks_the_job(opens: Opens) -> None:
    """From the answers alone the write has gone well."""
    house = opens(2)
    before = house.lists()
    with turned(house, 1, strikes=[{"do": "forget", "on": "PUT", "times": None}]) as serial:
        job = house.rotate()
    assert job["state"] == "parked"
    assert f"{serial}: accepts the list and does not have" in job["reason"]
    assert house.lists()[serial] == before[serial]
    house.redrive(job["id"])
    house.work()
    assert house.job(job["id"])["state"] == "succeeded"


@pytest.mark.parametrize("deed", ["mute_after", "cut_after", "reboot_after", "cut", "mute", "stale"])
def test_a_write_of_which_nobody_knows_whether_it_arrived_is_looked_at_again(
    opens: Opens, moment: HandClock, deed: str
) -> None:
    house = opens(3)
    ((old,),) = house.distinct()
    with turned(house, 0, strikes=[{"do": deed, "on": "PUT"}]):
        job = house.ask()
        for _ in range(40):
            house.work()
            moment.forward(minutes=6)
            if house.job(job)["state"] == "succeeded":
                break
            time.sleep(0.05)  # the device restarts
    assert house.job(job)["state"] == "succeeded", house.job(job)["reason"]
    made = [key for key in house.held() if key.origin is Origin.MADE]
    assert house.distinct() == {(made[0].public, old)}
    assert len(made) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"fingerprint": "0" * 64}, "certificate is not trusted"),
        ({"managed_by": "my2n"}, "managed by my2n"),
        ({"managed_by": "access-commander"}, "managed by access-commander"),
        ({"user": "somebody"}, "error 9"),
        ({"auth": "basic"}, "asks for digest"),
        ({"serial": "54-9999-9999"}, "another device answers at its address"),
    ],
)
def test_a_device_that_refuses_for_good_parks_the_job_and_the_others_wait_in_the_safe_state(
    opens: Opens, change: dict[str, Any], why: str
) -> None:
    house = opens(3, https=True, changes={1: change})
    ((old,),) = house.distinct()
    job = house.rotate()
    assert job["state"] == "parked", job["reason"]
    assert house.devices[1].serial in job["reason"]
    assert why in job["reason"], job["reason"]
    made = house.held()[0].public
    assert [device.keys for device in house.twins] == [(old, made), (old,), (old, made)]


@pytest.mark.parametrize(
    ("dials", "why"),
    [
        ({"privileges": ["system"]}, "insufficient privileges"),
        ({"refused": {"/api/mobilekey/config": 4}}, "a licence is missing, or the service is disabled"),
        ({"refused": {"/api/mobilekey/config": 1}}, "function not supported"),
        ({"https_required": True}, "HTTPS required"),
    ],
)
def test_a_device_whose_settings_refuse_us_parks_the_job_with_what_to_do(
    opens: Opens, dials: dict[str, Any], why: str
) -> None:
    house = opens(2)
    with turned(house, 0, **dials) as serial:
        job = house.rotate()
        assert job["state"] == "parked"
        assert serial in job["reason"]
        assert why in job["reason"], job["reason"]
    house.redrive(job["id"])
    house.work()
    assert house.job(job["id"])["state"] == "succeeded"


def test_a_managed_device_is_written_to_when_the_inventory_says_so(opens: Opens) -> None:
    house = opens(2, changes={1: {"managed_by": "my2n", "may_write": True}})
    assert house.rotate()["state"] == "succeeded"


def test_a_location_that_differs_on_the_device_is_a_persons_matter(opens: Opens) -> None:
    house = opens(2)
    house.twins[1].location = "54-1046-0746"
    job = house.rotate()
    assert job["state"] == "parked"
    assert "tells phones the location '54-1046-0746', the inventory says 'Lobby'" in job["reason"]
    corrected = house.rotate(set_location=True)
    assert corrected["state"] == "succeeded", corrected["reason"]
    assert {device.location for device in house.twins} == {LOBBY}


@pytest.mark.parametrize("target", ["location:Nowhere", "device:54-0000-0000", "Lobby"])
def test_a_target_that_the_inventory_does_not_know_is_our_fault(opens: Opens, target: str) -> None:
    job = opens(1).rotate(target)
    assert (job["state"], job["parked_because"]) == ("parked", "our_fault")
    assert "Nowhere" in job["reason"] or "54-0000-0000" in job["reason"] or "expected location:name" in job["reason"]


def test_a_password_that_is_wrong_parks_the_job_without_showing_it(opens: Opens) -> None:
    house = opens(2, revealed="wrong-Pa55word-of-a-device")
    job = house.rotate()
    assert job["state"] == "parked"
    assert "check user and password" in job["reason"]
    assert b"wrong-Pa55word-of-a-device" not in everything(house.ledger)


def test_a_ledger_that_goes_away_costs_no_attempt_and_no_second_key(opens: Opens, moment: HandClock) -> None:
    house = opens(2)
    job_id = house.ask()

    def gone(*_: object) -> set[int]:
        raise LedgerUnavailable("the disk is full")

    house.work(house.another_runner("worker", note=gone))
    job = house.job(job_id)
    assert (job["state"], job["attempts"]) == ("due", 0)
    moment.forward(minutes=5)
    house.work()
    assert house.job(job_id)["state"] == "succeeded"


def test_a_job_that_another_worker_has_taken_over_writes_nothing_more(opens: Opens) -> None:
    house = opens(2)
    before = house.lists()
    house.ask()
    house.work(house.another_runner("worker", note=lambda _: set()))
    assert house.lists() == before
