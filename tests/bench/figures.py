"""The figures by name, how each follows from the rounds, and the goal that is printed beside it."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.bench.accept import Sample

Rounds = Sequence[Sequence[Sample]]


@dataclass(frozen=True)
class Goal:
    """What a figure should be at least, or at most."""

    bound: float
    at_least: bool

    def met(self, value: float) -> bool:
        """Tell whether a value reaches the goal."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


GOALS: Final[Mapping[str, Goal]] = {
    "accept_sqlite_vs_bare": Goal(0.55, at_least=True),
    "accept_postgres_vs_bare": Goal(0.55, at_least=True),
    "accept_sqlite_p99_ms": Goal(30, at_least=False),
    "accept_postgres_p99_ms": Goal(30, at_least=False),
    "handled_vs_bullmq": Goal(2, at_least=True),
    "handled_vs_delay": Goal(10, at_least=True),
    "first_call_p50_ms": Goal(50, at_least=False),
    "first_call_p99_ms": Goal(250, at_least=False),
    "ledger_growth": Goal(1.2, at_least=False),
    "trigger_10k_dry_s": Goal(5, at_least=False),
    "trigger_10k_plan_s": Goal(5, at_least=False),
    "tap_login_vs_vendor": Goal(3, at_least=True),
    "tap_exchange_vs_vendor": Goal(3, at_least=True),
    "tap_exchange_period0_vs_vendor": Goal(3, at_least=True),
    "twon_fanout_vs_ideal": Goal(1.3, at_least=False),
}


def found(samples: Sequence[Sample], system: str, *, working: bool) -> Sample | None:
    """Find one system's sample of a round."""
    return next((each for each in samples if each.system == system and each.working is working), None)


def medians(rounds: Rounds, system: str, *, working: bool) -> dict[str, float]:
    """Give the median over the rounds of everything measured on one system; empty when it was not measured."""
    samples = [sample for each in rounds if (sample := found(each, system, working=working))]
    if not samples:
        return {}
    fields = ["per_second", "p50_ms", "p99_ms", "refused"] + (["handled_per_second"] if working else [])
    return {name: statistics.median(getattr(sample, name) for sample in samples) for name in fields}


def ratio(rounds: Rounds, top: str, bottom: str, *, working: bool, of: Callable[[Sample], Any]) -> float | None:
    """Give the median of the ratios within each round: the machine drifts less within one than over all."""
    ratios = []
    for samples in rounds:
        above, below = found(samples, top, working=working), found(samples, bottom, working=working)
        if above and below and of(below):
            ratios.append(of(above) / of(below))
    return statistics.median(ratios) if ratios else None


def by_name(rounds: Rounds) -> dict[str, float]:
    """Give every named figure of the main story that could be measured."""

    def accepted(sample: Sample) -> float:
        return sample.per_second

    def handled(sample: Sample) -> float | None:
        return sample.handled_per_second

    figures: dict[str, float | None] = {
        f"handled_{name}vs_{peer}": ratio(rounds, system, peer, working=True, of=handled)
        for name, system in (("", "sqlite"), ("postgres_", "postgres"))
        for peer in ("bullmq", "bullmq_synced", "delay")
    }
    for system in ("sqlite", "postgres", "bullmq", "bullmq_synced", "delay"):
        figures[f"accept_{system}_vs_bare"] = ratio(rounds, system, "bare", working=False, of=accepted)
    for system in ("bare", "sqlite", "postgres", "bullmq", "bullmq_synced", "delay"):
        alone, whole = (medians(rounds, system, working=working) for working in (False, True))
        figures[f"accept_{system}_per_second"] = alone.get("per_second")
        figures[f"accept_{system}_p50_ms"] = alone.get("p50_ms")
        figures[f"accept_{system}_p99_ms"] = alone.get("p99_ms")
        figures[f"handled_{system}_per_second"] = whole.get("handled_per_second")
    return {name: value for name, value in figures.items() if value is not None}
