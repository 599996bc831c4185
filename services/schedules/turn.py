"""What an action works with: its firing, held by a lease, and the tools of the process."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import SecretStr

from infra.broker import PREFIX, Ring
from infra.ledger import Effects, FiringLost, Ledger, Plan, Planned
from infra.ledger.plans import canonical
from infra.ledger.tables import to_us
from schemas.fleet import Fleet
from schemas.jobs import NewJob
from schemas.limits import Limits
from schemas.rhythm import not_before
from schemas.schedules import Firing, FiringState, Spec
from services.clients.ublox import Ublox
from services.operations.contract import NO_UBLOX
from services.playbook import Playbook

LONGEST_RUN: Final = timedelta(hours=2)
"""A lease is renewed no longer than this: a thread that hangs for ever must not hold its schedule for ever."""

CHUNK: Final = 500
"""Jobs of one transaction, so that the receiver never waits long for the ledger."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What an action found.

    Attributes:
        reason: for a person, in a line.
        attention: whether a person should see to it.
        detail: JSON-able, without secrets.
        effects: what is committed together with the outcome.
    """

    reason: str
    attention: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)
    effects: Effects = field(default_factory=Effects)


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """What actions work with, made once for a process; a worker has the outside systems of its queues.

    Attributes:
        playbook: gives the playbook in force.
        fleet: gives the inventory as it is now.
        newest_seal: the id of the ring key that seals what is put into the vault now, where there is a ring.
        public_url: where u-blox reaches the receiver, without a slash at its end.
        webhook_tokens: whole header values that the receiver admits; the first is the one to be registered.
    """

    ledger: Ledger
    ublox: Ublox = NO_UBLOX
    ring: Ring
    clock: Callable[[], datetime]
    playbook: Callable[[], Playbook]
    fleet: Callable[[], Fleet] = Fleet
    retention: timedelta = timedelta(days=90)
    newest_seal: str | None = None
    public_url: str | None = None
    webhook_tokens: Sequence[SecretStr] = ()


class Turn:
    """One try of one firing. The thread that renews leases uses it too, hence the lock."""

    def __init__(self, firing: Firing, means: Means, spec: Spec) -> None:
        self.spec = spec
        self.means = means
        self._firing = firing
        self._began = means.clock()
        self._lock = threading.Lock()

    @property
    def firing(self) -> Firing:
        """The firing as this worker wrote it last."""
        return self._firing

    @property
    def known(self) -> Mapping[str, Any]:
        """What earlier tries of this firing have noted."""
        known: Mapping[str, Any] = self._firing.detail.get("known", {})
        return known

    def wish(self, operation: str, target: str, parameters: Mapping[str, Any], *, site: str | None) -> NewJob:
        """A wish of a shipped schedule: bound by the playbook's budget for the operation, spread by the jitter."""
        budget = self.means.playbook().budget_of(operation)
        return NewJob(
            operation=operation,
            target=target,
            parameters=parameters,
            rule=f"schedule:{self._firing.schedule}",
            unless_under_way=True,
            not_before=self.start_of(target),
            limits=None if budget is None else Limits(budget=budget),
            site=site,
        )

    def start_of(self, target: str) -> datetime:
        """When the job of one target may begin: spread by the jitter, always the same for the same target."""
        return not_before(self._firing.schedule, target, self.spec, self._firing.due_at)

    def note(self, known: Mapping[str, Any], effects: Effects | None = None) -> Planned:
        """Commit what a later try must know, and some effects with it.

        Raises:
            FiringLost: somebody else has the firing; nothing was written.
        """
        return self._move(FiringState.RUNNING, {**self._firing.detail, "known": dict(known)}, effects or Effects())

    def ask(self, jobs: Sequence[NewJob], evidence: Callable[[NewJob], Mapping[str, Any]] = lambda _job: {}) -> int:
        """Ask for jobs, some hundred in a transaction; give how many were asked for, earlier tries included.

        How far this firing has come is committed with each part, so a later try goes on behind it and asks for nothing
        twice.

        Raises:
            FiringLost: somebody else has the firing.
        """
        after = str(self.known.get("asked_until", ""))
        left = sorted((_place(job), number) for number, job in enumerate(jobs) if _place(job) > after)
        for start in range(0, len(left), CHUNK):
            part = left[start : start + CHUNK]
            plans = [Plan(event_id=None, verdict="", jobs=[jobs[at]], evidence=evidence(jobs[at])) for _, at in part]
            asked = self.known.get("asked", 0) + len(part)
            planned = self.note({**self.known, "asked_until": part[-1][0], "asked": asked}, Effects(plans=plans))
            for operation, ids in planned.due.items():
                self.means.ring(PREFIX + operation, ids)
        return int(self.known.get("asked", 0))

    def settle(self, state: FiringState, detail: Mapping[str, Any], effects: Effects) -> None:
        """Write how this try ended, together with what it causes.

        Raises:
            FiringLost: somebody else has the firing; nothing was written.
        """
        planned = self._move(state, detail, effects)
        for operation, ids in planned.due.items():
            self.means.ring(PREFIX + operation, ids)

    def keep(self, lease: timedelta) -> None:
        """Renew the lease, unless this try has lasted too long or has ended."""
        now = self.means.clock()
        if now - self._began > LONGEST_RUN or self._firing.state is not FiringState.RUNNING:
            return
        try:
            self._move(None, {"lease_until": to_us(now + lease)}, Effects())
        except FiringLost:
            return  # the action finds out at its next write

    def _move(self, state: FiringState | None, detail: Mapping[str, Any], effects: Effects) -> Planned:
        with self._lock:
            if self._firing.state is not FiringState.RUNNING:
                raise FiringLost
            whole = {**self._firing.detail, **detail} if state is None else detail
            lease = self._firing.detail["lease_until"]
            if state is FiringState.RUNNING:
                whole = {**whole, "lease_until": max(lease, whole.get("lease_until", lease))}
            self._firing, planned = self.means.ledger.firings.move(
                self._firing, state or FiringState.RUNNING, whole, effects, self.means.clock()
            )
            return planned


def _place(job: NewJob) -> str:
    """Where a wish stands in the order in which they are asked for, whatever list it comes in."""
    return f"{job.target}\n{job.operation}\n{canonical(job.parameters)}"
