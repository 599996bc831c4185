"""What a loaded playbook makes of an event.

Everything that can be done before the event comes is done when the playbook is loaded: rules are sorted by event type,
parameters are complete, conditions are compiled, and the fields that the conditions of one type read are known.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from pydantic import BaseModel

from schemas.authorities import ROOT_CA
from schemas.events import EventType, Notification
from schemas.fleet import Fleet, SiteTargets
from schemas.limits import Budget, Limits
from schemas.playbook import NO_WORK, Decision, DeviceWork, PlaybookDocument, Rule, RuleView, Targets
from services.playbook.answers import Answer, Answers
from services.playbook.checks import complete_parameters
from services.playbook.conditions import compile_condition
from services.playbook.draft import Draft, LoadedRule, Wish
from services.playbook.faults import shown
from services.playbook.sight import ca_of

NO_SITES: Final = Fleet()
"""The inventory where there is none."""

WorkOf = Callable[[str], DeviceWork]
"""Gives what is at hand for a device."""

_RENEW: Final = "ublox.renew_certificate"

_OF_SITE: Final[Mapping[Targets, Callable[[Fleet, str], SiteTargets]]] = {
    "site.taps": Fleet.taps_of,
    "site.locations": Fleet.locations_of,
    "site.tokens": Fleet.tokens_of,
}


class _Reaction:
    """The enabled rules of one event type."""

    __slots__ = ("_answers", "_rules")

    def __init__(self, rules: list[LoadedRule]) -> None:
        self._rules = tuple(rules)
        self._answers = Answers([rule.condition for rule in rules])

    def examine(self, notification: Notification, work_of: WorkOf) -> Iterable[tuple[LoadedRule, Answer]]:
        """Each rule and whether it holds; text says why that cannot be told."""
        device = notification.device
        work = NO_WORK if device is None or not self._answers.work else work_of(device)
        return zip(self._rules, self._answers.of(notification, work), strict=True)


def _no_work(_device: str) -> DeviceWork:
    return NO_WORK


class Playbook:
    """Rules that are ready to decide. It keeps no state, so threads may share it.

    Attributes:
        document: the playbook as it was written.
        warnings: what a person should know although it is no fault.
    """

    def __init__(self, document: PlaybookDocument, operations: Mapping[str, type[BaseModel]]) -> None:
        self.document = document
        self.warnings = tuple(_warnings(document))
        self._budgets = _budgets(document)
        by_type: defaultdict[str, list[LoadedRule]] = defaultdict(list)
        for rule in document.rules:
            if rule.enabled:
                loaded = self._load(rule, operations)
                for event in dict.fromkeys(rule.on.event):
                    by_type[str(event)].append(loaded)
        self._reactions = {event: _Reaction(rules) for event, rules in by_type.items()}

    def decide(self, notification: Notification, fleet: Fleet = NO_SITES, work_of: WorkOf = _no_work) -> Decision:
        """Say what is to be done about an event. Whatever the event holds, this raises nothing.

        Args:
            notification: the event.
            fleet: the inventory as it is now.
            work_of: gives what is at hand for a device; it is asked only where a condition reads it.
        """
        reaction = self._reactions.get(notification.event_type)
        if reaction is None:
            return Decision(verdict=f"no rule reacts to {shown(notification.event_type)}")
        draft = Draft()
        skipped = _skipped(notification, fleet)
        for rule, held in reaction.examine(notification, work_of):
            if held is False:
                continue
            if rule.name in skipped:
                draft.said.append(f"rule {rule.name}: {skipped[rule.name]}")
            elif held is True:
                _apply(rule, notification, draft, fleet)
            else:
                draft.notes.append(f"rule {rule.name}: {held}")
        return draft.decision()

    def budget_of(self, operation: str) -> Budget | None:
        """The strictest budget that an enabled rule sets for an operation; it binds every job of the operation."""
        return self._budgets.get(operation)

    def limits_of(self, rule: Rule, operation: str) -> Limits | None:
        """On which terms the jobs of a rule may run: its own window and approval, and the operation's budget."""
        own, budget = rule.limits, self.budget_of(operation)
        if own is None:
            return None if budget is None else Limits(budget=budget)
        return own.model_copy(update={"budget": budget})

    def _load(self, rule: Rule, operations: Mapping[str, type[BaseModel]]) -> LoadedRule:
        wishes = tuple(
            Wish(
                step.operation,
                complete_parameters(operations[step.operation], step.parameters),
                step.unless_under_way,
                self.limits_of(rule, step.operation),
            )
            for step in rule.do or ()
        )
        condition = None if rule.when is None else compile_condition(rule.when)
        return LoadedRule(rule.name, condition, wishes, rule.targets, rule.alert, rule.confirm or ())

    def explain(
        self, notification: Notification, fleet: Fleet = NO_SITES, work_of: WorkOf = _no_work
    ) -> tuple[RuleView, ...]:
        """Say of every rule, also those switched off, how it saw an event."""
        reaction = self._reactions.get(notification.event_type)
        held = {rule.name: answer for rule, answer in reaction.examine(notification, work_of)} if reaction else {}
        skipped = _skipped(notification, fleet)
        return tuple(_view(rule, held.get(rule.name), skipped.get(rule.name)) for rule in self.document.rules)


def _budgets(document: PlaybookDocument) -> dict[str, Budget]:
    """Of each operation the budget that allows the fewest jobs a day."""
    found: dict[str, Budget] = {}
    for rule in document.rules:
        for step in (rule.do or ()) if rule.enabled and rule.budget else ():
            known = found.get(step.operation)
            if rule.budget and (known is None or rule.budget.per_day < known.per_day):
                found[step.operation] = rule.budget
    return found


def _apply(rule: LoadedRule, notification: Notification, draft: Draft, fleet: Fleet) -> None:
    device = notification.device
    if rule.alert is not None:
        draft.alerts.append(rule.alert)
        draft.said.append(f"rule {rule.name}: alert")
    elif rule.targets == "event.ca":
        _work_on_ca(rule, ca_of(notification), draft)
    elif device is None:
        draft.notes.append(f"rule {rule.name}: the event names no device, so there is nothing to work on")
    elif rule.confirm:
        draft.confirms.extend(rule.confirm)
        draft.said.append(f"rule {rule.name}: confirms {', '.join(rule.confirm)} on {device}")
    else:
        for target in _targets(rule, device, draft, fleet):
            for wish in rule.wishes:
                draft.ask(rule, wish, target)


def _work_on_ca(rule: LoadedRule, ca: str | None, draft: Draft) -> None:
    if ca is None:
        draft.notes.append(f"rule {rule.name}: the event names no root CA, so there is nothing to work on")
        return
    for wish in rule.wishes:
        draft.ask(rule, wish, ROOT_CA + ca)


def _targets(rule: LoadedRule, device: str, draft: Draft, fleet: Fleet) -> tuple[str, ...]:
    """What the rule works on. A site need not have things of every kind; a device should have a site."""
    if rule.targets == "device":
        return (device,)
    found = _OF_SITE[rule.targets](fleet, device)
    if found.why_none:
        why = draft.aimless if found.stray else draft.idle
        why.setdefault(found.why_none, []).append(rule.name)
    return found.targets


def _skipped(notification: Notification, fleet: Fleet) -> Mapping[str, str]:
    """Why a rule is not applied, for each rule that the site of the event's device skips."""
    site = None if notification.device is None else fleet.site_of(notification.device)
    return dict.fromkeys(site.skip_rules, f"the site {site.name} skips it") if site else {}


def _view(rule: Rule, held: bool | str | None, skipped: str | None) -> RuleView:  # noqa: FBT001 - the answer of an examination
    if not rule.enabled:
        why = "it is disabled"
    elif rule.on.kind != "event":
        why = f"it waits for its {rule.on.kind} trigger"
    elif held is None:
        why = f"it reacts to {', '.join(rule.on.event)}"
    elif skipped is not None and held is not False:
        why = skipped
    elif isinstance(held, str):
        why = held
    elif rule.when is None:
        why = "the type is its trigger and it has no condition"
    else:
        why = "its condition holds" if held else "its condition does not hold"
    return RuleView(name=rule.name, matched=held is True and skipped is None, why=why)


def _warnings(document: PlaybookDocument) -> Iterator[str]:
    for rule in document.rules:
        if rule.enabled and rule.on.kind == "manual" and not rule.do:
            yield f"rule {rule.name}: a manual rule without operations: there is nothing that a person could fire"
        if rule.enabled and EventType.CERTIFICATE_EXPIRATION in rule.on.event:
            for step in rule.do or ():
                if step.operation == _RENEW and not step.unless_under_way:
                    yield (
                        f"rule {rule.name}: three notices may come of a certificate, and each makes a renewal that"
                        " is billed; unless_under_way = true has one serve the others"
                    )
