"""What a loaded playbook makes of an event.

Everything that can be done before the event comes is done when the playbook is loaded: rules are sorted by event type,
parameters are complete, conditions are compiled, and the fields that the conditions of one type read are known.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from schemas.events import Notification
from schemas.fleet import Fleet, SiteTargets
from schemas.jobs import NewJob
from schemas.limits import Budget, Limits
from schemas.playbook import Decision, PlaybookDocument, Rule, RuleView, Targets
from services.playbook.checks import complete_parameters
from services.playbook.conditions import Condition, compile_condition, view_of
from services.playbook.faults import shown
from services.playbook.lean_cel import cel

NO_SITES: Final = Fleet()
"""The inventory where there is none."""

_NOTHING: Final = cel.Context({})
"""What conditions see that read nothing of the event."""

_OF_SITE: Final[Mapping[Targets, Callable[[Fleet, str], SiteTargets]]] = {
    "site.taps": Fleet.taps_of,
    "site.locations": Fleet.locations_of,
    "site.tokens": Fleet.tokens_of,
}


@dataclass(frozen=True, slots=True)
class _Wish:
    operation: str
    parameters: dict[str, Any]
    unless_under_way: bool
    limits: Limits | None


@dataclass(frozen=True, slots=True)
class _LoadedRule:
    name: str
    condition: Condition | None
    wishes: tuple[_Wish, ...]
    targets: Targets
    alert: str | None
    confirm: str | None


@dataclass(slots=True)
class _Draft:
    jobs: list[NewJob] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    confirms: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    asked: dict[tuple[str, str], list[NewJob]] = field(default_factory=dict)  # jobs by operation and target
    idle: dict[str, list[str]] = field(default_factory=dict)  # why there are no targets, and for which rules
    aimless: dict[str, list[str]] = field(default_factory=dict)  # the same, where there should be some

    def decision(self) -> Decision:
        return Decision(
            jobs=tuple(self.jobs),
            alerts=tuple(self.alerts),
            confirms=tuple(self.confirms),
            notes=(*self.notes, *_in_words(self.aimless)),
            verdict="; ".join((*self.said, *_in_words(self.idle))) or "no rule matches",
        )


class _Reaction:
    """The enabled rules of one event type, and what their conditions read."""

    __slots__ = ("_fields", "_keys", "_rules")

    def __init__(self, rules: list[_LoadedRule]) -> None:
        conditions = [rule.condition for rule in rules if rule.condition]
        keys = [condition.keys for condition in conditions]
        known = [some for some in keys if some is not None]
        self._rules = tuple(rules)
        self._fields = frozenset[str]().union(*(condition.fields for condition in conditions))
        self._keys = frozenset[str]().union(*known) if len(known) == len(keys) else None

    def examine(self, notification: Notification) -> Iterator[tuple[_LoadedRule, bool | str]]:
        """Each rule and whether it holds; text says why that cannot be told."""
        view = view_of(notification, self._fields, self._keys) if self._fields else _NOTHING
        for rule in self._rules:
            if rule.condition is None:
                yield rule, True
            else:
                yield rule, view if isinstance(view, str) else rule.condition.holds(view)


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
        by_type: defaultdict[str, list[_LoadedRule]] = defaultdict(list)
        for rule in document.rules:
            if rule.enabled:
                loaded = self._load(rule, operations)
                for event in dict.fromkeys(rule.on.event):
                    by_type[str(event)].append(loaded)
        self._reactions = {event: _Reaction(rules) for event, rules in by_type.items()}

    def decide(self, notification: Notification, fleet: Fleet = NO_SITES) -> Decision:
        """Say what is to be done about an event. Whatever the event holds, this raises nothing.

        Args:
            notification: the event.
            fleet: the inventory as it is now.
        """
        reaction = self._reactions.get(notification.event_type)
        if reaction is None:
            return Decision(verdict=f"no rule reacts to {shown(notification.event_type)}")
        draft = _Draft()
        skipped = _skipped(notification, fleet)
        for rule, held in reaction.examine(notification):
            if held is False:
                continue
            if rule.name in skipped:
                draft.said.append(f"rule {rule.name}: {skipped[rule.name]}")
            elif held is True:
                _apply(rule, notification.device, draft, fleet)
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

    def _load(self, rule: Rule, operations: Mapping[str, type[BaseModel]]) -> _LoadedRule:
        wishes = tuple(
            _Wish(
                step.operation,
                complete_parameters(operations[step.operation], step.parameters),
                step.unless_under_way,
                self.limits_of(rule, step.operation),
            )
            for step in rule.do or ()
        )
        condition = None if rule.when is None else compile_condition(rule.when)
        return _LoadedRule(rule.name, condition, wishes, rule.targets, rule.alert, rule.confirm)

    def explain(self, notification: Notification, fleet: Fleet = NO_SITES) -> tuple[RuleView, ...]:
        """Say of every rule, also those switched off, how it saw an event."""
        reaction = self._reactions.get(notification.event_type)
        held = {rule.name: answer for rule, answer in reaction.examine(notification)} if reaction else {}
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


def _apply(rule: _LoadedRule, device: str | None, draft: _Draft, fleet: Fleet) -> None:
    if rule.alert is not None:
        draft.alerts.append(rule.alert)
        draft.said.append(f"rule {rule.name}: alert")
    elif device is None:
        draft.notes.append(f"rule {rule.name}: the event names no device, so there is nothing to work on")
    elif rule.confirm is not None:
        draft.confirms.append(rule.confirm)
        draft.said.append(f"rule {rule.name}: confirms {rule.confirm} on {device}")
    else:
        for target in _targets(rule, device, draft, fleet):
            for wish in rule.wishes:
                _ask(rule, wish, target, draft)


def _targets(rule: _LoadedRule, device: str, draft: _Draft, fleet: Fleet) -> tuple[str, ...]:
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


def _in_words(reasons: Mapping[str, list[str]]) -> Iterator[str]:
    """Each reason once, with the rules that it holds for."""
    for why, names in reasons.items():
        yield f"{'rule' if len(names) == 1 else 'rules'} {', '.join(names)}: {why}"


def _ask(rule: _LoadedRule, wish: _Wish, target: str, draft: _Draft) -> None:
    asked = draft.asked.setdefault((wish.operation, target), [])
    for job in asked:
        if job.parameters == wish.parameters:
            draft.notes.append(f"rule {rule.name}: rule {job.rule} already asks for the same {wish.operation}")
            return
    job = NewJob(
        operation=wish.operation,
        target=target,
        parameters=dict(wish.parameters),
        rule=rule.name,
        unless_under_way=wish.unless_under_way,
        limits=wish.limits,
    )
    asked.append(job)
    draft.jobs.append(job)
    draft.said.append(f"rule {rule.name}: {wish.operation} on {target}")


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
        if rule.enabled and rule.on.kind == "manual":
            yield f"rule {rule.name}: a manual trigger is kept, but nothing fires it yet"
