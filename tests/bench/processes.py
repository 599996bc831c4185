"""Starts the processes of a measurement, waits until they are ready, and ends exactly those."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

ROOT: Final = Path(__file__).resolve().parents[2]
WORKSHOP: Final = ROOT / "var" / "bench"
"""Where ledgers, logs and server data of the benchmark live; on the disk that Keyturn itself would use."""

READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0


class DidNotRun(Exception):
    """A part of the benchmark could not be run at all."""


def surroundings() -> dict[str, str]:
    """Give this process's environment without the settings of an installed Keyturn."""
    foreign = ("KEYTURN_", "DATABASE_URL", "REDIS_URL", "SENTRY_DSN")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


@contextmanager
def process(
    command: Sequence[str], *, name: str, env: Mapping[str, str] | None = None, folder: Path = ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in its own session while the block lasts; its output goes to a log of that name."""
    logs = WORKSHOP / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env={**surroundings(), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        end(child)


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask the process group to stop, then make it; nothing of it is left behind."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    child.wait()


def wait_until(ready: Callable[[], bool], *, what: str, child: subprocess.Popen[bytes] | None = None) -> None:
    """Wait for a condition; give up when it takes too long or when the process that should bring it about is gone."""
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if child is not None and child.poll() is not None:
            raise DidNotRun(f"{what}: the process ended with {child.returncode}; see {WORKSHOP / 'logs'}")
        if time.monotonic() > deadline:
            raise DidNotRun(f"{what}: not ready after {READY_SECONDS:.0f} s; see {WORKSHOP / 'logs'}")
        time.sleep(0.05)


def answers(port: int, path: str = "/readyz") -> bool:
    """Tell whether a GET of the path on the loopback port is answered with a 2xx."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=2).is_success
    except httpx.HTTPError:
        return False
