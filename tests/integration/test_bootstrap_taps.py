"""From a bootstrap notice to a configured Tap: planner, ledger and runner as a worker has them, a Tap in memory."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import orjson
import pytest

from infra.ledger import Arrival, Ledger
from infra.references import resolve
from schemas.jobs import State
from services.fleet import Inventory
from services.fleet.access import FleetTaps
from services.operations import PARAMETERS, Tools
from services.operations.tap_work import TapWork
from services.planner import Planner
from services.playbook import load_playbook
from services.runner import Runner, Terms
from services.settling import Patience
from services.sweep import sweep
from tests.support.inventory import RING, stock
from tests.support.taps import SERIAL, MemoryAddress, make_device, write_fleet
from tests.support.vault import vault_of

DEVICE = "135700008928c093"
RULE = """
version = 1
[[rules]]
name = "configure-taps"
on = { event = "DEVICE_BOOTSTRAP_EVENT" }
targets = "site.taps"
[[rules.do]]
operation = "tap.reconfigure"
unless_under_way = true
"""
BODY = {
    "ROTPublicUID": DEVICE,
    "Timestamp": "2020-05-07T11:23:32",
    "EventType": "DEVICE_BOOTSTRAP_EVENT",
    "Payload": {"IsBlacklisted": False},
}


class Worker:
    """One process's planner and runner over a ledger, with a clock that is told."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.ledger = ledger
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.device = make_device()
        self.rung: list[str] = []
        stock(ledger, write_fleet(folder))
        reveal = partial(resolve, vault=vault_of(ledger, RING))
        self.taps = FleetTaps(Inventory(ledger).current, reveal, address_of=lambda _: MemoryAddress(self.device))
        tools = Tools(
            taps=self.taps,
            note=ledger.work.note,
            clock=self.clock,
            renewal_look_every=timedelta(1),
            renewal_deadline=timedelta(1),
        )
        terms = Terms(
            worker="test",
            lease=timedelta(seconds=15),
            linger=0,
            patience=Patience(max_attempts=8, base=1, cap=5),
        )
        playbook = load_playbook(RULE, operations=PARAMETERS)
        self.planner = Planner(ledger, playbook, ring=self.ring, clock=self.clock)
        self.runner = Runner(ledger, tools, terms, ring=self.ring, clock=self.clock)

    def clock(self) -> datetime:
        """What time it is."""
        return self.now

    def ring(self, name: str, _: Iterable[int]) -> None:
        """Remember who was rung for."""
        self.rung.append(name)

    def arrive(self, receipt: str) -> None:
        """Take a notice in."""
        arrival = Arrival(
            receipt=receipt,
            hook="ublox",
            event_type="DEVICE_BOOTSTRAP_EVENT",
            device=DEVICE,
            occurred_at=self.now,
            received_at=self.now,
            body=orjson.dumps(BODY),
        )
        self.ledger.inbox.accept([arrival])
        self.planner.plan_waiting()

    def later(self, seconds: float) -> None:
        """Let time pass, and the sweep look."""
        self.now += timedelta(seconds=seconds)
        sweep(self.ledger, ring=self.ring, clock=self.clock)

    def state(self, receipt: str) -> list[str]:
        """Where the jobs of a notice stand."""
        found = self.ledger.inbox.receipt(receipt)
        assert found is not None
        return [job.state for job in found.jobs]


@pytest.fixture
def worker(ledger: Ledger, tmp_path: Path) -> Worker:
    return Worker(ledger, tmp_path)


def test_a_bootstrap_notice_ends_in_a_configured_tap(worker: Worker) -> None:
    worker.arrive("one")
    assert worker.rung == ["keyturn.tap.reconfigure"]
    assert worker.runner.perform("tap.reconfigure") == 1
    assert worker.state("one") == [State.AWAITING]
    assert worker.runner.perform("tap.reconfigure") == 0
    worker.later(11)
    assert worker.runner.perform("tap.reconfigure") == 1
    assert worker.state("one") == [State.SUCCEEDED]
    assert TapWork(worker.taps.order(SERIAL), worker.taps, wanted_first=True).look().steps == ()


def test_a_lost_worker_and_a_power_cut_are_made_good(worker: Worker) -> None:
    worker.arrive("one")
    worker.device.turn({"reboot_at_write": 12})
    lost = worker.ledger.work.claim(
        "tap.reconfigure", worker="lost", now=worker.now, lease=timedelta(seconds=15), limit=1
    )
    assert len(lost) == 1
    worker.later(20)
    for _ in range(6):
        worker.runner.perform("tap.reconfigure")
        worker.later(11)
    assert worker.state("one") == [State.SUCCEEDED]
    assert worker.device.tally.logins["refused"] <= 2


def test_a_second_notice_is_served_by_the_work_under_way(worker: Worker) -> None:
    worker.arrive("one")
    worker.arrive("two")
    worker.runner.perform("tap.reconfigure")
    worker.later(11)
    worker.runner.perform("tap.reconfigure")
    assert worker.runner.perform("tap.reconfigure") == 0
    assert worker.state("one") == [State.SUCCEEDED]
