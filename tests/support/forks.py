"""Parts of Keyturn forked from a process that has imported everything: a start costs milliseconds, not seconds.

What runs is the same module with the same words, in a process and a session of its own. How a person starts it, with
all its imports, `test_cli` and `test_cli_up` show.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final, cast

from services.cli.supervisor import Part, die_with_parent

_MODULES: Final = ("workers.__main__", "services.cli.main", "services.web.serve", "services.sandbox.ublox.twin")

_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.forks", *_MODULES])


class Fork:
    """A forked process, with the verbs of `subprocess.Popen` that its users need."""

    def __init__(
        self, command: Sequence[str], *, environ: Mapping[str, str], folder: Path, log: Path, errors: Path | None = None
    ) -> None:
        assert command[1] == "-m", "only a module of ours can be forked"
        words = (list(command[2:]), dict(environ), str(folder), str(log), str(errors or log))
        self._process = _CONTEXT.Process(target=_become, args=words)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and give the exit code.

        Raises:
            subprocess.TimeoutExpired: it did not end.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class ForkedPart(Part):
    """A part of an installation whose process is forked."""

    def _launch(self, output: IO[bytes]) -> "subprocess.Popen[bytes]":
        fork = Fork(self._command, environ=self._environ, folder=Path.cwd(), log=Path(output.name))
        return cast("subprocess.Popen[bytes]", fork)


def _become(words: list[str], environ: dict[str, str], folder: str, log: str, errors: str) -> None:
    """Be what a new interpreter would be that runs a module."""
    os.setsid()
    die_with_parent()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    for number, path in ((1, log), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    sys.argv = words
    for known in (words[0], f"{words[0]}.__main__"):
        sys.modules.pop(known, None)  # it runs under another name now
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
