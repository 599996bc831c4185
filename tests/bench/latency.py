"""The latency story: 200 notices a second, and how long after each the first upstream call for its device leaves.

A whole Keyturn on SQLite runs against the u-blox twin, with the shipped playbook: each new device that bootstraps gets
its key rotation, looked at before and after. Time counts from the moment at which the notice was due to leave its
sender, so it holds everything: the request, the commit, the doorbell, the plan, the claim, and what precedes the call.
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import httpx

from services.sandbox.ublox.twin import API_KEY, API_SECRET
from tests.bench.accept import send
from tests.bench.keyturn import CLI, data_folder, run_keyturn, sqlite_url
from tests.bench.load import percentile
from tests.bench.processes import DidNotRun, answers, process, wait_until
from tests.bench.systems import Grounds
from tests.bench.witness import Witness, witness
from tests.support.ports import free_port

RATE: Final = 200
ROUNDS: Final = 3
SECONDS: Final = 5
WARM_UP_SECONDS: Final = 2
SETTLE_SECONDS: Final = 30.0
FIRST_DEVICE: Final = 0x0002_0000_8900_0001
CREDENTIALS: Final = {"KEYTURN_UBLOX_API_KEY": API_KEY, "KEYTURN_UBLOX_API_SECRET": API_SECRET}


@contextmanager
def twin() -> Iterator[int]:
    """Run the u-blox twin with every device of this story; give its port."""
    port = free_port()
    command = [*CLI, "sandbox", "ublox", "--port", str(port)]
    recruits = {
        "count": RATE * (WARM_UP_SECONDS + ROUNDS * SECONDS),
        "first": f"{FIRST_DEVICE:016x}",
        "heartbeat_seconds": 3600,
    }
    with data_folder() as data, process(command, name="twin", folder=data) as child:
        wait_until(lambda: answers(port, "/_twin/stats"), what="the u-blox twin", child=child)
        httpx.post(f"http://127.0.0.1:{port}/_twin/devices", json=recruits, timeout=30).raise_for_status()
        yield port


def notices(port: int, *, after: int, seconds: int) -> dict[str, Any]:
    """Send notices of devices that bootstrapped at the rate, each device once; give the sender's summary."""
    summary = send(port, seconds=seconds, rate=RATE, kind="bootstrap", first=FIRST_DEVICE - 1 + after)
    if summary["accepted"] != seconds * RATE:
        raise DidNotRun(f"only {summary['accepted']} of {seconds * RATE} notices were accepted: {summary['statuses']}")
    return summary


def waits(seen: Witness, sent: list[tuple[str, float]]) -> list[float]:
    """Give the sorted seconds from notice to first call, once every device has had one."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while missing := sum(uid not in seen.first_seen for uid, _ in sent):
        if time.monotonic() > deadline:
            raise DidNotRun(f"{missing} of {len(sent)} devices got no call within {SETTLE_SECONDS:.0f} s")
        time.sleep(0.1)
    return sorted(seen.first_seen[uid] - due for uid, due in sent)


def one_round(seen: Witness, port: int, *, after: int, seconds: int) -> dict[str, float]:
    """Send one round of notices and sum up both waits: for the answer, and for the first call."""
    summary = notices(port, after=after, seconds=seconds)
    ordered = waits(seen, summary["sent"])
    return {
        "first_call_p50_ms": percentile(ordered, 0.50) * 1000,
        "first_call_p99_ms": percentile(ordered, 0.99) * 1000,
        "first_call_worst_ms": ordered[-1] * 1000,
        "answer_p50_ms": summary["p50_ms"],
        "answer_p99_ms": summary["p99_ms"],
    }


def measure(grounds: Grounds) -> dict[str, float]:
    """Run the rounds after a warm-up that does not count; give the median of each figure."""
    with ExitStack() as stack:
        seen = stack.enter_context(witness(stack.enter_context(twin())))
        settings = {"KEYTURN_UBLOX_BASE_URL": f"http://127.0.0.1:{seen.port}/v1", **CREDENTIALS}
        queues = ("control", "ublox")
        running = stack.enter_context(
            run_keyturn(grounds, working=True, queues=queues, database=sqlite_url, more=settings)
        )
        one_round(seen, running.port, after=0, seconds=WARM_UP_SECONDS)
        starts = [RATE * (WARM_UP_SECONDS + SECONDS * number) for number in range(ROUNDS)]
        rounds = [one_round(seen, running.port, after=start, seconds=SECONDS) for start in starts]
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
