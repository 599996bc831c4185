"""What would become of wishes, without writing: the planner's own decisions on one picture of the ledger."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from infra.ledger.engine import Database
from infra.ledger.expiries import ends_of, with_end
from infra.ledger.plans import canonical
from infra.ledger.spending import Purse
from infra.ledger.weighing import OpenJob, judge, open_jobs, reason_to_wait
from schemas.jobs import NewJob
from schemas.triggers import Expected

_AT_ONCE: Final = 1_000
"""Targets of one statement."""


def foresee(database: Database, jobs: Sequence[NewJob], now: datetime) -> list[Expected]:
    """Say of each wish what would follow if it were planned now."""
    found: list[Expected] = []
    with database.reading() as connection:
        purse = Purse(connection, now)
        for start in range(0, len(jobs), _AT_ONCE):
            part = jobs[start : start + _AT_ONCE]
            line = open_jobs(connection, {job.lock_key for job in part})
            ends = ends_of(connection, part)
            found += [_expected(job, line.get(job.lock_key, ()), purse, now, with_end({}, job, ends)) for job in part]
    return found


def _expected(
    job: NewJob, line: Sequence[OpenJob], purse: Purse, now: datetime, evidence: Mapping[str, Any]
) -> Expected:
    standing, server, beaten = judge(purse, line, job, canonical(job.parameters), evidence, now)
    for rival in beaten:
        purse.give_back(rival.operation, rival.hold, rival.fence)
    supersedes = [one.id for one in beaten]
    if server is not None:
        why = f"served by job {server.id}, which is {server.state}"
        return Expected(
            target=job.target,
            operation=job.operation,
            site=job.site,
            then="served",
            why=why,
            job=server.id,
            supersedes=supersedes,
        )
    if standing.spends:
        purse.spend(job.operation)
    rest = [one for one in line if one not in beaten]
    return Expected(
        target=job.target,
        operation=job.operation,
        site=job.site,
        then="held" if standing.held else "due",
        why=standing.reason or reason_to_wait(rest),
        supersedes=supersedes,
    )
