"""What a person may do with a job: retry it, cancel it, force it past its back-off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text

from infra.ledger.admin import job_line
from infra.ledger.audit import AuditEntry, write
from infra.ledger.family import cancel_children
from infra.ledger.planning import alone
from infra.ledger.spending import Purse
from infra.ledger.standing import COLUMNS, Released, lock, restand, terms
from infra.ledger.tables import storable, to_us
from schemas.jobs import MOVES, State
from schemas.views import JobLine


class Steer(StrEnum):
    """What a person may do with a job."""

    RETRY = "retry"
    CANCEL = "cancel"
    FORCE = "force"


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Who wants what of which job, and why."""

    job: int
    steer: Steer
    actor: str
    reason: str = ""


class Unlawful(Exception):
    """The job cannot be moved so from where it stands; the text says where that is."""


_FROM: Final[Mapping[Steer, frozenset[State]]] = {
    Steer.RETRY: frozenset({State.PARKED}),
    Steer.CANCEL: frozenset(state for state, moves in MOVES.items() if State.CANCELLED in moves),
    Steer.FORCE: frozenset({State.DUE}),
}

_DONE: Final[Mapping[Steer, State]] = {
    Steer.RETRY: State.DUE,
    Steer.CANCEL: State.CANCELLED,
    Steer.FORCE: State.DUE,
}
"""Where it leads; a job that is there already needs nothing."""

_WORDS: Final[Mapping[Steer, str]] = {
    Steer.RETRY: "redriven by {}",
    Steer.CANCEL: "cancelled by {}",
    Steer.FORCE: "forced past its back-off by {}",
}

_PAST: Final[Mapping[Steer, str]] = {Steer.RETRY: "retried", Steer.CANCEL: "cancelled", Steer.FORCE: "forced"}

_MOVE: Final = text("""
    UPDATE jobs SET state = :state, reason = :reason, updated_at = :now,
           not_before = CASE WHEN :state = 'due' THEN :now ELSE not_before END,
           finished_at = CASE WHEN :state = 'cancelled' THEN :now ELSE finished_at END
    WHERE id = :id
""")

_THESE: Final = f"SELECT {COLUMNS} FROM jobs WHERE id IN :ids ORDER BY id"  # noqa: S608 - constants only


def steer(connection: Connection, order: Order, now: datetime) -> tuple[JobLine, bool] | None:
    """Carry out an order and record it, in the caller's transaction.

    A job that is retried counts anew in what its operation spends, and is held where its budget is spent.

    Returns:
        the job as it stands then, and whether anything was changed; None where there is no such job.

    Raises:
        Unlawful: it stands where this cannot be done.
    """
    alone(connection)  # before the row is held: planners take the two in this order
    job = job_line(connection, order.job, hold=True)
    if job is None:
        return None
    if _is_done(job, order.steer, now):
        return job, False
    if job.state not in _FROM[order.steer]:
        lawful = ", ".join(sorted(state.value for state in _FROM[order.steer]))
        raise Unlawful(f"job {job.id} is {job.state}: only a job that is {lawful} can be {_PAST[order.steer]}")
    words = _words(order.steer, order.actor, order.reason)
    match order.steer:
        case Steer.RETRY:
            _retry(connection, [job.id], words, now)
        case Steer.CANCEL:
            words += cancel_children(connection, job.id, words, now)
            _give_back(connection, job.id, now)
            _move(connection, job.id, order.steer, words, now)
        case Steer.FORCE:
            _move(connection, job.id, order.steer, words, now)
    moved = job_line(connection, job.id)
    if moved is None:
        return None
    detail = {"from": job.state.value, "to": moved.state.value, "operation": job.operation, "target": job.target}
    write(
        connection,
        AuditEntry(
            at=now,
            actor=order.actor,
            action=f"job.{order.steer}",
            subject=f"job/{job.id}",
            reason=order.reason,
            detail=detail,
        ),
    )
    return moved, True


def retry_parked(connection: Connection, jobs: Sequence[int], *, actor: str, reason: str, now: datetime) -> None:
    """Give jobs new tries that the caller's transaction holds and has seen parked; the record is the caller's.

    It holds the planners' lock too: each job counts anew in what its operation spends.
    """
    _retry(connection, jobs, _words(Steer.RETRY, actor, reason), now)


def _words(what: Steer, actor: str, reason: str) -> str:
    return _WORDS[what].format(actor) + (f": {reason}" if reason else "")


def _move(connection: Connection, job: int, what: Steer, words: str, now: datetime) -> None:
    moved = {"id": job, "state": _DONE[what].value, "reason": storable(words), "now": to_us(now)}
    connection.execute(_MOVE, moved)


def _retry(connection: Connection, jobs: Sequence[int], words: str, now: datetime) -> None:
    parked = [(row, terms(row).model_copy(update={"counted": None})) for row in _rows(connection, jobs)]
    restand(connection, parked, Purse(connection, now), now, Released(), why=words)


def _give_back(connection: Connection, job: int, now: datetime) -> None:
    purse = Purse(connection, now)
    for row in _rows(connection, [job]):
        purse.give_back(row.operation, terms(row), row.fence)
    purse.write()


def _rows(connection: Connection, jobs: Sequence[int]) -> Sequence[Any]:
    query = text(_THESE + lock(connection)).bindparams(bindparam("ids", expanding=True))
    return connection.execute(query, {"ids": list(jobs)}).all()


def _is_done(job: JobLine, what: Steer, now: datetime) -> bool:
    if job.state is not _DONE[what]:
        return False
    return what is not Steer.FORCE or job.not_before <= now
