"""What happens to devices and workers while a rotation waits: nothing that an earlier attempt saw is taken for true."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.jobs import Again, Awaiting, Done, Parked
from services.clients.twon import PrivateKey
from services.operations.twon_access import SeenList
from services.sandbox.twon.keys import AccessKey
from tests.support.rotation_world import PLACE, DirectSession, World, fresh_keys, private


@pytest.fixture
def key() -> AccessKey:
    return fresh_keys(1)[0]


def world(key: AccessKey, count: int = 3) -> tuple[World, list[str]]:
    made = World(count, first=[(key,)] * count, phones=10)
    made.hold()
    return made, list(made.devices)


def restore(made: World, serial: str, key: AccessKey) -> None:
    """A device gets what it had at the beginning, as from a backup."""
    made.devices[serial].slots = (key, None, None, None)


def finish(made: World, job: int) -> None:
    """All devices are there: the job ends, and no phone stands before a closed door."""
    made.silent.clear()
    for _ in range(4):
        made.now += timedelta(minutes=6)
        if isinstance(outcome := made.attempt(job), Done):
            break
    assert isinstance(outcome, Done), outcome
    assert len(made.distinct()) == 1
    made.crowd.tour()


def test_a_device_that_was_restored_and_is_silent_holds_the_second_phase(key: AccessKey) -> None:
    made, (_, restored, away) = world(key)
    made.silent = {away}
    job = made.ask()
    assert isinstance(made.attempt(job), Awaiting)
    restore(made, restored, key)
    made.silent = {restored}
    made.now += timedelta(minutes=6)
    outcome = made.attempt(job)
    assert isinstance(outcome, Awaiting)
    assert restored in outcome.reason
    assert {device.primary for device in made.devices.values()} == {key.public}
    made.crowd.tour()
    finish(made, job)
    assert made.lockouts == 0


def test_a_device_that_was_restored_in_the_second_phase_gets_the_key_back_before_any_other_leads(
    key: AccessKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, (_, restored, away) = world(key)
    job = made.ask()
    write = DirectSession.write

    def away_when_it_is_to_lead(
        session: DirectSession, wanted: Sequence[PrivateKey], *, location: str | None = None
    ) -> None:
        if session.device.serial == away and wanted[0].public_text != key.public:
            made.silent.add(away)
        write(session, wanted, location=location)

    with monkeypatch.context() as patch:
        patch.setattr(DirectSession, "write", away_when_it_is_to_lead)
        assert isinstance(made.attempt(job), Awaiting)
    restore(made, restored, key)
    made.silent = {restored}
    made.now += timedelta(minutes=6)
    outcome = made.attempt(job)
    assert isinstance(outcome, Awaiting), "a device that nobody sees is not as it should be"
    assert made.devices[away].primary == key.public
    finish(made, job)


def test_an_attempt_that_runs_late_begins_no_second_phase(key: AccessKey, monkeypatch: pytest.MonkeyPatch) -> None:
    made, (_, restored, away) = world(key)
    made.silent = {away}
    job = made.ask()
    made.attempt(job)
    restore(made, restored, key)
    made.silent.clear()
    made.now += timedelta(minutes=6)
    write = DirectSession.write

    def slowly(session: DirectSession, wanted: Sequence[PrivateKey], *, location: str | None = None) -> None:
        write(session, wanted, location=location)
        made.now += timedelta(minutes=9)

    with monkeypatch.context() as patch:
        patch.setattr(DirectSession, "write", slowly)
        outcome = made.attempt(job)
    assert isinstance(outcome, Again)
    assert not outcome.counts
    made.silent = {restored}
    assert isinstance(made.attempt(job), Awaiting)
    made.crowd.tour()
    finish(made, job)
    assert made.lockouts == 0


def test_a_worker_that_stood_still_writes_nothing_when_another_has_done_its_job(
    key: AccessKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has looked at the device and is about to write; then the machine is suspended for months."""
    made, (_, last) = world(key, 2)
    job = made.ask()
    look, looks = DirectSession.look, iter(range(1000))

    def standing_still(session: DirectSession) -> SeenList:
        seen = look(session)
        if session.device.serial == last and next(looks) == 1:
            made.now += timedelta(minutes=11)
            assert isinstance(made.attempt(job), Done)
            made.now += timedelta(days=40)
            assert isinstance(made.attempt(made.ask()), Done)
        return seen

    monkeypatch.setattr(DirectSession, "look", standing_still)
    outcome = made.attempt(job)
    assert outcome == Again(reason="another worker has taken this job over", counts=False)
    assert {device.primary for device in made.devices.values()} == {made.book.standing()[0]}
    made.crowd.tour()
    assert made.lockouts == 0


def test_a_device_that_another_one_took_the_address_of_is_not_written_to(
    key: AccessKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was the right one when it was looked at, and another answers when it is to be written to."""
    made, (_, swapped) = world(key, 2)
    identify, calls = DirectSession.identify, iter(range(1000))

    def another(session: DirectSession) -> SeenList:
        seen = identify(session)
        is_other = session.device.serial == swapped and next(calls) > 0
        return replace(seen, doubt="another device answers at its address") if is_other else seen

    monkeypatch.setattr(DirectSession, "identify", another)
    outcome = made.attempt(made.ask())
    assert isinstance(outcome, Parked)
    assert f"{swapped}: another device answers" in outcome.reason
    assert made.devices[swapped].keys == (key.public,)


def test_a_key_that_a_device_had_when_it_was_last_seen_counts_and_an_older_sight_of_it_does_not() -> None:
    """A key that a person took off between two attempts makes room for another."""
    first, second, third, fourth = fresh_keys(4)
    made = World(2, first=[(first, second, third, fourth)] * 2, phones=2)
    made.hold()
    job = made.ask()
    assert isinstance(made.attempt(job), Parked)
    for device in made.devices.values():
        device.slots = (first, second, third, None)
    outcome = made.attempt(job)
    assert isinstance(outcome, Done), outcome
    assert {len(keys) for keys in made.distinct()} == {4}


def test_a_key_that_a_person_took_off_every_device_does_not_come_back() -> None:
    first, stolen = fresh_keys(2)
    made = World(2, first=[(first, stolen)] * 2, phones=4)
    made.hold()
    for device in made.devices.values():
        device.slots = (first, None, None, None)
    outcome = made.attempt(made.ask())
    assert isinstance(outcome, Done), outcome
    assert made.distinct() == {(made.book.standing()[0], first.public)}
    assert stolen.public not in made.book.standing()


def test_a_primary_key_that_a_person_replaced_on_every_device_is_not_made_primary_again() -> None:
    first, by_hand = fresh_keys(2)
    made = World(2, first=[(first,)] * 2, phones=4)
    made.hold()
    assert isinstance(made.attempt(made.ask()), Done)
    for device in made.devices.values():
        device.slots = (by_hand, first, None, None)
    made.now += timedelta(days=5)
    check = made.attempt(made.ask(at_most_every_days=30))
    assert isinstance(check, Parked)
    assert "no device has it: somebody has replaced it" in check.reason
    assert made.distinct() == {(by_hand.public, first.public)}
    assert isinstance(made.attempt(made.ask()), Done)
    assert made.distinct() == {(made.book.standing()[0], by_hand.public, first.public)}


def test_a_dropped_key_that_turns_up_on_a_device_amid_an_attempt_parks_the_job(
    key: AccessKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was on no device when the private halves were opened, so it could not be written back."""
    made, (_, odd) = world(key, 2)
    gone = fresh_keys(1)[0]
    made.book.keep(PLACE, [(private(gone), made.now - timedelta(days=900))])
    (row,) = (row for row in made.book.rows if row.public == gone.public)
    made.book.rows = [replace(one, dropped_at=made.now) if one == row else one for one in made.book.rows]
    identify, calls = DirectSession.identify, iter(range(1000))

    def turned_up(session: DirectSession) -> SeenList:
        if session.device.serial == odd and next(calls) > 0:
            session.device.slots = (key, gone, None, None)
        return identify(session)

    with monkeypatch.context() as patch:
        patch.setattr(DirectSession, "identify", turned_up)
        job = made.ask()
        outcome = made.attempt(job)
    assert isinstance(outcome, Parked)
    assert odd in outcome.reason
    finish(made, job)
    assert made.lockouts == 0


@pytest.fixture
def waiting_for_one(key: AccessKey) -> World:
    made, (_, away) = world(key, 2)
    made.silent = {away}
    assert isinstance(made.attempt(made.ask(type="rsa")), Awaiting)
    made.silent.clear()
    return made


def test_a_wish_for_another_type_says_that_a_key_waits(waiting_for_one: World) -> None:
    outcome = waiting_for_one.attempt(waiting_for_one.ask(type="ecc"))
    assert isinstance(outcome, Parked)
    assert "of type rsa, is to become the primary one before another is made" in outcome.reason


def test_a_key_that_waits_and_does_not_open_is_named(waiting_for_one: World) -> None:
    made = waiting_for_one
    del made.book.privates[made.book.standing()[0]]
    outcome = made.attempt(1)
    assert isinstance(outcome, Parked)
    assert "the vault does not open its private half" in outcome.reason


@pytest.mark.parametrize("why", ["lost", "other type"])
def test_a_key_that_waits_and_that_no_device_has_makes_way_for_another(
    waiting_for_one: World, key: AccessKey, why: str
) -> None:
    made = waiting_for_one
    waits = made.book.standing()[0]
    for serial in made.devices:
        restore(made, serial, key)
    if why == "lost":
        del made.book.privates[waits]
        assert isinstance(made.attempt(made.ask()), Done)
        assert made.distinct() == {(made.book.standing()[0], key.public)}
    else:
        outcome = made.attempt(made.ask(type="ecc"))
        assert isinstance(outcome, Parked)
        assert "show no ECC key" in outcome.reason
    assert waits not in made.book.standing()
