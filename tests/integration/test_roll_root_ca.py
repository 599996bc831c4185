"""A root CA is rolled: to the same end whenever its worker dies, and never from under a device."""

from typing import Any

import pytest

from infra.ledger import Ledger
from schemas.errors import TryAgain
from tests.conftest import Clock
from tests.support.ca_account import Account, Fate
from tests.support.ledger import device
from tests.support.rolling import CODE, Story


@pytest.fixture
def story(ledger: Ledger, clock: Clock) -> Story:
    return Story(ledger, clock)


def test_the_whole_way(ledger: Ledger, clock: Clock) -> None:
    story = Story(ledger, clock, registration_code=CODE)
    assert story.until_it_rests() == ["transfer", "delete"]
    account = story.account
    assert (list(account.cas), account.created, account.deleted) == ([story.new], [story.new], [story.old])
    assert {machine.ca for machine in account.devices.values()} == {story.new}
    assert sorted(account.billed) == sorted(story.uids), "each was paid for once"
    assert (story.row["state"], story.row["reason"]) == (
        "succeeded",
        f"looked again: the root CA {story.old} is deleted, its devices have {story.new}",
    )
    shown = story.ledger.admin.job(story.id)
    assert shown is not None
    assert "BEGIN CERTIFICATE" in shown.progress["proof"]
    assert shown.progress["approved"] == ["delete", "transfer"]


def test_nothing_moves_before_a_person_agrees_and_nothing_is_deleted(story: Story) -> None:
    story.work()
    assert (story.row["state"], story.account.billed) == ("held", [])
    assert story.row["reason"].startswith(f"the root CA {story.new} is there, until 09 May 2031; 3 devices would be")
    story.agree()
    for _ in range(5):
        story.work()
        story.account.beat()
        story.clock.forward(hours=1)
    assert (story.row["state"], story.account.deleted) == ("held", [])
    assert story.row["reason"] == (
        f"no device and no profile needs the root CA {story.old} any more, 3 devices have certificates of {story.new};"
        " it would be deleted; waits for approval by an admin"
    )


def test_devices_that_come_meanwhile_are_transferred_too(story: Story) -> None:
    story.work()
    story.agree()
    story.work()
    late = device(999_999)
    story.account.add(story.old, late)
    story.until_it_rests()
    assert story.row["state"] == "succeeded"
    assert story.account.devices[late].ca == story.new


def test_a_device_that_comes_after_the_last_word_is_not_left_without_its_ca(story: Story) -> None:
    while story.row["reason"].find("would be deleted") < 0:
        story.work()
        if story.row["state"] == "held" and "transferred" in story.row["reason"]:
            story.agree()
        story.account.beat()
        story.clock.forward(hours=1)
    late = device(999_998)
    story.account.add(story.old, late)
    story.agree()
    story.work()
    assert story.account.deleted == []
    story.until_it_rests()
    assert (story.account.deleted, story.account.devices[late].ca) == ([story.old], story.new)


def test_many_devices_are_begun_in_parts(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.operations.roll_root_ca.MOST_CHILDREN", 2)
    story.work()
    story.agree()
    story.work()
    assert len(story.children) == 2
    story.work()
    assert len(story.children) == 3, "the next look came at once"
    story.until_it_rests()
    assert sorted(story.account.billed) == story.uids


def test_a_silent_device_keeps_it_waiting(story: Story) -> None:
    story.account.devices[story.uids[0]].silent = True
    story.until_it_rests(days=3)
    assert (story.row["state"], story.account.deleted) == ("awaiting", [])
    assert story.row["reason"] == f"devices left with {story.old}: 1 of 3"
    story.account.devices[story.uids[0]].silent = False
    story.until_it_rests()
    assert story.row["state"] == "succeeded"


def test_a_device_whose_transfer_is_parked_is_named_and_not_paid_for_again(story: Story) -> None:
    story.account.devices[story.uids[0]].silent = True
    story.until_it_rests(days=40, hours=6)
    child = story.children[0]
    assert child["state"] == "parked"
    assert story.row["state"] == "awaiting"
    assert f"a person must look at {story.uids[0]} (job {child['id']}, parked)" in story.row["reason"]
    paid = len(story.account.billed)
    story.until_it_rests(days=2)
    assert len(story.account.billed) == paid


def test_a_profile_that_refers_to_the_old_one_is_for_a_person(story: Story) -> None:
    story.account.profiles["trackers"] = story.old
    story.until_it_rests()
    assert (story.row["state"], story.row["parked_because"]) == ("parked", "refused")
    assert story.row["reason"] == f"the device profile trackers refers to {story.old}: link it to {story.new}"
    assert story.account.deleted == []


def test_a_device_that_shall_get_a_certificate_of_the_old_one_needs_it(story: Story) -> None:
    stray = device(999_997)
    story.account.add("third", stray, desired=story.old, silent=True)
    story.until_it_rests()
    assert (story.row["state"], story.account.deleted) == ("awaiting", [])
    assert story.row["reason"] == f"devices left with {story.old}: 1 of 3"
    assert story.children[-1]["target"] == stray


@pytest.mark.parametrize(
    ("days", "state", "reason"),
    [
        (1825, "succeeded", "looked again"),
        (3650, "parked", "the account has a root CA {new} already, with other validities"),
    ],
)
def test_a_ca_of_that_name_is_taken_where_it_is_alike(story: Story, days: int, state: str, reason: str) -> None:
    story.account.found(story.new, days=days)
    story.until_it_rests()
    assert (story.row["state"], story.account.created) == (state, [])
    assert story.row["reason"].startswith(reason.format(new=story.new))


@pytest.mark.parametrize(
    ("target", "more", "reason"),
    [
        ("rootca:nobody", {}, "the account has no root CA nobody"),
        ("rootca:same", {"new_ca": "same"}, "new_ca is the name of the old root CA"),
        (device(1), {}, "names no root CA"),
    ],
)
def test_what_cannot_be_rolled_is_parked_at_once(
    ledger: Ledger, clock: Clock, target: str, more: dict[str, Any], reason: str
) -> None:
    story = Story(ledger, clock, **more)
    with ledger.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE jobs SET target = '{target}' WHERE id = {story.id}")  # noqa: S608 - our own words
    story.work()
    assert story.row["state"] == "parked"
    assert reason in story.row["reason"]
    assert story.account.created == []


def test_an_outage_of_weeks_parks_no_roll_that_has_begun(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    story.work()
    story.agree()
    story.work()

    def fail(*_: object, **__: object) -> Any:
        raise TryAgain("answered 503", call="/ztp/rootca/get", status=503)

    with monkeypatch.context() as patched:
        patched.setattr(story.account.ublox.authorities, "walk", fail)
        for _ in range(60):
            story.work()
            story.clock.forward(hours=1)
    assert story.row["state"] in {"awaiting", "due"}
    story.until_it_rests()
    assert story.row["state"] == "succeeded"


def test_killed_at_each_of_its_steps_and_resumed_it_ends_the_same(ledger: Ledger, clock: Clock) -> None:
    """The worker dies before and after each call and each note, once; another one goes on."""
    whole = Story(ledger, clock, devices=2, registration_code=CODE)
    whole.until_it_rests()
    assert whole.row["state"] == "succeeded"
    steps = whole.account.fate.moments
    for what in ("create", "note", "transfer", "delete"):
        assert f"before {what}" in steps
    for dies_at, what in enumerate(steps):
        if dies_at and what.startswith("before"):
            continue  # nobody could tell it from the moment after the call before
        story = Story(ledger, clock, account=Account(clock, Fate(dies_at)), devices=2, registration_code=CODE)
        asked = story.until_it_rests()
        account = story.account
        told = f"killed {what}, moment {dies_at}: {story.row['state']}, {story.row['reason']}"
        assert story.row["state"] == "succeeded", told
        assert asked == ["transfer", "delete"], told
        assert (account.created, list(account.cas), account.deleted) == ([story.new], [story.new], [story.old]), told
        assert sorted(account.billed) == story.uids, told
        story.account.fate.dies_at = None
        for _ in range(4):  # a transfer whose worker died is looked at once more
            story.clock.forward(hours=1)
            story.work()
        assert [child["state"] for child in story.children] == ["succeeded"] * 2, told
