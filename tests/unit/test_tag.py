"""Tags come and go."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.errors import Refused
from schemas.jobs import Again, Done
from services.operations.tag import Tag, TagParameters
from tests.conftest import Clock
from tests.support.cloud import Cloud, Phone
from tests.support.fleet import Desk
from tests.support.ledger import DEVICE, OTHER, device


@pytest.fixture
def cloud(clock: Clock) -> Cloud:
    return Cloud(clock, **{DEVICE: Phone(), OTHER: Phone()})


@pytest.fixture
def desk(cloud: Cloud, clock: Clock) -> Desk:
    return Desk(Tag(), cloud, clock)


def test_tags_are_added_and_removed(cloud: Cloud, desk: Desk) -> None:
    cloud.bearers = {"old": {DEVICE, OTHER}, "new": set()}
    outcome = desk.run_one(desk.job(1, DEVICE, add=["New"], remove=["old"]))
    assert outcome == Done(note="looked again: tagged new and free of old")
    assert cloud.bearers == {"old": {OTHER}, "new": {DEVICE}}


def test_a_tag_that_is_missing_is_made(cloud: Cloud, desk: Desk) -> None:
    assert isinstance(desk.run_one(desk.job(1, DEVICE, add=["leaked"])), Done)
    assert cloud.bearers == {"leaked": {DEVICE}}


def test_a_tag_that_nobody_has_need_not_be_removed(cloud: Cloud, desk: Desk) -> None:
    assert desk.run_one(desk.job(1, DEVICE, remove=["leaked"])) == Done(note="already free of leaked")
    cloud.bearers = {"leaked": set()}
    assert desk.run_one(desk.job(2, DEVICE, remove=["leaked"])) == Done(note="already free of leaked")


def test_a_look_that_was_not_allowed_is_no_proof_that_a_tag_is_gone(cloud: Cloud, desk: Desk) -> None:
    cloud.bearers = {"leaked": {DEVICE}}
    cloud.fail("uids_of", Refused("No subscription", call="/device/rotpublicuid/get", status=403))
    with pytest.raises(Refused):
        desk.run_one(desk.job(1, DEVICE, remove=["leaked"]))


def test_devices_of_which_the_same_is_asked_share_a_call(cloud: Cloud, desk: Desk) -> None:
    uids = [device(number) for number in range(100)]
    cloud.phones = {uid: Phone() for uid in uids}
    cloud.bearers = {"a": set(uids[:50])}
    jobs = [desk.job(number, uid, add=["a", "b"]) for number, uid in enumerate(uids)]
    assert all(isinstance(outcome, Done) for outcome in desk.run(*jobs).values())
    assert cloud.bearers == {"a": set(uids), "b": set(uids)}
    assert (cloud.calls["assign"], cloud.calls["create"]) == (2, 1)


def test_a_tag_that_somebody_else_made_meanwhile_is_as_good(cloud: Cloud, desk: Desk) -> None:
    cloud.fail("create", Refused("It exists", call="/tag/create", status=400))
    existing = cloud.tags.walk
    cloud.tags.walk = lambda: (cloud.bearers.setdefault("a", set()), iter(()))[1] if not cloud.bearers else existing()
    assert isinstance(desk.run_one(desk.job(1, DEVICE, add=["a"])), Done)


def test_what_is_not_seen_afterwards_is_tried_again(cloud: Cloud, desk: Desk) -> None:
    cloud.ignores = True
    outcome = desk.run_one(desk.job(1, DEVICE, add=["a"]))
    assert outcome == Again(reason="asked for, but the device is not tagged a")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"add": ["a"], "remove": ["A "]},
        {"add": ["*"]},
        {"remove": ["*"]},
        {"remove": ["{*}"]},
        {"add": [""]},
        {"add": ["a" * 256]},
        {"add": ["a,b"]},
        {"add": ["a\\b"]},
    ],
)
def test_what_makes_no_sense_or_strips_everything_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TagParameters.model_validate(given)
