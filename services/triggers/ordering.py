"""A manual trigger that was asked for, checked whole: which jobs it stands for, and on which terms."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from infra.ledger import Ledger
from infra.ledger.trigger_terms import RuleStep
from schemas.authorities import ca_of
from schemas.errors import InputError
from schemas.fleet import Fleet
from schemas.jobs import NewJob
from schemas.limits import Limits
from schemas.triggers import Aim, NewTrigger
from services.operations import PARAMETERS
from services.playbook import Playbook
from services.playbook.checks import complete_parameters
from services.playbook.faults import choice
from services.triggers.firing import rule_of, steps_of, unskipped
from services.triggers.selection import aims_of

MOST_NAMES: Final = 100
"""Names of devices that are kept as they were asked for; their jobs name them all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A trigger that has passed every check.

    Attributes:
        steps: the operations that each target gets, in this order.
        limits: on which terms its jobs may run, the playbook's budget among them.
        rule: the rule that a person fires.
        notes: what a person should know.
    """

    steps: Sequence[RuleStep]
    aims: Sequence[Aim]
    limits: Limits | None
    asked: dict[str, Any]
    reason: str
    notes: tuple[str, ...]
    rule: str | None = None

    @property
    def operation(self) -> str:
        """What is asked for, in words where it is more than one."""
        return ", ".join(step.operation for step in self.steps)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Those of an operation; a rule's operations have their own."""
        return self.steps[0].parameters if self.rule is None else {}

    def jobs(self, trigger: str | None = None) -> list[NewJob]:
        """The wishes that it stands for."""
        return [
            NewJob(
                operation=step.operation,
                target=aim.target,
                parameters=step.parameters,
                rule=self.rule or "manual",
                site=aim.site,
                lock=aim.lock,
                trigger=trigger,
                unless_under_way=step.unless_under_way,
                limits=step.limits,
            )
            for aim in self.aims
            for step in self.steps
        ]


def order_of(asked: NewTrigger, *, fleet: Fleet, playbook: Callable[[], Playbook], ledger: Ledger) -> Order:
    """Check a request whole.

    Raises:
        InputError: every fault of it.
    """
    if asked.rule is not None:
        return _fired(asked, asked.rule, fleet, playbook(), ledger)
    operation = asked.operation or ""
    if operation not in PARAMETERS:
        raise InputError([f"operation: {choice(operation, PARAMETERS)}"])
    parameters = _parameters(operation, asked)
    aims = aims_of(operation, asked.targets, fleet, ledger)
    limits, notes = _limits(operation, asked, playbook())
    step = RuleStep(operation=operation, parameters=parameters, unless_under_way=False, limits=limits)
    return _order(asked, [step], aims, limits, notes)


def _fired(asked: NewTrigger, name: str, fleet: Fleet, playbook: Playbook, ledger: Ledger) -> Order:
    """A rule's operations, all of which work on the same, on the rule's terms."""
    rule = rule_of(name, playbook)
    steps = steps_of(rule, playbook)
    aims, notes = unskipped(rule, aims_of(steps[0].operation, asked.targets, fleet, ledger), fleet)
    return _order(asked, steps, aims, rule.limits, notes, rule=rule.name)


def _limits(operation: str, asked: NewTrigger, playbook: Playbook) -> tuple[Limits | None, list[str]]:
    """A person is bound by the playbook's budget too; one of his own may be tighter, and not looser."""
    budget = playbook.budget_of(operation)
    if budget is not None and asked.budget is not None and not asked.budget.is_within(budget):
        raise InputError([f"budget: the playbook allows {budget.jobs} jobs per {budget.per}, and no more"])
    if budget is None or asked.budget is not None:
        return asked.limits, []
    note = f"the playbook's budget holds: {budget.jobs} {operation} jobs per {budget.per}"
    return Limits(window=asked.window, approval=asked.approval, budget=budget), [note]


def _order(
    asked: NewTrigger,
    steps: Sequence[RuleStep],
    aims: Sequence[Aim],
    limits: Limits | None,
    notes: list[str],
    *,
    rule: str | None = None,
) -> Order:
    strangers = sum(aim.site is None and ca_of(aim.target) is None for aim in aims)
    if strangers:
        notes.append(f"{strangers} of the targets belong to no site of the inventory")
    return Order(
        steps=steps,
        aims=aims,
        limits=limits,
        asked=_shortened(asked),
        reason=asked.reason,
        notes=tuple(notes),
        rule=rule,
    )


def _shortened(asked: NewTrigger) -> dict[str, Any]:
    """What was asked for, as it is kept: of many names the first, and how many there were."""
    targets = asked.targets.model_dump(mode="json", exclude_defaults=True)
    more = len(asked.targets.devices) - MOST_NAMES
    if more > 0:
        targets |= {"devices": targets["devices"][:MOST_NAMES], "more_devices": more}
    return targets


def _parameters(operation: str, asked: NewTrigger) -> dict[str, Any]:
    try:
        return complete_parameters(PARAMETERS[operation], asked.parameters)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = [f"{'.'.join(['parameters', *map(str, fault['loc'])])}: {fault['msg']}" for fault in faults]
        raise InputError(told) from None
