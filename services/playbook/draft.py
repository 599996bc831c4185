"""A decision in the making: what the rules that hold ask for, and what is said of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.jobs import NewJob
from schemas.limits import Limits
from schemas.playbook import Decision, Targets
from services.playbook.conditions import Condition


@dataclass(frozen=True, slots=True)
class Wish:
    """A step of a rule, with all its parameters."""

    operation: str
    parameters: dict[str, Any]
    unless_under_way: bool
    limits: Limits | None


@dataclass(frozen=True, slots=True)
class LoadedRule:
    """A rule whose condition is compiled."""

    name: str
    condition: Condition | None
    wishes: tuple[Wish, ...]
    targets: Targets
    alert: str | None
    confirm: tuple[str, ...]


@dataclass(slots=True)
class Draft:
    """What is gathered from rule to rule."""

    jobs: list[NewJob] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    confirms: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    asked: dict[tuple[str, str], list[NewJob]] = field(default_factory=dict)  # jobs by operation and target
    idle: dict[str, list[str]] = field(default_factory=dict)  # why there are no targets, and for which rules
    aimless: dict[str, list[str]] = field(default_factory=dict)  # the same, where there should be some

    def decision(self) -> Decision:
        """Give what was gathered."""
        return Decision(
            jobs=tuple(self.jobs),
            alerts=tuple(self.alerts),
            confirms=tuple(self.confirms),
            notes=(*self.notes, *_in_words(self.aimless)),
            verdict="; ".join((*self.said, *_in_words(self.idle))) or "no rule matches",
        )

    def ask(self, rule: LoadedRule, wish: Wish, target: str) -> None:
        """Ask for a rule's wish, unless an earlier rule asks for the same."""
        asked = self.asked.setdefault((wish.operation, target), [])
        for job in asked:
            if job.parameters == wish.parameters:
                self.notes.append(f"rule {rule.name}: rule {job.rule} already asks for the same {wish.operation}")
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
        self.jobs.append(job)
        self.said.append(f"rule {rule.name}: {wish.operation} on {target}")


def _in_words(reasons: Mapping[str, list[str]]) -> Iterator[str]:
    """Each reason once, with the rules that it holds for."""
    for why, names in reasons.items():
        yield f"{'rule' if len(names) == 1 else 'rules'} {', '.join(names)}: {why}"
