"""Revoking known certificates: what the revocation list says, the call, and what the list says then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.errors import Busy, LedgerUnavailable, Refused, UpstreamError
from schemas.jobs import Again, Awaiting, Done, Job, Outcome, Parked, ParkedBecause
from services.operations.bulk import Unsent
from services.operations.certificate_asking import held_up, in_time, not_sent
from services.operations.certificate_facts import NO_KEY
from services.operations.certificate_revocations import Lists, revocations_of
from services.operations.contract import Tools, outcome_of

LISTED_WITHIN: Final = timedelta(days=1)
"""How long a revocation that u-blox took may take to show in the list."""

LOOK_AGAIN: Final = timedelta(minutes=1)
"""Between two looks at the list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A job and the one certificate that it is about.

    Attributes:
        key: its public key, where the device was seen to have it; who renews it later has the same.
        pending: whether another certificate action waited for the device then, such as a renewal, which keeps the key.
        updating: whether the device is seen to have an update under way, during which u-blox revokes nothing.
    """

    job: Job
    serial: int
    ca_name: str
    key: str = NO_KEY
    pending: bool = False
    updating: bool = False

    @property
    def memory(self) -> dict[str, Any]:
        """What every later attempt must know."""
        seen = {name: value for name, value in (("key", self.key), ("pending", self.pending)) if value}
        return {**self.job.progress, "serial": f"{self.serial:x}", "ca": self.ca_name, **seen}


@dataclass(slots=True)
class _Called:
    """What became of each call, or what kept it from being made."""

    taken: list[Target] = field(default_factory=list)
    errors: list[tuple[Target, UpstreamError]] = field(default_factory=list)


def revoke(targets: Sequence[Target], tools: Tools) -> dict[int, Outcome]:
    """Revoke what is not revoked yet; jobs that are no longer ours get no outcome."""
    if not targets:
        return {}
    lists = revocations_of({target.ca_name for target in targets}, tools)
    outcomes: dict[int, Outcome] = {}
    to_call: list[Target] = []
    for target in targets:
        if outcome := _without_call(target, lists, tools):
            outcomes[target.job.id] = outcome
        else:
            to_call.append(target)
    return outcomes | _called(to_call, tools)


def _without_call(target: Target, lists: Lists, tools: Tools) -> Outcome | None:
    """What stands before anything is asked for. A list that cannot be relied on holds up no revocation."""
    asked = target.job.progress.get("asked")
    if outcome := _listed(target, lists, tools, "looked again: " if asked else "already "):
        return replace(outcome, progress=target.memory)  # where nothing was asked for, nothing was noted
    if asked == "taken":
        return _not_listed(target, lists, tools)
    if target.updating:
        return held_up("a certificate update is under way; u-blox revokes nothing meanwhile", target.memory)
    return None


def _called(targets: Sequence[Target], tools: Tools) -> dict[int, Outcome]:
    if not targets:
        return {}
    try:
        ours = _noted(targets, tools)
    except LedgerUnavailable as unavailable:
        return {target.job.id: Again(reason=f"not sent: {unavailable}", counts=False) for target in targets}
    called = _call(ours, tools)
    tried = [*called.taken, *(target for target, error in called.errors if error.sent)]
    lists = revocations_of({target.ca_name for target in tried}, tools)
    outcomes: dict[int, Outcome] = {}
    for target in called.taken:
        outcomes[target.job.id] = _listed(target, lists, tools, "looked again: ") or _not_listed(target, lists, tools)
    for target, error in called.errors:
        outcomes[target.job.id] = (
            _listed(target, lists, tools, "looked again: ")
            or _perhaps_revoked(target, error, lists, tools)
            or _failed(target, error)
        )
    return outcomes


def _noted(targets: Sequence[Target], tools: Tools) -> list[Target]:
    """Commit which certificates are meant, before any is revoked; give those whose jobs are still ours."""
    ours = tools.note([(target.job, {**target.memory, "asked": "sending"}) for target in targets])
    return [target for target in targets if target.job.id in ours]


def _call(targets: Sequence[Target], tools: Tools) -> _Called:
    """One call for each certificate; a failure that is not about the certificate ends the round."""
    called = _Called()
    ended: UpstreamError | None = None
    for target in targets:
        try:
            if ended is not None:
                raise ended
            in_time(target.job, tools)
            tools.ublox.certificates.revoke(target.ca_name, serial=f"{target.serial:x}")
        except UpstreamError as error:
            called.errors.append((target, error))
            ended = None if isinstance(error, Refused | Busy) else ended or error
        else:
            called.taken.append(target)
    return called


def _listed(target: Target, lists: Lists, tools: Tools, how: str) -> Done | None:
    listed = lists.by_name.get(target.ca_name)
    if listed is None or not listed.lists(target.serial):
        return None
    if target.memory.get("pending"):
        words = "a certificate action waits for the device, and what comes of it may have the same key: replace it"
        tools.alert(f"device {target.job.target}: serial {target.serial:x} is revoked, but {words}")
    return Done(note=f"{how}revoked: {listed.told()} shows serial {target.serial:x}")


def _not_listed(target: Target, lists: Lists, tools: Tools) -> Outcome:
    """U-blox took the revocation; it is not done before the list says so."""
    now, progress = tools.clock(), target.job.progress
    by = datetime.fromisoformat(progress["by"]) if "by" in progress else now + LISTED_WITHIN
    known = {**target.memory, "asked": "taken", "by": by.isoformat()}
    took = f"u-blox took the revocation of serial {target.serial:x}"
    listed = lists.by_name.get(target.ca_name)
    if listed is None:
        return _unseen(took, lists.errors[target.ca_name], known)
    if listed.fault:
        return Again(reason=f"{took}, but {listed.fault}", progress=known)
    if now >= by:
        reason = f"{took}, but after {LISTED_WITHIN.days * 24} hours {listed.told()} does not show it"
        return Parked(reason=reason, because=ParkedBecause.EXHAUSTED)
    reason = f"{took}; {listed.told()} does not show it yet, looking again until {by:%d %b %H:%M} UTC"
    return Awaiting(reason=reason, look_at=min(now + LOOK_AGAIN, by), progress=known)


def _unseen(took: str, error: UpstreamError, known: Mapping[str, Any]) -> Outcome:
    outcome = outcome_of(error)
    if isinstance(outcome, Again):
        return replace(outcome, reason=f"{took}, but the look at the list failed: {error}", progress=known)
    return Parked(
        reason=f"{took}, but its list cannot be had: {error}", because=ParkedBecause.REFUSED, status=error.status
    )


def _perhaps_revoked(target: Target, error: UpstreamError, lists: Lists, tools: Tools) -> Outcome | None:
    """A refusal of a second request: the first, whose answer is not known, may have done it, and the list tells."""
    if not isinstance(error, Refused) or target.job.progress.get("asked") != "sending":
        return None
    outcome = _not_listed(target, lists, tools)
    return outcome if isinstance(outcome, Awaiting) else None


def _failed(target: Target, error: UpstreamError) -> Outcome:
    if isinstance(error, Unsent):
        return not_sent(error, target.memory)
    outcome = outcome_of(error)
    return replace(outcome, progress=target.memory) if isinstance(outcome, Again) else outcome
