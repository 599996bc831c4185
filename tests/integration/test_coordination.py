import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from structlog.testing import capture_logs

from infra.coordination import Coordination, Turn
from schemas.errors import ConfigurationError
from tests.integration.upstreams import silent_server, valkey
from tests.support.ports import free_port


@pytest.fixture
def coordination(redis_url: str) -> Iterator[Coordination]:
    coordination = Coordination(redis_url)
    yield coordination
    coordination.close()


def test_a_value_is_shared_until_its_time_is_up(coordination: Coordination) -> None:
    assert coordination.get("name") is None
    assert coordination.put("name", b"\x00value", ttl=60)
    assert coordination.get("name") == b"\x00value"
    assert coordination.put("name", b"short", ttl=0.001)
    time.sleep(0.02)
    assert coordination.get("name") is None


def test_one_of_many_has_the_turn(coordination: Coordination) -> None:
    start, done = threading.Barrier(16), threading.Barrier(16)

    def take(_: int) -> Turn:
        start.wait()
        with coordination.single_flight("work", ttl=60) as turn:
            done.wait()
            return turn

    with ThreadPoolExecutor(16) as pool:
        turns = list(pool.map(take, range(16)))
    assert sorted(turn.value for turn in turns) == ["mine"] + ["theirs"] * 15
    with coordination.single_flight("work", ttl=60) as turn:
        assert turn is Turn.MINE


def test_a_turn_ends_by_itself_and_its_late_holder_frees_nobody_elses(coordination: Coordination) -> None:
    with ExitStack() as late:
        assert late.enter_context(coordination.single_flight("work", ttl=0.05)) is Turn.MINE
        time.sleep(0.1)
        with coordination.single_flight("work", ttl=60) as second:
            assert second is Turn.MINE
            late.close()
            with coordination.single_flight("work", ttl=60) as third:
                assert third is Turn.THEIRS


def test_a_turn_ends_when_its_work_fails(coordination: Coordination) -> None:
    with pytest.raises(RuntimeError), coordination.single_flight("work", ttl=60):
        raise RuntimeError
    with coordination.single_flight("work", ttl=60) as turn:
        assert turn is Turn.MINE


def test_a_wiped_redis_is_an_empty_one(coordination: Coordination, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client, coordination.single_flight("work", ttl=60):
        coordination.put("name", b"value", ttl=60)
        client.flushall()
    assert coordination.get("name") is None
    assert coordination.available


def test_an_absent_redis_opens_every_door_and_is_logged_once() -> None:
    coordination = Coordination(f"redis://:hidden@127.0.0.1:{free_port()}/0", pause=0)
    with capture_logs() as logs:
        assert coordination.get("name") is None
        assert coordination.put("name", b"value", ttl=1) is False
        with coordination.single_flight("work", ttl=1) as turn:
            assert turn is Turn.UNKNOWN
    assert coordination.failures == 3
    assert not coordination.available
    assert [entry["event"] for entry in logs] == ["redis.unavailable"]
    assert "hidden" not in str(logs) + repr(coordination)
    coordination.close()


def test_a_hung_redis_costs_its_timeout_once() -> None:
    with silent_server() as port:
        coordination = Coordination(f"redis://127.0.0.1:{port}/0", timeout=0.2, pause=60)
        began = time.monotonic()
        assert coordination.get("name") is None
        assert time.monotonic() - began < 1
        began = time.monotonic()
        for _ in range(100):
            assert coordination.get("name") is None
        assert time.monotonic() - began < 0.1
        assert coordination.failures == 1
        coordination.close()


def test_after_the_pause_one_caller_tries_and_the_others_go_on() -> None:
    now = 0.0
    with silent_server() as port:
        coordination = Coordination(f"redis://127.0.0.1:{port}/0", timeout=0.2, pause=2, monotonic=lambda: now)
        coordination.get("name")
        now = 2.0
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: coordination.get("name"), range(8)))
        assert coordination.failures == 2
        coordination.close()


def test_redis_is_used_again_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    coordination = Coordination(f"redis://127.0.0.1:{port}/0", pause=0)
    with capture_logs() as logs:
        for _ in range(2):
            assert not coordination.put("name", b"value", ttl=60)
            with valkey(tmp_path, port=port):
                assert coordination.put("name", b"value", ttl=60)
                assert coordination.get("name") == b"value"
    assert [entry["event"] for entry in logs] == ["redis.unavailable", "redis.back"] * 2
    coordination.close()


def test_an_address_that_is_none_is_named_without_its_password() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Coordination("http://:hidden@127.0.0.1/0")
    assert "hidden" not in str(caught.value)
