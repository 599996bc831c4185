"""The rotation through the real runner, ledger and client against the twin's devices over HTTP and HTTPS."""

from datetime import timedelta

import pytest

from schemas.mobile_keys import Origin
from services.sandbox.twon.keys import new_key
from tests.support.rotation import LOBBY, HandClock, Opens, turned
from tests.support.vault import everything


@pytest.mark.parametrize("firmware", ["2.49", "2.50", "mixed"])
@pytest.mark.parametrize("algorithm", ["md5", "sha-256"])
def test_every_device_gets_the_new_key_as_its_primary(opens: Opens, firmware: str, algorithm: str) -> None:
    house = opens(4, firmware=firmware, algorithm=algorithm)
    ((old,),) = house.distinct()
    job = house.rotate()
    assert job["state"] == "succeeded", job["reason"]
    assert job["reason"] == "new primary on 4 of 4 devices of Lobby, looked again"
    (final,) = house.distinct()
    made = house.held()[0]
    assert final == (made.public, old)
    assert (made.origin, made.job_id, made.primary_since) == (Origin.MADE, job["id"], house.clock())


@pytest.mark.parametrize("auth", ["digest", "basic", "none"])
def test_devices_with_a_certificate_of_their_own_are_pinned(opens: Opens, auth: str) -> None:
    no_login = {"auth": "none", "password": None} if auth == "none" else {"auth": auth}
    house = opens(2, https=True, auth=auth, changes={0: no_login, 1: no_login})
    assert house.rotate()["state"] == "succeeded"
    assert len(house.distinct()) == 1


def test_keys_of_an_old_firmware_are_read_kept_and_become_part_of_the_list(opens: Opens) -> None:
    house = opens(2, firmware="2.49", keys=2, held=False)
    ((first, second),) = house.distinct()
    assert house.rotate()["state"] == "succeeded"
    made, *read = house.held()
    assert [key.public for key in read] == [first, second]
    assert {key.origin for key in read} == {Origin.READ}
    assert house.distinct() == {(made.public, first, second)}
    assert [key.public for key in read] == list(house.keys.reveal(read))


def test_a_key_that_nobody_holds_is_not_deleted_without_a_word(opens: Opens) -> None:
    house = opens(2, firmware="2.50", held=False)
    before = house.lists()
    job = house.rotate()
    assert (job["state"], job["parked_because"]) == ("parked", "refused")
    assert all(serial in job["reason"] for serial in before)
    assert "is not held, so a write would delete that key" in job["reason"]
    assert "delete_unknown = true" in job["reason"]
    assert house.lists() == before
    assert house.held() == []
    told_so = house.rotate(delete_unknown=True)
    assert told_so["state"] == "succeeded", told_so["reason"]
    assert house.distinct() == {(house.held()[0].public,)}


def test_lists_that_differ_become_one(opens: Opens) -> None:
    house = opens(3, firmware="2.49", held=False)
    ((old,),) = house.distinct()
    extra = new_key()
    device = house.twins[2]
    device.slots = (extra, device.slots[0], None, None)
    assert house.rotate()["state"] == "succeeded"
    (final,) = house.distinct()
    assert final[0] == house.held()[0].public
    assert set(final[1:]) == {old, extra.public}


def test_a_fifth_key_pushes_the_oldest_out_only_by_the_rule(opens: Opens, moment: HandClock) -> None:
    house = opens(2, firmware="2.50")
    house.keep_time()
    moment.forward(minutes=5)  # the devices' logs begin when they are started
    first = house.held()[0].public
    phone, sleeper = house.park.park.crowd.pair(LOBBY, 2)
    door = house.twins[0]
    house.park.park.crowd.visit(sleeper, door)
    for _ in range(3):
        assert house.rotate()["state"] == "succeeded"
        moment.forward(days=1)
    assert {len(keys) for keys in house.distinct()} == {4}
    job = house.rotate()
    assert job["state"] == "parked"
    assert "have no room for another key" in job["reason"]
    assert "was followed 3 days ago, and phones are given 90" in job["reason"]
    assert "drop_oldest = true" in job["reason"]
    moment.forward(days=100)
    house.redrive(job["id"])
    house.work()
    parked = house.job(job["id"])
    assert parked["state"] == "parked"
    assert "1 of the phones that used a device before" in parked["reason"], parked["reason"]
    assert all(first in keys for keys in house.distinct())
    assert len(house.held()) == 4
    house.park.park.crowd.visit(sleeper, door)
    house.park.park.crowd.visit(phone, door)
    house.redrive(job["id"])
    house.work()
    final = house.job(job["id"])
    assert final["state"] == "succeeded", final["reason"]
    assert all(first not in keys and len(keys) == 4 for keys in house.distinct())
    assert len(house.held()) == 4
    assert house.park.lockouts() == []


def test_a_person_may_give_the_oldest_key_up(opens: Opens) -> None:
    house = opens(2, firmware="2.49", keys=4, held=False)
    ((*kept, oldest),) = house.distinct()
    assert house.rotate()["state"] == "parked"
    job = house.rotate(drop_oldest=True)
    assert job["state"] == "succeeded", job["reason"]
    assert "dropped" in job["reason"]
    assert house.distinct() == {(house.held()[0].public, *kept)}
    assert oldest not in [key.public for key in house.held()]


def test_a_young_primary_key_is_only_verified(opens: Opens, moment: HandClock) -> None:
    house = opens(3)
    house.rotate()
    before = house.lists()
    moment.forward(days=20)
    house.twins[1].slots = (*house.twins[1].slots[1:], None)
    job = house.rotate(at_most_every_days=90)
    assert job["state"] == "succeeded"
    assert job["reason"].startswith("primary of ")
    assert house.lists() == before
    moment.forward(days=80)
    assert house.rotate(at_most_every_days=90)["reason"].startswith("new primary")


def test_one_device_is_brought_in_line_without_a_new_key(opens: Opens) -> None:
    house = opens(3)
    house.rotate()
    before = house.lists()
    replaced = house.twins[2]
    replaced.slots = (None, None, None, None)
    job = house.rotate(f"device:{replaced.serial}")
    assert job["state"] == "succeeded", job["reason"]
    assert house.lists() == before
    assert job["lock_key"] == "twon:location:Lobby"
    assert sum(key.origin is Origin.MADE for key in house.held()) == 1


def test_a_device_alone_in_its_location_is_a_whole_rotation(opens: Opens) -> None:
    house = opens(1)
    job = house.rotate(f"device:{house.devices[0].serial}")
    assert job["reason"] == "new primary on 1 of 1 devices of Lobby, looked again"


def test_one_device_waits_while_the_rotation_of_its_location_is_under_way(opens: Opens, moment: HandClock) -> None:
    house = opens(3)
    with turned(house, 0, offline="refused"):
        rotation = house.rotate()
        assert rotation["state"] == "awaiting"
        job = house.rotate(f"device:{house.devices[1].serial}")
        assert job["state"] == "awaiting"
    for _ in range(4):
        moment.forward(minutes=6)
        house.work()
    assert [house.job(each["id"])["state"] for each in (rotation, job)] == ["succeeded", "succeeded"]
    assert sum(key.origin is Origin.MADE for key in house.held()) == 1
    assert len(house.distinct()) == 1


def test_a_second_rotation_goes_on_with_the_key_of_the_first(opens: Opens, moment: HandClock) -> None:
    """Two new keys at a time would fill the four places, and the later one could overtake."""
    house = opens(3)
    with turned(house, 0, offline="refused"):
        first, second = house.rotate(), house.rotate()
        assert [first["state"], second["state"]] == ["awaiting", "awaiting"]
    for _ in range(4):
        moment.forward(minutes=6)
        house.work()
    assert [house.job(job["id"])["state"] for job in (first, second)] == ["succeeded", "succeeded"]
    assert sum(key.origin is Origin.MADE for key in house.held()) == 1


def test_no_private_key_is_in_the_ledger_in_the_clear(opens: Opens) -> None:
    house = opens(2, firmware="2.49", held=False)
    house.rotate()
    everything_there = everything(house.ledger)
    for key in house.keys.reveal(house.held()).values():
        assert key.text.get_secret_value().encode() not in everything_there
        assert key.text.get_secret_value() not in repr(key)


def test_an_ecc_key_is_made_only_where_devices_show_one(opens: Opens) -> None:
    house = opens(2)
    job = house.rotate(type="ecc")
    assert job["state"] == "parked"
    assert "show no ECC key" in job["reason"]


def test_the_key_is_sealed_and_in_the_ledger_before_any_device_hears_of_it(opens: Opens) -> None:
    house = opens(2)
    house.park.turn(strikes=[{"do": "refuse", "on": "PUT", "times": None, "code": 18}])
    job = house.rotate()
    assert job["state"] == "parked"
    made = house.held()[0]
    assert made.job_id == job["id"]
    assert list(house.keys.reveal([made])) == [made.public]


def test_ages_of_keys_follow_the_order_of_the_device(opens: Opens, moment: HandClock) -> None:
    """A device's times may be missing or wrong; its order is not."""
    house = opens(1, firmware="2.49", keys=3, held=False)
    device = house.twins[0]
    first, second, third = (key for key in device.slots if key is not None)
    device.slots = (third, first, second, None)
    house.rotate()
    assert [key.public for key in house.held()[1:]] == [third.public, first.public, second.public]
    assert all(key.created_at <= moment() - timedelta(days=1) for key in house.held()[2:])
