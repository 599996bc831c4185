"""Whatever happens in whatever order: no update is asked for twice, nothing is done that is not so, one is revoked."""

from contextlib import suppress
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Busy, TryAgain
from schemas.jobs import Done, Job, Outcome, Parked
from services.operations import Operation
from services.operations.replace_certificate import ReplaceCertificate
from services.operations.revoke_certificate import RevokeCertificate
from services.operations.transfer_root_ca import TransferRootCa
from tests.conftest import Clock
from tests.support.cloud import Cloud, Phone
from tests.support.crl import CA, OTHER_CA
from tests.support.fleet import Desk, Killed
from tests.support.ledger import DEVICE

TROUBLES: Final = {
    "killed": Killed(),
    "silent": TryAgain("no whole answer", call="/x"),
    "gateway": TryAgain("answered 504", call="/x", status=504),
    "busy": Busy("an update is under way", call="/x", status=400),
}
HAPPENINGS: Final = st.lists(
    st.one_of(
        st.sampled_from(["run", "run", "beat", "beat", "forget", "renew", "minute", "hour", "fortnight"]),
        st.sampled_from(["show", "hide pending", "hide action", "hide certificate", "old list", "new list"]),
        st.tuples(st.sampled_from(sorted(TROUBLES)), st.booleans()),
    ),
    max_size=25,
)
"""What may happen between two attempts; trouble comes with the next call, before or after that took effect."""


class Story:
    """One job on one device, and everything that may happen to both."""

    def __init__(self, operation: Operation, verb: str, **parameters: Any) -> None:
        self.clock = Clock()
        self.phone = Phone()
        self.cloud = Cloud(self.clock, **{DEVICE: self.phone})
        self.desk = Desk(operation, self.cloud, self.clock)
        self.job: Job = self.desk.job(1, DEVICE, **parameters)
        self.verb = verb
        self.asked_while_under_way = 0
        self.end: Outcome | None = None

    def live(self, happenings: list[Any]) -> None:
        """Let all of it happen, until the job is at its end."""
        for happening in [*happenings, "run"]:
            if self.end is not None:
                return
            self.happen(happening)

    def happen(self, what: Any) -> None:
        """One of the happenings."""
        match what:
            case "run":
                self.run()
            case "beat":
                self.cloud.heartbeat(DEVICE)
            case "forget":
                self.phone.action = None if self.phone.serial is not None else self.phone.action
            case "renew" if self.phone.action is None and self.phone.serial is not None:
                self.cloud.renew(DEVICE)
            case "minute" | "hour" | "fortnight":
                self.clock.forward(**{"minute": {"minutes": 2}, "hour": {"hours": 1}, "fortnight": {"days": 14}}[what])
            case "show":
                self.cloud.hides.clear()
            case "old list" | "new list":
                self.cloud.publishes = what == "new list"
            case "hide pending" | "hide action" | "hide certificate":
                self.cloud.hides.add(what.removeprefix("hide "))
            case (trouble, bool(acts)):
                self.cloud.fail(self.verb, TROUBLES[trouble], acts=acts and trouble != "busy")

    def run(self) -> None:
        """One attempt."""
        under_way, asked = self.phone.action == "UPDATE", self.phone.asked["update"]
        with suppress(Killed):
            outcome = self.desk.run_one(self.job)
            self.end = outcome if isinstance(outcome, Done | Parked) else None
        self.asked_while_under_way += under_way and self.phone.asked["update"] > asked


@given(HAPPENINGS)
def test_an_update_is_never_asked_for_while_one_is_under_way_and_done_means_new_keys(happenings: list[Any]) -> None:
    story = Story(ReplaceCertificate(), "update")
    story.live(happenings)
    assert story.asked_while_under_way == 0
    if isinstance(story.end, Done):
        assert story.phone.owner != "first key"


@given(HAPPENINGS)
def test_after_a_leak_nothing_is_replaced_that_is_not_revoked(happenings: list[Any]) -> None:
    story = Story(ReplaceCertificate(), "update", after_revocation=True)
    story.live(happenings)
    assert story.phone.asked["update"] == 0
    story.cloud.revoked[CA].add(0xA0)
    story.live(happenings)
    assert story.asked_while_under_way == 0
    if isinstance(story.end, Done):
        assert story.phone.owner != "first key"


@given(HAPPENINGS)
def test_a_job_revokes_one_certificate_and_done_means_that_the_list_shows_it(happenings: list[Any]) -> None:
    story = Story(RevokeCertificate(), "revoke")
    story.live(happenings)
    assert len(story.cloud.revoked[CA]) <= 1
    if isinstance(story.end, Done):
        assert story.cloud.revoked[CA] == {int(story.desk.progress[1]["serial"], 16)}


@given(HAPPENINGS)
def test_a_transfer_is_done_only_when_the_device_has_a_certificate_of_the_new_ca(happenings: list[Any]) -> None:
    story = Story(TransferRootCa(), "transfer", from_ca=CA, to_ca=OTHER_CA)
    story.live(happenings)
    if isinstance(story.end, Done):
        assert story.phone.ca_name == OTHER_CA
        assert story.phone.serial != 0xA0
