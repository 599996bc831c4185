"""Events and jobs as a person sees them, in the admin API and on the command line."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from schemas.admin import Id, Moments, Shape, Words
from schemas.jobs import ParkedBecause, State


class EventState(StrEnum):
    """Where an event stands."""

    NEW = "new"
    PLANNED = "planned"
    MALFORMED = "malformed"
    FAULT = "fault"


class EventSource(StrEnum):
    """How an event came."""

    WEBHOOK = "webhook"
    POLL = "poll"  # Keyturn asked for what may not have been delivered


Hook = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,64}(@[0-9]{1,19})?$")]
"""The name of the address that events came to; of polled ones the schedule and, behind an @, its moment."""


class EventQuery(Moments):
    """Which events; `since` and `until` are about when they came."""

    type: Words | None = None
    device: Words | None = None
    state: EventState | None = None
    source: EventSource | None = None
    hook: Hook | None = None


class JobQuery(Moments):
    """Which jobs; `since` and `until` are about when they were made."""

    state: State | None = None
    operation: Words | None = None
    target: Words | None = None
    site: Words | None = None
    event: Id | None = None
    trigger: Words | None = None
    parent: Annotated[Id | None, Field(description="the job whose children they are")] = None
    because: Annotated[ParkedBecause | None, Field(description="why it is parked")] = None


class RowPath(Shape):
    """Which event or job."""

    id: Id


class EventLine(Shape):
    """An event in one line."""

    id: Id
    receipt: str
    source: str
    hook: str
    type: str | None
    device: str | None
    occurred_at: datetime | None
    received_at: datetime
    state: EventState
    verdict: str | None
    planned_at: datetime | None


class JobOfEvent(Shape):
    """A job that an event has to do with.

    Attributes:
        role: ``caused`` it, was ``served`` by it, or ``confirmed`` it.
    """

    id: Id
    role: str
    operation: str
    target: str
    state: State
    reason: str


class EventView(EventLine):
    """An event with what came in and what came of it.

    Attributes:
        body: what was delivered, read as JSON.
        text: what was delivered, where it cannot be read so.
    """

    body: Any = None
    text: str | None = None
    jobs: list[JobOfEvent]


class JobLine(Shape):
    """A job in one line.

    Attributes:
        reason: why it stands where it stands.
        not_before: when it is to be tried or looked at next.
    """

    id: Id
    operation: str
    target: str
    site: str | None
    rule: str
    event_id: Id | None
    trigger_id: str | None
    parent_id: Annotated[Id | None, Field(description="the job whose work it is a part of")]
    state: State
    reason: str
    parked_because: ParkedBecause | None
    attempts: int
    not_before: datetime
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class AttemptView(Shape):
    """One try of a job, and how it ended."""

    number: int
    fence: int
    worker: str | None
    started_at: datetime
    ended_at: datetime
    outcome: str
    upstream_status: int | None
    reason: str


class EventOfJob(Shape):
    """An event that a job has to do with."""

    id: Id
    role: str
    type: str | None
    received_at: datetime


class JobView(JobLine):
    """A job with every try, and what it knows; what is secret is masked."""

    parameters: dict[str, Any]
    progress: dict[str, Any]
    evidence: dict[str, Any]
    hold: Annotated[dict[str, Any] | None, Field(description="the terms that bind it: window, approval, budget")]
    not_after: Annotated[datetime | None, Field(description="when its window closes")]
    asks: Annotated[str | None, Field(description="the step about which a person must decide first")]
    children: Annotated[dict[State, int], Field(description="how many of its children stand in each state")]
    worker: str | None
    claimed_at: datetime | None
    lease_until: datetime | None
    tries: Annotated[list[AttemptView], Field(description="the last 1000, the oldest first")]
    events: Annotated[list[EventOfJob], Field(description="the last 1000, the oldest first")]


class Moved(Shape):
    """What an action did; `changed` is false where there was nothing left to do."""

    changed: bool
    job: JobLine
