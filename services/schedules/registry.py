"""Every action that a schedule can have: a Python callable by name, with the parameters that it takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.errors import InputError
from schemas.schedules import RULE
from services.schedules import catch_up, certificates, clones, hooks_check, mobile_keys, pruning, rules, seals
from services.schedules.turn import Found, Turn


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """Something that a schedule does.

    Attributes:
        name: dotted; its first part is the queue that it runs on, or where there is none of that name, control is.
        parameters: validates what the schedule gives.
        work: does it once; what it raises is tried again or told, as with a job.
    """

    name: str
    summary: str
    parameters: type[BaseModel]
    work: Callable[[Turn], Found]


class NoParameters(BaseModel):
    """Nothing to be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_ALL: Final = (
    Action(
        name="ublox.catch_up",
        summary="fetches notices that never came by webhook",
        parameters=catch_up.CatchUpParameters,
        work=catch_up.work,
    ),
    Action(
        name="ublox.scan_certificates",
        summary="has certificates renewed in time, and tells of root CAs that run out",
        parameters=certificates.ScanParameters,
        work=certificates.work,
    ),
    Action(
        name="ublox.scan_clones",
        summary="tells of cloned and suspicious devices",
        parameters=NoParameters,
        work=clones.work,
    ),
    Action(
        name="ublox.check_webhooks",
        summary="compares the webhooks at u-blox with the settings",
        parameters=NoParameters,
        work=hooks_check.work,
    ),
    Action(
        name="mobile_keys.check_ages",
        summary="has old mobile keys of 2N locations rotated",
        parameters=mobile_keys.AgeParameters,
        work=mobile_keys.work,
    ),
    Action(
        name="vault.check_seals",
        summary="tells of secrets that an old ring key still seals",
        parameters=NoParameters,
        work=seals.work,
    ),
    Action(
        name="ledger.prune",
        summary="deletes finished work and settled events past their retention",
        parameters=NoParameters,
        work=pruning.work,
    ),
    Action(
        name=RULE,
        summary="does what a rule of the playbook asks for",
        parameters=rules.RuleParameters,
        work=rules.work,
    ),
)

ACTIONS: Final[Mapping[str, Action]] = {action.name: action for action in _ALL}


def parameters_of(kind: str, given: Mapping[str, Any]) -> BaseModel:
    """Validate what a schedule gives to its action.

    Raises:
        InputError: there is no such action, or it takes something else; every fault is listed.
    """
    action = ACTIONS.get(kind)
    if action is None:
        raise InputError([f"there is no action {kind}; expected one of {', '.join(ACTIONS)}"])
    try:
        return action.parameters.model_validate(given)
    except ValidationError as error:
        faults = [f"parameters.{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise InputError(faults) from None
