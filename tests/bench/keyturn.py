"""Keyturn among the measured systems: started as in production, its handled events counted in the ledger itself."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

import psycopg

from tests.bench.processes import WORKSHOP, DidNotRun, answers, process, surroundings, wait_until
from tests.bench.systems import TOKEN, Grounds, Running, System
from tests.support.ports import free_port

CLI: Final = (sys.executable, "-m", "services.cli.main")
COUNTED: Final = "ledger events that have their plan committed (state no longer 'new')"
HANDLED: Final = """
    SELECT CASE WHEN EXISTS (SELECT 1 FROM events WHERE state = 'new') THEN 0 ELSE (SELECT count(*) FROM events) END
"""
"""All events once none is new, and 0 before: asked often while the workers are busy, so it must cost them nothing."""


def sqlite_url(_grounds: Grounds, data: Path) -> str:
    """Name a new SQLite ledger."""
    return f"sqlite:///{data / 'keyturn.db'}"


def postgres_url(grounds: Grounds, _data: Path) -> str:
    """Make a new PostgreSQL ledger."""
    return grounds.postgres.new_database()


def handled(url: str) -> int:
    """Count the handled events once all are, past Keyturn's own code."""
    try:
        return (
            handled_on_sqlite(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else handled_on_postgres(url)
        )
    except (sqlite3.Error, psycopg.Error) as error:
        raise DidNotRun(f"the ledger could not be read: {error}") from None


def handled_on_sqlite(path: str) -> int:
    """Ask a SQLite ledger."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return int(connection.execute(HANDLED).fetchone()[0])


def handled_on_postgres(url: str) -> int:
    """Ask a PostgreSQL ledger."""
    with psycopg.connect(url.replace("+psycopg", "")) as session:
        row = session.execute(HANDLED.encode()).fetchone()
    return int(row[0]) if row else 0


def environment(grounds: Grounds, url: str, data: Path) -> dict[str, str]:
    """Settings of every Keyturn process."""
    return {
        "DATABASE_URL": url,
        "REDIS_URL": grounds.valkey.new_store().url,
        "KEYTURN_WEBHOOK_TOKENS": TOKEN,
        "KEYTURN_DATA_DIR": str(data),
        "KEYTURN_BACKLOG_LIMIT": "10000000",  # without workers the flood would reach the usual limit
    }


@contextmanager
def data_folder() -> Iterator[Path]:
    """Give an empty data directory and remove it afterwards."""
    data = WORKSHOP / "keyturn" / uuid4().hex[:12]
    data.mkdir(parents=True)
    try:
        yield data
    finally:
        shutil.rmtree(data, ignore_errors=True)


def prepare(env: Mapping[str, str], data: Path) -> None:
    """Bring the new ledger to the newest schema."""
    command = [*CLI, "migrate"]
    done = subprocess.run(command, cwd=data, env={**surroundings(), **env}, check=False, capture_output=True, text=True)
    if done.returncode:
        raise DidNotRun(f"keyturn migrate failed: {done.stderr.strip()[-300:]}")


@contextmanager
def run_keyturn(
    grounds: Grounds,
    *,
    working: bool,
    queues: Sequence[str] = ("control",),
    database: Callable[[Grounds, Path], str],
    more: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Run the receiver on an empty ledger; with workers also the beat and a worker process for each queue."""
    port = free_port()
    with ExitStack() as stack:
        data = stack.enter_context(data_folder())
        url = database(grounds, data)
        env = {**environment(grounds, url, data), **(more or {})}

        def part(*words: str) -> subprocess.Popen[bytes]:
            """Start one part; in its data folder no `.env` file of a developer is found."""
            return stack.enter_context(process([*CLI, *words], name=f"keyturn-{words[0]}", env=env, folder=data))

        prepare(env, data)
        if working:
            for queue in queues:
                part("worker", "-Q", queue)
            part("beat")
        web = part("web", "--port", str(port))
        wait_until(lambda: answers(port), what="keyturn web", child=web)
        yield Running(port, handled=lambda: handled(url))


SQLITE: Final = System("sqlite", "Keyturn on SQLite", COUNTED, partial(run_keyturn, database=sqlite_url))
POSTGRES: Final = System("postgres", "Keyturn on PostgreSQL", COUNTED, partial(run_keyturn, database=postgres_url))
