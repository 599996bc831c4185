"""The promise of the rotation: phones walk about all the time, the worker dies anywhere, and no door stays closed."""

from functools import partial
from itertools import count

import pytest

from schemas.jobs import Awaiting, Done
from services.sandbox.twon.keys import new_key
from tests.support.rotation_world import World, fresh_keys, private

DEVICES = 20
AWAY = 3


def world() -> World:
    made = World(DEVICES, firmware=("2.49.0.1", "2.50.0.76"))
    made.hold()
    return made


def rotation(made: World, *, absent_for: int = 2) -> int:
    """Rotate to the end, with one device away for some attempts; give the attempts it took."""
    away = list(made.devices)[AWAY]
    made.silent.add(away)
    job = made.ask()
    for attempt in count(1):
        if attempt > absent_for:
            made.silent.clear()
        outcome = made.attempt(job)
        if isinstance(outcome, Done):
            return attempt
        if isinstance(outcome, Awaiting):
            made.now = outcome.look_at
        assert attempt < 10, outcome
    raise AssertionError


def test_phones_walk_about_during_a_rotation_and_none_is_locked_out() -> None:
    made = world()
    rotation(made)
    assert made.lockouts == 0
    assert len(made.distinct()) == 1
    made.crowd.tour()
    assert made.lockouts == 0


def steps_of_a_rotation() -> int:
    made = world()
    rotation(made)
    return made.steps


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_worker_dies_at_any_step_and_no_phone_is_locked_out(when: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each step of a rotation once: a look, a write, a note, the making of the key, the end."""
    steps = steps_of_a_rotation()
    for number in range(1, steps + 1):
        made = world()
        made.dies_at = (number, when)
        rotation(made)
        made.crowd.tour()
        assert made.lockouts == 0, f"died {when} step {number}"
        assert len(made.distinct()) == 1
        assert [row.job_id for row in made.book.rows if row.job_id] == [1], "one job makes one key"
    with capsys.disabled():
        print(f"\ndied {when} each of {steps} steps: no phone of {len(made.crowd.phones)} was locked out")


def test_the_naive_order_locks_phones_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The same phones at the same doors, and the new key goes first on one device after the other."""
    made = world()
    new = new_key()
    for device in made.devices.values():
        listed = [new, *(key for key in device.slots if key is not None)]
        document = {"keys": [{"type": "rsa", "key": key.private} for key in listed]}
        made.step(partial(device.configure, document))
    with capsys.disabled():
        print(f"\nthe naive order: {made.lockouts} times a phone was locked out of one of {DEVICES} doors")
    assert made.lockouts > 0


def test_devices_of_different_lists_become_one_list_and_no_phone_loses_a_door() -> None:
    """Two halves that grew apart: phones of one are strangers at the other, until the end."""
    halves = fresh_keys(2)
    made = World(6, first=[(halves[number % 2],) for number in range(6)], phones=0)
    for device in made.devices.values():
        made.crowd.pair(device.location, 1)[0].keys[device.location] = device.primary or ""
        made.crowd.phones[-1].doors = tuple(one.serial for one in made.devices.values() if one.keys == device.keys)
    job = made.ask()
    assert isinstance(made.attempt(job), Done)
    assert made.lockouts == 0
    (final,) = made.distinct()
    assert set(final) == {halves[0].public, halves[1].public, made.book.standing()[0]}
    for phone in made.crowd.phones:
        phone.doors = tuple(made.devices)
    made.crowd.tour()
    assert made.lockouts == 0


def test_a_device_without_keys_gets_its_list_when_all_others_know_the_key() -> None:
    old = fresh_keys(1)
    made = World(4, first=[(old[0],), (old[0],), (), (old[0],)])
    made.crowd.phones.clear()
    made.crowd.pair(made.inventory[0].location, 20)
    for phone in made.crowd.phones:
        phone.doors = tuple(device.serial for device in made.devices.values() if device.keys)
    assert isinstance(made.attempt(made.ask()), Done)
    assert made.lockouts == 0
    assert len(made.distinct()) == 1


def test_a_key_of_the_twin_reads_as_ours() -> None:
    key = new_key()
    assert private(key).public_text == key.public
