"""What becomes of the jobs of a cancelled trigger: what other wishes rely on stays, on their terms."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text

from infra.ledger.spending import Purse, unused
from infra.ledger.standing import Released, restand, terms
from infra.ledger.tables import NOT_BEGUN, to_us
from schemas.limits import Hold, Limits, Sharer

_CANCEL: Final = text(f"""
    UPDATE jobs SET state = 'cancelled', reason = :reason, finished_at = :now, updated_at = :now
    WHERE id = :id AND state IN ('held', 'due') AND {NOT_BEGUN}
""")  # noqa: S608 - constants only

_HAND_OVER: Final = text("UPDATE jobs SET trigger_id = :heir WHERE id = :id")

_TRIGGERS: Final = text("SELECT id, state, detail FROM triggers WHERE id IN :ids").bindparams(
    bindparam("ids", expanding=True)
)

_WHY: Final = "its trigger was cancelled, but another wish relies on it"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Others:
    """The triggers that share the jobs."""

    cancelled: frozenset[str]
    approved: Mapping[str, str]  # who agreed to them


def withdraw(connection: Connection, jobs: Sequence[Any], actor: str, why: str, now: datetime) -> Released:
    """Take back a trigger's jobs that have not run, in the caller's transaction.

    Args:
        connection: the caller's transaction; it holds the rows and the planners' lock.
        jobs: the rows, with what `restand` must know.
        actor: whose trigger it was; he does not approve what stays of it.
        why: what is said of those that are cancelled.
        now: the moment.
    """
    purse, released = Purse(connection, now), Released()
    holds = [(row, terms(row)) for row in jobs]
    others = _others(connection, [hold for _, hold in holds])
    kept: list[tuple[Any, Hold]] = []
    gone: list[int] = []
    heirs: list[dict[str, object]] = []
    for row, hold in holds:
        purse.give_back(row.operation, hold, row.fence)
        left = [sharer for sharer in hold.shared if sharer.trigger not in others.cancelled]
        if left:
            heir = min(left, key=_patience)
            heirs.append({"id": row.id, "heir": heir.trigger})
            kept.append((row, _inherited(hold, heir, left, actor, others.approved, row.fence)))
        else:
            gone.append(row.id)
    if heirs:
        connection.execute(_HAND_OVER, heirs)
    if gone:
        connection.execute(_CANCEL, [{"id": job, "reason": why, "now": to_us(now)} for job in gone])
    restand(connection, kept, purse, now, released, why=_WHY)
    return released


def _others(connection: Connection, holds: Sequence[Hold]) -> _Others:
    ids = sorted({sharer.trigger for hold in holds for sharer in hold.shared if sharer.trigger is not None})
    rows = connection.execute(_TRIGGERS, {"ids": ids}).all() if ids else []
    agreed = {row.id: json.loads(row.detail).get("approved_by") for row in rows}
    return _Others(
        cancelled=frozenset(row.id for row in rows if row.state in {"cancelling", "cancelled"}),
        approved={trigger: who for trigger, who in agreed.items() if who is not None},
    )


def _patience(sharer: Sharer) -> tuple[bool, bool]:
    """First the wish that need not wait, last those that wait for a person."""
    return sharer.limits is not None and sharer.limits.approval is not None, sharer.limits is not None


def _inherited(
    hold: Hold, heir: Sharer, left: Sequence[Sharer], actor: str, approved: Mapping[str, str], fence: int
) -> Hold:
    """The terms of the wish that a job is for from now on."""
    given = heir.limits or Limits()
    agreed = None if heir.trigger is None else approved.get(heir.trigger)
    return Hold(
        window=given.window,
        approval=given.approval if agreed is None else None,
        budget=given.budget,
        approved_by=agreed,
        counted=None if unused(hold, fence) else hold.counted,
        shared=tuple(sharer for sharer in left if sharer is not heir),
        asked_by=tuple(dict.fromkeys([*hold.asked_by, actor])),
    )
