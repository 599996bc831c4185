"""A 202 is a promise: what is stored before it, what happens when nothing can be stored, and what a kill leaves."""

import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
from structlog.testing import capture_logs

from infra.ledger import Ledger, Plan, migrate
from services.sandbox.server import Address
from services.wiring import now
from tests.support.patience import eventually
from tests.support.ports import free_port
from tests.support.processes import CLI, answers, clean_environ, started
from tests.support.site import TOKEN, Receiver, Wire, events, request, serving, wired

CURSED = "00000000deadbeef"


def news(number: int, device: str = "") -> bytes:
    uid = f'"ROTPublicUID": "{device}", ' if device else ""
    return f'{{{uid}"EventType": "NEWS", "Payload": {{"number": {number}}}}}'.encode()


@contextmanager
def locked(database_url: str) -> Iterator[None]:
    """Hold what every write to the ledger needs, from a connection that knows nothing of Keyturn."""
    if database_url.startswith("sqlite"):
        path = database_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
    else:
        with psycopg.connect(database_url.replace("+psycopg", "")) as session:
            session.execute("LOCK TABLE events IN EXCLUSIVE MODE")
            yield
            session.rollback()


@contextmanager
def asked(receiver: Receiver, bodies: list[bytes]) -> Iterator[list[Wire]]:
    """Send each body on a connection of its own and do not wait for the answers."""
    with ExitStack() as stack:
        wires = [stack.enter_context(receiver.wire()) for _ in bodies]
        for wire, body in zip(wires, bodies, strict=True):
            wire.send(request(body))
            time.sleep(0.02)  # so that they arrive in this order
        yield wires


def test_a_delivery_that_cannot_be_committed_is_to_be_repeated_and_then_stored_once(database_url: str) -> None:
    with serving(database_url, accept_timeout=0.3) as receiver:
        with locked(database_url):
            began = time.monotonic()
            answer = receiver.post(news(1))
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert answer.document["detail"] == "no commit within 0.3 s"
            assert time.monotonic() - began < 2
            assert receiver.get("/healthz").status == 200
        eventually(lambda: receiver.post(news(1)).status == 202)
        assert receiver.post(news(1)).receipt == receiver.row(news(1)).receipt


def test_those_that_wait_too_long_are_refused_one_and_all_and_the_next_is_taken(database_url: str) -> None:
    with serving(database_url, accept_timeout=0.3) as receiver:
        bodies = [news(number) for number in range(30)]
        with locked(database_url), asked(receiver, bodies) as wires:
            assert {wire.answer().status for wire in wires} == {503}
        eventually(lambda: receiver.post(news(99)).status == 202)
        assert [receiver.post(body).status for body in bodies] == [202] * 30
        assert sorted(row.body for row in receiver.rows()) == sorted([*bodies, news(99)])


def test_no_more_wait_in_memory_than_the_limit(database_url: str) -> None:
    with serving(database_url, accept_queue_limit=2, accept_timeout=5) as receiver, ExitStack() as lock:
        lock.enter_context(locked(database_url))
        with asked(receiver, [news(0), news(1), news(2)]) as waiting:
            refused = receiver.post(news(3))
            assert (refused.status, refused.headers["retry-after"]) == (503, "5")
            assert refused.document["detail"] == "2 deliveries wait for the ledger"
            lock.close()
            assert [wire.answer().status for wire in waiting] == [202] * 3


def test_deliveries_that_shared_a_wait_are_all_stored(database_url: str) -> None:
    with serving(database_url) as receiver, ExitStack() as lock:
        lock.enter_context(locked(database_url))
        bodies = [news(number) for number in range(20)]
        with asked(receiver, [*bodies, bodies[3], b"{"]) as wires:
            lock.close()
            answers = [wire.answer() for wire in wires]
        assert [answer.status for answer in answers] == [202] * 21 + [400]
        assert answers[20].receipt == answers[3].receipt
        assert [row.receipt for row in receiver.rows()] == [answer.receipt for answer in (*answers[:20], answers[21])]


def test_a_backlog_over_its_limit_refuses_until_it_is_worked_off(database_url: str) -> None:
    with serving(database_url, accept_queue_limit=3, backlog_limit=3) as receiver:
        for number in range(4):
            assert receiver.post(news(number)).status == 202
        eventually(lambda: receiver.post(news(0)).status == 503)
        answer = receiver.post(news(5))
        assert answer.document["detail"] == "more than 3 events wait for their plan"
        assert answer.headers["retry-after"] == "5"
        plans = [Plan(event_id=row.id, verdict="no rule") for row in receiver.rows()]
        receiver.ledger.planning.store(plans, now())
        eventually(lambda: receiver.post(news(5)).status == 202)
        assert receiver.row(news(5)).state == "new"


def test_a_row_that_the_database_refuses_does_not_sink_its_batch(database_url: str) -> None:
    with capture_logs() as logs, serving(database_url, accept_timeout=10) as receiver, ExitStack() as lock:
        curse(receiver.ledger)
        lock.enter_context(locked(database_url))
        bodies = [news(0), news(1), news(2, CURSED), news(3), news(4)]
        with asked(receiver, bodies) as wires:
            lock.close()
            answers = [wire.answer() for wire in wires]
        assert [answer.status for answer in answers] == [202, 202, 503, 202, 202]
        assert answers[2].headers["retry-after"] == "5"
        assert {row.body for row in receiver.rows()} == {*bodies} - {bodies[2]}
        assert receiver.post(news(5)).status == 202
    told = [line["error"] for line in logs if line["event"] == "deliveries were not stored"]
    assert len(told) == 1
    assert '"Payload"' not in told[0]  # what was delivered stays out of the log


def curse(ledger: Ledger) -> None:
    """Make the database refuse every event of one device."""
    statement = (
        f"CREATE TRIGGER curse BEFORE INSERT ON events WHEN NEW.device = '{CURSED}'"
        " BEGIN SELECT RAISE(ABORT, 'cursed'); END"
        if ledger.database.is_sqlite
        else f"ALTER TABLE events ADD CONSTRAINT curse CHECK (device <> '{CURSED}')"
    )
    with ledger.database.writing() as connection:
        connection.exec_driver_sql(statement)


def test_a_stop_commits_what_waits_and_answers_it(ledger: Ledger, database_url: str) -> None:
    bodies = [news(number) for number in range(5)]
    with ExitStack() as wires:
        with serving(database_url) as receiver:
            lock = ExitStack()  # closed by another thread while the site is being stopped
            lock.enter_context(locked(database_url))
            asking = wires.enter_context(asked(receiver, bodies))
            release = threading.Timer(0.3, lock.close)
            release.start()
        release.join()
        assert [wire.answer().status for wire in asking] == [202] * 5
    assert [row.body for row in events(ledger)] == bodies


def test_every_202_outlives_a_kill_under_load(tmp_path: Path) -> None:
    url, port = f"sqlite:///{tmp_path}/keyturn.db", free_port()
    ledger = Ledger(url)
    migrate(ledger.database)
    env = clean_environ(DATABASE_URL=url, KEYTURN_WEBHOOK_TOKENS=TOKEN, REDIS_URL="redis://127.0.0.1:1/0")
    with started((*CLI, "web", "--port", str(port)), folder=tmp_path, env=env) as web:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/healthz"))
        receipts: list[str] = []
        address = Address(host="127.0.0.1", port=port)
        senders = [threading.Thread(target=flood, args=(address, number, receipts)) for number in range(16)]
        for sender in senders:
            sender.start()
        time.sleep(1.5)
        web.stop(signal.SIGKILL)
        for sender in senders:
            sender.join()
    stored = {row.receipt for row in events(ledger)}
    ledger.close()
    assert len(receipts) > 100
    assert set(receipts) <= stored
    assert len(stored) <= len(receipts) + 16


def flood(address: Address, sender: int, receipts: list[str]) -> None:
    """Send as fast as answers come, until the other side is gone."""
    with wired(address) as wire:
        for number in range(1_000_000):
            try:
                wire.send(request(news(sender * 1_000_000 + number)))
                receipts.append(wire.answer().receipt)
            except (OSError, IndexError, ValueError):  # cut off before or in the middle of an answer
                return
