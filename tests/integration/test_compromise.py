"""Keys have leaked: they are revoked first and replaced then, whatever is repeated and wherever the power fails."""

import itertools

import pytest

from infra.ledger import Ledger
from tests.conftest import Clock
from tests.support.compromise import REPLACE, REVOKE, Compromised, compromised
from tests.support.ledger import ask, wish
from tests.support.rounds import housed


def is_over(story: Compromised) -> bool:
    return not any(state.endswith((" due", " awaiting", " running")) for state in story.states())


def check(story: Compromised) -> None:
    """What must be true in the end: the leaked ones are void, the new ones are good, and each was asked for once."""
    leaked = {certificate.serial for certificate in story.leaked.values()}
    assert leaked <= story.revoked()
    for uid in story.uids:
        new = story.certificate(uid)
        assert new.serial not in story.revoked()
        assert new.key_generation > story.leaked[uid].key_generation
        assert story.twin.tally.actions["updates"][uid] == 1
        assert story.twin.tally.actions["revocations"][uid] == 1
    assert story.order_held()


def test_leaked_keys_are_revoked_and_then_replaced(ledger: Ledger, clock: Clock) -> None:
    with compromised(ledger, clock) as story:
        story.ask()
        story.work()
        assert story.states() == {f"{REVOKE} succeeded": 3, f"{REPLACE} awaiting": 3}
        story.hour()
        story.hour()
        assert story.states() == {f"{REVOKE} succeeded": 3, f"{REPLACE} succeeded": 3}
        check(story)
        assert [verb for verb, _ in story.steps.done] == ["note", "revoke", "revoke", "revoke", "note", "update"]


def test_a_replacement_that_is_planned_first_waits_for_the_revocation(ledger: Ledger, clock: Clock) -> None:
    """It stands before the other in the line of its device, and lets it pass."""
    with compromised(ledger, clock) as story:
        story.ask(turned=True)
        for _ in range(4):
            story.hour()
        assert story.states() == {f"{REVOKE} succeeded": 3, f"{REPLACE} succeeded": 3}
        check(story)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_order_holds_wherever_the_power_fails(ledger: Ledger, clock: Clock, when: str) -> None:
    """At each step in turn, as long as there are steps; every time with new devices."""
    with housed(ledger, clock) as house:
        for step in itertools.count(1):
            story = Compromised(house, house.recruit(2))
            story.steps.dies = (step, when)
            story.ask()
            for _ in range(3):
                story.hour()
            assert story.states() == {f"{REVOKE} succeeded": 2 * step, f"{REPLACE} succeeded": 2 * step}
            check(story)
            if story.steps.dies is not None:
                assert step > 5  # two notes, two revocations, one update
                return


@pytest.mark.parametrize("hours", range(4))
def test_a_wish_that_is_repeated_at_any_time_harms_nothing(ledger: Ledger, clock: Clock, hours: int) -> None:
    """Before the work, after the revocation, between the heartbeats, and after the end; always for the same event."""
    with compromised(ledger, clock) as story:
        event = {"occurred_at": clock().isoformat()}
        story.ask(evidence=event)
        for hour in range(5):
            if hour == hours:
                story.ask(evidence=event)
                story.ask(turned=True, evidence=event)
            story.hour()
        assert is_over(story), story.states()
        check(story)


@pytest.mark.parametrize("hours", range(2))
def test_a_rule_that_is_fired_again_before_the_end_harms_nothing(ledger: Ledger, clock: Clock, hours: int) -> None:
    with compromised(ledger, clock) as story:
        story.fire()
        for hour in range(5):
            if hour == hours:
                story.fire()
            story.hour()
        assert is_over(story), story.states()
        check(story)


def test_a_rule_that_is_approved_when_the_keys_are_new_harms_nothing(ledger: Ledger, clock: Clock) -> None:
    with compromised(ledger, clock) as story:
        story.fire()
        story.hour()
        late = story.fire(approval=True)
        story.hour()
        assert story.states() == {
            f"{REVOKE} succeeded": 3,
            f"{REVOKE} held": 3,
            f"{REPLACE} succeeded": 3,
            f"{REPLACE} held": 3,
        }
        story.approve(late)
        story.hour()
        assert story.states() == {
            f"{REVOKE} succeeded": 3,
            f"{REVOKE} parked": 3,
            f"{REPLACE} succeeded": 3,
            f"{REPLACE} parked": 3,
        }
        check(story)


def test_an_update_that_somebody_began_before_is_waited_for(ledger: Ledger, clock: Clock) -> None:
    """U-blox refuses to revoke meanwhile; the leaked certificate is remembered and revoked when that is over."""
    with compromised(ledger, clock, count=1) as story:
        (uid,) = story.uids
        device = story.twin.fleet.devices[uid]
        story.account.certificates.update([uid], story.leaked[uid].authority.name)
        story.ask()
        for _ in range(4):
            story.hour()
        assert device.certificate is not None
        assert story.revoked() == {story.leaked[uid].serial}
        assert device.certificate.serial not in story.revoked()
        assert story.twin.tally.actions["updates"] == {uid: 1}


def renewed_between(story: Compromised, evidence: dict[str, str]) -> set[int]:
    """Revoke while a renewal waits, let the devices carry it out, and wish for the replacement then."""
    for uid in story.uids:
        story.account.certificates.renew([uid], story.leaked[uid].authority.name, 365)
    ask(story.ledger, story.clock(), *[wish(uid, REVOKE) for uid in story.uids], evidence=evidence)
    story.hour()
    renewed = {story.certificate(uid).serial for uid in story.uids}
    wishes = [wish(uid, REPLACE, after_revocation=True) for uid in story.uids]
    ask(story.ledger, story.clock(), *wishes, evidence=evidence)
    for _ in range(3):
        story.hour()
    return renewed


def check_renewed(story: Compromised, renewed: set[int]) -> None:
    """Whatever had the leaked key is void, what the device has is good, and only one certificate was paid for."""
    leaked = {certificate.serial for certificate in story.leaked.values()}
    assert not renewed & leaked
    assert renewed | leaked <= story.revoked()
    for uid in story.uids:
        new = story.certificate(uid)
        assert new.serial not in story.revoked()
        assert new.key_generation > story.leaked[uid].key_generation
        assert story.twin.tally.actions["updates"][uid] == 1
    assert is_over(story), story.states()


def test_a_renewal_that_lands_between_the_two_is_revoked_too(ledger: Ledger, clock: Clock) -> None:
    """It keeps the leaked key; also where the event that told of the leak is older than the renewed certificate."""
    with compromised(ledger, clock) as story:
        check_renewed(story, renewed_between(story, {"occurred_at": clock().isoformat()}))
        assert [verb for verb, _ in story.steps.done].count("revoke") == 6
        assert story.states() == {f"{REVOKE} succeeded": 6, f"{REPLACE} succeeded": 3}


@pytest.mark.parametrize("when", ["before", "after"])
def test_that_holds_wherever_the_power_fails(ledger: Ledger, clock: Clock, when: str) -> None:
    with housed(ledger, clock) as house:
        for step in itertools.count(1):
            story = Compromised(house, house.recruit(1))
            story.steps.dies = (step, when)
            check_renewed(story, renewed_between(story, {}))
            if story.steps.dies is not None:
                assert step > 6  # three notes, two revocations, one update
                return
