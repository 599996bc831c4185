"""The vendor's own client, ``@iotize/tap`` 2.7.0, does with our twin whatever a host does with a Tap.

``make interop`` installs it and runs this; the scripts beside this file print one line of JSON for each scenario.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.sandbox.server import Address, running
from services.sandbox.tap.app import build
from services.sandbox.tap.factory import MASTERS, Factory
from services.sandbox.tap.fleet import Fleet

SCRIPTS = Path(__file__).parent / "tap"
VECTORS = Path(__file__).parents[1] / "fixtures" / "tap-vectors.json"
SERIAL = "IOTZ00000000000042"
CREATED, CHANGED, UNAUTHORIZED = 0x41, 0x44, 0x81
PATIENCE = 120

Json = dict[str, Any]


@contextmanager
def twin(factory: Factory | None = None, *, broker: bool = False) -> Iterator[tuple[Fleet, Address]]:
    fleet = Fleet(factory or Factory(iterations=100), broker_port=0 if broker else None)
    with running(build(fleet)) as address:
        yield fleet, address


def vendor(script: str, *arguments: str) -> list[Json]:
    """Run a script of the vendor's client and give what it printed."""
    assert shutil.which("node"), "Node is missing; these tests need Node 20 or newer"
    assert (SCRIPTS / "node_modules").is_dir(), "the vendor's client is not installed; say: make interop"
    command = ["node", str(SCRIPTS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def over_tcp(fleet: Fleet) -> list[str]:
    return ["--port", str(fleet.taps[0].tcp.port)]


def over_relay(fleet: Fleet) -> list[str]:
    assert fleet.broker is not None
    return ["--broker", "{}:{}".format(*fleet.broker), "--serial", SERIAL, "--net-key", "testnetkey"]


WAYS = {"tcp": (over_tcp, 32), "mqtt": (over_relay, 512)}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def report(way: str) -> Json:
    """What the vendor's client has seen, by scenario, and what the twin remembers and has counted."""
    place, _ = WAYS[way]
    with twin(broker=way == "mqtt") as (fleet, address):
        lines = vendor("scenarios.mjs", *place(fleet))
        with httpx.Client(base_url=address.url, trust_env=False) as http:
            state, stats = (http.get(f"/_twin/{face}").json() for face in ("state", "stats"))
    faults = {line["scenario"]: line["error"] for line in lines if not line["ok"]}
    assert not faults
    return {line["scenario"]: line["seen"] for line in lines} | {"state": state, "stats": stats}


def test_strangers_read_what_is_no_secret(report: Json, way: str) -> None:
    seen = report["reads"]
    assert (seen["serial"], seen["firmware"], seen["group"], seen["iterations"]) == (SERIAL, "1.113", 0, 100)
    assert seen["locks"]["scramActivated"] is True
    assert seen["host"] == WAYS[way][1]
    assert seen["netKeyStatus"] == UNAUTHORIZED


def test_login_turns_encryption_on(report: Json) -> None:
    assert report["login"] == {"encrypted": True, "name": "admin", "group": 65535, "serial": SERIAL}
    assert report["everyUser"] == {"admin": 65535, "supervisor": 65534, "tech": 1}
    assert report["stats"]["sealed_requests"] > 300


def test_wrong_password_and_unknown_user_look_alike(report: Json) -> None:
    refused = "TapAuthErrorInvalidCredentials"
    assert report["wrongPassword"] == {"known": refused, "unknown": refused, "after": "admitted"}


def test_settings_are_written_and_read_back_in_the_channel(report: Json) -> None:
    seen = report["writes"]
    assert set(seen["put"]) == {CREATED, CHANGED}
    assert (seen["name"], seen["inactivity"], seen["ssid"], seen["key"]) == ("TAP-7", 60, "plant-7", "correct horse")
    assert (seen["ip"], seen["port"], seen["zone"]) == ("192.168.1.50", "8883", "Europe/Paris")
    assert (seen["group"], seen["lifetime"]) == ("fitter", 90)
    assert report["strangers"] == {"inClear": UNAUTHORIZED, "technician": UNAUTHORIZED}


def test_every_refresh_period_of_the_vectors(report: Json) -> None:
    calls = {"period0": 12, "period1": 12, "period3": 20, "defaultPeriod": 250}
    assert {name: report[name]["calls"] for name in calls} == calls
    assert report["stats"]["requests"]["GET /1024//45"] >= 2 + 20 // 3 + 250 // 100


def test_vectors_are_exchanged_by_hand(report: Json) -> None:
    assert set(report["manualExchange"].values()) == {SERIAL}


def test_channel_without_login_takes_a_login_inside_and_a_pause(report: Json) -> None:
    assert report["keyInClear"] == {"stranger": 0, "group": 65535, "paused": SERIAL, "resumed": SERIAL}


def test_password_change_locks_the_old_one_out_and_the_new_one_in(report: Json) -> None:
    seen = report["passwordChange"]
    assert seen == {"old": "TapAuthErrorInvalidCredentials", "new": "admitted", "others": 200, "restored": "admitted"}
    groups = report["state"]["groups"]
    assert (groups["1"]["iterations"], groups["65535"]["iterations"]) == (200, 100)


def test_multi_request(report: Json) -> None:
    assert report["severalAtOnce"] == [SERIAL, CHANGED, "several"]


def test_long_value_is_appended_chunk_by_chunk(report: Json) -> None:
    assert report["longValue"] == [CHANGED] * 3
    stored = bytes.fromhex(report["state"]["settings"]["/1024//57"])
    assert stored == bytes(65 + index % 26 for index in range(500))


def test_logout_ends_the_session(report: Json) -> None:
    assert report["logout"] == {"encrypted": False, "group": 0, "again": "admitted"}


def test_login_by_hash_where_scram_is_off() -> None:
    with twin(Factory(scram=False)) as (fleet, _):
        (line,) = vendor("scenarios.mjs", *over_tcp(fleet), "--only", "plainLogin")
    wrong = "TapAuthErrorInvalidCredentials"
    assert line["seen"] == {"wrong": wrong, "encrypted": False, "group": 65535, "written": CHANGED}


def test_firmware_without_vectors_serves_the_default_period() -> None:
    with twin(Factory(firmware="1.80", iterations=100)) as (fleet, _):
        lines = vendor("scenarios.mjs", *over_tcp(fleet), "--only", "login,period0,defaultPeriod")
    assert [line["ok"] for line in lines] == [True, True, True]


def test_the_vendors_configurator_puts_a_tap_into_service(tmp_path: Path) -> None:
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]
    (vector,) = (vector for vector in vectors if vector["group"] == "configuration")
    wanted = tmp_path / "configuration.json"
    wanted.write_text(json.dumps(vector["inputs"]["config"]), encoding="utf-8")
    with twin(Factory(configured=False, users=MASTERS, iterations=100)) as (fleet, address):
        (line,) = vendor("scenarios.mjs", *over_tcp(fleet), "--only", "configuration", "--config", str(wanted))
        state = httpx.get(f"{address.url}/_twin/state", trust_env=False).json()
    user = {"groupId": 1, "lifeTime": 300, "name": "tech"}
    assert line["seen"] == {"stranger": UNAUTHORIZED, "user": user, "name": "TAP-7", "version": "2.3.4"}
    assert state["settings"]["/1024//55"] == "plant-7-key"
    assert state["groups"]["65534"]["lifetime"] == 30


def test_figures_are_printed_for_a_comparison() -> None:
    with twin() as (fleet, _):
        (figures,) = vendor("figures.mjs", *over_tcp(fleet), "--seconds", "0.2")
    rates = {name: value for name, value in figures.items() if name.endswith("per_second") or "period" in name}
    assert len(rates) == 4
    assert all(value > 0 for value in rates.values())
