"""What a job knows of its own request that a device carries out later, as its progress, and the waits that follow.

    {}                     nothing was asked for
    {"asked": "sending"}   a request may have gone out `at` that time; its answer is not known
    {"asked": "unknown"}   nobody could tell whether u-blox took it; waits until `deadline` as if it had
    {"asked": "taken"}     u-blox took it; the device has until `deadline`

Beside them stands what was true before the request, such as the `serial`; `rounds` says how many deadlines were set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.errors import OurFault, TryAgain, UpstreamError
from schemas.jobs import Again, Awaiting, Job, Outcome
from services.operations.contract import Tools, outcome_of

LONGEST_UNKNOWN: Final = timedelta(hours=24)
"""A request of which nobody can tell is waited for no longer than this."""

BEFORE_EXPIRY: Final = timedelta(days=1)
"""So long before the certificate's end the wait is over: somebody can still act."""

ROUNDS: Final = 2
"""How many deadlines a request has before a person is needed."""

HEARTBEAT: Final = "waiting for the device's heartbeat"
_WAITS_FOR: Final[Mapping[str, str]] = {
    "taken": HEARTBEAT,
    "unknown": f"it is not known whether u-blox took the request; {HEARTBEAT}",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Before:
    """What was true before a request.

    Attributes:
        known: goes into the progress; JSON-able.
        ends: when the device's certificate ends, where the wait must be over before that.
        heartbeat: how often the device calls in, where that is known.
        beats: how many heartbeats the request needs.
    """

    known: Mapping[str, Any] = field(default_factory=dict)
    ends: datetime | None = None
    heartbeat: timedelta | None = None
    beats: int = 1


def waits(job: Job) -> bool:
    """Whether the job waits for the device until its deadline."""
    return job.progress.get("asked") in _WAITS_FOR


def deadline_of(job: Job) -> datetime:
    """Until when the job waits."""
    return datetime.fromisoformat(job.progress["deadline"])


def sending(job: Job, before: Before, tools: Tools) -> dict[str, Any]:
    """What must be known after a crash: a request may be on its way from now on."""
    return {**job.progress, "asked": "sending", **before.known, "at": tools.clock().isoformat()}


def one_more_round(progress: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a request that is given up: a new try has one more deadline before it may ask again."""
    return {**progress, "rounds": ROUNDS - 1}


def in_doubt(job: Job, tools: Tools) -> Again | None:
    """While u-blox may still work on a request whose answer is not known, there is no other."""
    if job.progress.get("asked") != "sending":
        return None
    sent_at, now = datetime.fromisoformat(job.progress["at"]), tools.clock()
    until = sent_at + tools.doubt
    if now >= until:
        return None
    reason = (
        f"the answer to the request of {sent_at:%H:%M:%S} UTC is not known, u-blox may still work on it;"
        f" not asked again before {until:%H:%M:%S} UTC"
    )
    return Again(reason=reason, after=(until - now).total_seconds(), counts=False)


def taken(job: Job, before: Before, tools: Tools, reason: str) -> Awaiting:
    """U-blox has the request; the device acts at its next heartbeat."""
    return _begin("taken", job, before, tools, f"{reason}; {HEARTBEAT}", longest=_patience(before, tools))


def unknown(job: Job, before: Before, tools: Tools) -> Awaiting:
    """The service does not show whether it has the request."""
    longest = min(LONGEST_UNKNOWN, tools.renewal_deadline)
    return _begin("unknown", job, before, tools, _WAITS_FOR["unknown"], longest=longest)


def still_waiting(job: Job, tools: Tools, reason: str = "") -> Awaiting:
    """The deadline stands; look again before it."""
    return _until(deadline_of(job), job.progress, tools, reason or _WAITS_FOR[job.progress["asked"]])


def look_failed(job: Job, error: UpstreamError, tools: Tools) -> Outcome:
    """What a look that failed means: what u-blox has taken stays taken, so that waiting spends no attempt."""
    if not (waits(job) and isinstance(error, TryAgain | OurFault)):
        return outcome_of(error)
    look_at = tools.clock() + tools.renewal_look_every
    reason = f"the look failed: {error}; {_WAITS_FOR[job.progress['asked']]}, next look {look_at:%d %b %H:%M} UTC"
    return Awaiting(reason=reason, look_at=look_at, progress=job.progress, status=error.status)


def _patience(before: Before, tools: Tools) -> timedelta:
    """The usual deadline, but long enough for a device that is known to call in rarely, half a heartbeat to spare."""
    if before.heartbeat is None:
        return tools.renewal_deadline
    return max(tools.renewal_deadline, before.heartbeat * (before.beats + 0.5))


def _begin(asked: str, job: Job, before: Before, tools: Tools, reason: str, *, longest: timedelta) -> Awaiting:
    now = tools.clock()
    deadline = now + longest
    if before.ends is not None:
        deadline = min(deadline, max(now + BEFORE_EXPIRY, before.ends - BEFORE_EXPIRY))
    progress = {
        **before.known,
        "asked": asked,
        "deadline": deadline.isoformat(),
        "rounds": int(job.progress.get("rounds", 0)) + 1,
    }
    return _until(deadline, progress, tools, reason)


def _until(deadline: datetime, progress: Mapping[str, Any], tools: Tools, reason: str) -> Awaiting:
    look_at = min(tools.clock() + tools.renewal_look_every, deadline)
    return Awaiting(reason=f"{reason}, until {deadline:%d %b %Y %H:%M} UTC", look_at=look_at, progress=progress)
