import json
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from pydantic import SecretStr
from structlog.testing import capture_logs

from schemas.centagate import StatusType, TokenLook, TokenStatus, TokenType
from schemas.errors import OurFault, Refused, TryAgain, UpstreamError
from services.clients.centagate import Centagate
from tests.conftest import Clock
from tests.integration.centagate_account import (
    ADMIN,
    INTEGRATION_KEY,
    LOGIN,
    PHONE,
    QUOTED,
    ROOT,
    SECRETS,
    SERIAL,
    Account,
    Service,
    Told,
    at_once,
    centagate_account,
)
from tests.integration.upstreams import silent_server
from tests.support.ports import free_port

REGISTER, LIST = "token/registerActiveToken", "user/auth/list"


@pytest.fixture
def account(clock: Clock) -> Iterator[Account]:
    with centagate_account(clock) as made:
        yield made


@pytest.fixture
def service(account: Account) -> Service:
    return account.service


def test_verbs_ask_what_the_document_says(service: Service, account: Account) -> None:
    client = account.client()
    client.register_active_token("alice", PHONE, TokenType.SMS)
    client.register_active_token("bob", SERIAL, TokenType.OTP)
    client.unregister_active_token("alice", StatusType.SMS)
    client.get_status("bob", StatusType.MOBILE_OTP)
    client.update_status("bob", StatusType.MOBILE_OTP, TokenStatus.TEMPORARILY_DEACTIVATED)
    client.tokens_of("bob")
    login, *calls = service.calls
    assert (login.method, login.path, login.body["unixTimestamp"]) == ("POST", LOGIN, "1778414400")
    assert {call.method for call in calls} == {"PUT"}
    assert len({call.body["cenToken"] for call in calls}) == 1
    assert [(call.path, {k: v for k, v in call.body.items() if k != "cenToken"}) for call in calls] == [
        (f"{ROOT}/{REGISTER}/{QUOTED}", {"username": "alice", "tokenSn": "+999555010123", "tokenType": "1"}),
        (f"{ROOT}/{REGISTER}/{QUOTED}", {"username": "bob", "tokenSn": "GX00421789", "tokenType": "2"}),
        (f"{ROOT}/token/unregisterActiveToken/{QUOTED}", {"username": "alice", "type": "2"}),
        (f"{ROOT}/token/getStatus/{QUOTED}", {"username": "bob", "type": "1"}),
        (f"{ROOT}/token/update/token/status/{QUOTED}", {"username": "bob", "type": "1", "status": "3"}),
        (f"{ROOT}/{LIST}/{QUOTED}", {"username": "bob"}),
    ]


def test_prefixes_stand_where_the_settings_put_them(service: Service, account: Account) -> None:
    client = account.client(prefix="/v2", auth_prefix="")
    service.next["auth"] = [Told(code=0, object={"authToken": "a", "secretCode": "s"})]
    with pytest.raises(OurFault):
        client.tokens_of("alice")
    assert [call.path.partition("/Cen")[0] for call in service.calls[:2]] == ["", "/v2"]


def test_answers_are_read(service: Service, account: Account) -> None:
    client = account.client()
    service.reply = Told(code="0", object=json.dumps([{"tokenSn": "GX00421789", "tokenType": 2, "status": 2}]))
    seen = TokenLook(type=StatusType.MOBILE_OTP, number=SERIAL, status=TokenStatus.VALID)
    assert client.tokens_of("bob") == (seen,)
    service.reply = Told(code=0.0, object=3.0)
    assert client.get_status("bob", StatusType.SMS) == TokenLook(status=TokenStatus.TEMPORARILY_DEACTIVATED)
    service.reply = Told(code=29001)
    assert (client.get_status("bob", StatusType.SMS), client.tokens_of("bob")) == (None, ())
    service.reply = Told(code=29002)
    assert client.get_status("bob", StatusType.SMS) == TokenLook(status=TokenStatus.DEACTIVATED)
    service.reply = Told(object={"unheard": "of"})
    assert client.tokens_of("bob") is None


@pytest.mark.parametrize("code", [0, "6002", 22027, 29004.0, 29008])
def test_a_registration_gives_what_only_a_look_can_settle(service: Service, account: Account, code: Any) -> None:
    service.reply = Told(code=code)
    assert account.client().register_active_token("alice", PHONE, TokenType.SMS).number == int(code)


@pytest.mark.parametrize(
    ("told", "kind", "words"),
    [
        (Told(code=10002), Refused, "/token/registerActiveToken answered 10002, invalid input"),
        (Told(code=10003), TryAgain, "10003, database protection error"),
        (Told(code=22002), Refused, "22002, user not found (create the user"),
        (Told(code=23020), OurFault, "allowed IPs"),
        (Told(code=23023), OurFault, "check the clock of this machine"),
        (Told(code=23024), OurFault, "check the address and the prefixes"),
        (Told(code=29017), Refused, "must be unbound from every user and have the status deactivated (4)"),
        (Told(code=77777, message="odd: +999555010123 and 12345678"), Refused, "77777, odd: ••• and •••"),
        (Told(code=-5, message=""), Refused, "-5, no known meaning"),
        (Told(code=10002, status=400), Refused, "10002"),
        (Told(code=None, status=404), OurFault, "answered 404: said (check the address and the prefixes"),
        (Told(code=None, status=302), OurFault, "answered 302"),
        (Told(code=0, status=401), OurFault, "answered 401"),
        (Told(code=0, status=503, message="number 999555010123"), TryAgain, "answered 503: number •••"),
        (Told(raw=b"<html>busy</html>"), TryAgain, "answered 200 without a return code"),
        (Told(raw=b"{}"), TryAgain, "answered 200 without a return code"),
        (Told(raw=b""), TryAgain, "answered 200 without a return code"),
        (Told(silent=2.0), TryAgain, "no whole answer"),
    ],
)
def test_an_answer_says_what_to_do_next(
    service: Service, account: Account, told: Told, kind: type[UpstreamError], words: str
) -> None:
    service.next[REGISTER] = [told]
    with pytest.raises(UpstreamError) as caught:
        account.client().register_active_token("alice", PHONE, TokenType.SMS)
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert (caught.value.sent, caught.value.call) == (True, "/token/registerActiveToken")
    assert service.count(REGISTER) == 1


def test_a_list_that_fails_shows_no_number_that_nobody_sent(service: Service, account: Account) -> None:
    service.reply = Told(status=500, message="no reader for +999 5550-10123 (GX00421789)")
    with pytest.raises(TryAgain, match=r"answered 500: no reader for ••• \(GX•••\)"):
        account.client().tokens_of("alice")


def test_nothing_empty_is_sent(service: Service, account: Account) -> None:
    for username, number in (("", PHONE), ("alice", SecretStr(""))):
        with pytest.raises(OurFault, match=r"needs (username|tokenSn)") as caught:
            account.client().register_active_token(username, number, TokenType.SMS)
        assert not caught.value.sent
    assert service.calls == []


@pytest.mark.parametrize("code", [23018, "23022", 10001.0])
def test_an_ended_session_costs_one_log_in_and_one_repeat(service: Service, account: Account, code: Any) -> None:
    client = account.client()
    client.tokens_of("alice")
    service.next[REGISTER] = [Told(code=code)]
    assert client.register_active_token("alice", PHONE, TokenType.SMS).number == 0
    assert (service.count("login"), service.count(REGISTER)) == (2, 2)
    assert len({call.body["cenToken"] for call in service.calls if call.verb == REGISTER}) == 2


def test_a_lasting_refusal_is_our_fault_after_one_repeat_and_no_storm_of_log_ins(
    service: Service, account: Account, clock: Clock
) -> None:
    service.reply = Told(code=10001)
    client = account.client()
    assert {text.partition(",")[0] for text in at_once([client] * 8)} == {
        "OurFault True /user/auth/list answered 10001"
    }
    assert service.count("login") == 2
    with pytest.raises(OurFault, match="check what the administrator may do"):
        client.tokens_of("alice")
    assert service.count("login") == 2
    clock.forward(seconds=301)
    with pytest.raises(OurFault):
        client.tokens_of("alice")
    assert service.count("login") == 3


def test_sixteen_threads_log_in_once(service: Service, account: Account) -> None:
    service.delay = 0.1
    assert at_once([account.client()] * 16) == [""] * 16
    assert service.count("login") == 1


def test_refused_credentials_are_not_tried_again_at_once(service: Service, account: Account, clock: Clock) -> None:
    client = account.client()
    service.next["login"] = [Told(code=23001, message=f"no {INTEGRATION_KEY}")]
    for _ in range(3):
        with pytest.raises(OurFault, match="the log-in was refused: 23001") as caught:
            client.tokens_of("alice")
        assert caught.value.sent is False
        clock.forward(seconds=90)
    assert service.count("login") == 1
    clock.forward(seconds=31)
    client.tokens_of("alice")


def test_a_password_that_stays_wrong_is_tried_less_and_less(service: Service, account: Account, clock: Clock) -> None:
    """An account is locked after a few wrong passwords; half a day of jobs must not come near that each hour."""
    client = account.client()
    service.next["login"] = [Told(code=23001)] * 100
    for _ in range(12 * 60):
        with pytest.raises(OurFault, match="23001"):
            client.tokens_of("alice")
        clock.forward(seconds=60)
    assert service.count("login") <= 9
    service.next["login"].clear()
    clock.forward(hours=6)
    client.tokens_of("alice")


def test_a_second_factor_that_is_still_wanted_is_our_fault(service: Service, account: Account) -> None:
    told = {"authToken": "x", "secretCode": "", "authMethods": "OTP,QRCODE", "multiStepAuth": "true"}
    service.next["login"] = [Told(code="0", object=json.dumps(told))]
    with pytest.raises(OurFault, match="a second factor is still wanted, one of OTP,QRCODE"):
        account.client().tokens_of("alice")
    assert service.count(LIST) == 0


def test_a_wrong_clock_is_told_as_a_wrong_clock(service: Service, account: Account) -> None:
    service.next["login"] = [Told(code="23023")]
    with pytest.raises(OurFault, match="check the clock of this machine"):
        account.client().tokens_of("alice")


def test_processes_share_one_session(service: Service, account: Account, redis_url: str) -> None:
    service.delay = 0.1
    clients = [account.client(redis_url=redis_url) for _ in range(6)]
    assert at_once(clients) == [""] * 6
    assert service.count("login") == 1
    service.good.clear()
    assert at_once(clients) == [""] * 6
    assert service.count("login") == 2


def test_redis_holds_the_session_sealed_and_not_for_good(account: Account, redis_url: str) -> None:
    account.client(redis_url=redis_url).tokens_of("alice")
    with redis.Redis.from_url(redis_url) as client:
        (name,) = client.keys("*")
        value = client.get(name)
        assert not [word for word in (b"Zm9v", b"secret-code", INTEGRATION_KEY.encode()) if word in value + name]
        assert 0 < client.ttl(name) <= 1800


def test_without_redis_each_process_stands_alone(service: Service, account: Account) -> None:
    with silent_server() as hung:
        for address in (f"redis://127.0.0.1:{free_port()}/0", f"redis://127.0.0.1:{hung}/0"):
            before = service.count("login")
            assert at_once([account.client(redis_url=address) for _ in range(2)]) == ["", ""]
            assert service.count("login") - before == 2


def _outcome(act: Callable[[], object]) -> str:
    try:
        return repr(act())
    except UpstreamError as error:
        return "".join(traceback.format_exception(error)) + repr(error)


def test_no_secret_is_in_a_log_an_error_or_a_picture(service: Service, account: Account, redis_url: str) -> None:
    def asked(client: Centagate) -> list[str]:
        return [
            _outcome(lambda: client.register_active_token("alice", PHONE, TokenType.SMS)),
            _outcome(lambda: client.register_active_token("bob", SERIAL, TokenType.OTP)),
            _outcome(lambda: client.tokens_of("alice")),
        ]

    client = account.client(redis_url=redis_url)
    echo = f"{' '.join(SECRETS)} +999555010123 Zm9v+/1== secret-code-1"
    texts: list[str] = []
    with capture_logs() as logs:
        for told in (
            Told(),
            Told(code=10002, message=echo),
            Told(code=4, message=echo),
            Told(status=500, message=echo),
        ):
            service.reply = told
            texts += asked(client)
        service.next["login"] = [Told(status=500, message=" ".join(SECRETS))]
        service.good.clear()
        service.reply = Told()
        texts += asked(client)
    text = "".join(texts) + str(logs) + repr(client) + repr(vars(client))
    assert "centagate.session_opened" in text
    assert not [secret for secret in (*SECRETS, "Zm9v", "secret-code") if secret in text]
    assert ADMIN not in str(logs)
