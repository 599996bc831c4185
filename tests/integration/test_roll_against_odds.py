"""A root CA is rolled while u-blox answers oddly: no list that came short ends the work or takes a CA away."""

import pytest

from infra.ledger import Ledger
from tests.conftest import Clock
from tests.support.ledger import device
from tests.support.rolling import Story


@pytest.fixture
def story(ledger: Ledger, clock: Clock) -> Story:
    """A roll whose first transfers have begun."""
    story = Story(ledger, clock)
    story.work()
    assert story.agree() == "transfer"
    story.work()
    return story


def an_hour_later(story: Story) -> None:
    story.clock.forward(hours=1, minutes=1)
    story.work()


def test_an_empty_list_of_root_cas_is_no_proof_that_one_was_deleted(story: Story) -> None:
    authorities, whole = story.account.ublox.authorities, story.account.ublox.authorities.walk
    authorities.walk = lambda _name=None: iter(())
    an_hour_later(story)
    assert story.row["state"] == "due"
    assert story.row["reason"].startswith(f"u-blox shows neither {story.old} nor {story.new}")
    authorities.walk = whole
    assert story.until_it_rests() == ["delete"]
    assert (story.row["state"], story.account.deleted) == ("succeeded", [story.old])


def test_a_list_that_loses_the_old_root_ca_between_its_pages_does_not_end_the_work(story: Story) -> None:
    authorities, whole = story.account.ublox.authorities, story.account.ublox.authorities.walk
    authorities.walk = lambda name=None: [one for one in whole(name) if name or one.name != story.old]
    an_hour_later(story)
    assert story.row["state"] in {"awaiting", "due"}
    authorities.walk = whole
    assert story.until_it_rests() == ["delete"]


def test_empty_lists_of_devices_let_nobody_ask_for_the_deletion(story: Story) -> None:
    groups = story.account.ublox
    whole, holders = groups.devices.walk, groups.authorities.devices
    groups.devices.walk, groups.authorities.devices = list, (lambda _name: iter(()))
    an_hour_later(story)
    assert story.row["state"] == "awaiting", story.row["reason"]
    groups.devices.walk, groups.authorities.devices = whole, holders
    assert story.until_it_rests() == ["delete"]
    assert {machine.ca for machine in story.account.devices.values()} == {story.new}


def test_a_list_that_came_short_does_not_forget_a_device_whose_transfer_was_begun(story: Story) -> None:
    groups, (lost, *_) = story.account.ublox, story.uids
    whole, holders = groups.devices.walk, groups.authorities.devices
    story.account.devices[lost].silent = True
    story.account.beat()
    groups.devices.walk = lambda: [uid for uid in whole() if uid != lost]
    groups.authorities.devices = lambda name: iter([uid for uid in holders(name) if uid != lost])
    an_hour_later(story)
    assert (story.row["state"], story.row["reason"]) == ("awaiting", f"devices left with {story.old}: 1 of 3")


def test_a_device_between_the_two_heartbeats_of_an_update_may_still_need_the_old_root_ca(story: Story) -> None:
    bare = device(999_996)
    story.account.add(story.old, bare, bare=True)
    story.until_it_rests(days=0.5)
    assert (story.row["state"], story.account.deleted) == ("awaiting", [])
    assert story.row["reason"] == (f"a certificate action is half done on {bare}: {story.old} is not deleted meanwhile")
    story.account.devices[bare].bare = False
    assert story.until_it_rests() == ["delete"]
    assert story.account.devices[bare].ca == story.new


def test_another_root_ca_that_took_the_name_first_is_not_taken_for_ones_own(ledger: Ledger, clock: Clock) -> None:
    story = Story(ledger, clock)
    account = story.account
    create = account.ublox.authorities.create

    def late(name: str, *given: object) -> object:
        account.found(name, days=3650)  # somebody else's, with another life, between our look and our call
        return create(name, *given)

    account.ublox.authorities.create = late
    story.work()
    assert story.row["state"] == "parked"
    account.ublox.authorities.create = create
    story.retry()
    story.work()
    assert (story.row["state"], account.billed) == ("parked", [])
    assert f"the account has a root CA {story.new} already, with other validities" in story.row["reason"]
