"""All of Keyturn as real processes on this machine, with a twin of u-blox in front of which it stands."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import text

from infra.embedded import valkey_command
from infra.ledger import Ledger, migrate
from schemas.events import EventType
from services.cli.supervisor import Part
from services.sandbox.ublox.twin import API_KEY, API_SECRET
from tests.fixtures.ublox import Caller
from tests.support.forks import ForkedPart
from tests.support.patience import eventually
from tests.support.ports import free_port
from tests.support.processes import CLI, WORKERS, answers

TOKEN: Final = "Bearer a-token-of-the-acceptance-stories"
PARTS: Final = ("redis", "web", "control", "ublox", "beat")


class Stand:
    """One installation: start, kill and look at its parts.

    Args:
        seconds: parts of which a second one runs too, under its name and ``-2``.
    """

    def __init__(self, folder: Path, database_url: str, seconds: tuple[str, ...] = (), **settings: str) -> None:
        self.folder = folder
        self.ledger = Ledger(database_url)
        migrate(self.ledger.database)
        self.port = free_port()
        self._twin_port, self._redis_port = free_port(), free_port()
        names = ("sandbox", *PARTS, *(f"{name}-2" for name in seconds))
        self.parts = {name: self._part(name, database_url, settings) for name in names}
        self.twin: Caller

    def open(self) -> None:
        """Start every part, and subscribe to all events at the twin."""
        for part in self.parts.values():
            part.start()
        url = f"http://127.0.0.1:{self._twin_port}"
        eventually(lambda: answers(f"{url}/_twin/dials"), "the twin answers")
        self.twin = Caller(url)
        for event_type in EventType:
            self.twin.register(f"http://127.0.0.1:{self.port}/webhooks/ublox", event_type, TOKEN)
        self.until_answering()

    def until_answering(self) -> None:
        """Wait for the receiver."""
        eventually(lambda: answers(f"http://127.0.0.1:{self.port}/readyz"), "the receiver answers")

    def stop(self, *but: str) -> None:
        """Stop every part of Keyturn in good order, but these."""
        for name, part in reversed(self.parts.items()):
            if name not in {"sandbox", *but}:
                part.stop()

    def kill(self, name: str) -> None:
        """End a part with SIGKILL, as a power cut would; every process of it."""
        pid = self.parts[name].pid
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)
        eventually(lambda: self.parts[name].died() is not None, f"{name} is dead")

    def start(self, name: str) -> None:
        """Start a part again; Redis comes back empty, because it keeps nothing."""
        self.parts[name].start()

    def close(self) -> None:
        """Stop every part."""
        for part in reversed(list(self.parts.values())):
            part.stop()
        if hasattr(self, "twin"):
            self.twin.close()
        self.ledger.close()

    def count(self, query: str) -> int:
        """Ask the ledger for one number."""
        with self.ledger.database.reading() as connection:
            return int(connection.execute(text(query)).scalar_one())

    def states(self) -> dict[str, int]:
        """How many jobs of each operation there are in each state."""
        query = text("SELECT operation, state, count(*) AS jobs FROM jobs GROUP BY operation, state")
        with self.ledger.database.reading() as connection:
            return {f"{row.operation} {row.state}": row.jobs for row in connection.execute(query)}

    def at_rest(self) -> bool:
        """Whether nothing is unplanned and no job is open."""
        return not self.ledger.inbox.backlog(1) and not self.ledger.history.open_jobs()

    def logs(self) -> str:
        """The ends of all logs, for a failure's text."""
        return "\n".join(f"--- {name}\n{part.last_words(15)}" for name, part in self.parts.items())

    def _part(self, name: str, database_url: str, settings: Mapping[str, str]) -> Part:
        commands = {
            "sandbox": [*CLI, "sandbox", "ublox", "--port", str(self._twin_port), "--heartbeat", "1"],
            "redis": valkey_command(port=self._redis_port, password="stand", folder=self.folder / "redis"),
            "web": [*CLI, "web"],
            "control": [*WORKERS, "worker", "control"],
            "ublox": [*WORKERS, "worker", "ublox"],
            "beat": [*WORKERS, "beat"],
        }
        kind = Part if name == "redis" else ForkedPart
        return kind(
            name,
            commands[name.removesuffix("-2")],
            environ=self._environ(database_url, settings),
            logs=self.folder / "log",
        )

    def _environ(self, database_url: str, settings: Mapping[str, str]) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **inherited,
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "DATABASE_URL": database_url,
            "REDIS_URL": f"redis://:stand@127.0.0.1:{self._redis_port}/0",
            "KEYTURN_DATA_DIR": str(self.folder),
            "KEYTURN_PORT": str(self.port),
            "KEYTURN_WEBHOOK_TOKENS": TOKEN,
            "KEYTURN_UBLOX_BASE_URL": f"http://127.0.0.1:{self._twin_port}/v1",
            "KEYTURN_UBLOX_API_KEY": API_KEY,
            "KEYTURN_UBLOX_API_SECRET": API_SECRET,
            "KEYTURN_RENEWAL_LOOK_EVERY": "3",
            "KEYTURN_RENEWAL_DEADLINE": "600",
            "KEYTURN_UBLOX_TIMEOUT": "5",  # so that a call in doubt is settled soon
            **settings,
        }


@contextmanager
def standing(folder: Path, database_url: str, seconds: tuple[str, ...] = (), **settings: str) -> Iterator[Stand]:
    """Run an installation for as long as the block lasts."""
    stand = Stand(folder, database_url, seconds, **settings)
    try:
        stand.open()
        yield stand
    except BaseException as failure:
        failure.add_note(stand.logs())
        raise
    finally:
        stand.close()
