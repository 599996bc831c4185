"""The Tap story: our client beside the vendor's own, `@iotize/tap`, each against the same twin, turn by turn.

A login of ours is a whole fresh session: connect, serial number, lock bits, SCRAM, serial number inside the channel,
log out. The vendor's is a login on a connection that stands. An exchange is the same typed call for both, the serial
number read inside the channel. Many Taps at once are counted by the CPU time of this process, all of it: so the figure
says what a core of a worker can carry, whatever the twin's core does.
"""

import json
import random
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx
from pydantic import SecretStr

from schemas.errors import UpstreamError
from services.clients.tap.calls import Tap
from services.clients.tap.client import TapClient
from services.clients.tap.tcp import TcpAddress
from services.clients.tap.terms import Memory, Terms
from tests.bench.keyturn import CLI, data_folder
from tests.bench.processes import ROOT, DidNotRun, answers, process, wait_until
from tests.bench.systems import install_node_modules
from tests.support.ports import free_port

ROUNDS: Final = 3
SECONDS: Final = 1.0
"""Length of one measurement."""

MANY: Final = 200
"""Taps that are spoken to at once."""

PORTS: Final = range(20_000, 30_000)
"""Below those that systems hand out by themselves: among hundreds, one would now and then be somebody else's too."""

USER: Final = "admin"
PASSWORD: Final = SecretStr("admin")
VENDOR: Final = ROOT / "tests" / "interop" / "tap"


@dataclass(frozen=True)
class Place:
    """One Tap of a twin."""

    address: TcpAddress
    serial: str


@contextmanager
def twin(count: int) -> Iterator[list[Place]]:
    """Run a twin of so many Taps in a process of its own; give where they are."""
    port, first = free_port(), random.randrange(PORTS.start, PORTS.stop - count)
    command = [*CLI, "sandbox", "tap", "--port", str(first), "--count", str(count), "--dials", str(port)]
    with data_folder() as data, process(command, name="tap-twin", folder=data) as child:
        wait_until(lambda: answers(port, "/_twin/taps"), what="the Tap twin", child=child)
        taps = httpx.get(f"http://127.0.0.1:{port}/_twin/taps", timeout=10, trust_env=False).json()["taps"]
        yield [Place(TcpAddress(tap["host"], tap["port"]), tap["serial"]) for tap in taps]


def rate(turn: Callable[[], object]) -> float:
    """Repeat something for a while, after one turn that does not count, and give turns in a second."""
    turn()
    turns, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < SECONDS:
        turn()
        turns += 1
    return turns / elapsed


def session(place: Place, *, period: int = 1, memory: Memory | None = None) -> TapClient:
    """Connect and log in; without a memory nothing is known from before, so the password is hashed afresh."""
    client = TapClient(place.address, terms=Terms(serial=place.serial, period=period), memory=memory)
    client.connect()
    client.login(USER, PASSWORD)
    return client


def logins(place: Place, *, remembering: bool) -> float:
    """Give our fresh sessions in a second."""
    memory = Memory() if remembering else None
    return rate(lambda: session(place, memory=memory).close())


def exchanges(place: Place, *, period: int) -> float:
    """Give our sealed exchanges in a second, on one connection."""
    with closing(session(place, period=period)) as client:
        return rate(Tap(client).device.get_serial_number)


def vendors(what: str, place: Place) -> float:
    """Give one figure of the vendor's client, by its own script."""
    command = [install_node_modules(VENDOR), str(VENDOR / "figures.mjs"), "--only", what, "--seconds", str(SECONDS)]
    command += ["--host", place.address.host, "--port", str(place.address.port)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60 + 10 * SECONDS)
    if done.returncode:
        raise DidNotRun(f"the vendor's client failed: {done.stderr.strip()[-300:]}")
    return float(next(value for name, value in json.loads(done.stdout).items() if what in name))


OURS: Final[Mapping[str, tuple[str, Callable[[Place], float]]]] = {
    "login": ("logins", partial(logins, remembering=False)),
    "login_cached": ("logins", partial(logins, remembering=True)),
    "exchange": ("period_1", partial(exchanges, period=1)),
    "exchange_period0": ("period_0", partial(exchanges, period=0)),
}
"""Each of our measurements, and which of the vendor's stands beside it."""


def one_round(place: Place, number: int) -> dict[str, float]:
    """Measure both clients at each thing, another one first each time; give their figures and the ratios."""
    figures: dict[str, float] = {}
    for name, (theirs, our_rate) in OURS.items():
        turns: list[tuple[str, Callable[[Place], float]]] = [("", our_rate), ("vendor_", partial(vendors, theirs))]
        found = {whose: turn(place) for whose, turn in (turns if number % 2 else reversed(turns))}
        figures |= {f"tap_{whose}{name}_per_second": value for whose, value in found.items()}
        figures[f"tap_{name}_vs_vendor"] = found[""] / found["vendor_"]
        print(f"round {number + 1}  {name:<16} {found['']:>7.1f}/s  vendor {found['vendor_']:>7.1f}/s", flush=True)
    return figures


class Crowd:
    """One thread for each Tap, all exchanging from the same moment until the same moment."""

    def __init__(self, clients: Sequence[TapClient]) -> None:
        self._over = threading.Event()
        self._counts = [0] * len(clients)
        self._threads = [threading.Thread(target=self._work, args=each) for each in enumerate(clients)]

    def exchanges(self, seconds: float) -> int:
        """Let all work for so long and give how many exchanges they made."""
        for thread in self._threads:
            thread.start()
        time.sleep(seconds)
        self._over.set()
        for thread in self._threads:
            thread.join()
        if not all(self._counts):
            raise DidNotRun(f"{self._counts.count(0)} of {len(self._counts)} Taps made no exchange")
        return sum(self._counts)

    def _work(self, number: int, client: TapClient) -> None:
        exchange = Tap(client).device.get_serial_number
        while not self._over.is_set():
            exchange()
            self._counts[number] += 1


@contextmanager
def crowd(places: Sequence[Place]) -> Iterator[list[TapClient]]:
    """Log in to all Taps, before any clock runs."""
    memory = Memory()
    with ExitStack() as stack:
        yield [stack.enter_context(closing(session(place, memory=memory))) for place in places]


def many_at_once(clients: Sequence[TapClient]) -> dict[str, float]:
    """Exchange with all Taps at once; give exchanges in a second, and in a second of our own CPU time."""
    started, cpu = time.perf_counter(), time.process_time()
    count = Crowd(clients).exchanges(SECONDS)
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"{len(clients)} Taps at once  {count / elapsed:.0f}/s  {count / cpu:.0f} in a second of CPU", flush=True)
    return {"tap_exchanges_per_core": count / cpu, f"tap_exchanges_{len(clients)}_taps_per_second": count / elapsed}


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Give the median of each figure."""
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def measure() -> dict[str, float]:
    """Run the rounds with one Tap, then those with many."""
    try:
        with twin(1) as (one,):
            alone = medians([one_round(one, number) for number in range(ROUNDS)])
        with twin(MANY) as many, crowd(many) as clients:
            together = medians([many_at_once(clients) for _ in range(ROUNDS)])
    except UpstreamError as error:
        raise DidNotRun(f"our client failed: {error}") from error
    return alone | together
