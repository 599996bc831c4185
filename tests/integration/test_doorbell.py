"""The doorbell rings when it can, and nobody ever waits for it."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from infra.broker import CONTROL, IDS_PER_MESSAGE, PLAN, PREFIX, Doorbell, make_celery, queue_of
from infra.ledger import Ledger, migrate
from tests.integration.upstreams import silent_server, valkey
from tests.support.patience import eventually
from tests.support.ports import free_port
from tests.support.processes import WORKERS, clean_environ, started
from tests.support.site import TOKEN, notification, serving

OPERATION = PREFIX + "ublox.rotate_e2e_key"


@pytest.fixture
def store(redis_url: str) -> Iterator["redis.Redis"]:
    with closing(redis.Redis.from_url(redis_url)) as store:
        yield store


@contextmanager
def doorbell(url: str) -> Iterator[Doorbell]:
    celery = make_celery(url, sweep_every=2)
    bell = Doorbell(celery)
    yield bell
    bell.close()
    celery.close()


def messages(store: "redis.Redis", queue: str) -> list[dict[str, Any]]:
    """The messages of a queue, oldest first."""
    waiting: list[bytes] = store.lrange(queue, 0, -1)  # type: ignore[assignment]
    return [json.loads(message) for message in reversed(waiting)]


def content(message: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(message["body"]))


def test_a_message_carries_ids_and_nothing_else(redis_url: str, store: "redis.Redis") -> None:
    with doorbell(redis_url) as bell:
        bell.ring(PLAN, [3, 4])
        eventually(lambda: messages(store, CONTROL))
    (message,) = messages(store, CONTROL)
    arguments, named, links = content(message)
    assert (arguments, named) == ([], {"ids": [3, 4]})
    assert not any(links.values())
    assert message["headers"]["task"] == PLAN
    assert (message["headers"]["eta"], message["headers"]["retries"]) == (None, 0)


def test_a_message_that_nobody_takes_expires(redis_url: str, store: "redis.Redis") -> None:
    with doorbell(redis_url) as bell:
        bell.ring(PLAN, [1])
        eventually(lambda: messages(store, CONTROL))
    (message,) = messages(store, CONTROL)
    left = datetime.fromisoformat(message["headers"]["expires"]) - datetime.now(UTC)
    assert timedelta(seconds=590) < left <= timedelta(seconds=600)


@pytest.mark.parametrize("sweep_every", [0.3, 2.0, 60.0])
def test_a_sweep_outlives_the_difference_between_two_clocks(sweep_every: float) -> None:
    with closing(make_celery("redis://127.0.0.1:1/0", sweep_every=sweep_every)) as celery:
        assert celery.conf.beat_schedule["sweep"]["options"] == {"expires": 600}


def test_every_system_has_its_own_queue(redis_url: str, store: "redis.Redis") -> None:
    assert (queue_of(PLAN), queue_of(OPERATION), queue_of(PREFIX + "unknown.verb")) == (CONTROL, "ublox", CONTROL)
    with doorbell(redis_url) as bell:
        bell.ring(OPERATION, [1])
        bell.ring(PLAN, [2])
        eventually(lambda: messages(store, "ublox") and messages(store, CONTROL))
    assert [content(message)[1] for message in messages(store, "ublox")] == [{"ids": [1]}]
    assert [content(message)[1] for message in messages(store, CONTROL)] == [{"ids": [2]}]


def test_a_burst_shares_few_messages_and_loses_no_id(redis_url: str, store: "redis.Redis") -> None:
    with doorbell(redis_url) as bell:
        for number in range(3 * IDS_PER_MESSAGE):
            bell.ring(PLAN, [number])
        told: Callable[[], list[list[int]]] = lambda: [content(m)[1]["ids"] for m in messages(store, CONTROL)]  # noqa: E731
        eventually(lambda: sum(map(len, told())) == 3 * IDS_PER_MESSAGE)
    assert sorted(number for ids in told() for number in ids) == list(range(3 * IDS_PER_MESSAGE))
    assert max(map(len, told())) <= IDS_PER_MESSAGE
    assert len(told()) < 50


def test_what_is_asked_for_before_the_end_is_still_sent(redis_url: str, store: "redis.Redis") -> None:
    with doorbell(redis_url) as bell:
        bell.ring(PLAN, [1])
        bell.ring(OPERATION, [2])
    assert [len(messages(store, queue)) for queue in (CONTROL, "ublox")] == [1, 1]


def test_a_ring_without_ids_asks_to_look_what_waits(redis_url: str, store: "redis.Redis") -> None:
    with doorbell(redis_url) as bell:
        bell.ring(PLAN, [])
        bell.ring(OPERATION, [])
    assert [content(message)[1] for queue in (CONTROL, "ublox") for message in messages(store, queue)] == [
        {"ids": []},
        {"ids": []},
    ]


@contextmanager
def broken(kind: str) -> Iterator[str]:
    """A Redis that nobody listens for, or one that accepts and never says a word."""
    with ExitStack() as stack:
        port = free_port() if kind == "away" else stack.enter_context(silent_server())
        yield f"redis://127.0.0.1:{port}/0"


@pytest.mark.parametrize("kind", ["away", "hung"])
def test_without_redis_nobody_waits(kind: str, tmp_path: Path) -> None:
    with broken(kind) as url, ExitStack() as stack:
        celery = stack.enter_context(closing(make_celery(url, sweep_every=2)))
        receiver = stack.enter_context(serving(f"sqlite:///{tmp_path}/keyturn.db", broker=celery))
        began = time.monotonic()
        for number in range(50):
            assert receiver.post(notification(Payload={"number": number})).status == 202
        assert time.monotonic() - began < 3
        assert len(receiver.rows()) == 50
        stopping = time.monotonic()
        stack.close()
        assert time.monotonic() - stopping < 8


def test_it_rings_again_when_redis_comes_back(tmp_path: Path) -> None:
    port = free_port()
    with doorbell(f"redis://127.0.0.1:{port}/0") as bell:
        bell.ring(PLAN, [1])
        time.sleep(0.2)
        with valkey(tmp_path, port=port) as url, closing(redis.Redis.from_url(url)) as store:

            def rings_again() -> bool:
                bell.ring(PLAN, [2])
                return bool(messages(store, CONTROL))

            eventually(rings_again)


def test_a_wiped_redis_does_not_cut_the_worker_off(redis_url: str, store: "redis.Redis", tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/keyturn.db"
    ledger = Ledger(url)
    migrate(ledger.database)
    ledger.close()
    env = clean_environ(DATABASE_URL=url, REDIS_URL=redis_url, KEYTURN_WEBHOOK_TOKENS=TOKEN)
    with ExitStack() as stack:
        worker = stack.enter_context(started((*WORKERS, "worker", "control"), folder=tmp_path, env=env))
        worker.says("ready")
        celery = stack.enter_context(closing(make_celery(redis_url, sweep_every=2)))
        receiver = stack.enter_context(serving(url, broker=celery))

        def is_planned(number: int) -> None:
            body = json.dumps(notification(Payload={"number": number})).encode()
            assert receiver.post(body).status == 202
            eventually(lambda: receiver.row(body).state == "planned")

        is_planned(1)
        for number in (2, 3, 4):
            store.flushall()
            is_planned(number)
