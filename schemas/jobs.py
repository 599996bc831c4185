"""A job's states, its one table of lawful moves, and what an operation may say of it.

held ◀─▶ due ──▶ running ──▶ succeeded
          ▲         ├──────▶ awaiting ──▶ due          upstream took it, or its children work; a look comes later
          ├─────────┤                                  retryable, or its worker was lost
          │         ├──────▶ held ──────▶ due          asks for a person's word before its next step
          │         └──────▶ parked ────▶ due, held    needs a person; a person may redrive
          └── held, due, awaiting, parked ──▶ cancelled · superseded
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal

from schemas.limits import Limits


class State(StrEnum):
    """Where a job stands."""

    HELD = "held"
    DUE = "due"
    RUNNING = "running"
    AWAITING = "awaiting"
    SUCCEEDED = "succeeded"
    PARKED = "parked"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


MOVES: Final[Mapping[State, frozenset[State]]] = {
    State.HELD: frozenset({State.DUE, State.CANCELLED, State.SUPERSEDED}),
    State.DUE: frozenset({State.HELD, State.RUNNING, State.CANCELLED, State.SUPERSEDED}),
    State.RUNNING: frozenset({State.SUCCEEDED, State.AWAITING, State.DUE, State.HELD, State.PARKED}),
    State.AWAITING: frozenset({State.DUE, State.CANCELLED, State.SUPERSEDED}),
    State.PARKED: frozenset({State.DUE, State.HELD, State.CANCELLED, State.SUPERSEDED}),
    State.SUCCEEDED: frozenset(),
    State.CANCELLED: frozenset(),
    State.SUPERSEDED: frozenset(),
}
"""Every lawful move. The ledger refuses any other."""


APPROVED: Final = "approved"
"""Where a job's progress has the steps that a person agreed to."""


class ParkedBecause(StrEnum):
    """Why a person is needed; the three are kept apart because each wants another person."""

    REFUSED = "refused"  # the outside system says no for good
    EXHAUSTED = "exhausted"  # every retry was spent
    OUR_FAULT = "our_fault"  # Keyturn or its settings are wrong


@dataclass(frozen=True, kw_only=True, slots=True)
class NewJob:
    """One operation on one target that somebody wishes for.

    Attributes:
        operation: dotted name, such as ``ublox.rotate_e2e_key``; its first part is the outside system and the queue.
        target: canonical name of the thing inside that system, such as a ROTPublicUID.
        parameters: JSON-able, validated by the operation's own schema.
        rule: the playbook rule that asked for it, or ``manual``.
        lock: what only one running job of the system may hold, where that is more than the target.
        unless_under_way: when true, a running or awaiting job of the same operation and target serves this wish too.
        not_before: when it may begin; at once when not told.
        limits: on which terms it may run.
        site: the site of its target, where that is known.
        trigger: the manual trigger that asked for it.
        parent: the job whose work it is a part of; the ledger tells that, not who wishes.
    """

    operation: str
    target: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rule: str = "manual"
    lock: str = ""
    unless_under_way: bool = False
    not_before: datetime | None = None
    limits: Limits | None = None
    site: str | None = None
    trigger: str | None = None
    parent: int | None = None

    @property
    def system(self) -> str:
        """The outside system, which is also the queue."""
        return self.operation.partition(".")[0]

    @property
    def lock_key(self) -> str:
        """What only one running job may hold: the target inside its system, unless another lock is told."""
        return lock_key_of(self.operation, self.lock or self.target)


def lock_key_of(operation: str, lock: str) -> str:
    """What only one running job may hold: a target, or another lock, inside the operation's system."""
    return f"{operation.partition('.')[0]}:{lock}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A claimed job, as an operation sees it.

    Attributes:
        fence: the number of this claim; it stands in every later write, so a late worker can write nothing.
        attempt: 1 for the first try.
        progress: what earlier attempts noted, such as the serial number before a renewal.
        evidence: what the causing event said, replaced by what a confirming event said.
        rule: the playbook rule that asked for it, or ``manual``.
        parent: the job whose work it is a part of.
    """

    id: int
    operation: str
    target: str
    parameters: Mapping[str, Any]
    fence: int
    attempt: int
    claimed_at: datetime
    created_at: datetime
    progress: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    rule: str = "manual"
    parent: int | None = None

    @property
    def approved(self) -> frozenset[str]:
        """The steps that it asked for and a person agreed to; the ledger writes them, and nobody else can."""
        return frozenset(self.progress.get(APPROVED, ()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Child:
    """A job that does a part of another's work, as that one sees it."""

    id: int
    operation: str
    target: str
    state: State
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """Verified by looking again; `note` says what was seen.

    Attributes:
        progress: what others must know of it later; None keeps what was noted.
    """

    note: str
    status: int | None = None
    progress: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Again:
    """Passing trouble: try once more; `after` seconds if somebody told us, else the usual back-off.

    `counts` is False when waiting is nobody's failure (upstream busy), so that it spends no attempt. `tried` is False
    when we held the call back ourselves: then there is no attempt to remember either.
    """

    reason: str
    after: float | None = None
    status: int | None = None
    progress: Mapping[str, Any] | None = None
    counts: bool = True
    our_fault: bool = False
    tried: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Awaiting:
    """Upstream took it and the device acts later; look again at `look_at`."""

    reason: str
    look_at: datetime
    progress: Mapping[str, Any]
    status: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Parked:
    """A person must decide.

    Attributes:
        progress: what a new try must know; None keeps what was noted.
    """

    reason: str
    because: ParkedBecause
    status: int | None = None
    progress: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Spawn:
    """A part of the work is for other jobs; look again when the last of them has ended, at the latest at `look_at`.

    A child that an open job does already is not made. What is the ledger's to tell (parent, rule, site) and the budget
    of its operation need not be written into a child; window and approval of the parent do not bind it.
    """

    reason: str
    children: Sequence[NewJob]
    look_at: datetime
    progress: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """The next step is a person's to decide: held until somebody agrees, and then `step` stands in `Job.approved`.

    Attributes:
        step: one word for what is asked, such as ``delete``.
        role: whose word it takes at least.
    """

    reason: str
    step: str
    role: Literal["operator", "admin"]
    progress: Mapping[str, Any]


Outcome = Done | Again | Awaiting | Parked | Spawn | Ask
"""What an operation says of a job. It never writes the ledger itself."""
