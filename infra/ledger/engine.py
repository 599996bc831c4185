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

_POSTGRES: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "options": "-c lock_timeout=5s -c statement_timeout=60s",
}
"""No statement of ours waits without end, nor a connection whose other end is gone: the sweep would wait with it."""

_DEADLOCK: Final = "40P01"

_PASSING: Final = ("08", "25006", "53", "57")
"""SQLSTATE: no connection, a standby that only reads (a failover is under way), no room, stopped by an operator."""


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
            self._prepare_folder(parsed.database)
            self.engine = _sqlite(url, pool_size=8, max_overflow=56)
            self._appender = _sqlite(url, pool_size=1)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = _postgres(url, pool_size=8, max_overflow=8, pool_pre_ping=True)
            self._appender = _postgres(url, pool_size=1, isolation_level="AUTOCOMMIT")

    def _prepare_folder(self, database: str | None) -> None:
        if not database or database == ":memory:":
            raise ConfigurationError("DATABASE_URL must name a file, such as sqlite:///var/keyturn.db")
        path = Path(database)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._gate = WriteGate(path.with_name(path.name + ".lock"))
        except OSError as error:
            raise ConfigurationError(f"DATABASE_URL: {path} cannot be written: {error.strerror}") from None

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

    @contextmanager
    def appending(self) -> Iterator[Connection]:
        """A connection on which each statement is a transaction of its own: one round trip, one wait for the GIL."""
        gate = self._gate() if self._gate else nullcontext()
        with _unavailable_when_broken(), gate, self._appender.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._appender.dispose()
        self.engine.dispose()
        if self._gate:
            self._gate.close()


def _sqlite(url: str, **options: Any) -> Engine:
    engine = create_engine(url, hide_parameters=True, connect_args={"check_same_thread": False}, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _postgres(url: str, **options: Any) -> Engine:
    """`hide_parameters`: an error's text goes into logs, and the parameters hold what was delivered."""
    return create_engine(url, hide_parameters=True, pool_timeout=10, connect_args=_POSTGRES, **options)


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
    sqlstate = getattr(error.orig, "sqlstate", None) or ""
    return type(error).__name__ == "OperationalError" or sqlstate.startswith(_PASSING)


def may_succeed_at_once(error: LedgerUnavailable) -> bool:
    """Whether the same again may succeed: a connection had died, or two transactions had waited for each other."""
    cause = error.__cause__
    if not isinstance(cause, DBAPIError):
        return False
    return cause.connection_invalidated or getattr(cause.orig, "sqlstate", None) == _DEADLOCK


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__
