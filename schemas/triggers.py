"""The words of a manual trigger: what is asked for, what would follow, and how far it has come."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.admin import Id, Instant, Moments, Reason, Shape, Why, Words
from schemas.authorities import CA_NAME
from schemas.diffs import MOST_DIFFS, Diff
from schemas.events import EventType
from schemas.jobs import State
from schemas.limits import Approval, Budget, Limits, Window
from schemas.playbook import RULE_NAME
from schemas.views import JobLine

MOST_TARGETS: Final = 100_000
MOST_SHOWN: Final = 10_000
"""Jobs that a dry run lists; its counts are about all."""

Target = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
CaName = Annotated[str, StringConstraints(pattern=CA_NAME)]
RuleName = Annotated[str, StringConstraints(pattern=RULE_NAME)]
SiteName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


class Sight(Shape):
    """Times between which something was."""

    since: Annotated[Instant, Field(description="not before")] | None = None
    until: Annotated[Instant, Field(description="before")] | None = None


class OfEvents(Sight):
    """The devices of which events of this type came."""

    type: Annotated[EventType, Field(strict=False)]


class OfJobs(Sight):
    """The targets of jobs that stand so."""

    state: Annotated[State, Field(strict=False)]
    operation: Words


class Query(Shape):
    """Targets by what the ledger knows of them: exactly one of events, jobs."""

    events: OfEvents | None = None
    jobs: OfJobs | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.events is None) == (self.jobs is None):
            raise ValueError("expected exactly one of events, jobs")
        return self


class Targets(Shape):
    """What to work on: any of these together, or all."""

    devices: list[Target] = Field(
        default=[], max_length=MOST_TARGETS, description="what the operation works on, such as ROTPublicUIDs, by name"
    )
    sites: list[SiteName] = Field(default=[], max_length=10_000, description="whatever belongs to these sites")
    tags: list[Words] = Field(default=[], max_length=1_000, description="whatever belongs to sites with these tags")
    cas: list[CaName] = Field(
        default=[], max_length=1_000, description="root CAs by name, for the operations that work on those"
    )
    query: Query | None = None
    all: bool = False

    @model_validator(mode="after")
    def _something(self) -> Self:
        named = bool(self.devices or self.sites or self.tags or self.cas or self.query)
        if self.all == named:
            raise ValueError("expected some of devices, sites, tags, cas, query, or all alone")
        return self


class NewTrigger(Shape):
    """A manual trigger: exactly one of operation, rule."""

    operation: Annotated[str | None, Field(max_length=100, description="such as ublox.rotate_e2e_key")] = None
    rule: Annotated[
        RuleName | None,
        Field(description="a rule of the playbook with a manual trigger: it says what is done, and on which terms"),
    ] = None
    parameters: dict[str, Any] = Field(default={}, description="as the operation takes them; defaults fill the rest")
    targets: Targets
    dry_run: Annotated[bool, Field(description="true: tell what would follow, and do nothing")] = False
    diffs: Annotated[
        int,
        Field(ge=0, le=MOST_DIFFS, description="of so many targets a dry run looks at what is and tells what would be"),
    ] = 0
    reason: Reason = ""
    window: Window | None = None
    approval: Approval | None = None
    budget: Annotated[Budget | None, Field(description="null: what the playbook sets for the operation")] = None

    @model_validator(mode="after")
    def _operation_or_rule(self) -> Self:
        if (self.operation is None) == (self.rule is None):
            raise ValueError("expected exactly one of operation, rule")
        given = self.model_fields_set & {"parameters", "window", "approval", "budget"}
        told = sorted(name for name in given if getattr(self, name))
        if self.rule is not None and told:
            raise ValueError(f"the rule has its own {', '.join(told)}: leave that out")
        return self

    @model_validator(mode="after")
    def _diffs_are_of_a_dry_run(self) -> Self:
        if self.diffs and not self.dry_run:
            raise ValueError("diffs has a meaning with dry_run only")
        return self

    @property
    def limits(self) -> Limits | None:
        """On which terms its jobs may run; None where there are none."""
        if self.window is None and self.approval is None and self.budget is None:
            return None
        return Limits(window=self.window, approval=self.approval, budget=self.budget)


@dataclass(frozen=True, slots=True)
class Aim:
    """One target of a trigger, the site that it belongs to, and its lock where that is another than the target."""

    target: str
    site: str | None = None
    lock: str = ""


class TriggerStep(Shape):
    """One operation that a trigger asks for, on each of its targets."""

    operation: str
    parameters: dict[str, Any]


class Expected(Shape):
    """What would become of one target.

    Attributes:
        operation: of which operation; a rule may ask for several.
        then: ``due``: a job would run; ``held``: a job would wait; ``served``: a job that is there does it already.
        job: the number of that job.
        supersedes: jobs whose place the new one would take.
    """

    target: str
    operation: str
    site: str | None
    then: Literal["due", "held", "served"]
    why: str
    job: Id | None = None
    supersedes: list[Id] = Field(default=[])


class Held(Shape):
    """How many jobs would be held for one reason."""

    why: str
    jobs: int


class Calls(Shape):
    """The calls of one batch after another.

    Attributes:
        devices: how many devices or users they concern; of a location each of its devices counts.
        batches: how many there would be now; a target that fails alone, or is held, makes more.
        largest: targets of a batch at the most.
        each: what each batch asks of the outside system, in order.
    """

    batches: int
    largest: int
    devices: int
    each: list[str]


class TriggerPreview(Shape):
    """What would follow of a trigger; nothing was done."""

    operation: str
    rule: str | None
    parameters: dict[str, Any]
    steps: list[TriggerStep]
    total: int
    due: int
    held: int
    served: int
    holds: list[Held]
    calls: Calls
    targets: Annotated[list[Expected], Field(description=f"the first {MOST_SHOWN}")]
    diffs: Annotated[list[Diff], Field(description="of the first targets that are not served already")]
    notes: list[str]


class TriggerState(StrEnum):
    """Where a trigger stands."""

    PLANNING = "planning"  # its jobs are being made
    RUNNING = "running"  # they are made, and some are not finished
    FINISHED = "finished"  # its own jobs are; what jobs of others serve is not looked at
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"  # what had not run is cancelled; what had goes on to its end


class TriggerLine(Shape):
    """A trigger in one line.

    Attributes:
        operation: what it asks for; where a rule asks for several, all of them.
        rule: the rule that a person fired.
        total: its targets.
        planned: how many of them have been dealt with.
    """

    id: str
    operation: str
    rule: str | None
    actor: str
    reason: str
    created_at: datetime
    state: TriggerState
    total: int
    planned: int


class TriggerView(TriggerLine):
    """A trigger with how far it has come.

    Attributes:
        made: jobs that were made for it.
        served: wishes for which a job of others was there already; how that ends is not told here, unless they leave it
            to this trigger.
        jobs: how many of its jobs stand in each state.
        holds: what its held jobs wait for.
    """

    parameters: dict[str, Any]
    steps: list[TriggerStep]
    asked: dict[str, Any]
    limits: Limits | None
    approved_by: str | None
    made: int
    served: int
    jobs: dict[State, int]
    holds: list[Held]


class TriggerPath(Shape):
    """Which trigger."""

    id: Annotated[str, StringConstraints(pattern=r"^trg_[0-9a-f]{24}$")]


class TriggerQuery(Moments):
    """Which triggers."""


class Word(Why):
    """A person's word for a job, with a reason."""

    step: Annotated[
        str | None,
        Field(max_length=100, description="the step that it is about; 409 where the job asks about another by now"),
    ] = None


class Decided(Shape):
    """What a person's word did to a job."""

    changed: bool
    job: JobLine
