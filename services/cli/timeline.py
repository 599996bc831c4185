"""A live timeline of events and jobs, read from the ledger."""

from datetime import datetime
from typing import Final

from rich.console import Console
from rich.markup import escape

from infra.ledger import EventLine, Ledger, WorkLine
from services.operations.contract import UNVERIFIABLE

MOST_LINES: Final = 20
"""Lines of one look; more are summed up, so that a flood does not drown the terminal."""

_WINDOW: Final = 500
_ENDED: Final = {"succeeded": "green", "parked": "red", "cancelled": "yellow", "superseded": "yellow"}


class Timeline:
    """Prints what changed since the last look."""

    def __init__(self, ledger: Ledger, console: Console) -> None:
        self._ledger = ledger
        self._console = console
        self._after = ledger.history.newest_event()
        self._planned = self._after
        self._shown: dict[int, tuple[str, str]] = {}
        self.events = 0
        self.ended: dict[int, str] = {}

    @property
    def at_rest(self) -> bool:
        """Whether every job that was shown has come to an end."""
        return self._shown.keys() <= self.ended.keys()

    def look(self) -> None:
        """Print what changed."""
        lines = [*self._events(), *self._work()]
        for line in lines[:MOST_LINES]:
            self._console.print(line, highlight=False, soft_wrap=True)
        if len(lines) > MOST_LINES:
            self._console.print(f"           … and {len(lines) - MOST_LINES} more changes", highlight=False)

    def _events(self) -> list[str]:
        lines = []
        for event in self._ledger.history.events_after(self._planned, _WINDOW):
            if event.state == "new":
                break
            self._planned = event.id
            self.events += 1
            lines.append(_event_line(event))
        return lines

    def _work(self) -> list[str]:
        lines = []
        for job in self._ledger.history.work_of_events_after(self._floor(), _WINDOW):
            now_shown = (job.state, job.reason)
            if self._shown.get(job.id) != now_shown:
                self._shown[job.id] = now_shown
                lines.append(_job_line(job))
            if job.state in _ENDED:
                unverified = job.reason.startswith(UNVERIFIABLE)
                self.ended[job.id] = "accepted" if unverified else job.state
        return lines

    def _floor(self) -> int:
        """Only the newest events' jobs are watched, however long this runs."""
        return max(self._after, self._planned - _WINDOW)


def _clock(moment: datetime) -> str:
    return f"[dim]{moment.astimezone():%H:%M:%S}[/dim]"


def _event_line(event: EventLine) -> str:
    what = event.event_type or "not understood"
    return f"{_clock(event.received_at)}  event {event.id:<5} {escape(what)}\n{'':>21}{escape(event.verdict or '')}"


def _job_line(job: WorkLine) -> str:
    colour = _ENDED.get(job.state, "cyan")
    succeeded = "accepted" if job.reason.startswith(UNVERIFIABLE) else "verified"
    state = succeeded if job.state == "succeeded" else job.state
    return (
        f"{_clock(job.updated_at)}  job {job.id:<7} {escape(job.operation)} on {escape(job.target)}\n"
        f"{'':>21}[{colour}]{state}[/{colour}]: {escape(job.reason)}"
    )
