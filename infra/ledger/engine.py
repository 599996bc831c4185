"""Connections to the ledger: one way to read, one way to write, on SQLite and on PostgreSQL."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from schemas.errors import ConfigurationError, LedgerUnavailable

BUSY_TIMEOUT_MS: Final = 5_000
"""How long SQLite waits for a foreign writer (a backup, a shell) before a write fails."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a commit is on the disk before a 202 is sent
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA cache_size = -65536",  # 64 MiB
    "PRAGMA temp_store = MEMORY",
)

_POSTGRES: Final = {"connect_timeout": 5, "options": "-c lock_timeout=5s -c statement_timeout=60s"}
"""No statement of ours waits without end: the sweep would wait with it."""


class WriteGate:
    """Lets one writer at a time into a SQLite file, across threads and processes, first come first served.

    SQLite's own busy handler polls with sleeps of up to 100 ms; a blocking flock wakes the next writer at once, and the
    kernel releases it when a process is killed.
    """

    def __init__(self, path: Path) -> None:
        self._threads = threading.Lock()
        self._file = path.open("ab")

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold the gate."""
        with self._threads:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the lock file back."""
        self._file.close()


class Database:
    """The ledger's database; gives connections and maps driver trouble to `LedgerUnavailable`."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._gate: WriteGate | None = None
        if self.is_sqlite:
            self.engine = self._sqlite(url, parsed.database)
        else:
            self.engine = create_engine(
                url, pool_size=8, max_overflow=8, pool_timeout=10, pool_pre_ping=True, connect_args=_POSTGRES
            )

    def _sqlite(self, url: str, database: str | None) -> Engine:
        if not database or database == ":memory:":
            raise ConfigurationError("DATABASE_URL must name a file, such as sqlite:///var/keyturn.db")
        path = Path(database)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._gate = WriteGate(path.with_name(path.name + ".lock"))
        engine = create_engine(url, pool_size=8, max_overflow=56, connect_args={"check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection on one consistent snapshot."""
        with _unavailable_when_broken(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction: committed at the end, rolled back by an exception."""
        gate = self._gate() if self._gate else nullcontext()
        writer = self.engine.execution_options(writes=True)
        with _unavailable_when_broken(), gate, writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        if self._gate:
            self._gate.close()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in _PRAGMAS:
        connection.execute(pragma).close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _unavailable_when_broken() -> Iterator[None]:
    try:
        yield
    except PoolTimeout:
        raise LedgerUnavailable("the ledger has no free connection") from None
    except DBAPIError as error:
        if error.connection_invalidated or _is_passing(error):
            raise LedgerUnavailable(f"the ledger cannot be used now: {_first_line(error)}") from error
        raise


def _is_passing(error: DBAPIError) -> bool:
    """Trouble of the database, not of our statement: locked, full, away, deadlock."""
    return type(error).__name__ == "OperationalError"


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__
