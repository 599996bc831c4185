"""The growth story: the same work beside ten thousand finished jobs and beside a million, turn by turn.

A cycle takes a hundred events through the whole ledger: accepted, planned, claimed, settled. The ledger keeps up when
its cost does not grow with what is finished.
"""

import statistics
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

from sqlalchemy import text

from infra.ledger import Arrival, Ledger, Plan, Settlement, migrate
from schemas.jobs import NewJob, State
from tests.bench.keyturn import data_folder

SMALL: Final = 10_000
LARGE: Final = 1_000_000
BATCH: Final = 100
WARM_UP: Final = 5
"""Cycles that do not count; they also pay for the checkpoint of what was filled in."""

CYCLES: Final = 60
OPERATION: Final = "ublox.bench"

_NUMBERS: Final = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)"

_OLD_EVENTS: Final = text(f"""
    {_NUMBERS}
    INSERT INTO events (receipt, source, hook, event_type, device, received_at, body, state, verdict, planned_at)
    SELECT lower(hex(randomblob(16))), 'webhook', '', 'DEVICE_BENCH_EVENT', printf('%016x', n), n, zeroblob(400),
           'planned', 'old', n FROM numbers
""")  # noqa: S608 - constants only

_OLD_JOBS: Final = text(f"""
    {_NUMBERS}
    INSERT INTO jobs (operation, target, lock_key, parameters, rule, event_id, state, reason, not_before, fence,
                      attempts, progress, evidence, created_at, updated_at, finished_at)
    SELECT '{OPERATION}', printf('%016x', n), 'ublox:' || printf('%016x', n), '{{}}', 'old', n, 'succeeded', 'old', n,
           1, 1, '{{}}', '{{}}', n, n, n FROM numbers
""")  # noqa: S608 - constants only

_OLD_ATTEMPTS: Final = text(f"""
    {_NUMBERS}
    INSERT INTO attempts (job_id, number, fence, worker, started_at, ended_at, outcome, reason)
    SELECT n, 1, 1, 'old', n, n, 'succeeded', 'old' FROM numbers
""")  # noqa: S608 - constants only


def old_ledger(data: Path, count: int) -> Ledger:
    """Make a SQLite ledger that already holds so many finished events, jobs and attempts."""
    ledger = Ledger(f"sqlite:///{data / f'{count}.db'}")
    migrate(ledger.database)
    for statement in (_OLD_EVENTS, _OLD_JOBS, _OLD_ATTEMPTS):
        with ledger.database.writing() as connection:
            connection.execute(statement, {"count": count})
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


def cycle(ledger: Ledger) -> float:
    """Take a batch through the ledger and give the seconds it took."""
    now = datetime.now(UTC)
    batch = arrivals(now)
    started = time.perf_counter()
    ledger.inbox.accept(batch)
    waiting = ledger.inbox.waiting(BATCH)
    plans = [
        Plan(event_id=event.id, verdict="bench", jobs=[NewJob(operation=OPERATION, target=event.receipt)])
        for event in waiting
    ]
    ledger.planning.store(plans, now)
    jobs = ledger.work.claim(OPERATION, worker="bench", now=now, lease=timedelta(minutes=1), limit=BATCH)
    done = [
        Settlement(job=job, state=State.SUCCEEDED, reason="bench", not_before=now, progress=job.progress)
        for job in jobs
    ]
    ledger.work.settle(done, now)
    elapsed = time.perf_counter() - started
    if len(done) != BATCH:
        raise AssertionError(f"a cycle settled {len(done)} of {BATCH} jobs")
    return elapsed


def measure() -> dict[str, float]:
    """Run the cycles on both ledgers in turns and compare their medians."""
    with ExitStack() as stack:
        data = stack.enter_context(data_folder())
        costs: dict[int, list[float]] = {SMALL: [], LARGE: []}
        ledgers = {}
        for count in costs:
            ledgers[count] = old_ledger(data, count)
            stack.callback(ledgers[count].close)
        for _ in range(WARM_UP + CYCLES):
            for count, ledger in ledgers.items():
                costs[count].append(cycle(ledger))
    small, large = (statistics.median(costs[count][WARM_UP:]) * 1000 for count in (SMALL, LARGE))
    return {"ledger_growth": large / small, "ledger_cycle_small_ms": small, "ledger_cycle_large_ms": large}
