"""Workers and beat as real processes: they plan, perform, start with clear words and stop when told to."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from infra.ledger import Arrival, Ledger, migrate
from infra.ledger.tables import from_us
from schemas.events import receipt_of_raw
from schemas.schedules import FiringState
from services.operations import OPERATIONS
from services.sandbox.ublox.twin import API_KEY, API_SECRET
from services.schedules import ACTIONS
from services.wiring import now
from tests.fixtures.ublox import Caller, calling
from tests.support.ledger import ask, wish
from tests.support.patience import PATIENCE, eventually
from tests.support.ports import free_port
from tests.support.processes import CLI, WORKERS, Process, clean_environ, ran, started
from tests.support.rounds import schedule
from tests.support.site import TOKEN, events, notification

CONTROL = ("worker", "control")
UBLOX = ("worker", "ublox")


@dataclass
class House:
    """One ledger and the processes that work on it."""

    ledger: Ledger
    twin: Caller
    env: dict[str, str]
    folder: Path
    stack: ExitStack

    def start(self, *words: str, **more: str) -> Process:
        """Start a part; a worker is waited for until it is ready."""
        process = self.stack.enter_context(started((*WORKERS, *words), folder=self.folder, env={**self.env, **more}))
        if words[0] == "worker":
            process.says("ready")
        return process

    def deliver(self, device: str) -> None:
        """Store a bootstrap of a device, as the receiver does, without ringing."""
        body = json.dumps(notification(ROTPublicUID=device)).encode()
        arrival = Arrival(
            receipt=receipt_of_raw(body),
            hook="",
            event_type="DEVICE_BOOTSTRAP_EVENT",
            device=device,
            occurred_at=None,
            received_at=now(),
            body=body,
        )
        self.ledger.inbox.accept([arrival])

    def jobs(self) -> list[str]:
        """The states of all jobs, oldest first."""
        with self.ledger.database.reading() as connection:
            rows = connection.exec_driver_sql("SELECT state FROM jobs ORDER BY id")
            return [row.state for row in rows]

    def await_jobs(self, *states: str, seconds: float = PATIENCE) -> None:
        """Wait until the jobs stand like this."""
        eventually(lambda: self.jobs() == list(states), seconds=seconds)

    def leases(self) -> list[float]:
        """For how many seconds from now each running job is held."""
        with self.ledger.database.reading() as connection:
            rows = connection.exec_driver_sql("SELECT lease_until FROM jobs WHERE state = 'running'").all()
        return [(from_us(row.lease_until) - now()) / timedelta(seconds=1) for row in rows]


@pytest.fixture
def house(tmp_path: Path, redis_url: str) -> Iterator[House]:
    url = f"sqlite:///{tmp_path}/keyturn.db"
    with closing(Ledger(url)) as ledger, calling() as twin, ExitStack() as stack:
        migrate(ledger.database)
        env = clean_environ(
            DATABASE_URL=url,
            REDIS_URL=redis_url,
            KEYTURN_WEBHOOK_TOKENS=TOKEN,
            KEYTURN_SWEEP_EVERY="0.3",
            KEYTURN_LEASE="1.5",
            KEYTURN_WORKER_THREADS="8",
            KEYTURN_UBLOX_BASE_URL=f"{twin.url}/v1",
            KEYTURN_UBLOX_API_KEY=API_KEY,
            KEYTURN_UBLOX_API_SECRET=API_SECRET,
        )
        yield House(ledger, twin, env, tmp_path, stack)


def test_what_nobody_rang_for_is_found_planned_and_performed(house: House) -> None:
    (device,) = house.twin.devices(1)
    house.deliver(device)
    house.start("beat")
    house.start("worker", "control", "ublox")
    house.await_jobs("succeeded")
    assert [row.state for row in events(house.ledger)] == ["planned"]
    assert house.twin.stats()["per_device"]["rotations"] == {device: 1}


def test_no_operation_has_the_name_of_what_a_schedule_does() -> None:
    """Each is the name of a Celery task, and of two tasks of one name a worker has one."""
    assert not set(OPERATIONS) & set(ACTIONS)


def test_devices_are_checked_for_clones_by_a_job_and_by_a_schedule(house: House) -> None:
    (device,) = house.twin.devices(1)
    ask(house.ledger, now(), wish(device, "ublox.check_clones"))
    house.ledger.schedules.add([schedule("clones", "ublox.scan_clones", now(), every_seconds=3600)])
    house.start("beat")
    house.start("worker", "control", "ublox")
    house.await_jobs("succeeded")
    eventually(
        lambda: [one.state for one in house.ledger.firings.of("clones", 9)] == [FiringState.SUCCEEDED],
        seconds=PATIENCE,
    )


def test_each_queue_has_its_own_worker_and_all_stop_when_told(house: House) -> None:
    devices = house.twin.devices(3)
    parts = [house.start("beat"), house.start(*CONTROL), house.start(*UBLOX)]
    for device in devices:
        house.deliver(device)
    house.await_jobs("succeeded", "succeeded", "succeeded")
    for part in parts:
        began = time.monotonic()
        assert part.stop() == 0
        assert time.monotonic() - began < 10
        assert "Traceback" not in part.output


def test_a_call_that_is_under_way_is_finished_before_the_end(house: House) -> None:
    (device,) = house.twin.devices(1)
    house.deliver(device)
    house.start("beat")
    house.start(*CONTROL)
    house.twin.turn(latency_ms=1_500)
    worker = house.start(*UBLOX)
    house.await_jobs("running")
    assert worker.stop() == 0
    assert house.jobs() in (["succeeded"], ["due"])
    house.twin.turn(latency_ms=0)
    house.start(*UBLOX)
    house.await_jobs("succeeded")


def test_a_stopping_worker_keeps_what_it_still_works_on(house: House) -> None:
    (device,) = house.twin.devices(1)
    house.deliver(device)
    house.start("beat")
    house.start(*CONTROL)
    house.twin.turn(latency_ms=4_000)
    worker = house.start(*UBLOX)
    house.await_jobs("running")
    worker.child.send_signal(signal.SIGTERM)
    until = time.monotonic() + 3
    while time.monotonic() < until and worker.child.poll() is None:
        assert house.jobs() != ["due"], "its job was given away while it still worked on it"
        assert all(left > 0 for left in house.leases())
        time.sleep(0.1)


def test_the_job_of_a_killed_worker_is_done_by_another(house: House) -> None:
    (device,) = house.twin.devices(1)
    house.deliver(device)
    house.start("beat")
    house.start(*CONTROL)
    house.twin.turn(latency_ms=60_000)
    worker = house.start(*UBLOX)
    house.await_jobs("running")
    worker.stop(signal.SIGKILL)
    house.twin.turn(latency_ms=0)
    house.start(*UBLOX)
    house.await_jobs("succeeded", seconds=20)


def test_a_worker_stops_although_redis_is_away(house: House) -> None:
    worker = house.stack.enter_context(
        started(
            (*WORKERS, *CONTROL),
            folder=house.folder,
            env={**house.env, "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"},
        )
    )
    worker.says("Cannot connect")
    worker.stop()


@pytest.mark.parametrize(
    ("words", "changes", "sentence"),
    [
        (("worker", "ublox", "blox"), {}, "queues are control, ublox, tap, twon, centagate; not blox"),
        (("worker",), {}, "queues are control, ublox, tap, twon, centagate; not none"),
        (("work",), {}, "expected: worker QUEUE… or beat"),
        ((), {}, "expected: worker QUEUE… or beat"),
        (UBLOX, {"KEYTURN_UBLOX_BASE_URL": ""}, "KEYTURN_UBLOX_BASE_URL"),
        (UBLOX, {"KEYTURN_UBLOX_API_SECRET": ""}, "KEYTURN_UBLOX_API_SECRET is required"),
        (CONTROL, {"KEYTURN_PLAYBOOK_FILE": "playbook.toml"}, "line 2, rule 1 (x), on: is missing"),
        (CONTROL, {"DATABASE_URL": "sqlite:///empty.db"}, "run 'keyturn migrate'"),
        (CONTROL, {"DATABASE_URL": "postgresql://u:hidden-word@127.0.0.1:1/k"}, "the ledger cannot be used now"),
        (CONTROL, {"KEYTURN_LEASE": "0.5"}, "KEYTURN_LEASE must be more than twice KEYTURN_SWEEP_EVERY"),
        (("beat",), {"REDIS_URL": "http://x"}, "REDIS_URL must be redis://"),
    ],
)
def test_a_part_that_cannot_work_says_why(
    house: House, words: tuple[str, ...], changes: dict[str, str], sentence: str
) -> None:
    (house.folder / "playbook.toml").write_text('version = 1\n[[rules]]\nname = "x"\n')
    done = ran((*WORKERS, *words), folder=house.folder, env={**house.env, **changes})
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden-word" not in done.stderr


def test_no_upstream_is_named_all_at_once(house: House) -> None:
    env = {name: value for name, value in house.env.items() if "UBLOX" not in name}
    done = ran((*CLI, "worker", "-Q", "ublox"), folder=house.folder, env=env)
    assert done.returncode == 2
    for name in ("KEYTURN_UBLOX_BASE_URL", "KEYTURN_UBLOX_API_KEY", "KEYTURN_UBLOX_API_SECRET"):
        assert name in done.stderr
