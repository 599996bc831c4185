"""A guard among those of other processes, with Redis and without it: breakers, rates, and what is counted."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from infra.circuits import Circuits, Temper
from infra.coordination import Coordination
from infra.ledger import Ledger
from infra.ledger.tables import from_us
from infra.meters import Meters, read_sums
from infra.rates import Rate
from infra.references import resolve
from schemas.errors import NotYet, OurFault, Refused, TryAgain
from schemas.fleet import Fleet, TwonDevice
from services.clients.guard import Guard
from services.fleet.twon import FleetTwon
from services.operations import Tools
from services.runner import Runner, Terms
from services.settling import Patience
from tests.conftest import Clock
from tests.integration.upstreams import Reply, silent_server, valkey
from tests.support.inventory import read_fleet, taps_in
from tests.support.ledger import LEASE, ask, attempt_rows, job_row, wish
from tests.support.ports import free_port
from tests.support.taps import SERIAL, write_fleet
from tests.support.works import Bell

PROCESSES = 3
OK = Reply()
SWEEP = timedelta(seconds=1)
"""What is due waits so long for somebody to see it."""


class Bench:
    """Guards of processes of their own, and what passed them."""

    def __init__(self, url: str, clock: Clock, stack: ExitStack, **terms: Any) -> None:
        self.clock = clock
        self._url, self._stack, self._terms = url, stack, terms

    def guard(self, url: str | None = None) -> Guard:
        """A process's guard."""
        coordination = self._stack.enter_context(closing(Coordination(url or self._url, timeout=0.2, pause=0)))
        terms = {"rate": None, **self._terms}
        if (rate := terms.pop("rate")) is not None:
            terms["rate"] = Rate(rate, "twon", coordination)
        circuits = Circuits(coordination, self.clock, Temper(failures=2))
        return Guard(system="twon", label="2N device", circuits=circuits, meters=Meters(coordination), **terms)


@pytest.fixture
def bench(redis_url: str, clock: Clock) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(redis_url, clock, stack)


def call(guard: Guard, device: str = "", error: Exception | None = None) -> None:
    with guard.call("/x", device):
        if error is not None:
            raise error


def fails(guard: Guard, device: str = "", *, error: type[Exception] = TryAgain, **terms: Any) -> None:
    with pytest.raises(error):
        call(guard, device, TryAgain("answered 503", call="/x", status=503, **terms))


def is_shut(guard: Guard, device: str = "") -> NotYet:
    with pytest.raises(NotYet) as caught:
        call(guard, device)
    return caught.value


def test_what_one_process_learns_all_know_and_a_dead_device_says_nothing_of_its_neighbour(bench: Bench) -> None:
    one, two = bench.guard(), bench.guard()
    fails(one, "54-1046-0745")
    fails(two, "54-1046-0745")
    error = is_shut(one, "54-1046-0745")
    assert str(error) == "2N device 54-1046-0745 breaker open, next probe 12:00:05 UTC (answered 503)"
    assert not error.sent
    assert error.retry_after is not None
    assert 4.9 < error.retry_after <= 5
    is_shut(two, "54-1046-0745")
    call(one, "54-1046-0746")


def test_one_of_many_processes_probes(bench: Bench) -> None:
    guards = [bench.guard() for _ in range(8)]
    fails(guards[0], retry_after=30.0)
    bench.clock.forward(seconds=30)
    with guards[3].call("/x"):
        for guard in guards:
            assert "a probe is under way" in str(is_shut(guard))
    for guard in guards:
        call(guard)


def test_an_answer_of_any_kind_shows_that_the_upstream_is_there(bench: Bench) -> None:
    guard = bench.guard()
    for error in (Refused("no", call="/x", status=400), OurFault("who?", call="/x", status=401)):
        fails(guard)
        with pytest.raises(type(error)):
            call(guard, error=error)
    fails(guard)
    call(guard)


def test_a_call_that_breaks_off_in_our_own_code_neither_opens_nor_closes(bench: Bench) -> None:
    guard = bench.guard()
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            call(guard, error=ZeroDivisionError())
    fails(guard, retry_after=10.0)
    bench.clock.forward(seconds=10)
    with pytest.raises(ZeroDivisionError):
        call(guard, error=ZeroDivisionError())
    call(guard)


def test_a_wiped_redis_makes_nobody_call_sooner_than_told(bench: Bench, redis_url: str) -> None:
    one, two = bench.guard(), bench.guard()
    fails(one, retry_after=60.0)
    is_shut(two)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    bench.clock.forward(seconds=59)
    is_shut(one)
    is_shut(two)
    bench.clock.forward(seconds=1)
    with one.call("/x"):
        is_shut(two)
    call(two)


def test_when_redis_goes_away_each_process_goes_on_from_what_it_saw(tmp_path: Path, clock: Clock) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(ExitStack())
        bench = Bench(server.enter_context(valkey(tmp_path)), clock, stack)
        one, two, fresh = bench.guard(), bench.guard(), bench.guard()
        fails(one, retry_after=60.0)
        is_shut(two)
        server.close()
        is_shut(one)
        is_shut(two)
        call(fresh)  # it never saw the upstream in trouble
        clock.forward(seconds=60)
        fails(one)
        assert "next probe 12:01:10" in str(is_shut(one)), "its own probe failed"
        call(two)


def test_a_redis_that_hangs_holds_no_call_up_for_long(clock: Clock) -> None:
    with silent_server() as port, ExitStack() as stack:
        bench = Bench(f"redis://127.0.0.1:{port}/0", clock, stack, rate="1000/second")
        guard = bench.guard()
        guard.circuits.coordination = stack.enter_context(
            closing(Coordination(f"redis://127.0.0.1:{port}/0", timeout=0.1, pause=60))
        )
        began = time.monotonic()
        fails(guard)
        fails(guard)
        is_shut(guard)
        assert time.monotonic() - began < 5


def grants(guards: Sequence[Guard], seconds: float) -> list[float]:
    """When calls passed, with four threads at each guard."""
    ends, passed = time.time() + seconds, []

    def work(guard: Guard) -> None:
        while time.time() < ends:
            with guard.call("/x"):
                passed.append(time.time())

    with ThreadPoolExecutor(4 * len(guards)) as pool:
        list(pool.map(work, [guard for guard in guards for _ in range(4)]))
    return sorted(passed)


def most_in_a_second(passed: Sequence[float]) -> int:
    return max(sum(begin <= moment < begin + 0.95 for moment in passed) for begin in passed)


def test_all_processes_together_keep_to_the_rate(redis_url: str, clock: Clock) -> None:
    with ExitStack() as stack:
        bench = Bench(redis_url, clock, stack, rate="20/second")
        passed = grants([bench.guard() for _ in range(3)], seconds=2.2)
    span = passed[-1] - passed[0]
    print(
        f"20/second, 12 threads of 3 processes: {len(passed)} calls in {span:.1f} s, {most_in_a_second(passed)} in one"
    )
    assert most_in_a_second(passed) <= 20
    assert len(passed) > 40, "and what the rate allows is used"


def test_without_redis_each_process_keeps_to_the_rate_by_itself(clock: Clock) -> None:
    with ExitStack() as stack:
        bench = Bench(f"redis://127.0.0.1:{free_port()}/0", clock, stack, rate="20/second")
        passed = grants([bench.guard() for _ in range(2)], seconds=1.2)
    assert 20 < most_in_a_second(passed) <= 2 * 20


def test_a_process_that_loses_redis_still_knows_its_own_calls(tmp_path: Path, clock: Clock) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(ExitStack())
        bench = Bench(server.enter_context(valkey(tmp_path)), clock, stack, rate="3/hour", patience=0.01)
        guard = bench.guard()
        for _ in range(3):
            call(guard)
        server.close()
        error = is_shut(guard)
        assert str(error).startswith("2N device is called as often as its rate allows, next call in 3")
        assert error.retry_after is not None
        assert 3590 < error.retry_after < 7200


def test_who_waits_for_a_turn_too_long_comes_back_later_and_gives_the_probe_to_another(
    redis_url: str, clock: Clock
) -> None:
    with ExitStack() as stack:
        bench = Bench(redis_url, clock, stack, rate="2/hour", patience=0.01)
        poor, rich = bench.guard(), Bench(redis_url, clock, stack).guard()
        fails(poor, retry_after=5.0)
        clock.forward(seconds=5)
        call(poor)
        fails(rich, retry_after=5.0)
        clock.forward(seconds=5)
        assert "rate allows" in str(is_shut(poor))
        call(rich)


def test_what_passed_and_what_did_not_is_counted(bench: Bench, redis_url: str) -> None:
    guard = bench.guard()
    call(guard)
    fails(guard)
    with pytest.raises(Refused):
        call(guard, error=Refused("no", call="/x", status=400))
    fails(guard, retry_after=9.0)
    is_shut(guard)
    assert guard.meters.push()
    with closing(Coordination(redis_url)) as coordination:
        sums = read_sums(coordination)
    assert sums is not None
    counted = {(name, *(value for _, value in labels)): number for (name, labels), number in sums.items()}
    del counted["keyturn_upstream_call_seconds_sum", "twon"]
    assert counted == {
        ("keyturn_upstream_call_seconds_bucket", "0.05", "twon"): 4,
        ("keyturn_upstream_errors", "5xx", "twon"): 2,
        ("keyturn_upstream_errors", "4xx", "twon"): 1,
        ("keyturn_upstream_breaker_opened", "twon"): 1,
        ("keyturn_upstream_calls_held_back", "breaker", "twon"): 1,
    }


def test_a_tap_that_does_not_answer_is_left_alone_and_its_job_waits_without_losing_attempts(
    bench: Bench, tmp_path: Path, ledger: Ledger
) -> None:
    fleet = read_fleet(write_fleet(tmp_path, address=f"tcp://127.0.0.1:{free_port()}"))
    guard = replace(bench.guard(), system="tap", label="Tap")
    tools = Tools(
        taps=taps_in(fleet, guard=guard),
        note=ledger.work.note,
        clock=bench.clock,
        renewal_look_every=timedelta(hours=1),
        renewal_deadline=timedelta(days=14),
    )
    patience = Patience(max_attempts=100, base=2.0, cap=900.0)
    terms = Terms(worker="worker", lease=LEASE, linger=0.0, patience=patience)
    runner = Runner(ledger, tools, terms, ring=Bell(), clock=bench.clock)
    (job,) = ask(ledger, bench.clock(), wish(SERIAL, "tap.reconfigure"))
    for attempts in (1, 2, 2, 2):  # two failures open this bench's breakers
        bench.clock.now = max(bench.clock(), from_us(job_row(ledger, job)["not_before"]))
        if attempts == 2 and job_row(ledger, job)["attempts"] == 2:
            guard.circuits.failed(f"tap:{SERIAL}", "another", told=600.0, reason="no answer")
        assert runner.perform("tap.reconfigure") == 1
        line = job_row(ledger, job)
        assert (line["state"], line["attempts"]) == ("due", attempts)
    assert line["reason"].startswith(f"Tap {SERIAL} breaker open, next probe")
    assert len(attempt_rows(ledger, job)) == 2


def test_a_2n_device_that_does_not_answer_is_left_alone(bench: Bench) -> None:
    guard = bench.guard()
    device = TwonDevice(
        serial="54-1046-0745", address=f"http://127.0.0.1:{free_port()}", in_clear=True, location="Lobby", auth="none"
    )
    with closing(FleetTwon(Fleet, resolve, cast("Any", None), guard=guard)) as access:
        for kind in (TryAgain, TryAgain, NotYet):
            with pytest.raises(TryAgain) as caught, access.open(device) as session:
                session.look()
            assert type(caught.value) is kind
    is_shut(guard, device.serial)
    call(guard, "54-1046-0746")
