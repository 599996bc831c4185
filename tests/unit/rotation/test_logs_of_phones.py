"""Whether the oldest key may go hangs on the logs of all devices, and a log that is silent proves nothing."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.errors import Refused, TryAgain, UpstreamError
from schemas.jobs import Awaiting, Done, Parked
from services.operations.twon_access import Log
from services.sandbox.twon.keys import AccessKey
from tests.support.rotation_world import PLACE, World, fresh_keys, private

DAY = timedelta(days=1)


def settled(made: World, primary: AccessKey) -> None:
    """That key is the primary one everywhere for a hundred days."""
    at = made.now - 100 * DAY
    made.book.rows = [replace(row, primary_since=at) if row.public == primary.public else row for row in made.book.rows]


def log(made: World, days_ago: Mapping[str, int], *, reaches: int = 400) -> Log:
    """A log of phones, each let in once so many days ago."""
    return Log(
        phones={phone: [made.now - ago * DAY] for phone, ago in days_ago.items()}, begins=made.now - reaches * DAY
    )


@pytest.fixture
def full() -> tuple[World, list[str], AccessKey]:
    """Two devices with four keys each, all phones seen of late; gives the oldest key too."""
    keys = fresh_keys(4)
    made = World(2, first=[tuple(keys)] * 2, phones=6)
    made.hold()
    settled(made, keys[0])
    made.logs = {serial: log(made, {"alice": 3}) for serial in made.devices}
    return made, list(made.devices), keys[-1]


def has(made: World, key: AccessKey) -> bool:
    return any(key.public in device.keys for device in made.devices.values())


def test_the_oldest_goes_when_every_log_tells_of_all_phones(full: tuple[World, list[str], AccessKey]) -> None:
    made, _, oldest = full
    assert isinstance(made.attempt(made.ask()), Done)
    assert not has(made, oldest)


def test_a_log_that_does_not_answer_is_waited_for(full: tuple[World, list[str], AccessKey]) -> None:
    made, (first, _), oldest = full
    made.logs[first] = TryAgain("no whole answer", call="/api/log/pull")
    job = made.ask()
    outcome = made.attempt(job)
    assert isinstance(outcome, Awaiting)
    assert first in outcome.reason
    made.logs[first] = log(made, {"sleeper": 120})
    made.now = outcome.look_at
    parked = made.attempt(job)
    assert isinstance(parked, Parked)
    assert "1 of the phones that used a device before" in parked.reason
    assert has(made, oldest)


@pytest.mark.parametrize("gone", ["refused", "short", "empty"])
def test_a_log_that_does_not_tell_lets_no_key_go_without_a_persons_word(
    full: tuple[World, list[str], AccessKey], gone: str
) -> None:
    made, (first, _), oldest = full
    told: dict[str, Log | UpstreamError] = {
        "refused": Refused("insufficient privileges", call="/api/log/subscribe"),
        "short": log(made, {"busy": 1}, reaches=3),
        "empty": Log(phones={}, begins=None),
    }
    made.logs[first] = told[gone]
    outcome = made.attempt(made.ask())
    assert isinstance(outcome, Parked)
    assert first in outcome.reason
    assert has(made, oldest)
    assert isinstance(made.attempt(made.ask(drop_oldest=True)), Done)
    assert not has(made, oldest)


@pytest.mark.parametrize("late", [False, True])
def test_the_logs_of_all_devices_are_asked_and_not_only_of_those_that_were_just_looked_at(late: bool) -> None:  # noqa: FBT001 - a case of the table
    head, second, oldest, fourth = fresh_keys(4)
    made = World(3, first=[(head, second, oldest), (head, second, oldest), (head, fourth)], phones=2)
    order = (head, second, fourth, oldest)
    made.book.keep(PLACE, [(private(key), made.now - (300 + age) * DAY) for age, key in enumerate(order)])
    settled(made, head)
    made.logs = {serial: log(made, {}) for serial in made.devices}
    teller, _, last = made.devices
    made.logs[teller] = log(made, {"sleeper": 120})
    job = made.ask()
    if late:
        made.silent = {last}
        waits = made.attempt(job)
        assert isinstance(waits, Awaiting)
        made.silent.clear()
        made.now = waits.look_at
    outcome = made.attempt(job)
    assert isinstance(outcome, Parked), outcome
    assert "1 of the phones that used a device before" in outcome.reason
    assert has(made, oldest)
