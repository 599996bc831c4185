"""``centagate.register_token`` from the ledger to the twin, with the real client, killed at every step."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from infra.ledger import Ledger
from infra.references import resolve
from schemas.centagate import TokenStatus, TokenType
from schemas.fleet import Fleet
from services.clients.answers import Answer
from services.clients.centagate import Administrator, Centagate
from services.clients.transport import Bounds, Transport
from services.fleet.centagate import FleetCentagate
from services.operations import Tools
from services.operations.contract import UNVERIFIABLE
from services.operations.register_token import MOST_CALLS
from services.runner import Runner, Terms
from services.settling import Patience
from services.triggers import Looker
from tests.conftest import Clock
from tests.support.centagate import CentagateTwin, centagate_twin
from tests.support.ledger import LEASE, ask, attempt_rows, job_row, wish
from tests.support.works import Bell

VERB, REGISTER = "centagate.register_token", "token/registerActiveToken"
PHONE, OTHER_PHONE, SERIAL = "+999555010123", "+999555010999", "GX00421789"
FLEET = Fleet.model_validate(
    {
        "version": 1,
        "sites": [
            {
                "name": "plant",
                "tokens": [
                    {"username": "alice", "type": "sms", "phone": {"env": "TEST_PHONE"}},
                    {"username": "alice", "type": "otp", "serial": {"env": "TEST_SERIAL"}},
                    {"username": "bob", "type": "sms", "phone": {"env": "TEST_NOTHING"}},
                    {"username": "nobody", "type": "sms", "phone": {"env": "TEST_PHONE"}},
                ],
            }
        ],
    }
)


class Killed(BaseException):
    """The worker died here: nothing of it catches this."""


@dataclass
class Worker:
    """One worker after another on the same ledger, against one twin.

    Attributes:
        before: happens before each registration is sent.
        after: happens when its answer has come.
    """

    ledger: Ledger
    clock: Clock
    twin: CentagateTwin
    client: Centagate
    runner: Runner
    before: Callable[[], object] = lambda: None
    after: Callable[[], object] = lambda: None

    def run(self) -> None:
        """One attempt, when it is due."""
        self.clock.forward(seconds=1000)
        self.runner.perform(VERB)

    def die(self) -> None:
        """One attempt that ends with the worker; another gets the job."""
        with pytest.raises(Killed):
            self.run()
        self.before = self.after = lambda: None
        self.ledger.work.reclaim(self.clock.forward(seconds=60), max_losses=8)

    def wish(self, target: str = "alice/sms") -> int:
        """Wish for a token."""
        (job,) = ask(self.ledger, self.clock(), wish(target, VERB))
        return job

    def ends(self, job: int) -> tuple[str, str]:
        """Attempts until the job is at rest."""
        for _ in range(2 * MOST_CALLS):
            self.run()
            row = job_row(self.ledger, job)
            if row["state"] != "due":
                return row["state"], row["reason"]
        raise AssertionError(f"never at rest: {row['reason']}")


@pytest.fixture(scope="module")
def server() -> Iterator[CentagateTwin]:
    with centagate_twin(users=0) as twin:
        yield twin


@pytest.fixture
def twin(server: CentagateTwin, monkeypatch: pytest.MonkeyPatch) -> CentagateTwin:
    monkeypatch.setenv("TEST_PHONE", PHONE)
    monkeypatch.setenv("TEST_SERIAL", SERIAL)
    server.reset()
    server.user("alice")
    server.user("carol")
    server.hardware(SERIAL)
    return server


@pytest.fixture
def worker(ledger: Ledger, clock: Clock, twin: CentagateTwin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    administrator = Administrator(
        username=twin.admin,
        password=SecretStr(twin.password),
        integration_key=SecretStr(twin.integration_key),
        secret_key=SecretStr(twin.secret_key),
    )
    with closing(Transport(twin.url, bounds=Bounds(connect=5, read=1.5))) as transport:
        client = Centagate(twin.url, administrator=administrator, transport=transport)
        runner = _runner(ledger, clock, FleetCentagate(lambda: FLEET, client, reveal=resolve))
        worker = Worker(ledger, clock, twin, client, runner)
        send = transport.request

        def watched(method: str, path: str, **more: Any) -> Answer:
            if REGISTER not in path:
                return send(method, path, **more)
            worker.before()
            answer = send(method, path, **more)
            worker.after()
            return answer

        monkeypatch.setattr(transport, "request", watched)
        yield worker


def tools_of(ledger: Ledger, clock: Clock, centagate: FleetCentagate) -> Tools:
    return Tools(
        centagate=centagate,
        note=ledger.work.note,
        clock=clock,
        renewal_look_every=timedelta(hours=1),
        renewal_deadline=timedelta(days=14),
    )


def _runner(ledger: Ledger, clock: Clock, centagate: FleetCentagate) -> Runner:
    tools = tools_of(ledger, clock, centagate)
    patience = Patience(max_attempts=50, base=1.0, cap=10.0)
    return Runner(
        ledger, tools, Terms(worker="w", lease=LEASE, linger=0.0, patience=patience), ring=Bell(), clock=clock
    )


def raising() -> None:
    raise Killed


@pytest.mark.parametrize(("target", "number"), [("alice/sms", PHONE), ("alice/otp", SERIAL)])
def test_a_token_is_registered_and_verified(worker: Worker, target: str, number: str) -> None:
    state, reason = worker.ends(worker.wish(target))
    kind = target.partition("/")[2]
    told = (
        f"registered and looked again: the {kind.upper()} token of alice has the number of the inventory; it is valid"
    )
    assert (state, reason) == ("succeeded", told)
    assert worker.twin.tokens("alice") == {kind: number}
    state, reason = worker.ends(worker.wish(target))
    assert (state, reason.partition(":")[0]) == ("succeeded", "nothing to do")
    assert worker.twin.calls(REGISTER) == 1


@pytest.mark.parametrize("target", ["alice/sms", "alice/otp"])
def test_a_dry_run_tells_what_would_be_registered_and_registers_nothing(worker: Worker, target: str) -> None:
    centagate = FleetCentagate(lambda: FLEET, worker.client, reveal=resolve)
    looker = Looker(lambda _: tools_of(worker.ledger, worker.clock, centagate), clock=worker.clock)
    diff, strange = looker.look([wish(target, VERB), wish("bob/sms", VERB)])
    (change,) = diff.changes
    told = ("change", f"{target.partition('/')[2].upper()} token of alice", "none")
    assert (diff.then, change.what, change.now) == told
    assert strange.then == "stop", "its number is not where the inventory says"
    assert not {PHONE, SERIAL} & set(diff.model_dump_json().split('"'))
    assert (worker.twin.tokens("alice"), worker.twin.calls(REGISTER)) == ({}, 0)
    assert worker.ends(worker.wish(target))[0] == "succeeded"
    (after,) = looker.look([wish(target, VERB)])
    assert (after.then, worker.twin.calls(REGISTER)) == ("nothing", 1)


@pytest.mark.parametrize("target", ["alice/sms", "alice/otp"])
def test_killed_before_the_call_it_is_registered_once(worker: Worker, target: str) -> None:
    job = worker.wish(target)
    worker.before = raising
    worker.die()
    assert worker.ends(job)[0] == "succeeded"
    assert worker.twin.registrations(target) == 1


@pytest.mark.parametrize("target", ["alice/sms", "alice/otp"])
def test_killed_after_the_write_it_is_found_and_not_registered_again(worker: Worker, target: str) -> None:
    job = worker.wish(target)
    worker.after = raising
    worker.die()
    state, reason = worker.ends(job)
    assert (state, reason.partition(":")[0]) == ("succeeded", "there after an earlier call of ours")
    assert (worker.twin.registrations(target), worker.twin.calls(REGISTER)) == (1, 1)


def test_killed_before_settling_it_is_found_and_not_registered_again(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = worker.wish()
    with monkeypatch.context() as patch:
        patch.setattr(worker.ledger.work, "settle", lambda *_: raising())
        worker.die()
    assert worker.ends(job)[0] == "succeeded"
    assert worker.twin.calls(REGISTER) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        {"kind": "hang", "seconds": 2.0},
        {"kind": "close"},
        {"kind": "error", "status": 502, "acted": True},
        {"kind": "error", "status": 503},
        {"kind": "html", "acted": True},
        {"kind": "html"},
        {"code": 10003},
        {"code": 10004, "acted": True},
        {"code": 23018},
        {"code": 6002},
        {"code": 29004, "acted": True},
    ],
)
def test_whatever_is_answered_it_takes_effect_once(worker: Worker, trouble: dict[str, Any]) -> None:
    job = worker.wish()
    worker.twin.next(REGISTER, **trouble)
    state, reason = worker.ends(job)
    assert (state, worker.twin.tokens("alice")) == ("succeeded", {"sms": PHONE}), reason
    assert worker.twin.registrations("alice/sms") == 1


def test_a_phone_of_somebody_else_is_left_to_them(worker: Worker) -> None:
    worker.client.register_active_token("carol", SecretStr(PHONE), TokenType.SMS)
    state, reason = worker.ends(worker.wish())
    assert (state, worker.twin.tokens("alice"), worker.twin.tokens("carol")) == ("parked", {}, {"sms": PHONE})
    assert "29004, the phone number is already used (unregister it from the user that has it" in reason


def test_another_token_of_the_user_is_left_alone(worker: Worker) -> None:
    worker.client.register_active_token("alice", SecretStr(OTHER_PHONE), TokenType.SMS)
    worker.twin.hardware("GX00000001")
    worker.client.register_active_token("alice", SecretStr("GX00000001"), TokenType.OTP)
    for target in ("alice/sms", "alice/otp"):
        state, reason = worker.ends(worker.wish(target))
        assert (state, "another number is registered; unregister that one first" in reason) == ("parked", True)
    assert worker.twin.tokens("alice") == {"sms": OTHER_PHONE, "otp": "GX00000001"}


def test_an_otp_token_that_another_user_has_is_refused_after_one_more_try(worker: Worker) -> None:
    worker.client.register_active_token("carol", SecretStr(SERIAL), TokenType.OTP)
    worker.client.update_status("carol", TokenType.OTP.status_type, TokenStatus.DEACTIVATED)
    before = worker.twin.calls(REGISTER)
    state, reason = worker.ends(worker.wish("alice/otp"))
    assert (state, worker.twin.calls(REGISTER) - before) == ("parked", 2)
    assert "6002, the token could not be bound to the user (an OTP token must be unbound" in reason


def test_an_otp_token_that_is_active_is_refused_with_what_to_do(worker: Worker) -> None:
    worker.client.register_active_token("carol", SecretStr(SERIAL), TokenType.OTP)
    state, reason = worker.ends(worker.wish("alice/otp"))
    assert (state, worker.twin.tokens("carol")) == ("parked", {"otp": SERIAL})
    assert "must be unbound from every user and have the status deactivated (4) beforehand" in reason


def test_a_contained_token_stays_contained(worker: Worker) -> None:
    worker.ends(worker.wish())
    worker.client.update_status("alice", TokenType.SMS.status_type, TokenStatus.TEMPORARILY_DEACTIVATED)
    state, reason = worker.ends(worker.wish())
    assert (state, "somebody deactivated it for a time" in reason) == ("parked", True)
    assert [token["status"] for token in worker.twin.state()["tokens"] if token["user"] == "alice"] == [3]


def test_what_the_inventory_lacks_is_told(worker: Worker) -> None:
    for target, words in (
        ("nobody/sms", "22002, user not found"),
        ("bob/sms", "variable TEST_NOTHING holds no secret"),
        ("eve/otp", "the inventory has no CENTAGATE token eve/otp; expected user name/sms or user name/otp"),
    ):
        state, reason = worker.ends(worker.wish(target))
        assert (state, words in reason) == ("parked", True), reason
    assert worker.twin.calls(REGISTER) == 0


@pytest.mark.parametrize(
    "dials",
    [
        {"code_format": "text", "object_format": "text", "bare_status": True},
        {"code_format": "float"},
        {"session_seconds": 0.2},
        {"single_session": True},
    ],
)
def test_every_manner_of_the_service_is_understood(worker: Worker, dials: dict[str, Any]) -> None:
    worker.twin.turn(**dials)
    for target in ("alice/sms", "alice/otp"):
        assert worker.ends(worker.wish(target))[0] == "succeeded"


@pytest.mark.parametrize("target", ["alice/sms", "alice/otp"])
def test_a_masked_number_is_compared_as_far_as_it_is_shown(worker: Worker, target: str) -> None:
    worker.twin.turn(numbers="masked")
    for _ in range(2):
        state, reason = worker.ends(worker.wish(target))
        assert (state, reason.startswith(UNVERIFIABLE)) == ("succeeded", True), reason
    assert worker.twin.calls(REGISTER) == 1


def test_a_number_that_is_not_shown_is_believed_after_our_own_call_only(worker: Worker) -> None:
    worker.twin.turn(numbers="absent", close_rate=0)
    worker.twin.next(REGISTER, kind="close")
    state, reason = worker.ends(worker.wish())
    assert (state, reason.startswith(UNVERIFIABLE)) == ("succeeded", True), reason
    state, reason = worker.ends(worker.wish())
    assert (state, "the service does not show its number" in reason) == ("parked", True)
    assert worker.twin.calls(REGISTER) == 1


def test_an_unreliable_service_gets_each_token_once(worker: Worker) -> None:
    worker.twin.turn(close_rate=0.3, error_rate=0.2, seed=5, errors_after_acting=True, retry_after_seconds=None)
    jobs = [worker.wish(target) for target in ("alice/sms", "alice/otp")]
    for job in jobs:
        assert worker.ends(job)[0] == "succeeded"
    worker.twin.turn(close_rate=0, error_rate=0)
    assert worker.twin.tokens("alice") == {"sms": PHONE, "otp": SERIAL}
    assert [worker.twin.registrations(f"alice/{kind}") for kind in ("sms", "otp")] == [1, 1]


def test_sessions_that_are_over_on_arrival_are_told_and_are_no_storm_of_log_ins(worker: Worker) -> None:
    job = worker.wish()
    worker.twin.turn(session_seconds=0)
    for _ in range(5):
        worker.run()
    assert "23018, invalid user session (also after a fresh log-in)" in job_row(worker.ledger, job)["reason"]
    assert worker.twin.calls("auth/authBasic") == 2


def test_a_wrong_clock_is_told(worker: Worker) -> None:
    job = worker.wish()
    worker.twin.turn(clock_skew_seconds=3600)
    worker.run()
    assert "check the clock of this machine" in job_row(worker.ledger, job)["reason"]


def test_no_number_stands_in_the_ledger(worker: Worker) -> None:
    worker.client.register_active_token("carol", SecretStr(PHONE), TokenType.SMS)
    jobs = [worker.wish("alice/sms"), worker.wish("alice/otp")]
    for job in jobs:
        worker.ends(job)
    told = "".join(str(job_row(worker.ledger, job)) + str(attempt_rows(worker.ledger, job)) for job in jobs)
    assert "alice" in told
    assert not [number for number in ("555010", "421789") if number in told]
