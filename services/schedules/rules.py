"""``playbook.rule``: what a rule of the playbook with a schedule for its trigger asks for, on all that there is.

Its schedule is kept as the playbook has it; whether it is enabled is for people to say.
"""

from collections.abc import Iterator
from datetime import datetime

import structlog
from pydantic import BaseModel, ConfigDict, Field

from schemas.jobs import NewJob
from schemas.playbook import Rule
from schemas.rhythm import rhythm_of
from schemas.schedules import RULE, RULE_PREFIX, CatchUp, Schedule, Spec
from services.operations import PARAMETERS
from services.playbook import Playbook
from services.playbook.checks import complete_parameters
from services.schedules.turn import Found, Turn
from services.triggers.selection import targets_of

log = structlog.get_logger(__name__)


class RuleParameters(BaseModel):
    """Which rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: str = Field(description="the rule's name")


def work(turn: Turn) -> Found:
    """Raise the rule's alert, or ask for its operations on every target."""
    name = RuleParameters.model_validate(turn.spec.parameters).rule
    playbook = turn.means.playbook()
    rule = rules_of(playbook).get(name)
    if rule is None:
        return Found(reason=f"the playbook has no enabled rule {name} with a schedule any more", attention=True)
    if rule.alert is not None:
        log.error("alert", alert=rule.alert)
        return Found(reason=f"alert: {rule.alert}", attention=True)
    wishes = list(_wishes(rule, playbook, turn))
    if not wishes:
        return Found(reason=f"the inventory has nothing of the kind {rule.targets}, so there is nothing to do")
    asked, targets = turn.ask(wishes), len({wish.target for wish in wishes})
    return Found(reason=f"asked for {asked} jobs on {targets} targets", detail={"jobs": asked, "targets": targets})


def _wishes(rule: Rule, playbook: Playbook, turn: Turn) -> Iterator[NewJob]:
    """Every operation of the rule on everything of its kind, but on sites that skip the rule."""
    fleet = turn.means.fleet()
    for step in rule.do or ():
        parameters = complete_parameters(PARAMETERS[step.operation], step.parameters)
        limits = playbook.limits_of(rule, step.operation)
        for site in fleet.sites:
            for target in () if rule.name in site.skip_rules else targets_of(step.operation, site):
                yield NewJob(
                    operation=step.operation,
                    target=target,
                    parameters=parameters,
                    rule=rule.name,
                    lock=fleet.lock_of(step.operation, target),
                    unless_under_way=step.unless_under_way,
                    not_before=turn.start_of(target),
                    limits=limits,
                    site=site.name,
                )


def rules_of(playbook: Playbook) -> dict[str, Rule]:
    """The enabled rules with a schedule, by name."""
    return {rule.name: rule for rule in playbook.document.rules if rule.enabled and rule.on.schedule is not None}


def spec_of(rule: Rule) -> Spec:
    """The schedule of a rule."""
    return Spec(
        cron=rule.on.schedule,
        timezone=rule.on.timezone,
        catch_up=CatchUp(rule.on.catch_up),
        jitter_seconds=rule.on.jitter_seconds,
        parameters={"rule": rule.name},
    )


def schedule_of(rule: Rule, now: datetime) -> Schedule:
    """The schedule of a rule as it is first written."""
    name, spec = RULE_PREFIX + rule.name, spec_of(rule)
    due = rhythm_of(name, RULE, spec).after(now)
    return Schedule(name=name, kind=RULE, spec=spec, enabled=True, next_due=due, updated_at=now, revision=1)
