"""Asking u-blox for what a device does at a later heartbeat: look, ask in bulk, note before each call, never twice.

What a job knows of its own request stands in its progress (`certificate_progress`), committed before each call and only
while the job is ours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from schemas.errors import Busy, LedgerUnavailable, UpstreamError
from schemas.jobs import Again, Job, Outcome, Parked, ParkedBecause
from schemas.ublox import Detail, DeviceLook
from services.operations.bulk import Unsent, in_halves, looks_of
from services.operations.certificate_progress import (
    ROUNDS,
    Before,
    deadline_of,
    in_doubt,
    look_failed,
    one_more_round,
    sending,
    still_waiting,
    taken,
    unknown,
    waits,
)
from services.operations.contract import BUSY_PAUSE, Tools, outcome_of
from services.operations.renewal_progress import paced

LAST_CALL: Final = timedelta(minutes=8)
"""An attempt older than this makes no further call: soon its lease ends, and another may have its jobs."""

_NOT_TAKEN: Final = frozenset({401, 403, 404, 410, 429})
"""Answers after which it is certain that nothing was asked for; any other failure leaves a doubt."""

DETAILS: Final = (Detail.CORE, Detail.PROVISIONING, Detail.ZTP)
"""What a look must tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A job that may ask, what is seen of its device, and what is true before the request."""

    job: Job
    look: DeviceLook
    before: Before


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What is asked for, in words.

    Attributes:
        what: with its article, such as ``the transfer``.
        told: how u-blox names the waiting action of this kind, where it names one; a part of that name.
        repeats: whether to ask again after a deadline when nobody can tell that the first request still stands.
    """

    what: str
    told: str
    repeats: bool = True


UPDATE: Final = Kind(what="the replacement", told="UPDATE", repeats=False)
"""``/ztp/devicecertificate/update``; while one is under way, no other certificate call is taken."""


def looked(jobs: Sequence[Job], tools: Tools) -> tuple[list[tuple[Job, DeviceLook]], dict[int, Outcome]]:
    """Look at all devices; give what was seen, and the outcomes of jobs whose device cannot be seen."""
    seen = in_halves([job.target for job in jobs], lambda uids: tools.ublox.information.look(uids, DETAILS))
    tools.remember(looks_of(seen))
    found: list[tuple[Job, DeviceLook]] = []
    outcomes: dict[int, Outcome] = {}
    for job in jobs:
        if error := seen.errors.get(job.target):
            outcomes[job.id] = look_failed(job, error, tools)
        elif look := seen.answers[job.target].get(job.target):
            found.append((job, look))
        elif waits(job) and tools.clock() < deadline_of(job):
            outcomes[job.id] = still_waiting(job, tools, "u-blox does not tell of the device now; waiting")
        else:
            outcomes[job.id] = in_doubt(job, tools) or refused("u-blox answers, but not about this device")
    return found, outcomes


def stands(look: DeviceLook, kind: Kind) -> bool | None:
    """Whether an action of this kind waits for the device; None where the service does not tell."""
    if not look.renewal_pending:
        return look.renewal_pending
    return None if look.desired_action is None else kind.told in look.desired_action.upper()


def stands_for(job: Job, look: DeviceLook, kind: Kind) -> bool | None:
    """The same for a job that may have asked: an action that u-blox does not name is its own, until the deadline."""
    standing = stands(look, kind)
    return True if standing is None and look.renewal_pending and job.progress.get("asked") else standing


def course(work: Work, kind: Kind, tools: Tools, *, standing: bool | None, has: str) -> Outcome | None:
    """How it goes on with a request that is not seen to be met; None when the job may ask, or ask again.

    Args:
        work: the job and its device.
        kind: what was asked for, or shall be.
        tools: the operation's.
        standing: whether u-blox shows that it still has the request; None where it does not tell.
        has: what the device has instead, in words, such as ``still has serial a0``.
    """
    job, asked = work.job, work.job.progress.get("asked")
    if asked != "taken" and standing:
        return accepted(work, tools, f"{kind.what} is under way")
    if waits(job):
        return _not_yet(work, kind, tools, standing=standing, has=has)
    if doubt := in_doubt(job, tools):
        return doubt
    if asked and standing is None:
        return paced(unknown(job, work.before, tools), work.look, tools)
    return None


def _not_yet(work: Work, kind: Kind, tools: Tools, *, standing: bool | None, has: str) -> Outcome | None:
    if tools.clock() < deadline_of(work.job):
        return paced(still_waiting(work.job, tools), work.look, tools)
    if work.job.progress["rounds"] >= ROUNDS:
        reason = f"{ROUNDS} deadlines passed, and the device {has}: does it still wake up?"
        return Parked(reason=reason, because=ParkedBecause.EXHAUSTED, progress=one_more_round(work.job.progress))
    if standing or (standing is None and not kind.repeats):
        return accepted(work, tools, f"{kind.what} is not asked for twice while it may be under way")
    return None


def accepted(work: Work, tools: Tools, reason: str) -> Outcome:
    """U-blox has the request: the next look comes when the device is expected to have called in."""
    return paced(taken(work.job, work.before, tools, reason), work.look, tools)


def ask(
    work: Sequence[Work],
    kind: Kind,
    call: Callable[[Sequence[str]], object],
    tools: Tools,
    *,
    judge: Callable[[Work, UpstreamError], Outcome | None] = lambda _work, _error: None,
) -> dict[int, Outcome]:
    """Ask for all of them in one call, in halves where that is refused; jobs that are no longer ours get no outcome.

    Args:
        work: the jobs that ask.
        kind: for what.
        call: asks for some devices.
        tools: the operation's.
        judge: what a failure means for this kind, where it does not mean the usual.
    """
    by_target = {one.job.target: one for one in work}
    lost: set[str] = set()

    def send(uids: Sequence[str]) -> None:
        ours = noted([by_target[uid] for uid in uids], tools)
        lost.update(set(uids) - set(ours))
        if ours:
            call(ours)

    sent = in_halves(list(by_target), send)
    outcomes: dict[int, Outcome] = {}
    for uid, one in by_target.items():
        error = sent.errors.get(uid)
        if uid not in lost:
            usual = _answered(one, kind, error, tools, went_out=uid not in sent.unsent)
            outcomes[one.job.id] = usual if error is None else judge(one, error) or usual
    return outcomes


def noted(part: Sequence[Work], tools: Tools) -> list[str]:
    """Commit that these are about to be sent; give the devices whose jobs are still ours.

    Raises:
        Unsent: the ledger cannot be written, or the attempt has taken too long.
    """
    in_time(part[0].job, tools)
    try:
        ours = tools.note([(one.job, sending(one.job, one.before, tools)) for one in part])
    except LedgerUnavailable as error:
        raise Unsent(f"not sent: {error}") from error
    return [one.job.target for one in part if one.job.id in ours]


def in_time(job: Job, tools: Tools) -> None:
    """Refuse to begin a call that may outlive the lease.

    Raises:
        Unsent: the attempt has taken too long.
    """
    if tools.clock() - job.claimed_at > LAST_CALL:
        raise Unsent(f"not sent: the attempt has lasted more than {LAST_CALL.seconds // 60} minutes")


def not_sent(error: Unsent, progress: Mapping[str, object]) -> Again:
    """What a call that we did not make means: nobody failed."""
    return Again(reason=str(error), counts=False, progress=progress)


def held_up(reason: str, progress: Mapping[str, object] | None = None) -> Again:
    """Wait for the heartbeats that an earlier change needs; it is nobody's failure."""
    return Again(reason=reason, after=BUSY_PAUSE.total_seconds(), counts=False, progress=progress)


def refused(reason: str) -> Parked:
    """A combination that must not be asked for."""
    return Parked(reason=reason, because=ParkedBecause.REFUSED)


def _answered(work: Work, kind: Kind, error: UpstreamError | None, tools: Tools, *, went_out: bool) -> Outcome:
    job = work.job
    if error is None:
        return accepted(work, tools, f"u-blox took {kind.what}")
    if isinstance(error, Unsent):
        return not_sent(error, job.progress)
    outcome = outcome_of(error)
    if not isinstance(outcome, Again):
        return outcome
    certain = isinstance(error, Busy) or error.status in _NOT_TAKEN or not (went_out and error.sent)
    return replace(outcome, progress=job.progress if certain else sending(job, work.before, tools))
