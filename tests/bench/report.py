"""Shows what was measured as a table in the terminal and keeps it as JSON."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from tests.bench.figures import GOALS, Rounds, medians
from tests.bench.systems import System


def machine(fsync_us: float) -> dict[str, Any]:
    """Say on what the figures were measured: without it they mean little."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "fsync_us": round(fsync_us, 1),
    }


def number(values: Mapping[str, float], name: str, digits: int = 0) -> str:
    """Write a value of a row, or a dash where there is none."""
    return f"{values[name]:,.{digits}f}".replace(",", " ") if name in values else "-"


def systems_table(systems: Sequence[System], rounds: Rounds, figures: Mapping[str, float]) -> Table:
    """Lay out one row for each system."""
    title = f"The same flood for all, medians of {len(rounds)} interleaved rounds"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("system", no_wrap=True)
    for heading in ("accepted\nper s", "p50\nms", "p99\nms", "÷ bare", "accepted\nwhile busy", "handled\nper s"):
        table.add_column(heading, justify="right")
    for system in systems:
        alone, whole = (medians(rounds, system.name, working=working) for working in (False, True))
        table.add_row(
            system.title,
            number(alone, "per_second"),
            number(alone, "p50_ms", 1),
            number(alone, "p99_ms", 1),
            number({"bare": 1.0, **figures}, accept_ratio(system.name), 2),
            number(whole, "per_second"),
            number(whole, "handled_per_second"),
        )
    return table


def accept_ratio(system: str) -> str:
    """Name the figure that compares a system with the bare one."""
    return "bare" if system == "bare" else f"accept_{system}_vs_bare"


def goals_table(figures: Mapping[str, float]) -> Table:
    """Lay out the measured figures that have a goal."""
    table = Table(title="Figures and goals", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("figure", "value", "goal", ""):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for name, goal in GOALS.items():
        if name in figures:
            met = "[green]met[/green]" if goal.met(figures[name]) else "[yellow]not met[/yellow]"
            table.add_row(name, f"{figures[name]:.2f}", str(goal), met)
    return table


def show(systems: Sequence[System], rounds: Rounds, figures: Mapping[str, float], fsync_us: float) -> None:
    """Print the tables and what the words in them mean."""
    console = Console()
    if rounds:
        console.print(systems_table(systems, rounds, figures))
        console.print("The first four columns are without workers, the last two with them, on the same cores.")
        console.print("handled per s: accepted events ÷ time from the first request until the last of them is handled.")
        for system in systems:
            if system.counted:
                console.print(f"  handled in {system.title}: {system.counted}")
    console.print(f"A synced append of 4 KiB costs {fsync_us:.0f} µs on this disk.")
    if any(name in figures for name in GOALS):
        console.print(goals_table(figures))


def keep(path: Path, document: Mapping[str, Any]) -> None:
    """Write the document as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")
