"""Redrive: parked jobs get new tries, and events are planned again; in one transaction, and recorded."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text

from infra.ledger.admin import event_lines, job_lines
from infra.ledger.audit import AuditEntry, write
from infra.ledger.planning import alone
from infra.ledger.steering import Unlawful, retry_parked
from infra.ledger.tables import to_us
from schemas.redrive import FaultFilter, ParkedFilter, Passed, Redrive, RedriveFaults, Redriven, RedriveParked
from schemas.views import EventLine, EventState, JobLine

_AGAIN: Final = text(
    "UPDATE events SET state = 'new', verdict = NULL, planned_at = NULL"
    " WHERE id = :id AND state IN ('fault', 'planned')"
)

_MOST_NAMED: Final = 1_000
"""Numbers that an entry of the audit names; a request takes no more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class By:
    """Who redrives, and when."""

    actor: str
    now: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    ids: list[int]
    passed: list[Passed]
    more: bool


def redrive_parked(connection: Connection, asked: RedriveParked, by: By) -> Redriven[JobLine]:
    """Give parked jobs new tries, in the caller's transaction; of a dry run, say which.

    Each counts anew in what its operation spends: those that its budget does not allow now are held until it does.
    """
    if not asked.dry_run:
        alone(connection)  # before rows are held: planners take the two in this order
    terms = asked.filter or ParkedFilter()
    equal = {
        "parked_because": terms.because and terms.because.value,
        "operation": terms.operation,
        "target": terms.target,
        "site": terms.site,
    }
    found = _find(connection, ("jobs", "parked", "created_at"), asked, equal, terms)
    if not asked.dry_run and found.ids:
        retry_parked(connection, found.ids, actor=by.actor, reason=asked.reason, now=by.now)
        _record(connection, "parked.redrive", "jobs", asked, found, by)
    return Redriven(dry_run=asked.dry_run, items=job_lines(connection, found.ids), passed=found.passed, more=found.more)


def redrive_faults(connection: Connection, asked: RedriveFaults, by: By) -> Redriven[EventLine]:
    """Let events that could not be planned be planned again, in the caller's transaction; of a dry run, say which."""
    terms = asked.filter or FaultFilter()
    equal = {"event_type": terms.type, "device": terms.device, "hook": terms.hook}
    found = _find(connection, ("events", "fault", "received_at"), asked, equal, terms)
    if not asked.dry_run and found.ids:
        connection.execute(_AGAIN, [{"id": event} for event in found.ids])
        _record(connection, "faults.redrive", "events", asked, found, by)
    return Redriven(
        dry_run=asked.dry_run, items=event_lines(connection, found.ids), passed=found.passed, more=found.more
    )


def replay(connection: Connection, event_id: int, by: By, *, reason: str = "") -> tuple[EventLine, bool] | None:
    """Let one event be planned again, in the caller's transaction.

    What its wishes then come to is the planner's: they may be served by jobs that are there.

    Returns:
        the event as it stands then, and whether anything was changed; None where there is no such event.

    Raises:
        Unlawful: it could not be understood, so there is nothing to plan.
    """
    before = next(iter(event_lines(connection, [event_id], hold=True)), None)
    if before is None:
        return None
    if before.state is EventState.MALFORMED:
        raise Unlawful(f"event {event_id} could not be understood, so there is nothing to plan")
    if before.state is EventState.NEW:
        return before, False
    connection.execute(_AGAIN, {"id": event_id})
    detail = {"from": before.state.value, "verdict": before.verdict, "receipt": before.receipt}
    entry = AuditEntry(
        at=by.now, actor=by.actor, action="event.replay", subject=f"event/{event_id}", reason=reason, detail=detail
    )
    write(connection, entry)
    (after,) = event_lines(connection, [event_id])
    return after, True


def _find(
    connection: Connection,
    kind: tuple[str, str, str],
    asked: Redrive,
    equal: Mapping[str, str | None],
    terms: ParkedFilter | FaultFilter,
) -> _Found:
    table, state, at = kind
    lock = " FOR UPDATE" if connection.dialect.name == "postgresql" and not asked.dry_run else ""
    if asked.ids is not None:
        wanted = sorted(set(asked.ids))
        query = f"SELECT id FROM {table} WHERE state = '{state}' AND id IN :ids ORDER BY id{lock}"  # noqa: S608 - constants only
        ids = _ids(connection, query, wanted)
        return _Found(ids=ids, passed=_passed(connection, table, set(wanted) - set(ids)), more=False)
    bound: dict[str, Any] = {name: value for name, value in equal.items() if value is not None}
    where = [f"state = '{state}'", *(f"{name} = :{name}" for name in bound)]
    for name, moment, sign in (("since", terms.since, ">="), ("until", terms.until, "<")):
        if moment is not None:
            where.append(f"{at} {sign} :{name}")
            bound[name] = to_us(moment)
    query = f"SELECT id FROM {table} WHERE {' AND '.join(where)} ORDER BY id LIMIT :limit{lock}"  # noqa: S608 - values are bound, the rest is our own
    ids = list(connection.execute(text(query), {**bound, "limit": asked.limit + 1}).scalars())
    return _Found(ids=ids[: asked.limit], passed=[], more=len(ids) > asked.limit)


def _passed(connection: Connection, table: str, ids: Collection[int]) -> list[Passed]:
    query = text(f"SELECT id, state FROM {table} WHERE id IN :ids").bindparams(bindparam("ids", expanding=True))  # noqa: S608 - constants only
    states = {row.id: row.state for row in connection.execute(query, {"ids": sorted(ids)})} if ids else {}
    return [Passed(id=one, why=f"it is {states[one]}" if one in states else "it is not there") for one in sorted(ids)]


def _ids(connection: Connection, query: str, wanted: Sequence[int]) -> list[int]:
    statement = text(query).bindparams(bindparam("ids", expanding=True))
    return list(connection.execute(statement, {"ids": list(wanted)}).scalars())


def _record(connection: Connection, action: str, things: str, asked: Redrive, found: _Found, by: By) -> None:
    terms = asked.model_dump(mode="json", include={"filter"}, exclude_none=True).get("filter")
    detail = {things: found.ids[:_MOST_NAMED], "count": len(found.ids), **({} if terms is None else {"filter": terms})}
    entry = AuditEntry(
        at=by.now, actor=by.actor, action=action, subject=action.partition(".")[0], reason=asked.reason, detail=detail
    )
    write(connection, entry)
