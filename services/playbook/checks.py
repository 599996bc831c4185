"""What is asked of a playbook beyond its shape: an ordered list of small checks.

They read the document as TOML gave it, so that they also say what they find when another part has the wrong shape.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from schemas.errors import InputError
from schemas.events import DEVICE_EVENTS, KNOWN_TYPES
from schemas.playbook import LIMITS, LOOPS, Targets, fitting_targets
from schemas.rhythm import Rhythm
from schemas.schedules import Spec
from services.playbook.conditions import compile_condition
from services.playbook.faults import Fault, choice, shape_faults
from services.playbook.positions import Path

Operations = Mapping[str, type[BaseModel]]
RawRule = Mapping[str, Any]
Found = tuple[Path, str]

_EFFECTS: Final = ("do", "alert", "confirm")


def complete_parameters(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Validate an operation's parameters and fill in its defaults.

    Raises:
        ValidationError: they are not what the operation takes.
    """
    return model.model_validate(given, extra="forbid").model_dump(mode="json")


def check_rules(document: Mapping[str, Any], operations: Operations) -> Iterator[Fault]:
    """Every fault of meaning, in no order."""
    rules = document.get("rules")
    entries = [(index, rule) for index, rule in enumerate(rules if isinstance(rules, list) else ())]
    tables: list[tuple[int, RawRule]] = [(index, rule) for index, rule in entries if isinstance(rule, dict)]
    yield from _repeated_names(tables)
    for index, rule in tables:
        for check in _CHECKS:
            yield from (Fault(("rules", index, *path), text) for path, text in check(rule, operations))
        for position, step in _steps(rule):
            yield from _step_faults(step, operations, at=("rules", index, "do", position))


def _repeated_names(tables: list[tuple[int, RawRule]]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, rule in tables:
        name = rule.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            yield Fault(("rules", index, "name"), f"expected a unique name, but rule {first[name] + 1} has it too")


def _effect(rule: RawRule, _: Operations) -> Iterator[Found]:
    present = [key for key in _EFFECTS if key in rule]
    if len(present) != 1:
        yield (), f"expected exactly one of do, alert, confirm, not {' and '.join(present) or 'none'}"
    if rule.get("do") == []:
        yield ("do",), "expected at least one operation"


def _limits(rule: RawRule, _: Operations) -> Iterator[Found]:
    if "do" not in rule:
        yield from (((field,), "limits jobs, and the rule makes none") for field in LIMITS if field in rule)


def _condition(rule: RawRule, _: Operations) -> Iterator[Found]:
    source = rule.get("when")
    if not isinstance(source, str):
        return
    try:
        compile_condition(source)
    except InputError as error:
        yield from ((("when",), fault) for fault in error.faults)


def _confirmed(rule: RawRule, operations: Operations) -> Iterator[Found]:
    named = rule.get("confirm")
    for operation in named if isinstance(named, list) else [named]:
        if isinstance(operation, str) and operation not in operations:
            yield ("confirm",), choice(operation, operations)


def _event_needed(rule: RawRule, _: Operations) -> Iterator[Found]:
    trigger = rule.get("on")
    if not isinstance(trigger, dict) or "event" in trigger:
        return
    yield from (((key,), "needs a trigger of the kind event") for key in ("when", "confirm") if key in rule)
    if rule.get("targets") == "event.ca" and "schedule" in trigger:
        yield ("targets",), "needs a trigger of the kind event"


def _device_needed(rule: RawRule, _: Operations) -> Iterator[Found]:
    if not ("do" in rule or "confirm" in rule) or ("do" in rule and rule.get("targets") == "event.ca"):
        return
    for event in _events(rule):
        if event in KNOWN_TYPES - DEVICE_EVENTS:
            yield (
                ("on", "event"),
                f'{event} names no device, so there is nothing to work on; expected alert, or targets = "event.ca"',
            )


def _loops(rule: RawRule, _: Operations) -> Iterator[Found]:
    events = _events(rule)
    for position, step in _steps(rule):
        for (event, operation), reason in LOOPS.items():
            if event in events and operation == step.get("operation"):
                yield ("do", position, "operation"), f"{operation} on {event} is a loop: {reason}"


def _targets(rule: RawRule, operations: Operations) -> Iterator[Found]:
    targets = rule.get("targets", "device")
    for position, step in _steps(rule):
        operation = step.get("operation")
        if not isinstance(operation, str) or operation not in operations:
            continue
        fitting = fitting_targets(operation)
        if targets != fitting and targets in get_args(Targets):
            yield ("do", position, "operation"), f'{operation} needs targets = "{fitting}"'


def _schedule(rule: RawRule, _: Operations) -> Iterator[Found]:
    trigger = rule.get("on")
    if not isinstance(trigger, dict) or not isinstance(trigger.get("schedule"), str):
        return
    try:
        Rhythm(Spec(cron=trigger["schedule"], timezone=trigger.get("timezone", "UTC")))
    except ValidationError:
        return  # the shape's fault is told already
    except InputError as error:
        for fault in error.faults:
            field, _colon, text = fault.partition(": ")
            yield ("on", {"cron": "schedule"}.get(field, field)), text


_CHECKS: Final[tuple[Callable[[RawRule, Operations], Iterator[Found]], ...]] = (
    _effect,  # a rule without effect, or with two, is a slip
    _limits,  # a limit without jobs is a slip
    _condition,  # what cannot be read now would fail at the first event
    _confirmed,  # a typing slip would confirm nothing for ever
    _event_needed,  # a schedule has no event to look at
    _schedule,  # a moment that never comes would fire nothing for ever
    _device_needed,  # a root CA has no device to work on
    _targets,  # a Tap has no certificate of u-blox, a u-blox device no list of mobile keys
    _loops,  # a rule must not answer its own work
)


def _step_faults(step: RawRule, operations: Operations, *, at: Path) -> Iterator[Fault]:
    operation, given = step.get("operation"), step.get("with", {})
    if not isinstance(operation, str):
        return
    if operation not in operations:
        yield Fault((*at, "operation"), choice(operation, operations))
    elif isinstance(given, dict):
        yield from _parameter_faults(operations[operation], given, at=(*at, "with"))


def _parameter_faults(model: type[BaseModel], given: Mapping[str, Any], *, at: Path) -> Iterator[Fault]:
    try:
        complete_parameters(model, given)
    except ValidationError as error:
        yield from shape_faults(error, at=at, model=model)


def _steps(rule: RawRule) -> list[tuple[int, dict[str, Any]]]:
    steps = rule.get("do")
    entries = enumerate(steps if isinstance(steps, list) else ())
    return [(position, step) for position, step in entries if isinstance(step, dict)]


def _events(rule: RawRule) -> list[str]:
    trigger = rule.get("on")
    events = trigger.get("event") if isinstance(trigger, dict) else None
    many = events if isinstance(events, list) else [events]
    return [event for event in many if isinstance(event, str)]
