"""The growth story: the same claims and settlements beside little history and beside much, turn by turn.

A cycle claims a hundred due jobs and settles them; that they are there is prepared off the clock. The ledger keeps up
when the cost does not grow with what is finished: with 1 million events and 5 million jobs, on each database.
"""

import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

from sqlalchemy import text

from infra.ledger import Arrival, Ledger, Plan, Settlement, migrate
from schemas.jobs import NewJob, State
from tests.bench.keyturn import data_folder
from tests.bench.servers import Postgres

BATCH: Final = 100
WARM_UP: Final = 5
"""Cycles that do not count; they also pay for the checkpoint of what was filled in."""

CYCLES: Final = 60
OPERATION: Final = "ublox.bench"
_CHUNK: Final = 250_000
"""Rows of one filling transaction."""


@dataclass(frozen=True)
class History:
    """How much is finished already."""

    name: str
    events: int
    jobs: int


SMALL: Final = History("small", 10_000, 10_000)
LARGE: Final = History("large", 1_000_000, 5_000_000)

_NUMBERS: Final = (
    "WITH RECURSIVE numbers(n) AS (SELECT CAST(:first AS BIGINT) UNION ALL"
    " SELECT n + 1 FROM numbers WHERE n + 1 < :first + :count)"
)

_OLD_EVENTS: Final = text(f"""
    {_NUMBERS}
    INSERT INTO events (receipt, source, hook, event_type, device, received_at, body, state, verdict, planned_at)
    SELECT 'old_' || n, 'webhook', '', 'DEVICE_BENCH_EVENT', 'device-' || n, n, :body, 'planned', 'old', n FROM numbers
""")  # noqa: S608 - constants only

_OLD_JOBS: Final = text(f"""
    {_NUMBERS}
    INSERT INTO jobs (operation, target, lock_key, parameters, rule, event_id, state, reason, not_before, fence,
                      attempts, progress, evidence, created_at, updated_at, finished_at)
    SELECT '{OPERATION}', 'device-' || n, 'ublox:device-' || n, '{{}}', 'old', n % :events, 'succeeded', 'old', n,
           1, 1, '{{}}', '{{}}', n, n, n FROM numbers
""")  # noqa: S608 - constants only

_OLD_ATTEMPTS: Final = text(f"""
    {_NUMBERS}
    INSERT INTO attempts (job_id, number, fence, worker, started_at, ended_at, outcome, reason)
    SELECT n, 1, 1, 'old', n, n, 'succeeded', 'old' FROM numbers
""")  # noqa: S608 - constants only


def old_ledger(url: str, history: History) -> Ledger:
    """Make a ledger that already holds so many finished events, jobs and attempts."""
    ledger = Ledger(url)
    migrate(ledger.database)
    for statement, count in ((_OLD_EVENTS, history.events), (_OLD_JOBS, history.jobs), (_OLD_ATTEMPTS, history.jobs)):
        bound: dict[str, object] = {"body": b"x" * 400} if statement is _OLD_EVENTS else {}
        bound |= {"events": history.events} if statement is _OLD_JOBS else {}
        for first in range(1, count + 1, _CHUNK):
            with ledger.database.writing() as connection:
                connection.execute(statement, {**bound, "first": first, "count": min(_CHUNK, count - first + 1)})
    with ledger.database.writing() as connection:
        connection.execute(text("ANALYZE"))  # what a running database has done long since
    return ledger


def arrivals(now: datetime) -> list[Arrival]:
    """Make a batch of deliveries that nobody has seen before."""
    return [
        Arrival(
            receipt=uuid4().hex,
            hook="",
            event_type="DEVICE_BENCH_EVENT",
            device=None,
            occurred_at=None,
            received_at=now,
            body=b"x" * 400,
        )
        for _ in range(BATCH)
    ]


def prepare(ledger: Ledger, now: datetime) -> None:
    """Make a batch of jobs due."""
    ledger.inbox.accept(arrivals(now))
    plans = [
        Plan(event_id=event.id, verdict="bench", jobs=[NewJob(operation=OPERATION, target=event.receipt)])
        for event in ledger.inbox.waiting(BATCH)
    ]
    ledger.planning.store(plans, now)


def cycle(ledger: Ledger) -> float:
    """Claim and settle a batch and give the seconds it took."""
    now = datetime.now(UTC)
    prepare(ledger, now)
    started = time.perf_counter()
    jobs = ledger.work.claim(OPERATION, worker="bench", now=now, lease=timedelta(minutes=1), limit=BATCH)
    done = [Settlement(job=job, state=State.SUCCEEDED, reason="bench", not_before=now) for job in jobs]
    ledger.work.settle(done, now)
    elapsed = time.perf_counter() - started
    if len(done) != BATCH:
        raise AssertionError(f"a cycle settled {len(done)} of {BATCH} jobs")
    return elapsed


def growth_on(small: Ledger, large: Ledger) -> tuple[float, float]:
    """Run the cycles on both ledgers in turns; give the median of each in milliseconds."""
    costs: dict[str, list[float]] = {"small": [], "large": []}
    for number in range(WARM_UP + CYCLES):
        turns = [("small", small), ("large", large)]
        for name, ledger in turns if number % 2 else reversed(turns):
            costs[name].append(cycle(ledger))
    return statistics.median(costs["small"][WARM_UP:]) * 1000, statistics.median(costs["large"][WARM_UP:]) * 1000


def measure(postgres: Postgres) -> dict[str, float]:
    """Compare the medians on each database; `ledger_growth` is the worse of the two."""
    figures: dict[str, float] = {}
    with ExitStack() as stack:
        data = stack.enter_context(data_folder())
        for database in ("sqlite", "postgres"):
            ledgers = []
            for history in (SMALL, LARGE):
                ledgers.append(old_ledger(_url(database, data, postgres, history), history))
                stack.callback(ledgers[-1].close)
            small, large = growth_on(*ledgers)
            figures |= {
                f"ledger_growth_{database}": large / small,
                f"ledger_{database}_small_ms": small,
                f"ledger_{database}_large_ms": large,
            }
    figures["ledger_growth"] = max(figures["ledger_growth_sqlite"], figures["ledger_growth_postgres"])
    return figures


def _url(database: str, data: Path, postgres: Postgres, history: History) -> str:
    return postgres.new_database() if database == "postgres" else f"sqlite:///{data / f'{history.name}.db'}"
