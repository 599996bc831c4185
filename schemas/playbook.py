"""The words of a playbook: which trigger leads to which operations, and what was decided of one event."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from schemas.authorities import ON_ROOT_CAS
from schemas.events import EventType, FoundType
from schemas.jobs import NewJob
from schemas.limits import Approval, Budget, Limits, Window
from schemas.limits import Table as _Table

RULE_NAME: Final = r"^[a-z][a-z0-9-]{0,62}$"
"""Lower case and hyphens, so that a rule's name reads the same in logs, metrics and the ledger."""

MOST_RULES: Final = 500
MOST_STEPS: Final = 16
LONGEST_CONDITION: Final = 1000
"""Characters of a condition. It also bounds how deep an expression nests: far longer ones overflow the stack."""

LONGEST_TEXT: Final = 500

LIMITS: Final = ("window", "approval", "budget")
"""Fields of a rule that say on which terms its jobs may run."""

Targets = Literal["device", "site.taps", "site.locations", "site.tokens", "event.ca"]
"""What a rule's operations work on."""

_TARGETS_OF: Final[dict[str, Targets]] = {
    "ublox": "device",
    "tap": "site.taps",
    "twon": "site.locations",
    "centagate": "site.tokens",
}
"""The targets that most operations of an outside system understand."""

LOOPS: Final[dict[tuple[EventType, str], str]] = {
    (EventType.CERTIFICATE_RENEWAL, "ublox.renew_certificate"): (
        "every renewal ends in another renewal event, so the rule would renew and be billed for ever"
    ),
    (EventType.PROPERTIES_CHANGE, "ublox.rotate_e2e_key"): (
        "a key rotation changes the device's properties, so the rule would answer its own work at every heartbeat"
    ),
    (EventType.PROPERTIES_CHANGE, "ublox.set_provisioning"): (
        "what is set becomes a change of the device's properties, so the rule would answer its own work"
    ),
    **{
        (EventType.PROPERTIES_CHANGE, f"ublox.{verb}"): (
            "certificate work changes the device's zero-touch properties, so the rule would answer its own work"
        )
        for verb in ("renew_certificate", "replace_certificate", "transfer_root_ca", "delete_certificate")
    },
    (EventType.CERTIFICATE_RENEWAL, "ublox.replace_certificate"): (
        "a new certificate may be told as a renewal, so the rule would replace it and be billed for ever"
    ),
    (EventType.CERTIFICATE_RENEWAL, "ublox.transfer_root_ca"): (
        "a new certificate may be told as a renewal, so the rule would answer its own work"
    ),
}
"""Reactions that cause the event they react to."""


def fitting_targets(operation: str) -> Targets:
    """What an operation works on, as a rule's ``targets`` says it."""
    return "event.ca" if operation in ON_ROOT_CAS else _TARGETS_OF.get(operation.partition(".")[0], "device")


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _flag_or_name(value: object) -> object:
    """Python takes 1 for true; TOML does not."""
    if not isinstance(value, bool | str):
        raise ValueError("expected true or a name")  # noqa: TRY004 - pydantic gathers ValueError
    if value is False or (isinstance(value, str) and not re.fullmatch(RULE_NAME, value)):
        raise ValueError("expected true, or lower case letters, digits and hyphens")
    return value


def _no_flag(value: object) -> object:
    """Python takes true for 1; TOML does not."""
    if isinstance(value, bool):
        raise ValueError("expected 1")  # noqa: TRY004 - pydantic gathers ValueError
    return value


def _event_name(value: object) -> EventType | FoundType:
    for known in (EventType, FoundType):
        if isinstance(value, str) and value in frozenset(known):
            return known(value)
    raise PydanticCustomError("enum", "expected an event type")


_EVENT_NAMES: Final = [*map(str, EventType), *map(str, FoundType)]

EventName = Annotated[
    EventType | FoundType,
    PlainValidator(_event_name),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "enum": _EVENT_NAMES}),
]
EventNames = Annotated[
    tuple[EventName, ...],
    BeforeValidator(_one_or_many),
    Field(strict=False, max_length=len(_EVENT_NAMES)),
]
OperationNames = Annotated[
    tuple[str, ...], BeforeValidator(_one_or_many), Field(strict=False, min_length=1, max_length=MOST_STEPS)
]


class Trigger(_Table):
    """What sets a rule off: exactly one of an event, a schedule, a person."""

    event: EventNames = Field(default=(), description="one event type or a list of them")
    schedule: str | None = Field(
        default=None, description="five cron fields", pattern=r"^\S{1,64}( \S{1,64}){4}$", max_length=LONGEST_TEXT
    )
    manual: Annotated[bool | str, BeforeValidator(_flag_or_name)] | None = Field(
        default=None, description="true, or a name that says for what: only a person sets it off"
    )
    timezone: str = Field(
        default="UTC",
        description="the IANA zone of a schedule, such as Europe/Paris",
        pattern=r"^[A-Za-z0-9_+/-]{1,64}$",
    )
    catch_up: Literal["skip", "once", "all"] = Field(
        default="once", description='what is done about missed moments of a schedule: "skip", "once" or "all"'
    )
    jitter_seconds: int = Field(
        default=0, description="seconds over which a schedule spreads its targets", ge=0, le=86_400
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum((bool(self.event), self.schedule is not None, self.manual is not None)) != 1:
            raise ValueError("expected exactly one of event, schedule, manual")
        if self.schedule is None and self.model_fields_set & {"timezone", "catch_up", "jitter_seconds"}:
            raise ValueError("timezone, catch_up and jitter_seconds have a meaning for a schedule only")
        return self

    @property
    def kind(self) -> str:
        """``event``, ``schedule`` or ``manual``."""
        return "event" if self.event else "manual" if self.manual else "schedule"


class Step(_Table):
    """One operation that a rule asks for."""

    operation: str = Field(description="the name of an operation, such as ublox.rotate_e2e_key")
    parameters: dict[str, Any] = Field(
        default_factory=dict, alias="with", description="the operation's parameters; defaults fill the rest"
    )
    unless_under_way: bool = Field(
        default=False, description="true: work of the same operation and target that is under way serves this wish too"
    )


class Rule(_Table):
    """One rule: on a trigger, when a condition holds, do work, raise an alert or confirm earlier work."""

    name: str = Field(description="lower case letters, digits and hyphens, unique", pattern=RULE_NAME)
    description: str = Field(default="", max_length=LONGEST_TEXT)
    enabled: bool = True
    on: Trigger = Field(description='a table, such as { event = "DEVICE_BOOTSTRAP_EVENT" }')
    when: str | None = Field(default=None, description="a CEL condition", max_length=LONGEST_CONDITION)
    targets: Targets = Field(
        default="device",
        description='"device": the device of the event; "site.taps", "site.locations" or "site.tokens": what belongs to'
        ' its site; "event.ca": the root CA that the event names',
    )
    do: Annotated[tuple[Step, ...], Field(strict=False, max_length=MOST_STEPS)] | None = None
    alert: str | None = Field(default=None, min_length=1, max_length=LONGEST_TEXT)
    confirm: OperationNames | None = Field(
        default=None, description="the operation whose awaiting job the event confirms, or a list of them"
    )
    window: Window | None = None
    approval: Approval | None = None
    budget: Budget | None = None

    @property
    def limits(self) -> Limits | None:
        """On which terms its jobs may run; None where there are none."""
        if self.window is None and self.approval is None and self.budget is None:
            return None
        return Limits(window=self.window, approval=self.approval, budget=self.budget)


class PlaybookDocument(_Table):
    """A whole playbook as it is written down."""

    version: Annotated[Literal[1], BeforeValidator(_no_flag)] = Field(description="1")
    rules: Annotated[tuple[Rule, ...], Field(strict=False, max_length=MOST_RULES)] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceWork:
    """What is at hand for a device, by the names of operations.

    Attributes:
        under_way: they wait or run.
        asked: of these, those whose request u-blox has or may have, so that the device is waited for.
        held_up: of those under way, those that would ask now, but for a limit, a worker or a failing u-blox.
        parked: they wait for a person.
        enabling: not operations, but the authorizations that the asked ones enable.
    """

    under_way: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    held_up: tuple[str, ...] = ()
    parked: tuple[str, ...] = ()
    enabling: tuple[str, ...] = ()


NO_WORK: Final = DeviceWork()


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a playbook makes of one event.

    Attributes:
        jobs: the work to be done, parameters complete.
        alerts: texts for a person; no work.
        confirms: operations of which an awaiting job of the event's device has now been confirmed.
        notes: what went otherwise than a rule's author will have thought, such as a condition that failed.
        verdict: all of it in one line for a person.
    """

    jobs: tuple[NewJob, ...] = ()
    alerts: tuple[str, ...] = ()
    confirms: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    verdict: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleView:
    """How one rule saw one event.

    Attributes:
        matched: whether the rule acts on the event.
        why: the reason in words.
    """

    name: str
    matched: bool
    why: str
