"""What the twin counts, so that a test can prove that nothing was done twice and nothing was lost."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from services.sandbox.centagate.directory import TokenType


@dataclass(slots=True)
class Tally:
    """Calls by path, answers by path and code, and what was done to each user's tokens."""

    answers: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    withheld: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    registrations: Counter[str] = field(default_factory=Counter)
    removals: Counter[str] = field(default_factory=Counter)

    def call(self, path: str, outcome: str, *, withheld: bool = False) -> None:
        """Count one call: its outcome is a return code, ``http`` with a status, or ``html``."""
        self.answers[path][outcome] += 1
        self.withheld[path] += withheld

    def clear(self) -> None:
        """Start again."""
        for counter in (self.answers, self.withheld, self.asked, self.registrations, self.removals):
            counter.clear()

    def shown(self) -> dict[str, Any]:
        """Everything as one JSON document; tokens are named ``username/type``.

        `asked`: times that a registration was asked for with a good session; `registrations`: times that one took
        effect; `removals`: times that a token was taken from a user; `withheld`: calls that got no answer.
        """
        return {
            "calls": {path: counts.total() for path, counts in self.answers.items()},
            "answers": {path: dict(counts) for path, counts in self.answers.items()},
            "withheld": {path: count for path, count in self.withheld.items() if count},
            "asked": dict(self.asked),
            "registrations": dict(self.registrations),
            "removals": dict(self.removals),
            "max_registrations_per_token": max(self.registrations.values(), default=0),
        }


def key_of(username: str, kind: TokenType) -> str:
    """Name a token of a user."""
    return f"{username}/{kind}"
