import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from infra.ledger import Ledger, migrate
from infra.ledger.engine import Database
from schemas.errors import ConfigurationError, LedgerUnavailable
from tests.conftest import Clock, PostgresServer
from tests.support.ledger import arrival, rows, take_in

HOLD = """
import sys, time
from sqlalchemy import text
from infra.ledger import Ledger
with Ledger(sys.argv[1]).database.writing() as connection:
    connection.execute(text("INSERT INTO notes (name, at) VALUES ('half done', 1)"))
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keyturn.db"


@pytest.fixture
def impatient(file: Path) -> Iterator[Ledger]:
    """A ledger in a SQLite file that waits a fifth of a second, not five, for a foreign writer."""
    ledger = Ledger(f"sqlite:///{file}")
    migrate(ledger.database)
    ledger.database.engine.dispose()
    event.listen(ledger.database.engine, "connect", shorten_patience)
    yield ledger
    ledger.close()


def shorten_patience(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout = 200").close()


def test_a_write_that_fails_leaves_nothing_behind(ledger: Ledger) -> None:
    def half() -> None:
        with ledger.database.writing() as connection:
            connection.execute(text("INSERT INTO notes (name, at) VALUES ('half', 1)"))
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert rows(ledger, "SELECT * FROM notes") == []


def test_a_commit_is_on_the_disk_before_anybody_is_answered(impatient: Ledger) -> None:
    with impatient.database.reading() as connection:
        modes = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    assert modes == ["wal", 2]


def test_readers_do_not_wait_for_a_writer(ledger: Ledger, clock: Clock) -> None:
    take_in(ledger, clock(), 2)
    with ledger.database.writing() as connection:
        connection.execute(text("DELETE FROM events"))
        assert ledger.inbox.backlog(10) == 2


def test_a_foreign_writer_makes_the_ledger_unavailable_within_its_bound(
    impatient: Ledger, file: Path, clock: Clock
) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(LedgerUnavailable, match="database is locked"):
            impatient.upkeep.note("last_sweep", clock())
        assert time.monotonic() - began < 2
        assert impatient.inbox.backlog(1) == 0  # reading goes on
        foreign.execute("ROLLBACK")
    assert len(impatient.inbox.accept([arrival(clock())])) == 1


def test_writers_wait_for_a_foreign_writer_that_ends_in_time(impatient: Ledger, file: Path, clock: Clock) -> None:
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            stored = pool.submit(impatient.inbox.accept, [arrival(clock())])
            foreign.execute("COMMIT")
            assert len(stored.result(timeout=60)) == 1


def test_a_killed_process_gives_the_write_gate_back_and_leaves_nothing_half_done(
    impatient: Ledger, file: Path, clock: Clock
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, f"sqlite:///{file}"],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder, ThreadPoolExecutor(1) as pool:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        stored = pool.submit(impatient.inbox.accept, [arrival(clock())])
        with pytest.raises(TimeoutError):
            stored.result(timeout=0.3)
        holder.kill()
        assert len(stored.result(timeout=60)) == 1
    assert rows(impatient, "SELECT * FROM notes") == []


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_ledger_that_would_forget_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="must name a file"):
        Database(url)


def test_the_folder_of_a_new_ledger_is_made(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/deep/er/keyturn.db")
    migrate(ledger.database)
    ledger.close()


@pytest.mark.parametrize(
    "ask",
    [lambda ledger, _: ledger.inbox.waiting(1), lambda ledger, now: ledger.inbox.accept([arrival(now)])],
    ids=["reading", "writing"],
)
def test_a_server_that_is_away_makes_the_ledger_unavailable(ask: Callable[[Ledger, Any], Any], clock: Clock) -> None:
    ledger = Ledger("postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    with pytest.raises(LedgerUnavailable, match="the ledger cannot be used now"):
        ask(ledger, clock())
    ledger.close()


def test_a_statement_of_ours_that_is_wrong_is_no_passing_trouble(ledger: Ledger) -> None:
    with pytest.raises(Exception, match=r"(?i)null") as caught, ledger.database.writing() as connection:
        connection.execute(text("INSERT INTO notes (name) VALUES ('no time')"))
    assert not isinstance(caught.value, LedgerUnavailable)


def test_a_standby_that_only_reads_is_passing_trouble(postgres: PostgresServer, clock: Clock) -> None:
    """A failover leaves connections to a server that takes no writes."""
    with closing(Ledger(postgres.new_database())) as ledger:
        migrate(ledger.database)
        event.listen(ledger.database.engine, "begin", only_read)
        with pytest.raises(LedgerUnavailable, match="read-only transaction"):
            ledger.upkeep.note("last_sweep", clock())


def only_read(connection: Any) -> None:
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")


@pytest.mark.parametrize(
    ("code", "passing"),
    [("08006", True), ("53300", True), ("57P03", True), ("25006", True), ("25001", False), ("42P01", False)],
)
def test_what_passes_is_told_by_its_code(postgres: PostgresServer, code: str, *, passing: bool) -> None:
    with (
        closing(Database(postgres.new_database())) as database,
        pytest.raises(Exception, match="odd") as caught,
        database.writing() as connection,
    ):
        connection.exec_driver_sql(f"DO $$ BEGIN RAISE 'odd' USING ERRCODE = '{code}'; END $$")
    assert isinstance(caught.value, LedgerUnavailable) is passing
