"""``tap.reconfigure`` and ``keyturn tap apply`` against the twin, over TCP, killed at every write in turn."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from infra.ledger import AuditEntry, Ledger
from schemas.jobs import Again, Awaiting, Done, Job, Outcome
from services.cli.tap import app
from services.clients.tap.wire import Bounds
from services.fleet.access import FleetTaps
from services.operations import Tools
from services.operations.reconfigure_tap import ReconfigureTap
from services.operations.tap_work import TapWork
from tests.support.inventory import house_environ, read_fleet, taps_in
from tests.support.taps import FULL, SECRETS, SERIAL, write_fleet

ROOT = Path(__file__).resolve().parents[2]
BOUNDS = Bounds(connect=2, answer=2, quiet=0.03)


@dataclass
class Twin:
    """The twin in a process of its own."""

    address: str
    relay: str
    control: httpx.Client

    def turn(self, **dials: Any) -> None:
        """Turn dials."""
        self.control.patch("/dials", json=dials).raise_for_status()

    def stats(self) -> dict[str, Any]:
        """What it has counted."""
        document: dict[str, Any] = self.control.get("/stats").json()
        return document

    def reset(self) -> None:
        """Be as at the beginning."""
        self.control.post("/reset").raise_for_status()
        self.turn(reboot_seconds=0.05)


@pytest.fixture(scope="module")
def running() -> Iterator[Twin]:
    words = [sys.executable, "-m", "services.cli.sandbox", "tap", "--port", "0", "--iterations", "20", "--broker", "0"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = re.search(r"TCP (\S+) .* relay (\S+) .* dials (\S+)/dials", process.stdout.readline())
    assert found
    with httpx.Client(base_url=found[3], timeout=60, trust_env=False) as control:
        yield Twin(f"tcp://{found[1]}", found[2], control)
    process.terminate()
    process.wait(60)
    process.stdout.close()


@pytest.fixture
def twin(running: Twin) -> Twin:
    running.reset()
    return running


def attempt(taps: FleetTaps, progress: dict[str, Any], number: int = 1) -> Outcome:
    """One attempt, as a worker makes it; `progress` is what the ledger would keep."""

    def note(noted: Any) -> set[int]:
        progress.update(noted[0][1])
        return {1}

    now = datetime.now(UTC)
    tools = Tools(
        taps=taps,
        note=note,
        clock=lambda: datetime.now(UTC),
        renewal_look_every=timedelta(1),
        renewal_deadline=timedelta(1),
    )
    job = Job(
        id=1,
        operation="tap.reconfigure",
        target=SERIAL,
        parameters={},
        fence=1,
        attempt=number,
        claimed_at=now,
        created_at=now,
        progress=dict(progress),
    )
    return ReconfigureTap().perform([job], tools)[1]


def finish(fleet: Path, *, most: int = 12) -> Done:
    """Attempts, as a worker makes them, until the end."""
    taps = taps_in(read_fleet(fleet), bounds=BOUNDS)
    progress: dict[str, Any] = {}
    for number in range(1, most + 1):
        outcome = attempt(taps, progress, number)
        if isinstance(outcome, Done):
            return outcome
        assert isinstance(outcome, Again | Awaiting), outcome
        progress = dict(outcome.progress) if outcome.progress is not None else progress
        time.sleep(0.1)
    raise AssertionError(f"not done after {most} attempts: {outcome}")


def assert_ends_well(fleet: Path, twin: Twin) -> None:
    taps = taps_in(read_fleet(fleet), bounds=BOUNDS)
    plan = TapWork(taps.order(SERIAL), taps, wanted_first=True).look()
    assert (plan.steps, plan.refusals) == ((), ())
    logins = twin.stats()["logins"]
    assert (logins.get("locked out", 0), logins.get("refused", 0) <= 2) == (0, True)


def test_killed_at_any_write_the_tap_ends_as_wished(tmp_path: Path, twin: Twin) -> None:
    fleet = write_fleet(tmp_path, address=twin.address)
    finish(fleet)
    writes = sum(write["took_effect"] for write in twin.stats()["writes"])
    assert writes > 30
    for number in range(1, writes + 1):
        twin.reset()
        twin.turn(reboot_at_write=number, reboot_before_write=bool(number % 2))
        finish(fleet)
        assert_ends_well(fleet, twin)


def test_on_a_bad_line_the_tap_ends_as_wished(tmp_path: Path, twin: Twin) -> None:
    fleet = write_fleet(tmp_path, address=twin.address)
    twin.turn(drop_rate=0.01, split_rate=0.2, busy_rate=0.005, reboot_seconds=0.05, seed=7)
    finish(fleet, most=40)
    twin.turn(drop_rate=0, split_rate=0, busy_rate=0)
    assert_ends_well(fleet, twin)


@pytest.mark.parametrize(
    ("on", "off"),
    [
        ({"delay_ms": 20}, {"delay_ms": 0}),
        ({"split_rate": 1.0}, {"split_rate": 0}),
        ({"drop_rate": 0.2}, {"drop_rate": 0}),
        ({"drop_rate": 0.2, "drops_after_acting": True}, {"drop_rate": 0}),
        ({"mute_rate": 0.05}, {"mute_rate": 0}),
        ({"wrong_crc_rate": 0.1}, {"wrong_crc_rate": 0}),
        ({"busy_rate": 0.2}, {"busy_rate": 0}),
        ({"unreachable_seconds": 60}, {"unreachable_seconds": 0}),
        ({"refused": {"PUT /1024//9": 164}}, {"refused": {}}),
        ({"locked_out": True}, {"locked_out": False}),
    ],
)
def test_with_each_dial_on_nothing_is_called_done_that_is_not_and_off_it_is_finished(
    on: dict[str, Any], off: dict[str, Any], tmp_path: Path, twin: Twin
) -> None:
    fleet = write_fleet(tmp_path, address=twin.address)
    twin.turn(**on)
    outcome = attempt(taps_in(read_fleet(fleet), bounds=BOUNDS), {})
    twin.turn(**off)
    if not isinstance(outcome, Done):
        assert outcome.reason
        finish(fleet)
    taps = taps_in(read_fleet(fleet), bounds=BOUNDS)
    plan = TapWork(taps.order(SERIAL), taps, wanted_first=True).look()
    assert (plan.steps, plan.refusals) == ((), ())


def test_over_the_relay_the_tap_ends_as_wished(tmp_path: Path, twin: Twin) -> None:
    same_broker = FULL[: FULL.index("[mqtt]")] + FULL[FULL.index("[time]") :]
    (tmp_path / "relay-key").write_text("testnetkey")
    relay = 'relay = { net_key = { file = "relay-key" } }'
    fleet = write_fleet(tmp_path, configuration=same_broker, address=twin.relay, more=relay)
    finish(fleet)
    assert_ends_well(fleet, twin)


def command(fleet: Path, *words: str) -> tuple[int, str]:
    """Import the document, then say `words`."""
    result = CliRunner().invoke(app, words, env=house_environ(fleet.parent, fleet))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_plan_shows_a_masked_table_and_writes_nothing(tmp_path: Path, twin: Twin) -> None:
    code, output = command(write_fleet(tmp_path, address=twin.address), "plan", twin.address)
    assert code == 0
    for words in ("wifi.ssid", "keyturn-plant", "•••", "then a restart"):
        assert words in output
    assert not [secret for secret in SECRETS.values() if secret != "admin" and secret in output]
    assert twin.stats()["writes"] == []


def test_apply_writes_everything_and_looks_again(tmp_path: Path, twin: Twin) -> None:
    fleet = write_fleet(tmp_path, address=twin.address)
    code, output = command(fleet, "apply", SERIAL, "--yes")
    assert code == 0, output
    assert "Done and looked again: the Tap has version 2.3.4." in output
    assert not [secret for secret in SECRETS.values() if secret != "admin" and secret in output]
    assert_ends_well(fleet, twin)
    (tmp_path / "login").write_text(SECRETS["admin-password"])
    assert command(fleet, "apply", SERIAL) == (0, "Nothing to do: the Tap is as wished.\n")


def told(fleet: Path, *words: str, code: int = 0) -> Any:
    """What a command writes as JSON; nothing else is on standard output."""
    result = CliRunner().invoke(app, [*words, "--json"], env=house_environ(fleet.parent, fleet))
    assert result.exit_code == code, result.output
    assert not [secret for secret in SECRETS.values() if secret != "admin" and secret in result.output]
    return json.loads(result.stdout)


def test_plan_and_apply_are_told_as_json(tmp_path: Path, twin: Twin) -> None:
    fleet = write_fleet(tmp_path, address=twin.address)
    planned = told(fleet, "plan", SERIAL)
    steps = {step["setting"]: step["wished"] for step in planned["steps"]}
    assert (planned["ok"], planned["tap"], planned["restarts"]) == (True, SERIAL, True)
    assert steps["wifi.ssid"] == "plant"
    assert "•••" in steps.values()
    assert "--json needs --yes" in told(fleet, "apply", SERIAL, code=2)["error"]
    twin.turn(refused={"PUT /1024//25": 164})
    assert told(fleet, "apply", SERIAL, "--yes", code=1)["kind"] == "Refused"
    twin.turn(refused={})
    assert told(fleet, "apply", SERIAL, "--yes")["steps"]
    assert_ends_well(fleet, twin)


def audit_of(folder: Path) -> list[AuditEntry]:
    """What ``keyturn tap`` left in the audit, the newest first."""
    with closing(Ledger(house_environ(folder)["DATABASE_URL"])) as ledger:
        entries = [one.entry for one in ledger.audit.page(before=None, limit=20)]
    return [entry for entry in entries if entry.action == "tap.apply"]


def test_apply_stands_in_the_audit_also_where_it_stopped_half_way(tmp_path: Path, twin: Twin) -> None:
    fleet = write_fleet(tmp_path, address=twin.address)
    twin.turn(refused={"PUT /1024//25": 164})
    assert command(fleet, "apply", SERIAL, "--yes", "--reason", "new plant")[0] == 1
    (failed,) = audit_of(tmp_path)
    assert (failed.subject, failed.reason) == (f"tap/{SERIAL}", "new plant")
    assert failed.detail["failed"].startswith("wifi.putSSID: ")
    assert failed.detail["began"] not in failed.detail["written"]
    assert set(failed.detail["written"]) < set(failed.detail["wanted"])
    twin.turn(refused={})
    assert command(fleet, "apply", SERIAL, "--yes")[0] == 0
    done = audit_of(tmp_path)[0]
    assert done.detail["written"] == done.detail["wanted"]
    assert not {"failed", "began"} & done.detail.keys()
    assert not [secret for secret in SECRETS.values() if secret != "admin" and secret in str(audit_of(tmp_path))]


@pytest.mark.parametrize(
    ("file", "content", "exit_code", "words"),
    [
        ("login", "not it", 1, "no password that we have opens the Tap as admin"),
        ("tap.toml", FULL.replace('["wifi", "mqtt", "ble"]', '["ble"]'), 1, "it would be out of reach"),
        ("wifi-key", "short", 2, "must have 8 to 63 characters"),
        ("tap.toml", "nam = 1", 2, "line 1, nam: unknown key"),
    ],
)
def test_what_cannot_be_is_told_in_words(
    tmp_path: Path, twin: Twin, file: str, content: str, exit_code: int, words: str
) -> None:
    fleet = write_fleet(tmp_path, address=twin.address)
    environ = house_environ(tmp_path, fleet)
    (tmp_path / file).write_text(content)
    if file == "login":
        house_environ(tmp_path, fleet)
    result = CliRunner().invoke(app, ["apply", SERIAL, "--yes"], env=environ)
    code, output = result.exit_code, result.output
    assert code == exit_code
    assert words in output
    assert twin.stats()["writes"] == []


def test_nobody_at_the_address_is_told_in_words(tmp_path: Path) -> None:
    fleet = write_fleet(tmp_path, address="tcp://127.0.0.1:9")
    code, output = command(fleet, "plan", SERIAL)
    assert code == 3
    assert "no connection to tcp://127.0.0.1:9" in output
