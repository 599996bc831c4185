"""The trigger story: a manual trigger for ten thousand devices, beside a receiver that goes on taking events in.

Timed are the dry run and, from the moment that the wish is stored, the making of all its jobs, as the planner does it:
chunk by chunk. Meanwhile a thread takes in an event every ten milliseconds; the slowest of its commits is told too.
"""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from infra.ledger import Arrival, Ledger, migrate
from schemas.fleet import Fleet, Site
from schemas.triggers import NewTrigger, Targets
from services.operations import PARAMETERS
from services.playbook import default_text, load_playbook
from services.triggers import Desk, Maker
from tests.bench.keyturn import data_folder
from tests.bench.servers import Postgres

DEVICES: Final = 10_000
ROUNDS: Final = 3
EVERY: Final = 0.01
"""Seconds between two events that come in meanwhile."""


def measure(postgres: Postgres) -> dict[str, float]:
    """Measure on both databases; the figures without a database's name are of the slower one."""
    with data_folder() as folder:
        found = {
            "sqlite": on_ledger(f"sqlite:///{folder}/trigger.db"),
            "postgres": on_ledger(postgres.new_database()),
        }
    figures = {
        f"trigger_10k_{name}_{database}": value for database, times in found.items() for name, value in times.items()
    }
    slowest = {name: max(times[name] for times in found.values()) for name in ("dry_s", "plan_s")}
    return {**figures, **{f"trigger_10k_{name}": value for name, value in slowest.items()}}


def on_ledger(url: str) -> dict[str, float]:
    """Run the rounds on one ledger, each with devices of its own; give the median of each time."""
    ledger = Ledger(url)
    try:
        migrate(ledger.database)
        samples = [one_round(ledger, number) for number in range(ROUNDS)]
    finally:
        ledger.close()
    return {name: statistics.median(sample[name] for sample in samples) for name in samples[0]}


def one_round(ledger: Ledger, number: int) -> dict[str, float]:
    """Ask for a dry run, then for the trigger, and make its jobs."""
    first = number * DEVICES
    fleet = Fleet(sites=(Site(name="bench", devices=tuple(f"{first + n:016x}" for n in range(DEVICES))),))
    playbook = load_playbook(default_text(), operations=PARAMETERS)
    desk = Desk(ledger, fleet=lambda: fleet, playbook=lambda: playbook, clock=now)
    asked = NewTrigger(operation="ublox.rotate_e2e_key", targets=Targets(all=True))
    with receiving(ledger) as slowest:
        started = time.perf_counter()
        preview = desk.preview(desk.check(asked))
        dried = time.perf_counter()
        order = desk.check(asked)
        with ledger.database.writing() as connection:
            trigger = desk.take(connection, order, actor="bench")
        maker = Maker(ledger, ring=lambda _task, _ids: None, clock=now)
        while not maker.step_of(trigger).over:
            pass
        planned = time.perf_counter()
    view = ledger.triggers.show(trigger)
    if preview.due != DEVICES or view is None or view.made != DEVICES:
        raise AssertionError(f"{preview.due} jobs were foreseen of {DEVICES}, and made: {view}")
    return {"dry_s": dried - started, "plan_s": planned - dried, "accept_max_ms": max(slowest, default=0.0) * 1000}


@contextmanager
def receiving(ledger: Ledger) -> Iterator[list[float]]:
    """Take events in meanwhile; the list gets the seconds of each commit."""
    took: list[float] = []
    stopped = threading.Event()

    def receive() -> None:
        while not stopped.wait(EVERY):
            started = time.perf_counter()
            ledger.inbox.accept([arrival()])
            took.append(time.perf_counter() - started)

    thread = threading.Thread(target=receive)
    thread.start()
    try:
        yield took
    finally:
        stopped.set()
        thread.join()


def arrival() -> Arrival:
    """A delivery that nobody has seen before."""
    return Arrival(
        receipt=uuid4().hex,
        hook="",
        event_type="DEVICE_BENCH_EVENT",
        device=None,
        occurred_at=None,
        received_at=now(),
        body=b"x" * 400,
    )


def now() -> datetime:
    """The time of this machine, with its zone."""
    return datetime.now(UTC)
