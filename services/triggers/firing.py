"""A rule of the playbook that a person fires: what it asks for, and on which terms."""

from collections.abc import Sequence

from infra.ledger.trigger_terms import RuleStep
from schemas.errors import InputError
from schemas.fleet import Fleet
from schemas.playbook import Rule
from schemas.triggers import Aim, Calls
from services.operations import PARAMETERS
from services.playbook import Playbook
from services.playbook.checks import complete_parameters
from services.playbook.faults import choice


def rule_of(name: str, playbook: Playbook) -> Rule:
    """The rule that answers to a name: its own, or the one that its manual trigger gives.

    Raises:
        InputError: there is none, it is for nobody to fire, or several answer.
    """
    rules = playbook.document.rules
    manual = [rule for rule in rules if rule.on.kind == "manual"]
    found = [rule for rule in manual if name in {rule.name, rule.on.manual}]
    enabled = [rule for rule in found if rule.enabled]
    if len(enabled) == 1:
        (rule,) = enabled
        if rule.do:
            return rule
        raise InputError([f"rule: {rule.name} has no operations, so there is nothing to fire"])
    if len(enabled) > 1:
        raise InputError([f"rule: {' and '.join(rule.name for rule in enabled)} answer to {name}: use their own names"])
    if found:
        raise InputError([f"rule: {found[0].name} is disabled"])
    other = next((rule for rule in rules if rule.name == name), None)
    if other is not None:
        raise InputError([f"rule: {name} has a trigger of the kind {other.on.kind}; only manual ones can be fired"])
    known = {rule.name for rule in manual if rule.enabled and rule.do}
    raise InputError([f"rule: {choice(name, known)}" if known else "rule: the playbook has no manual rules"])


def steps_of(rule: Rule, playbook: Playbook) -> list[RuleStep]:
    """Its operations, on the terms of the rule."""
    return [
        RuleStep(
            operation=step.operation,
            parameters=complete_parameters(PARAMETERS[step.operation], step.parameters),
            unless_under_way=step.unless_under_way,
            limits=playbook.limits_of(rule, step.operation),
        )
        for step in rule.do or ()
    ]


def unskipped(rule: Rule, aims: Sequence[Aim], fleet: Fleet) -> tuple[list[Aim], list[str]]:
    """The targets whose site does not skip the rule, and a note about the others.

    Raises:
        InputError: none is left.
    """
    skipping = {site.name for site in fleet.sites if rule.name in site.skip_rules}
    left = [aim for aim in aims if aim.site not in skipping]
    if not left:
        raise InputError([f"targets: their sites skip the rule {rule.name}"])
    skipped = len(aims) - len(left)
    return left, [f"{skipped} of the targets are left out: their sites skip the rule {rule.name}"] if skipped else []


def together(calls: Sequence[Calls]) -> Calls:
    """The calls of several operations on the same targets."""
    if len(calls) == 1:
        return calls[0]
    return Calls(
        batches=sum(one.batches for one in calls),
        largest=max(one.largest for one in calls),
        devices=sum(one.devices for one in calls),
        each=[words for one in calls for words in one.each],
    )
