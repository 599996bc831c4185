"""What a load balancer and a person are told of a web process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg

from infra.ledger import Plan
from schemas.jobs import NewJob, State
from services.sweep import sweep
from services.wiring import now
from tests.support.ledger import OTHER, ask, claim, settle, take_in, wish
from tests.support.patience import eventually
from tests.support.site import Receiver, notification, serving

FORGOTTEN = "standing still: no sweep; are beat and the control worker running?"


@contextmanager
def away(receiver: Receiver) -> Iterator[None]:
    """Take the ledger away: SQLite loses its tables, PostgreSQL lets nobody in."""
    if receiver.ledger.database.is_sqlite:
        rename(receiver, "jobs", "gone_jobs", "events", "gone_events")
        yield
        rename(receiver, "gone_jobs", "jobs", "gone_events", "events")
        return
    url = receiver.settings.database_url.get_secret_value().replace("+psycopg", "")
    with psycopg.connect(url) as session:
        name = session.info.dbname
    with psycopg.connect(url, dbname="postgres", autocommit=True) as session:
        session.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        session.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())


def rename(receiver: Receiver, *names: str) -> None:
    with receiver.ledger.database.writing() as connection:
        for old, new in zip(names[::2], names[1::2], strict=True):
            connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")


def ready(receiver: Receiver) -> Any:
    answer = receiver.get("/readyz", Authorization=None)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return answer.document


def swept(receiver: Receiver, *, ago: float = 0) -> None:
    clock: Callable[[], Any] = lambda: now() - timedelta(seconds=ago)  # noqa: E731 - the clock of one sweep
    sweep(receiver.ledger, ring=lambda *_: None, clock=clock)


def test_an_idle_site_that_nobody_sweeps_stands_still(database_url: str) -> None:
    with serving(database_url) as receiver:
        assert ready(receiver) == {
            "status": "ready",
            "ledger": "reachable",
            "work": FORGOTTEN,
            "oldest_due_job_seconds": None,
            "oldest_unplanned_event_seconds": None,
            "parked_jobs": 0,
            "faulty_events": 0,
            "last_sweep": None,
            "last_sweep_seconds_ago": None,
        }


def test_work_moves_while_sweeps_leave_their_trace(database_url: str) -> None:
    with serving(database_url, sweep_every=2) as receiver:
        swept(receiver)
        page = ready(receiver)
        assert page["work"] == "moving"
        assert 0 <= page["last_sweep_seconds_ago"] < 5
        assert page["last_sweep"].endswith("+00:00")
        swept(receiver, ago=30)
        page = ready(receiver)
        assert page["work"] == FORGOTTEN
        assert 30 <= page["last_sweep_seconds_ago"] < 40


def test_the_ages_show_what_waits_and_for_how_long(database_url: str) -> None:
    with serving(database_url) as receiver:
        receiver.post(notification())
        page = ready(receiver)
        assert 0 <= page["oldest_unplanned_event_seconds"] < 10
        assert page["oldest_due_job_seconds"] is None
        (row,) = receiver.rows()
        plan = Plan(event_id=row.id, verdict="v", jobs=[NewJob(operation="ublox.rotate_e2e_key", target="d")])
        receiver.ledger.planning.store([plan], now() - timedelta(seconds=60))
        page = ready(receiver)
        assert page["oldest_unplanned_event_seconds"] is None
        assert 60 <= page["oldest_due_job_seconds"] < 70


def test_what_waits_for_a_person_is_counted(database_url: str) -> None:
    with serving(database_url) as receiver:
        ledger = receiver.ledger
        ask(ledger, now(), wish(), wish(OTHER))
        for job in claim(ledger, now()):
            settle(ledger, now(), job, State.PARKED)
        (faulty,) = take_in(ledger, now())
        ledger.planning.store([Plan(event_id=faulty, verdict="could not be planned", fault=True)], now())
        page = ready(receiver)
        assert (page["parked_jobs"], page["faulty_events"]) == (2, 1)


def test_a_site_whose_ledger_is_away_is_alive_but_not_ready_until_it_is_back(database_url: str) -> None:
    with serving(database_url, accept_timeout=0.5) as receiver:
        path = receiver.post(notification()).headers["location"]
        with away(receiver):
            page = receiver.get(path)
            assert (page.status, page.headers["retry-after"]) == (503, "5")
            answer = receiver.get("/readyz")
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert answer.document["status"] == "not ready"
            assert receiver.get("/healthz").document == {"status": "alive"}
        eventually(lambda: receiver.get("/readyz").status == 200)
        assert receiver.post(notification(Timestamp="2021-01-01")).status == 202


def test_health_needs_no_token_and_takes_no_orders(database_url: str) -> None:
    with serving(database_url) as receiver:
        for path in ("/healthz", "/readyz"):
            assert receiver.get(path, Authorization=None).status == 200
            assert receiver.post(b"{}", path=path).status == 405
        for path in ("/", "/docs", "/webhook", "/webhooks", "/healthz/", "/receipts/", "/%2e%2e/etc/passwd"):
            assert receiver.get(path).status in {307, 404}
