"""How triggers are looked at: a page of them, or one with how far it has come."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text

from infra.ledger.standing import lock
from infra.ledger.tables import OPEN_STATES, from_us, to_us
from infra.ledger.trigger_terms import given, steps_of
from schemas.jobs import State
from schemas.triggers import Held, TriggerLine, TriggerQuery, TriggerState, TriggerStep, TriggerView

MOST_REASONS: Final = 20

_LINE: Final = "id, operation, actor, created_at, total, state, detail"

_COUNTS: Final = text("SELECT trigger_id, state, count(*) AS jobs FROM jobs WHERE trigger_id IN :ids GROUP BY 1, 2")

_SERVES: Final = text(f"SELECT 1 FROM jobs WHERE {OPEN_STATES} AND hold LIKE :shared LIMIT 1")  # noqa: S608 - constants only

_HOLDS: Final = text(
    "SELECT reason, count(*) AS jobs FROM jobs WHERE trigger_id = :id AND state = 'held'"
    " GROUP BY reason ORDER BY 2 DESC, 1 LIMIT :limit"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a page ends: when its last trigger was made, in microseconds, and its name, for several may be at once."""

    at: int
    id: str


def page(
    connection: Connection, asked: TriggerQuery, before: Place | None = None
) -> tuple[list[TriggerLine], Place | None]:
    """Triggers behind a place, the newest first, and behind which place the next page begins."""
    where: list[str] = ["true"]
    bound: dict[str, Any] = {"limit": asked.limit + 1}
    for name, moment, condition in (("until", asked.until, "<"), ("since", asked.since, ">=")):
        if moment is not None:
            where.append(f"created_at {condition} :{name}")
            bound[name] = to_us(moment)
    if before is not None:
        where.append("(created_at, id) < (:at, :id)")
        bound |= {"at": before.at, "id": before.id}
    query = text(
        f"SELECT {_LINE} FROM triggers WHERE {' AND '.join(where)} ORDER BY created_at DESC, id DESC LIMIT :limit"  # noqa: S608 - our own names
    )
    rows = connection.execute(query, bound).all()
    shown = rows[: asked.limit]
    counts = _counts(connection, [row.id for row in shown])
    lines = [TriggerLine(**_line(row, counts[row.id])) for row in shown]
    return lines, Place(at=shown[-1].created_at, id=shown[-1].id) if len(rows) > asked.limit else None


def show(connection: Connection, trigger: str) -> TriggerView | None:
    """One trigger in the caller's transaction."""
    row = row_of(connection, trigger, whole=True)
    if row is None:
        return None
    counts = _counts(connection, [trigger])[trigger]
    detail = json.loads(row.detail)
    held = connection.execute(_HOLDS, {"id": trigger, "limit": MOST_REASONS}) if counts.get(State.HELD) else ()
    return TriggerView(
        **_line(row, counts),
        parameters=json.loads(row.parameters),
        steps=[TriggerStep(operation=one.operation, parameters=dict(one.parameters)) for one in steps_of(row, detail)],
        asked=json.loads(row.selection),
        limits=given(detail),
        approved_by=detail.get("approved_by"),
        made=detail["made"],
        served=detail["served"],
        jobs=counts,
        holds=[Held(why=one.reason, jobs=one.jobs) for one in held],
    )


def has_ended(connection: Connection, row: Any) -> bool:
    """Whether a trigger has finished, and no open job of another serves its wishes either."""
    if _state(row.state, _counts(connection, [row.id])[row.id]) is not TriggerState.FINISHED:
        return False
    return connection.execute(_SERVES, {"shared": f'%"trigger":"{row.id}"%'}).first() is None


def row_of(connection: Connection, trigger: str, *, hold: bool = False, whole: bool = False) -> Any:
    """A trigger's row, or None; `hold` keeps others away, `whole` reads all that was asked."""
    columns = f"{_LINE}, parameters, selection" if whole else _LINE
    query = text(f"SELECT {columns} FROM triggers WHERE id = :id{lock(connection) if hold else ''}")  # noqa: S608 - constants only
    return connection.execute(query, {"id": trigger}).one_or_none()


def _counts(connection: Connection, ids: Sequence[str]) -> dict[str, dict[State, int]]:
    found: dict[str, dict[State, int]] = {trigger: {} for trigger in ids}
    if ids:
        query = _COUNTS.bindparams(bindparam("ids", expanding=True))
        for row in connection.execute(query, {"ids": list(ids)}):
            found[row.trigger_id][State(row.state)] = row.jobs
    return found


def _line(row: Any, counts: Mapping[State, int]) -> dict[str, Any]:
    detail = json.loads(row.detail)
    return {
        "id": row.id,
        "operation": row.operation,
        "rule": detail.get("rule"),
        "actor": row.actor,
        "reason": detail["reason"],
        "created_at": from_us(row.created_at),
        "state": _state(row.state, counts),
        "total": row.total,
        "planned": detail["planned"],
    }


def _state(stored: str, counts: Mapping[State, int]) -> TriggerState:
    if stored not in {"planned", "approving"}:
        return TriggerState(stored)
    unfinished = any(counts.get(state) for state in (State.HELD, State.DUE, State.RUNNING, State.AWAITING))
    return TriggerState.RUNNING if unfinished else TriggerState.FINISHED
