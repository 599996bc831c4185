"""A root CA is rolled, and what nobody asks for stays as it was: how long certificates live, when they are renewed."""

from typing import Any

import pytest

from infra.ledger import Ledger
from tests.conftest import Clock
from tests.support.ca_account import Killed
from tests.support.rolling import Story


def story_of(ledger: Ledger, clock: Clock, *, days: int | None, lead: int | None, **given: Any) -> Story:
    """A roll of a root CA of which u-blox tells this."""
    story = Story(ledger, clock, **given)
    old = story.account.cas[story.old]
    old.device_days, old.lead = days, lead
    return story


@pytest.mark.parametrize(
    ("days", "lead", "given", "then", "told"),
    [
        (30, 10, {}, (30, 10), "live for 30 days, renewed 10 days before their end"),
        (30, None, {}, (30, None), "live for 30 days, with no automatic renewal"),
        (None, None, {}, (365, None), "live for 365 days, with no automatic renewal"),
        (30, 10, {"device_validity_days": 90}, (90, 10), "live for 90 days, renewed 10 days before their end"),
        (30, 10, {"renew_before_days": 5}, (30, 5), "live for 30 days, renewed 5 days before their end"),
        (30, 10, {"renew_before_days": 0}, (30, None), "live for 30 days, with no automatic renewal"),
    ],
)
def test_what_is_left_out_is_as_the_old_one_tells(
    ledger: Ledger,
    clock: Clock,
    days: int | None,
    lead: int | None,
    given: dict[str, Any],
    then: tuple[int, int | None],
    told: str,
) -> None:
    story = story_of(ledger, clock, days=days, lead=lead, **given)
    story.work()
    new = story.account.cas[story.new]
    assert (new.device_days, new.lead) == then
    assert f"their certificates {told}; whoever verifies" in story.row["reason"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"renew_before_days": 60}, "renew_before_days is 60, but a device certificate lives for 30"),
        ({"device_validity_days": 30}, "renew_before_days is 40, but a device certificate lives for 30"),
    ],
)
def test_what_does_not_fit_to_the_old_one_is_for_a_person(
    ledger: Ledger, clock: Clock, given: dict[str, Any], told: str
) -> None:
    lead = 10 if "renew_before_days" in given else 40
    story = story_of(ledger, clock, days=30, lead=lead, **given)
    story.work()
    assert (story.row["state"], story.row["parked_because"], story.account.created) == ("parked", "refused", [])
    assert told in story.row["reason"]


def test_what_was_asked_for_stays_although_the_old_one_is_changed_meanwhile(ledger: Ledger, clock: Clock) -> None:
    story = story_of(ledger, clock, days=30, lead=10)
    authorities, create = story.account.ublox.authorities, story.account.ublox.authorities.create

    def dies(*_: object) -> Any:
        raise Killed

    authorities.create = dies
    story.work()
    authorities.create = create
    story.account.cas[story.old].lead = 200  # no certificate of 30 days can be renewed then
    story.work()
    new = story.account.cas[story.new]
    assert (new.device_days, new.lead) == (30, 10)
    assert story.until_it_rests() == ["transfer", "delete"]
    assert story.row["state"] == "succeeded"


def test_a_ca_that_is_there_is_taken_when_its_certificates_live_as_long(ledger: Ledger, clock: Clock) -> None:
    story = story_of(ledger, clock, days=30, lead=10)
    story.account.found(story.new, days=1825)
    new = story.account.cas[story.new]
    new.device_days = 365
    story.work()
    assert (story.row["state"], story.account.created) == ("parked", [])
    assert "with other validities than 1825 days, and 30 of its certificates" in story.row["reason"]
    new.device_days = 30
    story.retry()
    story.work()
    assert "their certificates live for 30 days, with no automatic renewal; whoever" in story.row["reason"]
