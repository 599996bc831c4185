"""What an upstream in trouble sees of us, and what becomes of the work: on a clock that the test moves."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from typing import ClassVar

import pytest
import redis

from infra.circuits import Circuits
from infra.coordination import Coordination
from infra.ledger import Ledger
from infra.ledger.tables import from_us
from infra.meters import Meters
from schemas.jobs import Done, Job, Outcome
from services.clients.guard import Guard, GuardedTransport
from services.clients.transport import Bounds
from services.operations import Tools
from services.runner import Runner, Terms
from services.settling import Patience
from tests.conftest import Clock
from tests.integration.upstreams import Call, Reply, Upstream, scripted
from tests.support.ledger import LEASE, ask, attempt_rows, device, job_row, rows, states, wish
from tests.support.ports import free_port
from tests.support.works import Bell, Obedient

PROCESSES = 3
OK = Reply()
SWEEP = timedelta(seconds=1)
"""What is due waits so long for somebody to see it."""


class Calling(Obedient):
    """An operation that makes one call for its jobs."""

    batch: ClassVar[int] = 20

    def __init__(self, transport: GuardedTransport) -> None:
        super().__init__()
        self._transport = transport

    def perform(self, jobs: Sequence[Job], _tools: Tools) -> Mapping[int, Outcome]:
        """Call."""
        self._transport.request("POST", "/x", body={"jobs": len(jobs)})
        return {job.id: Done(note="answered") for job in jobs}


class OneCallEach(Calling):
    """The same, a call for each job."""

    batch: ClassVar[int] = 1


class House:
    """Some processes with their own guards, one ledger, one upstream, and a clock that jumps to whatever is due next.

    Attributes:
        calls: when the upstream was called.
    """

    def __init__(self, ledger: Ledger, clock: Clock, urls: Sequence[str], upstream: Upstream, stack: ExitStack) -> None:
        self.ledger, self.clock, self.upstream = ledger, clock, upstream
        self.calls: list[datetime] = []
        self._stack = stack
        self._urls = urls
        self.runners: list[Runner] = []

    def works(self, kind: type[Calling] = Calling) -> None:
        """Start the processes."""
        for number, url in enumerate(self._urls):
            coordination = self._stack.enter_context(closing(Coordination(url, timeout=0.2)))
            guard = Guard(
                system="ublox",
                label="u-blox",
                circuits=Circuits(coordination, self.clock),
                meters=Meters(coordination),
            )
            bounds = Bounds(connect=1.0, read=0.05, whole=0.2)
            transport = GuardedTransport(guard, self.upstream.url, bounds=bounds, clock=self.clock)
            self._stack.callback(transport.close)
            self.runners.append(self._runner(f"worker-{number}", kind(transport)))

    def _runner(self, worker: str, operation: Calling) -> Runner:
        tools = Tools(
            note=self.ledger.work.note,
            clock=self.clock,
            renewal_look_every=timedelta(hours=1),
            renewal_deadline=timedelta(days=14),
        )
        patience = Patience(max_attempts=100, base=2.0, cap=900.0)
        terms = Terms(worker=worker, lease=LEASE, linger=0.0, patience=patience)
        return Runner(self.ledger, tools, terms, ring=Bell(), clock=self.clock, operations={operation.name: operation})

    def answer(self, script: Callable[[Call], Reply]) -> None:
        """Let the upstream answer, and note when it was asked."""

        def noted(call: Call) -> Reply:
            self.calls.append(self.clock())
            return script(call)

        self.upstream.script = noted

    def run(self) -> None:
        """Work until nothing is due for ever; the clock jumps over the time in which nobody has anything to do."""
        while True:
            while sum(runner.perform(Calling.name) for runner in self.runners):
                pass
            waiting = rows(self.ledger, "SELECT min(not_before) AS next FROM jobs WHERE state = 'due'")[0]["next"]
            if waiting is None:
                return
            self.clock.now = max(self.clock.now, from_us(waiting)) + SWEEP


@pytest.fixture(params=["with Redis", "without Redis"])
def house(request: pytest.FixtureRequest, ledger: Ledger, clock: Clock) -> Iterator[House]:
    url = request.getfixturevalue("redis_url") if request.param == "with Redis" else f"redis://127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        upstream = stack.enter_context(scripted(lambda _: OK))
        yield House(ledger, clock, [url] * PROCESSES, upstream, stack)


def told(house: House, what: str) -> None:
    print(f"{what}: {len(house.calls)} calls")


def all_done(house: House, jobs: Sequence[int]) -> None:
    assert set(states(house.ledger, jobs)) == {"succeeded"}, "nothing dropped, nothing parked"


def lone(house: House) -> int:
    """How many views of the upstream there are: one with Redis, one for each process without."""
    return 1 if house.runners and _shares(house) else PROCESSES


def _shares(house: House) -> bool:
    try:
        with redis.Redis.from_url(house._urls[0]) as client:  # noqa: SLF001 - the test's own house
            return bool(client.ping())
    except redis.RedisError:
        return False


def test_an_upstream_that_says_when_to_come_back_hears_nothing_until_then(house: House) -> None:
    house.works()
    jobs = ask(house.ledger, house.clock(), *(wish(device(n)) for n in range(1, 61)))
    began = house.clock()

    def script(_: Call) -> Reply:
        soon = house.clock() < began + timedelta(seconds=100)
        return Reply(status=429, headers={"Retry-After": "120"}) if soon else OK

    house.answer(script)
    house.run()
    told(house, "429 with Retry-After 120")
    all_done(house, jobs)
    early = [call for call in house.calls if call < began + timedelta(seconds=120)]
    assert early == [began] * lone(house), "one call for each that did not know yet"
    assert len(house.calls) <= lone(house) + 2 * 3


def test_a_job_that_is_held_back_says_until_when_and_has_lost_no_attempt(house: House) -> None:
    house.works()
    jobs = ask(house.ledger, house.clock(), *(wish(device(n)) for n in range(1, 61)))
    house.answer(lambda _: Reply(status=429, headers={"Retry-After": "120"}))
    for _ in range(2):
        for runner in house.runners:
            runner.perform(Calling.name)
    lines = [job_row(house.ledger, job) for job in jobs]
    held = [line for line in lines if line["attempts"] == 0]
    assert len(held) == 60 - 20 * lone(house)
    for line in held:
        assert line["state"] == "due"
        assert line["reason"].startswith("u-blox breaker open, next probe 12:02:00 UTC (answered 429); next attempt")
        assert attempt_rows(house.ledger, line["id"]) == []


def test_ten_minutes_of_503_cost_some_probes_and_end_by_themselves(house: House) -> None:
    house.works()
    jobs = ask(house.ledger, house.clock(), *(wish(device(n)) for n in range(1, 61)))
    began = house.clock()
    ends = began + timedelta(minutes=10)
    house.answer(lambda _: Reply(status=503) if house.clock() < ends else OK)
    house.run()
    told(house, "503 for ten minutes")
    all_done(house, jobs)
    during = [call for call in house.calls if call < ends]
    assert len(during) <= (5 + 14) * lone(house), "five failures, then a probe a minute at most"
    assert min(call for call in house.calls if call >= ends) < ends + timedelta(seconds=65), "back soon after it is"
    assert max(job_row(house.ledger, job)["attempts"] for job in jobs) <= len(during) + 1


def test_random_errors_drop_nothing(house: House) -> None:
    house.works(OneCallEach)
    dice = random.Random(7)
    jobs = ask(house.ledger, house.clock(), *(wish(device(n)) for n in range(1, 61)))
    house.answer(lambda _: Reply(status=500) if dice.random() < 1 / 3 else OK)
    house.run()
    told(house, "1 in 3 errors, 60 jobs")
    all_done(house, jobs)
    assert 60 < len(house.calls) < 60 * 2


def test_connections_that_hang_cost_their_timeouts_and_end_by_themselves(house: House) -> None:
    house.works()
    jobs = ask(house.ledger, house.clock(), *(wish(device(n)) for n in range(1, 61)))
    ends = house.clock() + timedelta(minutes=5)

    def script(_: Call) -> Reply:
        if house.clock() < ends:
            time.sleep(0.1)  # longer than our patience
        return OK

    house.answer(script)
    house.run()
    told(house, "five minutes of hanging connections")
    all_done(house, jobs)
    assert len([call for call in house.calls if call < ends]) <= (5 + 9) * lone(house)
