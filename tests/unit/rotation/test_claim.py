"""Whoever is about to write to a device asks whether the job is still ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from schemas.fleet import TwonDevice
from schemas.jobs import Job
from services.operations import Tools
from services.operations.rotate_claim import LAST_CALL, Claim, TakenOver
from services.operations.rotate_device import Talk

BEGIN = datetime(2026, 5, 10, tzinfo=UTC)
JOB = Job(
    id=1,
    operation="twon.rotate_mobile_key",
    target="location:Lobby",
    parameters={},
    fence=1,
    attempt=1,
    claimed_at=BEGIN,
    created_at=BEGIN,
    progress={"key": "k"},
)


@dataclass
class Desk:
    """A ledger of one job, and a clock."""

    now: datetime = BEGIN
    ours: bool = True
    notes: list[Mapping[str, Any]] = field(default_factory=list)

    def note(self, progress: Sequence[tuple[Job, Mapping[str, Any]]]) -> set[int]:
        """Write down what is noted, and give which jobs are ours."""
        if self.ours:
            self.notes += [known for _, known in progress]
        return {job.id for job, _ in progress if self.ours}

    def claim(self) -> Claim:
        """Claim the job."""
        tools = Tools(
            note=self.note,
            clock=lambda: self.now,
            renewal_look_every=timedelta(hours=1),
            renewal_deadline=timedelta(days=14),
        )
        return Claim(JOB, tools)


def test_the_ledger_is_asked_when_its_word_is_no_longer_fresh() -> None:
    desk = Desk()
    claim = desk.claim()
    assert claim.may_go_on()
    assert not desk.notes
    desk.now += timedelta(seconds=3)
    assert claim.may_go_on()
    assert desk.notes == [JOB.progress], "what was noted stays as it is"
    claim.note({"key": "other"})
    desk.now += timedelta(seconds=3)
    claim.may_go_on()
    assert desk.notes[1:] == [{"key": "other"}] * 2


@pytest.mark.parametrize("gone", [timedelta(seconds=20), timedelta(days=60), -timedelta(hours=1)])
def test_a_claim_that_another_worker_has_stays_lost(gone: timedelta) -> None:
    desk = Desk()
    claim = desk.claim()
    desk.now += gone
    desk.ours = False
    with pytest.raises(TakenOver):
        claim.may_go_on()
    desk.now, desk.ours = BEGIN, True
    with pytest.raises(TakenOver):
        claim.may_go_on()
    with pytest.raises(TakenOver):
        claim.note({})


def test_an_attempt_that_is_late_begins_nothing_more() -> None:
    desk = Desk()
    claim = desk.claim()
    desk.now += LAST_CALL
    assert claim.may_go_on()
    desk.now += timedelta(seconds=1)
    assert not claim.may_go_on()
    desk.now = BEGIN
    assert claim.late
    assert not claim.may_go_on()


def test_a_conversation_that_waited_long_for_a_thread_is_not_begun() -> None:
    """What stands in the pool's queue is begun whenever there is a thread."""
    desk = Desk()
    talk = Talk(twon=cast("Any", None), location="Lobby", set_location=False, may_go_on=desk.claim().may_go_on)
    desk.now += LAST_CALL + timedelta(seconds=1)
    device = TwonDevice.model_validate(
        {"serial": "54-1046-0745", "address": "http://device.invalid", "in_clear": True, "auth": "none"}
        | {"location": "Lobby"}
    )
    sights = [talk.look(device), talk.log(device), talk.bring(device, lambda _: None, {})]
    assert [sight.silent for sight in sights] == ["left for the next attempt"] * 3
