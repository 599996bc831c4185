"""The words of schedules: when something is due, what missed moments mean, and what became of each firing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

RULE: Final = "playbook.rule"
"""The action of a schedule that a playbook's rule made."""

RULE_PREFIX: Final = "rule:"
"""How the name of such a schedule begins; the rule's name follows."""

Zone = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+/-]{1,64}$", description="an IANA zone, such as Europe/Paris")]
Cron = Annotated[str, Field(pattern=r"^\S{1,64}( \S{1,64}){4}$", description="five cron fields")]


class CatchUp(StrEnum):
    """What is done about moments that passed while nobody could fire them."""

    SKIP = "skip"  # nothing; the next one fires
    ONCE = "once"  # the latest fires, for all of them
    ALL = "all"  # each fires, up to a cap


class Spec(BaseModel):
    """When a schedule is due and what it gives to its action."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    cron: Cron | None = None
    every_seconds: int | None = Field(default=None, ge=10, le=31_536_000, description="counted from 1970 UTC")
    timezone: Zone = "UTC"
    catch_up: CatchUp = CatchUp.ONCE
    jitter_seconds: int = Field(
        default=0,
        ge=0,
        le=86_400,
        description="spreads targets, and shifts a schedule that no rule made; always in the same way",
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="what the action is given")

    @model_validator(mode="after")
    def _one_rhythm(self) -> Self:
        if (self.cron is None) == (self.every_seconds is None):
            raise ValueError("expected exactly one of cron, every_seconds")
        if self.every_seconds is not None and self.jitter_seconds >= self.every_seconds:
            raise ValueError("jitter_seconds must be less than every_seconds")
        return self

    def keeps_time_with(self, other: Self) -> bool:
        """Whether both are due at the same moments, whatever they do then."""
        return self == other.model_copy(update={"catch_up": self.catch_up, "parameters": self.parameters})


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """A schedule as the ledger has it.

    Attributes:
        kind: the name of its action.
        next_due: when it fires next; of no meaning while it is disabled.
        revision: one more with every change by somebody.
    """

    name: str
    kind: str
    spec: Spec
    enabled: bool
    next_due: datetime
    updated_at: datetime
    revision: int


class FiringState(StrEnum):
    """Where a firing stands."""

    WAITING = "waiting"  # fired; for a worker, or for its next try
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    ATTENTION = "attention"  # done, and it found something that a person should see
    FAILED = "failed"
    SKIPPED = "skipped"  # missed, and not fired by the schedule's policy


OPEN: Final = frozenset({FiringState.WAITING, FiringState.RUNNING})


@dataclass(frozen=True, kw_only=True, slots=True)
class Firing:
    """One moment of a schedule, which at most one of any number of beats can fire.

    Attributes:
        detail: why it stands where it stands (``reason``), and what its action found; JSON-able, without secrets.
    """

    schedule: str
    due_at: datetime
    fired_at: datetime
    state: FiringState
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why it stands where it stands, for a person."""
        return str(self.detail.get("reason", ""))
