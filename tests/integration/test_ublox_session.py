import time
from collections.abc import Iterator

import pytest
import redis
from structlog.testing import capture_logs

from schemas.errors import OurFault, TryAgain
from tests.conftest import Clock
from tests.integration.ublox_account import KEY, SECRET, UID, Account, Service, at_once, ublox_account
from tests.integration.upstreams import Reply, Upstream, silent_server
from tests.support.ports import free_port


@pytest.fixture
def account(clock: Clock) -> Iterator[Account]:
    with ublox_account(clock) as made:
        yield made


@pytest.fixture
def upstream(account: Account) -> Upstream:
    return account.upstream


@pytest.fixture
def service(account: Account) -> Service:
    return account.service


def test_sixteen_threads_log_in_once(upstream: Upstream, service: Service, account: Account) -> None:
    service.delay = 0.1
    assert at_once([account.client()] * 16) == [""] * 16
    assert upstream.count("/authenticate") == 1


def test_sixteen_threads_share_a_failure(upstream: Upstream, service: Service, account: Account) -> None:
    service.delay = 0.1
    service.login = Reply(status=503)
    client = account.client()
    assert {told.partition(" /")[0] for told in at_once([client] * 16)} == {"TryAgain False POST"}
    assert upstream.count("/authenticate") == 1
    service.login = Reply()
    client.information.look([UID])


def test_refused_credentials_are_our_fault_and_not_tried_again_at_once(
    upstream: Upstream, service: Service, clock: Clock, account: Account
) -> None:
    service.login = Reply(status=401, body={"message": f"Not Authorized. {KEY} {SECRET}"})
    client = account.client()
    for _ in range(3):
        with pytest.raises(OurFault) as caught:
            client.information.look([UID])
        assert caught.value.sent is False
        assert KEY not in str(caught.value)
        assert SECRET not in str(caught.value)
    assert upstream.count("/authenticate") == 1
    service.login = Reply()
    clock.forward(seconds=11)
    client.information.look([UID])


def test_a_log_in_that_is_told_to_wait_waits(
    upstream: Upstream, service: Service, clock: Clock, account: Account
) -> None:
    service.login = Reply(status=429, headers={"Retry-After": "60"})
    client = account.client()
    for _ in range(2):
        with pytest.raises(TryAgain) as caught:
            client.information.look([UID])
        assert caught.value.retry_after == 60
    assert upstream.count("/authenticate") == 1
    service.login = Reply()
    clock.forward(seconds=61)
    client.information.look([UID])


def test_a_session_is_refreshed_ahead_of_its_end_by_one_thread(
    upstream: Upstream, service: Service, clock: Clock, account: Account
) -> None:
    client = account.client()
    client.information.look([UID])
    clock.forward(seconds=2870)
    client.information.look([UID])
    assert upstream.count("/refreshauthtoken") == 0
    clock.forward(seconds=20)
    service.delay = 0.1
    assert at_once([client] * 16) == [""] * 16
    assert (upstream.count("/refreshauthtoken"), upstream.count("/authenticate")) == (1, 1)
    tokens = [call.authorization for call in upstream.calls if call.path == "/device/info/get"][2:]
    assert len(set(tokens)) == 2  # nobody waited: the others went on with the old one


def test_a_failed_refresh_costs_nothing_while_the_session_lasts(
    upstream: Upstream, service: Service, clock: Clock, account: Account
) -> None:
    client = account.client()
    client.information.look([UID])
    clock.forward(seconds=2900)
    service.refresh = Reply(status=500)
    with capture_logs() as logs:
        for _ in range(3):
            client.information.look([UID])
    assert upstream.count("/refreshauthtoken") == 1
    assert [entry["event"] for entry in logs] == ["ublox.refresh_failed"]
    service.refresh = Reply(status=429, headers={"Retry-After": "100"})
    for _ in range(5):
        clock.forward(seconds=16)
        client.information.look([UID])
    assert upstream.count("/refreshauthtoken") == 2
    service.refresh = Reply(status=400)
    clock.forward(seconds=50)
    client.information.look([UID])
    assert (upstream.count("/refreshauthtoken"), upstream.count("/authenticate")) == (3, 2)


def test_an_ended_session_is_replaced_by_a_log_in(upstream: Upstream, clock: Clock, account: Account) -> None:
    client = account.client()
    client.information.look([UID])
    clock.forward(seconds=3600)
    client.information.look([UID])
    assert (upstream.count("/refreshauthtoken"), upstream.count("/authenticate")) == (0, 2)


def test_a_storm_of_401_is_one_log_in_and_one_replay_each(
    upstream: Upstream, service: Service, account: Account
) -> None:
    client = account.client()
    client.information.look([UID])
    service.good.clear()
    service.delay = 0.1
    assert at_once([client] * 16) == [""] * 16
    assert upstream.count("/authenticate") == 2
    assert upstream.count("/device/info/get") == 1 + 16 + 16


def test_a_lasting_401_is_our_fault_after_one_replay(
    upstream: Upstream, service: Service, clock: Clock, account: Account
) -> None:
    client = account.client()
    client.information.look([UID])
    service.reply = Reply(status=401, body={"message": "Not Authorized."})
    told = at_once([client] * 16)
    assert {text.partition(" (")[0] for text in told} == {
        "OurFault True POST /device/info/get answered 401: Not Authorized."
    }
    assert upstream.count("/authenticate") == 2
    assert upstream.count("/device/info/get") == 1 + 16 + 16
    with pytest.raises(OurFault):
        client.information.look([UID])
    assert upstream.count("/authenticate") == 2  # a queue of jobs is no storm of log-ins
    clock.forward(seconds=11)
    with pytest.raises(OurFault):
        client.information.look([UID])
    assert upstream.count("/authenticate") == 3


def test_processes_share_one_session(upstream: Upstream, service: Service, account: Account, redis_url: str) -> None:
    service.delay = 0.1
    clients = [account.client(redis_url=redis_url) for _ in range(8)]
    assert at_once(clients) == [""] * 8
    assert upstream.count("/authenticate") == 1
    service.good.clear()
    assert at_once(clients) == [""] * 8
    assert upstream.count("/authenticate") == 2


def test_processes_share_a_refresh(
    upstream: Upstream, service: Service, clock: Clock, account: Account, redis_url: str
) -> None:
    clients = [account.client(redis_url=redis_url) for _ in range(4)]
    at_once(clients)
    clock.forward(seconds=2900)
    service.delay = 0.1
    assert at_once(clients) == [""] * 4
    clock.forward(seconds=20)
    assert at_once(clients) == [""] * 4
    assert (upstream.count("/refreshauthtoken"), upstream.count("/authenticate")) == (1, 1)
    assert len({call.authorization for call in upstream.calls[-4:]}) == 1


def test_another_secret_cannot_open_the_shared_session(upstream: Upstream, account: Account, redis_url: str) -> None:
    account.client(redis_url=redis_url).information.look([UID])
    account.client(redis_url=redis_url, secret="another").information.look([UID])
    assert upstream.count("/authenticate") == 2


def test_redis_holds_no_token_in_clear_and_nothing_for_good(account: Account, redis_url: str) -> None:
    account.client(redis_url=redis_url).information.look([UID])
    with redis.Redis.from_url(redis_url) as client:
        names = client.keys("*")
        assert len(names) == 1
        value = client.get(names[0])
        assert b"e30" not in value
        assert b"refresh" not in value
        assert KEY.encode() not in names[0]
        assert 0 < client.ttl(names[0]) <= 3600


def test_a_wiped_redis_costs_no_session_that_is_in_memory(upstream: Upstream, account: Account, redis_url: str) -> None:
    clients = [account.client(redis_url=redis_url) for _ in range(2)]
    clients[0].information.look([UID])
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    assert at_once(clients) == ["", ""]
    assert upstream.count("/authenticate") == 2


def test_without_redis_each_process_stands_alone(upstream: Upstream, account: Account) -> None:
    with silent_server() as hung:
        for address in (f"redis://127.0.0.1:{free_port()}/0", f"redis://127.0.0.1:{hung}/0"):
            clients = [account.client(redis_url=address) for _ in range(2)]
            before, began = upstream.count("/authenticate"), time.monotonic()
            assert at_once(clients) == ["", ""]
            assert time.monotonic() - began < 1.5
            assert upstream.count("/authenticate") - before == 2
            began = time.monotonic()
            assert at_once(clients * 8) == [""] * 16
            assert time.monotonic() - began < 0.5


def test_an_older_shared_session_does_not_replace_a_refused_one(
    upstream: Upstream, service: Service, account: Account, redis_url: str
) -> None:
    account.client(redis_url=redis_url).information.look([UID])
    with redis.Redis.from_url(redis_url) as client:
        (name,) = client.keys("*")
        first = client.get(name)
        client.flushall()
        process = account.client(redis_url=redis_url)
        process.information.look([UID])
        client.set(name, first)
    service.good.clear()
    process.information.look([UID])
    assert upstream.count("/authenticate") == 3


def test_no_secret_is_in_a_log_an_error_or_a_picture(service: Service, account: Account, redis_url: str) -> None:
    with capture_logs() as logs:
        client = account.client(redis_url=redis_url)
        client.information.look([UID])
        service.reply = Reply(status=401, body={"message": "Not Authorized."})
        told = at_once([client])
    text = str(logs) + str(told) + repr(client) + repr(vars(client))
    assert "ublox.session_opened" in text
    for secret in (KEY, SECRET, "e30.", "refresh-"):
        assert secret not in text
