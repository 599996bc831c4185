"""The same against the twin over HTTP, which keeps the document's guards: killed at each step, it ends the same."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from infra.ledger import Ledger
from services.operations.certificate_facts import read_pem
from tests.conftest import Clock
from tests.support.ca_account import Account, Fate
from tests.support.rolling import CODE, Story
from tests.support.rounds import House, housed

GROUPS = ("authorities", "information", "certificates", "profiles", "devices")
VERBS = ("walk", "create", "proof_of_possession", "devices", "delete", "look", "transfer")


class TwinAccount(Account):
    """An account at the twin; what a worker calls goes over HTTP."""

    def __init__(self, house: House, fate: Fate | None = None) -> None:
        super().__init__(house.clock, fate)
        self.house = house
        self.ublox = SimpleNamespace(**{name: self._group(getattr(house.means.ublox, name)) for name in GROUPS})

    def _group(self, group: Any) -> SimpleNamespace:
        verbs = {name: getattr(group, name) for name in VERBS if hasattr(group, name)}
        return SimpleNamespace(**{name: self._met(_whole(verb), name) for name, verb in verbs.items()})

    def found(self, name: str, *, days: int = 3650) -> None:
        """As there."""
        self.house.twin.fleet.authority(name, days_left=days)

    def add(self, ca: str, *uids: str, **_more: Any) -> None:
        """As there."""
        for uid in uids:
            self.house.recruit(1, first=uid, ca_name=ca)

    def beat(self) -> None:
        """As there."""
        for machine in self.house.twin.fleet.devices.values():
            self.house.twin.beat(machine)


def _whole(verb: Any) -> Any:
    """A walk is over when the call is, so that a death comes before or after it."""

    def call(*given: Any, **named: Any) -> Any:
        answer = verb(*given, **named)
        return list(answer) if isinstance(answer, Iterator) else answer

    return call


@contextmanager
def house_of(ledger: Ledger, clock: Clock) -> Iterator[House]:
    with housed(ledger, clock) as house:
        house.turn(most_authorities=1_000)
        yield house


def ca_of(house: House, uid: str) -> str | None:
    certificate = house.twin.fleet.devices[uid].certificate
    return None if certificate is None else certificate.authority.name


def test_killed_at_each_of_its_steps_and_resumed_it_ends_the_same(ledger: Ledger, clock: Clock) -> None:
    with house_of(ledger, clock) as house:
        whole = Story(ledger, clock, account=TwinAccount(house), devices=2, registration_code=CODE)
        assert whole.until_it_rests() == ["transfer", "delete"], whole.row
        steps = whole.account.fate.moments
        for dies_at, what in enumerate(steps):
            if dies_at and what.startswith("before"):
                continue  # nobody could tell it from the moment after the call before
            account = TwinAccount(house, Fate(dies_at))
            story = Story(ledger, clock, account=account, devices=2, registration_code=CODE)
            asked = story.until_it_rests()
            told = f"killed {what}, moment {dies_at}: {story.row['state']}, {story.row['reason']}"
            assert (story.row["state"], asked) == ("succeeded", ["transfer", "delete"]), told
            assert story.old not in house.twin.fleet.authorities, told
            assert [ca_of(house, uid) for uid in story.uids] == [story.new] * 2, told
            assert [house.twin.tally.actions["transfers"][uid] for uid in story.uids] == [1, 1], told


def test_a_code_that_comes_once_the_new_one_is_known_is_given_to_a_roll_that_goes_on(
    ledger: Ledger, clock: Clock
) -> None:
    with house_of(ledger, clock) as house:
        story = Story(ledger, clock, account=TwinAccount(house))
        story.work()
        new = house.twin.fleet.authorities[story.new]
        assert f"anew with the same parameters, new_ca={story.new} and that registration_code" in story.row["reason"]
        assert story.reject() == "transfer"
        story.trigger(registration_code=CODE)
        story.work()
        assert story.row["state"] == "held"
        proof = read_pem(json.loads(story.row["progress"])["proof"])
        assert proof is not None
        proof.verify_directly_issued_by(new.root)
        assert proof.subject.rfc4514_string() == f"CN={CODE}"
        assert story.until_it_rests() == ["transfer", "delete"]
        assert (story.row["state"], house.twin.fleet.authorities[story.new]) == ("succeeded", new)
        assert [ca_of(house, uid) for uid in story.uids] == [story.new] * 3
        assert [house.twin.tally.actions["transfers"][uid] for uid in story.uids] == [1] * 3


def test_a_profile_that_is_linked_to_the_old_one_is_seen(ledger: Ledger, clock: Clock) -> None:
    with house_of(ledger, clock) as house:
        story = Story(ledger, clock, account=TwinAccount(house))
        house.twin.fleet.profile("profile-1", name="trackers", ca_name=story.old)
        story.until_it_rests()
        assert (story.row["state"], story.row["parked_because"]) == ("parked", "refused")
        assert "the device profile trackers refers to" in story.row["reason"]
        assert story.old in house.twin.fleet.authorities


def test_a_device_that_shall_get_a_certificate_of_the_old_one_keeps_it_there(ledger: Ledger, clock: Clock) -> None:
    with house_of(ledger, clock) as house:
        story = Story(ledger, clock, account=TwinAccount(house), devices=0)
        (stray,) = house.recruit(1, ca_name="third-ca.example")
        house.tools.ublox.certificates.transfer([stray], "third-ca.example", story.old)
        story.work()
        assert "1 device would be transferred" in story.row["reason"]
        assert story.until_it_rests() == ["transfer", "delete"]
        assert (story.row["state"], ca_of(house, stray)) == ("succeeded", story.new)
        assert story.old not in house.twin.fleet.authorities


def test_without_a_subscription_nobody_is_transferred_and_nothing_deleted(ledger: Ledger, clock: Clock) -> None:
    with house_of(ledger, clock) as house:
        story = Story(ledger, clock, account=TwinAccount(house), renew_before_days=0)
        house.turn(subscription_active=False)
        story.until_it_rests()
        assert [child["state"] for child in story.children] == ["parked"] * 3
        assert story.row["state"] == "awaiting"
        assert "a person must look at" in story.row["reason"]
        assert [ca_of(house, uid) for uid in story.uids] == [story.old] * 3
