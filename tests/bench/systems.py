"""What is measured: how each system is started, with or without its workers, and how its handled events are counted."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tests.bench.processes import DidNotRun, answers, process, wait_until
from tests.bench.servers import Postgres, Store, Valkey
from tests.support.ports import free_port

TOKEN: Final = "Bearer hq3v9tXk2mWcR7bYpL5sNd8f"
PEERS: Final = Path(__file__).parent / "peers"
COUNTER: Final = "bench:handled"
WORKER_READY: Final = "bench:worker-ready"


@dataclass(frozen=True)
class Grounds:
    """The servers that the systems stand on."""

    valkey: Valkey
    synced: Valkey  # syncs before it answers, as our ledgers do
    postgres: Postgres


@dataclass(frozen=True)
class Running:
    """A system that takes requests; `handled` gives how many events its workers have finished."""

    port: int
    handled: Callable[[], int]


class Start(Protocol):
    """How a system is started for as long as a block lasts."""

    def __call__(self, grounds: Grounds, *, working: bool) -> AbstractContextManager[Running]:
        """Start it."""


@dataclass(frozen=True)
class System:
    """One row of the table.

    Attributes:
        counted: what "handled" means for it, or None when it has no workers.
        start: starts it on an empty store, with or without its workers.
    """

    name: str
    title: str
    counted: str | None
    start: Start


def uvicorn(app: str, port: int) -> list[str]:
    """Serve an application as Keyturn is served: uvloop, httptools, no access log."""
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", str(port), *options]


@contextmanager
def bare(grounds: Grounds, *, working: bool) -> Iterator[Running]:  # noqa: ARG001 - it needs neither
    """The yardstick: one process, no work."""
    port = free_port()
    with process(uvicorn("tests.bench.peers.starlette_bare:app", port), name="bare") as web:
        wait_until(lambda: answers(port), what="bare Starlette", child=web)
        yield Running(port, handled=int)


def peer_environment(store: Store, port: int) -> dict[str, str]:
    """Tell a peer its Redis, its port, the token, and where its worker counts."""
    return {
        "BENCH_REDIS_URL": store.url,
        "BENCH_PORT": str(port),
        "BENCH_TOKEN": TOKEN,
        "BENCH_COUNTER": COUNTER,
        "BENCH_WORKER_READY": WORKER_READY,
    }


@contextmanager
def peer(name: str, redis: Valkey, *, web: Callable[[int], list[str]], worker: list[str] | None) -> Iterator[Running]:
    """Run a peer on an empty store: its server, and its worker when one is given."""
    port = free_port()
    store = redis.new_store()
    env: Mapping[str, str] = peer_environment(store, port)
    with ExitStack() as stack:
        if worker:
            hand = stack.enter_context(process(worker, name=f"{name}-worker", env=env))
            wait_until(lambda: bool(store.number(WORKER_READY)), what=f"{name} worker", child=hand)
        server = stack.enter_context(process(web(port), name=f"{name}-web", env=env))
        wait_until(lambda: answers(port), what=f"{name} web", child=server)
        yield Running(port, handled=lambda: store.number(COUNTER))


def delay(grounds: Grounds, *, working: bool) -> AbstractContextManager[Running]:
    """FastAPI with ``task.delay()`` in the handler; a prefork worker with a child for each of the two cores."""
    options = ["--loglevel", "warning", "--concurrency", "2", "--without-gossip", "--without-mingle"]
    worker = [sys.executable, "-m", "celery", "-A", "tests.bench.peers.fastapi_delay:celery", "worker", *options]
    return peer(
        "delay",
        grounds.valkey,
        web=lambda port: uvicorn("tests.bench.peers.fastapi_delay:app", port),
        worker=worker if working else None,
    )


def bullmq(grounds: Grounds, *, working: bool) -> AbstractContextManager[Running]:
    """Fastify with a BullMQ queue, over the Redis that `delay` has."""
    return fastify("bullmq", grounds.valkey, working=working)


def bullmq_synced(grounds: Grounds, *, working: bool) -> AbstractContextManager[Running]:
    """The same over a Redis that syncs before it answers: a 202 then promises what ours promises."""
    return fastify("bullmq_synced", grounds.synced, working=working)


def fastify(name: str, redis: Valkey, *, working: bool) -> AbstractContextManager[Running]:
    """Fastify with a BullMQ queue; a worker process with 64 jobs at a time."""
    folder = PEERS / "bullmq"
    node = install_node_modules(folder)
    return peer(
        name,
        redis,
        web=lambda _port: [node, str(folder / "server.mjs")],
        worker=[node, str(folder / "worker.mjs")] if working else None,
    )


def install_node_modules(folder: Path) -> str:
    """Install the peer's locked packages when they are missing or older than the lock; give node's path."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise DidNotRun("the BullMQ peer needs Node 20 or newer with npm")
    installed = folder / "node_modules" / ".package-lock.json"
    lock = folder / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        command = [npm, "ci", "--ignore-scripts", "--loglevel=error"]
        if subprocess.run(command, cwd=folder, check=False, timeout=300).returncode:
            raise DidNotRun("npm ci failed for the BullMQ peer")
    return node


BARE: Final = System("bare", "bare Starlette 202", None, bare)
DELAY: Final = System("delay", "FastAPI + task.delay()", "Celery tasks run, counted by the worker", delay)
BULLMQ: Final = System("bullmq", "Fastify + BullMQ", "BullMQ jobs run, counted by the worker", bullmq)
BULLMQ_SYNCED: Final = System(
    "bullmq_synced", "Fastify + BullMQ, synced", "as above, Redis with appendfsync always", bullmq_synced
)
