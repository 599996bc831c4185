"""Starts the parts of Keyturn as processes of their own, starts again what dies, and stops all of it in order."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

STOP_SECONDS: Final = 12.0
"""How long a part may take to end what it has under way."""

_RESTART_PAUSE: Final = 1.0
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


class Part:
    """One process: its command, its log file, and how often it had to be started."""

    def __init__(self, name: str, command: Sequence[str], *, environ: Mapping[str, str], logs: Path) -> None:
        self.name = name
        self.starts = 0
        self._command = list(command)
        self._environ = dict(environ)
        self.log = logs / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0

    def start(self) -> None:
        """Start the process; its output goes to its log file."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.starts += 1
        self._started_at = time.monotonic()
        with self.log.open("ab") as output:
            self._process = self._launch(output)

    def _launch(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own command
            self._command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone, and we stop the parts in order
            preexec_fn=die_with_parent,  # noqa: PLW1509 - we start parts from the main thread only
        )

    @property
    def pid(self) -> int | None:
        """The process id, or None before the start."""
        return self._process.pid if self._process else None

    def died(self) -> int | None:
        """The exit code of a process that ended by itself, or None while it runs."""
        return self._process.poll() if self._process else None

    def may_start_again(self) -> bool:
        """Whether it ran, or lay still, long enough not to spin."""
        return time.monotonic() - self._started_at >= _RESTART_PAUSE

    def stop(self) -> None:
        """Ask it to end, wait, and end it by force if it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of its log, to say why it died."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def die_with_parent() -> None:
    """On Linux: a part whose supervisor was killed is told to stop, so that nothing is left behind."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):
        return  # not Linux
