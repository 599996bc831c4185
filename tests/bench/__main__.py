"""Runs the benchmark: the stories of flood, latency, growth, trigger, Tap and 2N, then the report.

``python -m tests.bench`` runs everything and writes ``var/bench.json``. A story's name runs it alone, and ``--only``
takes some systems of the flood; what such a part finds is shown, and kept only when ``--output`` names a file.
The process ends with 1 only when something did not run; a goal that is not met is a finding, not a failure.
"""

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tests.bench import accept, growth, latency, report, tap, trigger, twon
from tests.bench.figures import GOALS, Rounds, by_name
from tests.bench.keyturn import POSTGRES, SQLITE
from tests.bench.processes import ROOT, WORKSHOP, DidNotRun
from tests.bench.servers import fsync_microseconds, postgres, valkey
from tests.bench.systems import BARE, BULLMQ, BULLMQ_SYNCED, DELAY, Grounds, System

SYSTEMS: Final = (BARE, SQLITE, POSTGRES, DELAY, BULLMQ, BULLMQ_SYNCED)
ON_SERVERS: Final = ("flood", "latency", "growth", "trigger")
STORIES: Final = (*ON_SERVERS, "tap", "twon")


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("stories", nargs="*", choices=[*STORIES, []], help="all of them when none is named")
    parser.add_argument("--only", default="", help=f"systems of the flood: {','.join(s.name for s in SYSTEMS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one flood")
    parser.add_argument("--output", type=Path, help="where the figures go; var/bench.json for a whole run")
    return parser.parse_args()


def chosen(only: str) -> list[System]:
    """Give the systems of the flood, in the order of the table."""
    names = set(filter(None, only.split(",")))
    if unknown := names - {system.name for system in SYSTEMS}:
        sys.exit(f"no such system: {', '.join(sorted(unknown))}")
    return [system for system in SYSTEMS if not names or system.name in names]


def attempt(title: str, story: Callable[[], dict[str, float]], failures: list[str]) -> dict[str, float]:
    """Run a story; one that cannot be run leaves its figures out and its reason in `failures`."""
    print(f"story: {title}", flush=True)
    try:
        return story()
    except DidNotRun as reason:
        failures.append(f"{title}: {reason}")
        return {}


def stop_in_order(_number: int, _frame: FrameType | None) -> None:
    """Turn a request to end into an exception, so that every process is ended on the way out."""
    sys.exit(1)


def run(given: argparse.Namespace, systems: list[System], failures: list[str]) -> tuple[Rounds, dict[str, float]]:
    """Run the stories that were asked for."""
    stories = given.stories or STORIES
    rounds: Rounds = []
    figures: dict[str, float] = {}
    if any(story in ON_SERVERS for story in stories):
        rounds, figures = run_on_servers(given, systems, failures)
    if "tap" in stories:
        figures |= attempt("tap", tap.measure, failures)
    if "twon" in stories:
        figures |= attempt("twon", twon.measure, failures)
    return rounds, figures


def run_on_servers(
    given: argparse.Namespace, systems: list[System], failures: list[str]
) -> tuple[Rounds, dict[str, float]]:
    """Run those of them that need servers, on servers that they share."""
    stories = given.stories or STORIES
    rounds: list[list[accept.Sample]] = []
    figures: dict[str, float] = {}
    with ExitStack() as stack:
        grounds = Grounds(
            valkey=stack.enter_context(valkey()),
            synced=stack.enter_context(valkey("always")),
            postgres=stack.enter_context(postgres()),
        )
        if "flood" in stories:
            rounds = accept.flood(systems, grounds, count=given.rounds, seconds=given.seconds, failures=failures)
            figures |= by_name(rounds)
        if "latency" in stories:
            figures |= attempt("latency", lambda: latency.measure(grounds), failures)
        if "growth" in stories:
            figures |= attempt("growth", lambda: growth.measure(grounds.postgres), failures)
        if "trigger" in stories:
            figures |= attempt("trigger", lambda: trigger.measure(grounds.postgres), failures)
    return rounds, figures


def document(rounds: Rounds, figures: dict[str, float], fsync_us: float, failures: list[str]) -> dict[str, Any]:
    """Lay out what is kept: the figures by name, then the raw rounds they come from."""
    return {
        **{name: round(value, 4) for name, value in figures.items()},
        "goals": {
            name: {"goal": str(goal), "met": goal.met(figures[name])} for name, goal in GOALS.items() if name in figures
        },
        "machine": report.machine(fsync_us),
        "did_not_run": failures,
        "rounds": [[sample.as_json() for sample in samples] for samples in rounds],
    }


def main() -> int:
    """Run, show, keep."""
    given = options()
    systems = chosen(given.only)
    signal.signal(signal.SIGTERM, stop_in_order)
    started = time.monotonic()
    failures: list[str] = []
    shutil.rmtree(WORKSHOP, ignore_errors=True)  # what a run that was killed has left
    fsync_us = fsync_microseconds()
    rounds, figures = run(given, systems, failures)
    report.show(systems, rounds, figures, fsync_us)
    whole = not given.stories and not given.only
    if output := given.output or (ROOT / "var" / "bench.json" if whole else None):
        report.keep(output, document(rounds, figures, fsync_us, failures))
        print(f"figures: {os.path.relpath(output)}")
    for failure in failures:
        print(f"did not run: {failure}")
    print(f"{time.monotonic() - started:.0f} s in all")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
