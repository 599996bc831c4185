"""Parts of Keyturn as processes of their own, started by a test and gone with it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.support.forks import Fork
from tests.support.patience import PATIENCE, eventually

ROOT: Final = Path(__file__).resolve().parents[2]
CLI: Final = (sys.executable, "-m", "services.cli.main")
WORKERS: Final = (sys.executable, "-m", "workers")
"""Seconds that a start or a stop may take on a busy machine."""


def clean_environ(**more: str) -> dict[str, str]:
    """This process's environment without the settings of an installed Keyturn."""
    foreign = ("KEYTURN_", "DATABASE_URL", "REDIS_URL", "SENTRY_DSN")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "200", **more}


@dataclass(frozen=True)
class Process:
    """A running command and what it has said so far."""

    child: subprocess.Popen[bytes] | Fork
    log: Path

    @property
    def output(self) -> str:
        """What it has written to both of its streams."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def says(self, words: str, *, seconds: float = PATIENCE) -> None:
        """Wait until it has written these words."""
        eventually(lambda: words in self.output or self._refuse_end(words), seconds=seconds)

    def stop(self, number: int = signal.SIGTERM, *, seconds: float = PATIENCE) -> int:
        """Send a signal and give the exit code."""
        self.child.send_signal(number)
        return self.child.wait(seconds)

    def _refuse_end(self, words: str) -> bool:
        assert self.child.poll() is None or words in self.output, f"it ended:\n{self.output}"
        return False


@contextmanager
def started(command: tuple[str, ...], *, folder: Path, env: Mapping[str, str], fork: bool = True) -> Iterator[Process]:
    """Run a command of ours in a session of its own; what is left of its group at the end is killed."""
    log = folder / f"{command[-1].strip('-')}-{os.urandom(4).hex()}.log"
    child = Fork(command, environ=env, folder=folder, log=log) if fork else _spawned(command, folder, env, log)
    try:
        yield Process(child, log)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _spawned(command: tuple[str, ...], folder: Path, env: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_heed_ctrl_c,  # noqa: PLW1509 - tests start their processes from one thread
        )


def _heed_ctrl_c() -> None:
    """A job in the background of a shell ignores it, and so would whatever that job starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ran(
    command: tuple[str, ...], *, folder: Path, env: Mapping[str, str], seconds: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end."""
    with tempfile.TemporaryDirectory() as kept:
        said, errors = Path(kept, "output"), Path(kept, "errors")
        child = Fork(command, environ=env, folder=folder, log=said, errors=errors)
        try:
            code = child.wait(seconds)
        finally:
            child.send_signal(signal.SIGKILL)
        return subprocess.CompletedProcess(command, code, said.read_text(), errors.read_text())


def answers(url: str) -> bool:
    """Whether a GET is answered with success."""
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
