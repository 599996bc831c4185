"""Phones enter, are moved to the primary key, or stand before a closed door; no sockets needed."""

from collections.abc import Iterator

import pytest

from schemas.errors import InputError
from services.sandbox.twon.device import Device, Model
from services.sandbox.twon.factory import Factory, first_keys
from services.sandbox.twon.phones import Crowd, Visit, Why
from tests.support.twon import UnixClock

OLD, NEW, OTHER = (key for key in first_keys(0, 3))
Devices = dict[str, Device]


@pytest.fixture
def clock() -> UnixClock:
    return UnixClock()


@pytest.fixture
def devices(clock: UnixClock) -> Devices:
    models = Factory(devices=3, location="lyon").models()
    made = [Device(Model(serial=m.serial, location="lyon", keys=(OLD,)), clock=clock) for m in models]
    return {device.serial: device for device in made}


@pytest.fixture
def crowd(devices: Devices, clock: UnixClock) -> Crowd:
    return Crowd(devices, clock=clock)


@pytest.fixture
def doors(devices: Devices) -> Iterator[Device]:
    return iter(devices.values())


def put(device: Device, *keys: object) -> None:
    device.configure({"keys": [{"key": getattr(key, "private", key)} for key in keys]})


def entries(device: Device) -> list[dict[str, object]]:
    return [event["params"] for event in device.log.history if event["event"] == "MobKeyEntered"]


def test_a_paired_phone_holds_the_primary_key_and_enters(crowd: Crowd, devices: Devices) -> None:
    (phone,) = crowd.pair("lyon")
    assert phone.keys == {"lyon": OLD.public}
    assert crowd.tour() == {Visit.ENTERED: 3}
    for device in devices.values():
        (entry,) = entries(device)
        assert (entry["authid"], entry["valid"]) == (phone.name, True)


def test_a_secondary_key_is_replaced_by_the_primary(crowd: Crowd, doors: Iterator[Device]) -> None:
    (phone,) = crowd.pair("lyon")
    door = next(doors)
    put(door, NEW, OLD)
    assert [crowd.visit(phone, door), crowd.visit(phone, door)] == [Visit.MOVED, Visit.ENTERED]
    assert phone.keys == {"lyon": NEW.public}
    assert crowd.holders("lyon") == {NEW.public: 1}


def test_a_phone_that_was_moved_is_a_stranger_to_a_device_without_the_new_key(
    crowd: Crowd, doors: Iterator[Device], clock: UnixClock
) -> None:
    (phone,) = crowd.pair("lyon")
    ready, late = next(doors), next(doors)
    put(ready, NEW, OLD)
    crowd.visit(phone, ready)
    clock.now += 60
    assert crowd.visit(phone, late) is Visit.LOCKED_OUT
    (lockout,) = crowd.lockouts
    assert (lockout.phone, lockout.serial, lockout.location) == (phone.name, late.serial, "lyon")
    assert (lockout.at, lockout.why) == (1_700_000_060.0, Why.KEY)
    assert [entry["valid"] for entry in entries(late)] == [False]


def test_a_phone_without_a_key_for_the_location_is_locked_out_and_says_nothing(
    crowd: Crowd, doors: Iterator[Device]
) -> None:
    (phone,) = crowd.pair("lyon")
    door = next(doors)
    door.configure({"location": "moved"})
    assert crowd.visit(phone, door) is Visit.LOCKED_OUT
    assert crowd.lockouts[0].why is Why.LOCATION
    assert entries(door) == []


def test_two_phases_lock_nobody_out(crowd: Crowd, devices: Devices) -> None:
    crowd.pair("lyon", 20)
    for device in devices.values():
        put(device, OLD, NEW)
        crowd.step(50)
    for device in devices.values():
        put(device, NEW, OLD)
        crowd.step(50)
    crowd.tour()
    assert crowd.visits[Visit.LOCKED_OUT] == 0
    assert crowd.holders("lyon") == {NEW.public: 20}


def test_one_phase_locks_out(crowd: Crowd, devices: Devices) -> None:
    crowd.pair("lyon", 20)
    for device in devices.values():
        put(device, NEW, OLD)
        crowd.step(50)
    assert crowd.visits[Visit.LOCKED_OUT] == len(crowd.lockouts) > 0


def test_a_restarting_device_says_nothing_about_the_key(crowd: Crowd, doors: Iterator[Device]) -> None:
    (phone,) = crowd.pair("lyon")
    door = next(doors)
    door.awake = False
    assert crowd.visit(phone, door) is Visit.NO_ANSWER
    assert not crowd.lockouts


def test_the_network_does_not_matter(crowd: Crowd, devices: Devices) -> None:
    crowd.pair("lyon", 2)
    for device in devices.values():
        device.turn({"offline": "refused"})
    assert crowd.step(10) == {Visit.ENTERED: 10}


def test_an_empty_first_place_moves_nobody(crowd: Crowd, doors: Iterator[Device]) -> None:
    (phone,) = crowd.pair("lyon")
    door = next(doors)
    door.turn({"invalid_key": "hole"})
    put(door, "junk", OLD)
    assert crowd.visit(phone, door) is Visit.ENTERED


def test_the_same_seed_walks_the_same_way(devices: Devices, clock: UnixClock) -> None:
    walks = []
    for _ in range(2):
        crowd = Crowd(devices, clock=clock, seed=7)
        crowd.pair("lyon", 5)
        for device in devices.values():
            put(device, OLD)
        put(devices["54-1046-0746"], OTHER, OLD)
        crowd.step(30)
        walks.append((crowd.shown(), [lockout.shown() for lockout in crowd.lockouts]))
    assert walks[0] == walks[1]
    assert walks[0][0]["visits"]["moved"] > 0


def test_pairing_needs_a_device_with_a_key(crowd: Crowd, devices: Devices) -> None:
    with pytest.raises(InputError, match="no device of location paris"):
        crowd.pair("paris")
    for device in devices.values():
        put(device)
    with pytest.raises(InputError, match="no primary key"):
        crowd.pair("lyon")
    assert crowd.step(5) == {}


def test_forgotten_phones_are_gone(crowd: Crowd) -> None:
    crowd.pair("lyon", 3)
    crowd.tour()
    crowd.forget()
    assert crowd.shown() == {"phones": 0, "visits": dict.fromkeys(Visit, 0), "locations": {}}
