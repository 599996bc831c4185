"""The ledger's tests in few words: events, wishes, claims, and rows as they stand."""

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text

from infra.ledger import Arrival, Ledger, Plan, Settlement
from schemas.jobs import Job, NewJob, ParkedBecause, State

DEVICE: Final = "0002000089282245"
OTHER: Final = "135700008928c093"
ROTATE: Final = "ublox.rotate_e2e_key"
RENEW: Final = "ublox.renew_certificate"
LEASE: Final = timedelta(seconds=30)

_NUMBERS: Final = itertools.count(1)

Row = dict[str, Any]


def device(number: int) -> str:
    """A device of its own for each number."""
    return f"{number:016x}"


def arrival(now: datetime, *, receipt: str | None = None, body: bytes = b"{}", fault: str | None = None) -> Arrival:
    """A delivery; each has its own receipt unless it is given one."""
    return Arrival(
        receipt=receipt or f"evt_{next(_NUMBERS)}",
        hook="",
        event_type=None if fault else "DEVICE_BOOTSTRAP_EVENT",
        device=None if fault else DEVICE,
        occurred_at=None,
        received_at=now,
        body=body,
        fault=fault,
    )


def take_in(ledger: Ledger, now: datetime, count: int = 1) -> list[int]:
    """Accept events; give their ids."""
    return ledger.inbox.accept([arrival(now) for _ in range(count)])


def wish(target: str = DEVICE, operation: str = ROTATE, *, unless_under_way: bool = False, **parameters: Any) -> NewJob:
    """One operation on one target."""
    return NewJob(operation=operation, target=target, parameters=parameters, unless_under_way=unless_under_way)


def ask(ledger: Ledger, now: datetime, *wishes: NewJob, evidence: Mapping[str, Any] | None = None) -> list[int]:
    """Plan each wish as an event of its own; give the ids of the jobs that came of it."""
    events = take_in(ledger, now, len(wishes))
    plans = [
        Plan(event_id=event, verdict="a test asks", jobs=[job], evidence=evidence or {})
        for event, job in zip(events, wishes, strict=True)
    ]
    due = ledger.planning.store(plans, now).due
    return sorted(itertools.chain.from_iterable(due.values()))


def confirm(ledger: Ledger, now: datetime, target: str = DEVICE, *, operation: str = RENEW, **evidence: Any) -> Row:
    """Plan an event that may prove work; give the event as it stands then."""
    (event,) = take_in(ledger, now)
    plan = Plan(event_id=event, verdict="a test confirms", confirms=[(operation, target)], evidence=evidence)
    ledger.planning.store([plan], now)
    return event_row(ledger, event)


def claim(
    ledger: Ledger, now: datetime, operation: str = ROTATE, *, worker: str = "worker", limit: int = 100
) -> list[Job]:
    """Claim what can run now."""
    return ledger.work.claim(operation, worker=worker, now=now, lease=LEASE, limit=limit)


def claim_one(ledger: Ledger, now: datetime, operation: str = ROTATE) -> Job:
    """Claim the one job that can run now."""
    (job,) = claim(ledger, now, operation)
    return job


def settle(
    ledger: Ledger, now: datetime, job: Job, state: State, *, later: timedelta = timedelta(), **more: Any
) -> None:
    """Settle a job; `later` is how long it waits until its next try or look."""
    if state is State.PARKED:
        more.setdefault("parked_because", ParkedBecause.REFUSED)
    more.setdefault("reason", f"a test says {state}")
    ledger.work.settle([Settlement(job=job, state=state, not_before=now + later, **more)], now)


def job_row(ledger: Ledger, job_id: int) -> Row:
    """A job as it stands."""
    (row,) = rows(ledger, "SELECT * FROM jobs WHERE id = :id", id=job_id)
    return row


def event_row(ledger: Ledger, event_id: int) -> Row:
    """An event as it stands."""
    (row,) = rows(ledger, "SELECT * FROM events WHERE id = :id", id=event_id)
    return row


def attempt_rows(ledger: Ledger, job_id: int) -> list[Row]:
    """The tries of a job, oldest first."""
    return rows(ledger, "SELECT * FROM attempts WHERE job_id = :id ORDER BY id", id=job_id)


def rows(ledger: Ledger, query: str, **bound: object) -> list[Row]:
    """Whatever a test wants to see."""
    with ledger.database.reading() as connection:
        return [dict(row) for row in connection.execute(text(query), bound).mappings()]


def states(ledger: Ledger, ids: Sequence[int]) -> list[str]:
    """Where jobs stand."""
    return [job_row(ledger, job_id)["state"] for job_id in ids]
