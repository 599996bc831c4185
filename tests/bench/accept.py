"""The main story: all systems take the same flood, in turns, first without their workers and then with them."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from tests.bench.processes import ROOT, DidNotRun
from tests.bench.systems import TOKEN, Grounds, Running, System

CONNECTIONS: Final = 64
WARM_UP_SECONDS: Final = 1.0
DRAIN_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Sample:
    """One measurement of one system in one round; `handled_per_second` only with workers."""

    system: str
    working: bool
    accepted: int
    per_second: float
    p50_ms: float
    p99_ms: float
    refused: int
    handled_per_second: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Give plain values for the report."""
        return asdict(self)


def send(
    port: int, *, seconds: float, rate: float = 0.0, kind: str = "error", first: int | None = None
) -> dict[str, Any]:
    """Run the load generator in its own process and read its summary; devices are numbered afresh unless told."""
    first = random.getrandbits(56) if first is None else first
    command = [sys.executable, "-m", "tests.bench.load", "--port", str(port), "--token", TOKEN, "--kind", kind]
    command += ["--first", str(first), "--connections", str(CONNECTIONS)]
    command += ["--seconds", str(seconds), "--rate", str(rate)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode:
        raise DidNotRun(f"the load generator failed: {done.stderr.strip().splitlines()[-1:]}")
    summary: dict[str, Any] = json.loads(done.stdout)
    if not summary["accepted"]:
        raise DidNotRun(f"nothing was accepted: {summary['statuses']}, {summary['broken']} connections broken")
    return summary


def drained(running: Running, wanted: int) -> float:
    """Wait until so many events are handled and give the moment."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while (count := running.handled()) < wanted:
        if time.monotonic() > deadline:
            raise DidNotRun(f"{wanted} events were not handled within {DRAIN_SECONDS:.0f} s; the count says {count}")
        time.sleep(POLL_SECONDS)
    return time.monotonic()


def measure(system: System, running: Running, *, working: bool, seconds: float) -> Sample:
    """Flood a running system, and with workers wait for the last accepted event to be handled."""
    before = running.handled() if working else 0
    load = send(running.port, seconds=seconds)
    handled = None
    if working:
        handled = load["accepted"] / (drained(running, before + load["accepted"]) - load["started"])
    return Sample(
        system=system.name,
        working=working,
        accepted=load["accepted"],
        per_second=load["per_second"],
        p50_ms=load["p50_ms"],
        p99_ms=load["p99_ms"],
        refused=sum(load["statuses"].values()) - load["accepted"] + load["broken"],
        handled_per_second=handled,
    )


class Stage:
    """The systems that run side by side, all idle but the one that is measured.

    So the turns can be short and follow each other at once, which a machine that drifts by a third within minutes makes
    necessary. A system that cannot be run is ended, named in `failures`, and left out from then on.
    """

    def __init__(self, grounds: Grounds, *, working: bool, failures: list[str]) -> None:
        self.grounds = grounds
        self.working = working
        self.failures = failures
        self.running: dict[str, Running] = {}
        self.exits: dict[str, ExitStack] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stack in self.exits.values():
            stack.close()

    def enter(self, system: System) -> None:
        """Start a system and warm it up."""
        self.exits[system.name] = ExitStack()
        with self.guarded(system):
            running = self.exits[system.name].enter_context(system.start(self.grounds, working=self.working))
            self.running[system.name] = running
            measure(system, running, working=self.working, seconds=WARM_UP_SECONDS)

    def turn(self, system: System, seconds: float) -> Sample | None:
        """Measure a system if it is still here."""
        with self.guarded(system):
            if running := self.running.get(system.name):
                return measure(system, running, working=self.working, seconds=seconds)
        return None

    @contextmanager
    def guarded(self, system: System) -> Iterator[None]:
        """End a system when something of it does not run."""
        try:
            yield
        except DidNotRun as reason:
            failure = f"{system.title}: {reason}"
            print(failure, flush=True)
            if failure not in self.failures:
                self.failures.append(failure)
            self.running.pop(system.name, None)
            self.exits[system.name].close()


def flood(
    systems: Sequence[System], grounds: Grounds, *, count: int, seconds: float, failures: list[str]
) -> list[list[Sample]]:
    """Measure every system in every round, in another order each, without the workers and then with them."""
    rounds: list[list[Sample]] = [[] for _ in range(count)]
    for working in (False, True):
        present = [system for system in systems if system.counted or not working]
        with Stage(grounds, working=working, failures=failures) as stage:
            for system in present:
                stage.enter(system)
            for number, samples in enumerate(rounds):
                for system in rotated(present, number):
                    if sample := stage.turn(system, seconds):
                        samples.append(sample)
                        print(describe(number, sample), flush=True)
    return rounds


def rotated(systems: Sequence[System], by: int) -> list[System]:
    """Give the systems with another one first each time."""
    shift = by % max(len(systems), 1)
    return [*systems[shift:], *systems[:shift]]


def describe(number: int, sample: Sample) -> str:
    """Say one measurement in a line."""
    text = f"round {number + 1}  {sample.system:<10} {sample.per_second:>8.0f} accepted/s  p99 {sample.p99_ms:6.1f} ms"
    if sample.handled_per_second is not None:
        text += f"  {sample.handled_per_second:>8.0f} handled/s"
    return text + (f"  {sample.refused} refused" if sample.refused else "")
