"""A wish held against the open jobs of its target: where it stands, what serves it, whose place it takes."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from infra.ledger.spending import Purse, terms_of, unused
from infra.ledger.tables import OPEN_STATES
from schemas.events import parse_timestamp
from schemas.jobs import NewJob
from schemas.limits import Budget, Hold, Spent, Standing, stand

VALUES: Final = {
    "postgresql": "json_array_elements_text(CAST(:keys AS json)) AS value",
    "sqlite": "json_each(:keys)",
}
"""Many values as one: a statement with thousands of parameters takes its driver longer to read than to do."""


@dataclass(kw_only=True, slots=True)
class OpenJob:
    """A job of a target that is not finished; one of the same batch has no number yet, but a negative one."""

    id: int
    operation: str
    target: str
    parameters: str
    state: str
    hold: Hold
    fence: int = 0
    begun: bool = False
    trigger: str | None = None
    parent: int | None = None

    @property
    def tried(self) -> bool:
        """Whether a worker ever had it: attempts are given back, a fence never falls."""
        return self.fence > 0

    @property
    def waits_for_person(self) -> bool:
        """Whether somebody must agree to it first."""
        return self.hold.approval is not None

    @property
    def asks(self) -> bool:
        """Whether it is held in the middle of its work, until a person has decided about its next step."""
        return self.hold.step is not None


def open_jobs(connection: Connection, keys: Collection[str], *, hold: str = "") -> dict[str, list[OpenJob]]:
    """The open jobs of targets, by their lock keys, oldest first."""
    if not keys:
        return {}
    query = text(
        "SELECT id, lock_key, operation, target, parameters, state, fence, progress, trigger_id, parent_id,"  # noqa: S608 - constants only
        f" hold, created_at FROM jobs WHERE lock_key IN (SELECT value FROM {VALUES[connection.dialect.name]})"
        f" AND {OPEN_STATES} ORDER BY id{hold}"
    )
    found: dict[str, list[OpenJob]] = {}
    for row in connection.execute(query, {"keys": json.dumps(sorted(keys))}):
        found.setdefault(row.lock_key, []).append(
            OpenJob(
                id=row.id,
                operation=row.operation,
                target=row.target,
                parameters=row.parameters,
                state=row.state,
                hold=terms_of(row.hold, row.created_at),
                fence=row.fence,
                begun=row.progress != "{}",
                trigger=row.trigger_id,
                parent=row.parent_id,
            )
        )
    return found


def judge(
    purse: Purse, line: Sequence[OpenJob], job: NewJob, parameters: str, evidence: Mapping[str, Any], now: datetime
) -> tuple[Standing, OpenJob | None, list[OpenJob]]:
    """Say where a wish would stand by its terms, which open job of its target serves it, and whose place it takes.

    What the jobs that it would take the place of have spent in vain is its own to spend.
    """
    server, beaten = weigh(line, job, parameters, held=False)
    given_back = [hour for one in beaten if (hour := unused(one.hold, one.fence)) is not None]

    def spent(budget: Budget) -> int:
        return purse.spent(job.operation, budget, but=given_back)

    standing = standing_of(job, evidence, now, spent)
    if standing.held:
        server, beaten = weigh(line, job, parameters, held=True)
    return standing, server, beaten


def weigh(line: Sequence[OpenJob], job: NewJob, parameters: str, *, held: bool) -> tuple[OpenJob | None, list[OpenJob]]:
    """Hold a wish against the open jobs of its target: which one serves it, and whose place it takes.

    A job that is held serves no wish that need not wait, and one that waits for a person no wish that does not: the
    wish takes its place, unless the job asks in the middle of its work, which is under way. But a wish that is held
    does not take the place of a job that can run now. The order of arrival holds: a job that waits serves a wish only
    where nothing else that was wished meanwhile would come after it.
    """
    wished = job.operation, job.target  # a lock may be shared by several targets
    rivals = [rival for rival in line if (rival.operation, rival.target) == wished]
    for_person = job.limits is not None and job.limits.approval is not None
    able = [
        rival
        for rival in rivals
        if rival.state != "held" or rival.asks or (held and (for_person or not rival.waits_for_person))
    ]
    if job.unless_under_way and able:
        return able[0], []
    beaten = [rival for rival in rivals if not rival.tried and _gives_way(rival, held=held)]
    for rival in able:
        if rival.state in {"held", "due"} and rival.parameters == parameters:
            later = [one for one in rivals[rivals.index(rival) + 1 :] if one.parameters != parameters]
            if all(one in beaten for one in later):
                return rival, later
    return None, beaten


def _gives_way(rival: OpenJob, *, held: bool) -> bool:
    """Whether a job that nobody tried gives way to a newer wish; jobs of one batch that can run do not."""
    return rival.state == "held" or (rival.state == "due" and not held and rival.id > 0)


def standing_of(job: NewJob, evidence: Mapping[str, Any], now: datetime, spent: Spent) -> Standing:
    """Where a new job stands by its terms."""
    begins = now if job.not_before is None else max(now, job.not_before)
    if job.limits is None:
        return Standing(not_before=begins)
    hold = Hold(window=job.limits.window, approval=job.limits.approval, budget=job.limits.budget)
    return stand(hold, job.operation, begins, expires=expiry_of(evidence), spent=spent)


def expiry_of(evidence: Mapping[str, Any]) -> datetime | None:
    """When the certificate runs out that an event told of, where it told that."""
    try:
        return parse_timestamp(evidence.get("expires"))
    except ValueError:
        return None


def reason_to_wait(line: Sequence[OpenJob]) -> str:
    """Why a new job stands where it stands, from the open jobs of its target, oldest first."""
    before = [job.id for job in line if job.state in {"due", "running"}]
    if not before:
        return "waits for a worker"
    front = f"job {before[-1]}" if before[-1] > 0 else "another job"  # one of the same batch has no number yet
    return f"stands behind {front} of the same target"
