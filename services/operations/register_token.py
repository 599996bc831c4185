"""``centagate.register_token``: a user's phone or OTP token is registered, active at once.

Source: CENTAGATE "Token Registration API". There is no key that makes a repeat harmless, so before each call the job
notes that one more goes out, and after a call without answer it looks before it calls again:

    {}              nothing has gone out that could still take effect
    {"asked": n}    n calls whose answer did not come, or whose effect does not show
    {"unbound": 1}  6002 was answered once
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict

from schemas.centagate import Match, Reaction, ReturnCode, TokenStatus
from schemas.errors import ConfigurationError, InputError, TryAgain, UpstreamError
from schemas.jobs import Again, Done, Job, Outcome, Parked, ParkedBecause
from services.operations.centagate_access import TokenOrder
from services.operations.contract import UNVERIFIABLE, Tools, outcome_of
from services.operations.token_look import Seen, look

MOST_CALLS: Final = 8
"""So many calls without a visible effect are enough."""

NOT_BOUND: Final = 6002
"""The token could not be bound to the user: tried once more, then a person decides."""


class RegisterTokenParameters(BaseModel):
    """Nothing: type and number come from the inventory."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RegisterToken:
    """Registers one token of one user."""

    name: ClassVar = "centagate.register_token"
    parameters: ClassVar[type[BaseModel]] = RegisterTokenParameters
    batch: ClassVar = 1

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look, compare, register, look again."""
        return {job.id: _performed(job, tools) for job in jobs}


def _performed(job: Job, tools: Tools) -> Outcome:
    try:
        work = TokenWork(job, tools, tools.centagate.order(job.target))
        return work.settled(work.look()) or work.register()
    except InputError as error:
        return Parked(reason="; ".join(error.faults), because=ParkedBecause.OUR_FAULT)
    except ConfigurationError as error:
        return Again(reason=str(error), our_fault=True)
    except UpstreamError as error:
        return outcome_of(error)


@dataclass(frozen=True, slots=True)
class TokenWork:
    """One attempt of one job."""

    job: Job
    tools: Tools
    order: TokenOrder

    @property
    def what(self) -> str:
        """The token in words, without its number."""
        return f"{self.order.type.name} token of {self.order.username}"

    @property
    def asked(self) -> int:
        """Calls before this attempt that may have taken effect."""
        return int(self.job.progress.get("asked", 0))

    def look(self) -> Seen:
        """See what is there."""
        return look(self.order, self.tools.centagate)

    def settled(self, seen: Seen) -> Outcome | None:
        """What is settled before anything is sent; None when there is work."""
        if not seen.there:
            return None
        if seen.match is Match.OTHER:
            return _refused(f"{self.what}: another number is registered; unregister that one first, then try again")
        if seen.status is TokenStatus.TEMPORARILY_DEACTIVATED:
            told = "somebody deactivated it for a time; make it valid again where that was done"
            return _refused(f"{self.what}: {told}")
        if not seen.in_force:
            return None
        if seen.match is not Match.HIDDEN or self.asked:
            return self._done(seen, "nothing to do" if not self.asked else "there after an earlier call of ours")
        return _refused(
            f"{self.what}: one is registered, and the service does not show its number, so it may be another than that"
            " of the inventory; if it is the same, cancel this job, if not, unregister it and try again"
        )

    def register(self) -> Outcome:
        """Register and look again."""
        if self.asked >= MOST_CALLS:
            self._note({**self.job.progress, "asked": 0})  # whoever redrives the job wants calls, not this sentence
            reason = f"{self.what}: asked for {self.asked} times, and the service does not show it"
            return Parked(reason=reason, because=ParkedBecause.EXHAUSTED)
        if not self._note({**self.job.progress, "asked": self.asked + 1}):
            return Again(reason="another worker has taken this job over", counts=False)
        try:
            code = self.tools.centagate.register_active_token(self.order.username, self.order.number, self.order.type)
        except UpstreamError as error:
            if not (isinstance(error, TryAgain) and error.sent):
                self._note(self.job.progress)  # it is certain that this call has no effect
            raise
        if code.reaction is Reaction.DONE:
            return self._verified(self.look())
        self._note(self.job.progress)
        return self._resolved(code, self.look())

    def _verified(self, seen: Seen) -> Outcome:
        """After a success."""
        if seen.there is None or (seen.in_force and seen.match is not Match.OTHER):
            return self._done(seen, "registered and looked again")
        shown = "another number" if seen.match is Match.OTHER else "none"
        if seen.there and seen.match is not Match.OTHER and seen.status is not None:
            shown = f"one that is {seen.status.label}"
        return Again(reason=f"{self.what}: the service took it, but shows {shown}")

    def _resolved(self, code: ReturnCode, seen: Seen) -> Outcome:
        """After a code that may tell of our own earlier success."""
        known = seen.match in {Match.SAME, Match.FITS} or (seen.match is Match.HIDDEN and self.asked > 0)
        if seen.in_force and known:
            return self._done(seen, f"the service said {code.number}, an earlier call took effect")
        if seen.match is Match.SAME and seen.status is not None:
            told = f"the user has it, and it is {seen.status.label}"
            return _refused(f"{self.what}: {told}; make it valid there, or unregister it and try again")
        if code.number == NOT_BOUND and not self.job.progress.get("unbound"):
            return Again(reason=f"{self.what}: {code.text}", progress={**self.job.progress, "unbound": 1})
        doubt = "; an earlier call of ours got no answer, and may have done it" if self.asked else ""
        return _refused(f"{self.what}: {code.text}{doubt}")

    def _done(self, seen: Seen, how: str) -> Done:
        if seen.match is Match.SAME:
            status = "its status is not shown" if seen.status is None else f"it is {seen.status.label}"
            return Done(note=f"{how}: the {self.what} has the number of the inventory; {status}")
        shown = "a number that agrees as far as it is shown" if seen.match is Match.FITS else "no number to compare"
        return Done(note=f"{UNVERIFIABLE}: {how}; for the {self.what} the service shows {shown}")

    def _note(self, progress: Mapping[str, Any]) -> bool:
        """Commit progress; False when the job is no longer ours."""
        return self.job.id in self.tools.note([(self.job, progress)])


def _refused(reason: str) -> Parked:
    return Parked(reason=reason, because=ParkedBecause.REFUSED)
