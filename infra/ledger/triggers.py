"""Manual triggers: taken in whole, planned, approved and cancelled chunk by chunk.

Its targets stand in parts, each of which goes in the transaction that makes its jobs. So any number of processes may
plan it, a crash costs nothing, and no target is planned twice.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, text

from infra.ledger import trigger_views
from infra.ledger.engine import Database
from infra.ledger.holding import NothingToDecide, Said, approve_some, check_word, some_wait
from infra.ledger.planning import Planning, alone
from infra.ledger.plans import Plan, canonical
from infra.ledger.standing import COLUMNS, lock
from infra.ledger.tables import NOT_BEGUN, from_us, storable, to_us, trigger_targets, triggers
from infra.ledger.trigger_terms import Asked, kept_limits, kept_step, limits_of, steps_of
from infra.ledger.trigger_views import Place, row_of
from infra.ledger.withdrawing import withdraw
from schemas.jobs import NewJob
from schemas.limits import Limits
from schemas.triggers import TriggerLine, TriggerQuery, TriggerView

CHUNK: Final = {"sqlite": 128, "postgresql": 500}
"""Targets of one transaction: on SQLite the receiver waits until it ends, on PostgreSQL only other planners do."""

_OPEN: Final = "state IN ('planning', 'approving', 'cancelling')"
"""Word for word the condition of the index."""

_CANCELLED: Final = frozenset({"cancelling", "cancelled"})

_PART: Final = text("SELECT place, targets FROM trigger_targets WHERE trigger_id = :id ORDER BY place LIMIT 1")
_PART_DONE: Final = text("DELETE FROM trigger_targets WHERE trigger_id = :id AND place = :place")
_PARTS_LEFT: Final = text("DELETE FROM trigger_targets WHERE trigger_id = :id")

_NOT_RUN: Final = (
    f"SELECT {COLUMNS} FROM jobs WHERE trigger_id = :id AND state IN ('held', 'due') AND {NOT_BEGUN}"  # noqa: S608 - constants only
    " ORDER BY id LIMIT :limit"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What one transaction did to a trigger.

    Attributes:
        over: whether nothing is left to be done about it.
        due: ids of jobs that can run now, by operation.
    """

    trigger: str
    over: bool
    due: Mapping[str, Sequence[int]] = field(default_factory=dict)


class Triggers:
    """The manual triggers of the ledger."""

    def __init__(self, database: Database, planning: Planning) -> None:
        self._database = database
        self._planning = planning
        self.chunk = CHUNK["sqlite" if database.is_sqlite else "postgresql"]

    def add(self, connection: Connection, asked: Asked) -> None:
        """Take a trigger in, in the caller's transaction."""
        detail: dict[str, Any] = {"planned": 0, "made": 0, "served": 0, "reason": asked.reason}
        if asked.limits is not None:
            detail["limits"] = kept_limits(asked.limits)
        if asked.rule is not None:
            detail |= {"rule": asked.rule, "steps": [kept_step(step) for step in asked.steps]}
        row = {
            "id": asked.id,
            "idempotency_key": asked.key,
            "request_hash": asked.request_hash,
            "actor": asked.actor,
            "created_at": to_us(asked.at),
            "operation": asked.operation,
            "selection": canonical(asked.asked),
            "parameters": canonical(asked.parameters),
            "total": len(asked.aims),
            "state": "planning",
            "detail": canonical(detail),
        }
        connection.execute(insert(triggers), row)
        aims = [[aim.target, aim.site, aim.lock] for aim in asked.aims]
        parts = [aims[start : start + self.chunk] for start in range(0, len(aims), self.chunk)]
        rows = [
            {"trigger_id": asked.id, "place": place, "targets": json.dumps(part)} for place, part in enumerate(parts)
        ]
        connection.execute(insert(trigger_targets), rows)

    def known(self, connection: Connection, key: str) -> tuple[str, str] | None:
        """The id and the request's hash of the trigger that was asked for under a key."""
        query = text("SELECT id, request_hash FROM triggers WHERE idempotency_key = :key")
        row = connection.execute(query, {"key": key}).one_or_none()
        return None if row is None else (row.id, row.request_hash)

    def waiting(self) -> str | None:
        """The oldest trigger about which something is left to be done."""
        query = text(f"SELECT id FROM triggers WHERE {_OPEN} ORDER BY created_at LIMIT 1")  # noqa: S608 - constants only
        with self._database.reading() as connection:
            found: str | None = connection.execute(query).scalar_one_or_none()
            return found

    def page(self, asked: TriggerQuery, before: Place | None = None) -> tuple[list[TriggerLine], Place | None]:
        """Triggers behind a place, the newest first, and behind which place the next page begins."""
        with self._database.reading() as connection:
            return trigger_views.page(connection, asked, before)

    def place(self, trigger: str) -> Place | None:
        """Where a trigger stands in a list of all."""
        with self._database.reading() as connection:
            row = row_of(connection, trigger)
            return None if row is None else Place(at=row.created_at, id=row.id)

    def show(self, trigger: str) -> TriggerView | None:
        """One trigger, with how far it has come."""
        with self._database.reading() as connection:
            return trigger_views.show(connection, trigger)

    def cancel(self, connection: Connection, trigger: str, words: str) -> bool:
        """Stop planning a trigger, in the caller's transaction; the steps that follow cancel what has not run.

        Returns:
            whether that was news; it is none of one that has ended.
        """
        alone(connection)
        row = row_of(connection, trigger, hold=True)
        if row is None or row.state in _CANCELLED or trigger_views.has_ended(connection, row):
            return False
        _write(connection, trigger, "cancelling", {**json.loads(row.detail), "cancelled_because": storable(words)})
        return True

    def approve(self, connection: Connection, trigger: str, said: Said) -> bool:
        """Agree to a trigger, in the caller's transaction; the steps that follow let its jobs go.

        Returns:
            whether that was news.

        Raises:
            NotAllowed: the role is too low, or it is one's own wish.
            NothingToDecide: nobody's approval is waited for.
        """
        alone(connection)
        row = row_of(connection, trigger, hold=True)
        detail = {} if row is None else json.loads(row.detail)
        if row is None or "approved_by" in detail:
            return False
        check_word(_awaited(connection, row, detail), said, asked_by=[row.actor])
        state = "approving" if row.state == "planned" else row.state
        _write(connection, trigger, state, {**detail, "approved_by": said.actor})
        return True

    def reject(self, connection: Connection, trigger: str, words: str) -> bool:
        """Stop a trigger as `cancel` does, if it waits for approval.

        Returns:
            whether that was news.

        Raises:
            NothingToDecide: nobody's approval is waited for.
        """
        alone(connection)
        row = row_of(connection, trigger, hold=True)
        if row is None or row.state in _CANCELLED:
            return False
        _awaited(connection, row, json.loads(row.detail))
        return self.cancel(connection, trigger, words)

    def step(self, trigger: str, now: datetime) -> Step:
        """Do the next bit that is to be done about a trigger, in one transaction."""
        with self._database.writing() as connection:
            alone(connection)
            row = row_of(connection, trigger, hold=True, whole=True)
            match None if row is None else row.state:
                case "planning":
                    return self._plan(connection, row, now)
                case "approving":
                    return _approve(connection, row, now, self.chunk)
                case "cancelling":
                    return _cancel(connection, row, now, self.chunk)
                case _:
                    return Step(trigger=trigger, over=True)

    def _plan(self, connection: Connection, row: Any, now: datetime) -> Step:
        detail = json.loads(row.detail)
        part = connection.execute(_PART, {"id": row.id}).one()
        connection.execute(_PART_DONE, {"id": row.id, "place": part.place})
        aims = json.loads(part.targets)
        jobs = [
            NewJob(
                operation=step.operation,
                target=target,
                parameters=step.parameters,
                rule=detail.get("rule", "manual"),
                site=site,
                lock=lock,
                trigger=row.id,
                unless_under_way=step.unless_under_way,
                limits=step.limits,
            )
            for target, site, lock in aims
            for step in steps_of(row, detail)
        ]
        evidence = {"trigger": row.id, "occurred_at": from_us(row.created_at).isoformat()}
        plan = Plan(event_id=None, verdict="a person asks", jobs=jobs, evidence=evidence)
        planned = self._planning.add(connection, [plan], now)
        detail["planned"] += len(aims)
        detail["made"] += planned.made
        detail["served"] += planned.served
        made = detail["planned"] >= row.total
        state = ("approving" if "approved_by" in detail else "planned") if made else "planning"
        _write(connection, row.id, state, detail)
        return Step(trigger=row.id, over=state == "planned", due=planned.due)


def _awaited(connection: Connection, row: Any, detail: Mapping[str, Any]) -> Limits:
    """The terms of a trigger that waits for approval.

    Raises:
        NothingToDecide: it waits for nobody's.
    """
    limits = limits_of(detail)
    waits = row.state == "planning" or (row.state == "planned" and some_wait(connection, row.id))
    if limits is None or limits.approval is None or not waits:
        raise NothingToDecide(f"trigger {row.id} waits for nobody's approval")
    return limits


def _write(connection: Connection, trigger: str, state: str, detail: Mapping[str, Any]) -> None:
    statement = text("UPDATE triggers SET state = :state, detail = :detail WHERE id = :id")
    connection.execute(statement, {"id": trigger, "state": state, "detail": canonical(detail)})


def _approve(connection: Connection, row: Any, now: datetime, chunk: int) -> Step:
    detail = json.loads(row.detail)
    count, released = approve_some(connection, row.id, detail["approved_by"], now, chunk)
    over = count < chunk
    if over:
        _write(connection, row.id, "planned", detail)
    return Step(trigger=row.id, over=over, due=released.due)


def _cancel(connection: Connection, row: Any, now: datetime, chunk: int) -> Step:
    detail = json.loads(row.detail)
    jobs = connection.execute(text(_NOT_RUN + lock(connection)), {"id": row.id, "limit": chunk}).all()
    released = withdraw(connection, jobs, row.actor, detail["cancelled_because"], now)
    over = len(jobs) < chunk
    if over:
        connection.execute(_PARTS_LEFT, {"id": row.id})
        _write(connection, row.id, "cancelled", detail)
    return Step(trigger=row.id, over=over, due=released.due)
