"""A root CA is rolled, and a device stays silent until its transfer is given up: how it goes on, or does not."""

from types import SimpleNamespace

import pytest

from infra.ledger import Ledger
from infra.ledger.steering import Order, Steer, steer
from schemas.jobs import State
from schemas.ublox import CertificateLook, DeviceLook
from services.schedules.renewals import try_again
from tests.conftest import Clock
from tests.support.compromise import REVOKE
from tests.support.ledger import ask, attempt_rows, claim_one, settle, wish
from tests.support.rolling import MOVE, ROLL, Story
from tests.support.works import Bell


def person(story: Story, job: int, what: Steer) -> str:
    """A person steers a job; give what is said of it then."""
    with story.ledger.database.writing() as connection:
        done = steer(connection, Order(job=job, steer=what, actor="key:boss"), story.clock())
    assert done is not None
    return done[0].reason


def hours(story: Story, count: int) -> None:
    for _ in range(count):
        story.work()
        story.account.beat()
        story.clock.forward(hours=1)


@pytest.fixture
def story(ledger: Ledger, clock: Clock) -> Story:
    """A roll of two devices, of which the first has been silent until its transfer was given up."""
    story = Story(ledger, clock, devices=2)
    story.account.devices[story.uids[0]].silent = True
    story.until_it_rests(days=40, hours=6)
    assert story.children[0]["state"] == "parked"
    return story


def comes_back(story: Story, *, without_request: bool) -> None:
    """The device wakes up; u-blox may have dropped what it had for it."""
    machine = story.account.devices[story.uids[0]]
    machine.silent = False
    if without_request:
        machine.desired = None


@pytest.mark.parametrize("without_request", [False, True])
def test_a_transfer_that_a_person_retries_has_new_deadlines(story: Story, *, without_request: bool) -> None:
    comes_back(story, without_request=without_request)
    billed = len(story.account.billed)
    assert f"{story.uids[0]} (job {story.children[0]['id']}, parked)" in story.row["reason"]
    person(story, story.children[0]["id"], Steer.RETRY)
    hours(story, 5)
    assert story.children[0]["state"] == "succeeded", story.children[0]["reason"]
    assert len(story.account.billed) - billed == int(without_request)
    assert story.until_it_rests() == ["delete"]
    assert (story.row["state"], story.account.deleted) == ("succeeded", [story.old])


def test_a_roll_that_was_cancelled_is_not_billed_any_more(story: Story) -> None:
    """The certificate scan lets go on what was given up; but not for a roll that nobody wants."""
    person(story, story.id, Steer.CANCEL)
    comes_back(story, without_request=True)
    billed = len(story.account.billed)
    story.clock.forward(days=1)
    uid = story.uids[0]
    certificate = CertificateLook(serial=story.account.devices[uid].serial, ca_name=story.old, expires_at=None)
    looks = {uid: DeviceLook(uid=uid, certificate=certificate, last_seen=story.clock())}
    means = SimpleNamespace(clock=story.clock, ledger=story.ledger, ring=Bell())
    assert try_again(story.ledger.certificates.given_up(), looks, SimpleNamespace(means=means)) == []  # type: ignore[arg-type]
    hours(story, 3)
    assert (len(story.account.billed), story.account.devices[uid].ca) == (billed, story.old)


def test_a_second_roll_goes_past_devices_that_others_jobs_serve(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one was cancelled while two silent devices were awaited: they come first, and are nobody's children."""
    monkeypatch.setattr("services.operations.roll_root_ca.MOST_CHILDREN", 2)
    story = Story(ledger, clock, devices=5)
    for uid in story.uids[:2]:
        story.account.devices[uid].silent = True
    story.work()
    story.agree()
    story.runner.perform(ROLL)
    story.runner.perform(MOVE)
    assert "2 jobs of its children under way, to the end" in person(story, story.id, Steer.CANCEL)
    story.trigger()
    story.work()
    story.agree()
    hours(story, 24)
    assert sorted(child["target"] for child in story.children) == story.uids[2:]
    assert [story.account.devices[uid].ca for uid in story.uids] == [story.old] * 2 + [story.new] * 3
    assert len(attempt_rows(ledger, story.id)) < 40


def test_a_roll_goes_on_when_a_revoked_certificate_is_replaced(ledger: Ledger, clock: Clock) -> None:
    story = Story(ledger, clock, devices=2)
    uid = story.uids[0]
    machine = story.account.devices[uid]
    ask(ledger, clock(), wish(uid, REVOKE))
    noted = {"serial": f"{machine.serial:x}", "ca": story.old}
    settle(ledger, clock(), claim_one(ledger, clock(), REVOKE), State.SUCCEEDED, progress=noted)
    assert story.until_it_rests() == ["transfer"]
    child = story.children[0]
    assert "replace the certificate (ublox.replace_certificate), then retry this job" in child["reason"]
    assert f"{uid} (job {child['id']}, parked): do what a parked job says and retry it" in story.row["reason"]
    machine.serial = next(story.account.serials)
    person(story, child["id"], Steer.RETRY)
    assert story.until_it_rests() == ["delete"]
    assert (story.row["state"], story.account.deleted) == ("succeeded", [story.old])
    assert {machine.ca for machine in story.account.devices.values()} == {story.new}
