"""What a trigger asks for, and on which terms: as it is taken in, and as the ledger keeps it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.limits import Limits
from schemas.triggers import Aim


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleStep:
    """One operation of a rule that a person fires, on the terms of the rule.

    Attributes:
        limits: those, with the playbook's budget for the operation.
    """

    operation: str
    parameters: Mapping[str, Any]
    unless_under_way: bool
    limits: Limits | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A trigger as it is taken in.

    Attributes:
        rule: the rule that a person fires; its operations are `steps`.
        key: what names the request for ever, so that a repeat finds this trigger; None where nothing does.
        limits: on which terms its jobs may run.
    """

    id: str
    actor: str
    at: datetime
    operation: str
    parameters: Mapping[str, Any]
    asked: Mapping[str, Any]
    aims: Sequence[Aim]
    limits: Limits | None
    reason: str
    key: str | None
    request_hash: str
    rule: str | None = None
    steps: Sequence[RuleStep] = ()


def given(detail: Mapping[str, Any]) -> Limits | None:
    """The terms that were asked for."""
    return Limits.model_validate_json(json.dumps(detail["limits"])) if "limits" in detail else None


def limits_of(detail: Mapping[str, Any]) -> Limits | None:
    """The terms of jobs that are still to be made."""
    return _agreed(detail, given(detail))


def _agreed(detail: Mapping[str, Any], terms: Limits | None) -> Limits | None:
    return terms.model_copy(update={"approval": None}) if terms and "approved_by" in detail else terms


def steps_of(row: Any, detail: Mapping[str, Any]) -> list[RuleStep]:
    """What is asked for on each target: one operation, or those of a rule."""
    if "rule" not in detail:
        parameters = json.loads(row.parameters)
        limits = limits_of(detail)
        return [RuleStep(operation=row.operation, parameters=parameters, unless_under_way=False, limits=limits)]
    return [
        RuleStep(
            operation=step["operation"],
            parameters=step["parameters"],
            unless_under_way=step["unless_under_way"],
            limits=_agreed(detail, given(step)),
        )
        for step in detail["steps"]
    ]


def kept_step(step: RuleStep) -> dict[str, Any]:
    """A step as the ledger keeps it."""
    kept = {"operation": step.operation, "parameters": step.parameters, "unless_under_way": step.unless_under_way}
    return kept if step.limits is None else {**kept, "limits": kept_limits(step.limits)}


def kept_limits(limits: Limits) -> dict[str, Any]:
    """Terms as the ledger keeps them."""
    return limits.model_dump(mode="json", exclude_none=True)
