"""Held jobs: let go by their terms, held again when their window closes, approved or rejected by a person."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text

from infra.ledger.audit import AuditEntry, write
from infra.ledger.engine import Database
from infra.ledger.family import agree, cancel_children
from infra.ledger.planning import alone
from infra.ledger.spending import Purse
from infra.ledger.standing import COLUMNS, Released, lock, restand, terms
from infra.ledger.tables import NOT_BEGUN, storable, to_us
from schemas.access import Role
from schemas.jobs import State
from schemas.limits import NEVER, Hold, Limits

BATCH: Final = 500
"""Jobs of one transaction: the receiver waits no longer than that."""

MOST: Final = 20_000
"""Jobs of one look; the sweep comes again in seconds."""

_OPENING: Final = (
    f"SELECT {COLUMNS} FROM jobs WHERE state = 'held' AND not_before <= :now ORDER BY not_before, id LIMIT :limit"  # noqa: S608 - constants only
)
_CLOSING: Final = (
    f"SELECT {COLUMNS} FROM jobs WHERE state = 'due' AND not_after IS NOT NULL AND not_after <= :now"  # noqa: S608 - constants only
    f" AND {NOT_BEGUN} ORDER BY not_after, id LIMIT :limit"
)
_WAITING_OF: Final = (
    f"SELECT {COLUMNS} FROM jobs WHERE trigger_id = :trigger AND state = 'held' AND not_before >= :never"  # noqa: S608 - constants only
    " AND hold NOT LIKE '%\"step\":%' ORDER BY id LIMIT :limit"
)
"""Without those that ask in the middle of their work: nobody decides about that for many at once."""

_THESE: Final = f"SELECT {COLUMNS} FROM jobs WHERE id IN :ids ORDER BY id"  # noqa: S608 - constants only

_REJECT: Final = text("""
    UPDATE jobs SET state = 'cancelled', reason = :reason, finished_at = :now, updated_at = :now
    WHERE id = :id AND state = 'held'
""")


class Verdict(StrEnum):
    """What a person says to a held job."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """Who says what to held jobs, and why.

    Attributes:
        step: what it is said about; a job that asks about something else by now is left as it is.
    """

    verdict: Verdict
    actor: str
    role: Role
    reason: str = ""
    step: str | None = None


class NotAllowed(Exception):
    """The job waits for somebody else's word; the text says whose."""


class NothingToDecide(Exception):
    """The job does not wait for anybody's approval; the text says where it stands."""


class Holding:
    """The held jobs of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def look(self, now: datetime, *, batch: int = BATCH, most: int = MOST) -> Released:
        """Let go what may run now, and hold again what was not begun in its window; in short transactions.

        Every job that is looked at moves on: to due, or to a later look. So a doubled look finds nothing left.
        """
        released = Released()
        for query in (_CLOSING, _OPENING):
            for _ in range(0, most, batch):
                if self._some(query, now, batch, released) < batch:
                    break
        return released

    def _some(self, query: str, now: datetime, batch: int, released: Released) -> int:
        bound = {"now": to_us(now), "limit": batch}
        with self._database.reading() as connection:  # a look that finds nothing takes no lock
            if connection.execute(text(query), {**bound, "limit": 1}).first() is None:
                return 0
        with self._database.writing() as connection:
            alone(connection)
            rows = connection.execute(text(query + lock(connection)), bound).all()
            restand(connection, [(row, terms(row)) for row in rows], Purse(connection, now), now, released)
        return len(rows)

    def say(self, connection: Connection, job_id: int, said: Said, now: datetime) -> tuple[bool, Released] | None:
        """Approve or reject one job in the caller's transaction, and record it.

        Returns:
            whether anything was changed, and what may run now; None where there is no such job.

        Raises:
            NotAllowed: the role is too low, or it is one's own wish.
            NothingToDecide: nobody's approval is waited for.
        """
        alone(connection)
        query = text(_THESE + lock(connection)).bindparams(bindparam("ids", expanding=True))
        row = connection.execute(query, {"ids": [job_id]}).one_or_none()
        if row is None:
            return None
        released = Released()
        hold = terms(row)
        if _is_said(row, hold, said):
            return False, released
        if row.state != State.HELD or hold.approval is None:
            raise NothingToDecide(f"job {job_id} is {row.state}: {row.reason}")
        check_word(hold, said, asked_by=_askers(connection, row, hold))
        if said.step != hold.step and (said.step is not None or said.verdict is Verdict.APPROVE):
            asks = "nothing in the middle of its work" if hold.step is None else f"about {hold.step}"
            named = "" if said.step is None else f", not about {said.step}"
            raise NothingToDecide(f"job {job_id} asks {asks}{named}: name the step that you mean")
        if said.verdict is Verdict.APPROVE:
            _approve(connection, [row], said.actor, now, released)
        else:
            words = words_of(said)
            words += cancel_children(connection, row.id, words, now)
            bound = {"id": row.id, "reason": storable(words), "now": to_us(now)}
            connection.execute(_REJECT, bound)
            purse = Purse(connection, now)
            purse.give_back(row.operation, hold, row.fence)
            purse.write()
        detail = {"operation": row.operation, "target": row.target}
        entry = AuditEntry(
            at=now,
            actor=said.actor,
            action=f"job.{said.verdict}",
            subject=f"job/{job_id}",
            reason=said.reason,
            detail=detail,
        )
        write(connection, entry)
        return True, released


def some_wait(connection: Connection, trigger: str) -> bool:
    """Whether a job of a trigger waits for an approval."""
    bound = {"trigger": trigger, "never": to_us(NEVER), "limit": 1}
    return connection.execute(text(_WAITING_OF), bound).first() is not None


def approve_some(connection: Connection, trigger: str, actor: str, now: datetime, limit: int) -> tuple[int, Released]:
    """Approve the oldest jobs of a trigger that wait for it, in the caller's transaction; give how many."""
    released = Released()
    bound = {"trigger": trigger, "never": to_us(NEVER), "limit": limit}
    rows = connection.execute(text(_WAITING_OF + lock(connection)), bound).all()
    _approve(connection, rows, actor, now, released)
    return len(rows), released


def _approve(connection: Connection, rows: Sequence[Any], actor: str, now: datetime, released: Released) -> None:
    agreed = {"approval": None, "approved_by": actor, "step": None}
    jobs = [(row, terms(row)) for row in rows]
    for row, hold in jobs:
        if hold.step is not None:
            agree(connection, row.id, hold.step)
    jobs = [(row, hold.model_copy(update=agreed)) for row, hold in jobs]
    restand(connection, jobs, Purse(connection, now), now, released)


def words_of(said: Said) -> str:
    """What was said, as a job's reason."""
    past = "approved" if said.verdict is Verdict.APPROVE else "rejected"
    return f"{past} by {said.actor}" + (f": {said.reason}" if said.reason else "")


def check_word(limits: Limits, said: Said, *, asked_by: Collection[str]) -> None:
    """Make sure that somebody may decide.

    Args:
        limits: whose word is waited for.
        said: who says what.
        asked_by: whose wish it is; nobody approves his own, whatever his role.

    Raises:
        NotAllowed: the role is too low, or it is one's own wish.
    """
    if limits.approval is not None and not said.role.covers(Role(limits.approval.role)):
        raise NotAllowed(f"this waits for the word of an {limits.approval.role}; this key has the role {said.role}")
    if said.actor in asked_by and said.verdict is Verdict.APPROVE:
        raise NotAllowed("who asked for it cannot approve it: another person must")


def _askers(connection: Connection, row: Any, hold: Hold) -> list[str]:
    """Who asked for a job, also by triggers that it belongs to no longer."""
    query = text("SELECT actor FROM triggers WHERE id = :id")
    return [*connection.execute(query, {"id": row.trigger_id}).scalars(), *hold.asked_by]


def _is_said(row: Any, hold: Hold, said: Said) -> bool:
    """Whether the same was said before, so that nothing is left to do."""
    if said.verdict is Verdict.REJECT:
        return bool(row.state == State.CANCELLED)
    return hold.approval is None and hold.approved_by is not None
