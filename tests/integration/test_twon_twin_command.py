"""``keyturn sandbox twon``, as a person types it."""

import re
import socket
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from services.cli.main import app
from tests.support.processes import CLI, clean_environ, started
from tests.support.twon import PASSWORD, USER

SANDBOX = ("sandbox", "twon", "--port")


def test_one_line_says_where_everything_is(tmp_path: Path) -> None:
    words = (*CLI, *SANDBOX, "0", "--devices", "3", "--https", "--location", "lyon", "--firmware", "mixed")
    with started(words, folder=tmp_path, env=clean_environ()) as twin:
        twin.says("/_twin/dials\n")
        (line,) = twin.output.splitlines()
        assert line.startswith("2N twin ready: https://127.0.0.1:")
        assert "serial 54-1046-0745 to 54-1046-0747  location lyon  account admin (digest)" in line
        found = re.search(r"fingerprint ([0-9a-f]{64})  dials (http://\S+)/_twin/dials$", line)
        assert found is not None
        with httpx.Client(base_url=found[2], trust_env=False) as http:
            devices = http.get("/_twin/devices").json()["devices"]
            assert [device["firmware"][:4] for device in devices] == ["2.49", "2.50", "2.49"]
            assert devices[0]["fingerprint"] == found[1]
        assert twin.stop() == 0
        assert twin.output == f"{line}\n"


def test_devices_over_http_with_their_own_locations(tmp_path: Path) -> None:
    with started((*CLI, *SANDBOX, "0", "--algorithm", "sha-256"), folder=tmp_path, env=clean_environ()) as twin:
        twin.says("/_twin/dials\n")
        assert "location 54-1046-0745  account" in twin.output
        url = twin.output.split()[3]
        auth = httpx.DigestAuth(USER, PASSWORD)
        with httpx.Client(base_url=url, auth=auth, trust_env=False) as client:
            assert client.get("/api/mobilekey/config").json()["result"]["location"] == "54-1046-0745"
        assert twin.stop() == 0


def test_devices_of_many_locations(tmp_path: Path) -> None:
    words = (*CLI, *SANDBOX, "0", "--devices", "5", "--location", "floor", "--location-size", "2")
    with started(words, folder=tmp_path, env=clean_environ()) as twin:
        twin.says("/_twin/dials\n")
        assert "location floor-1 to floor-3  account" in twin.output
        assert twin.stop() == 0


def test_ports_that_run_out_are_told() -> None:
    told = CliRunner().invoke(app, [*SANDBOX, "65535", "--devices", "2"])
    assert told.exit_code == 2
    assert "no port is left for 2 devices" in told.stderr


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        told = CliRunner().invoke(app, [*SANDBOX, port])
    assert told.exit_code == 1
    assert f"The twin cannot listen on 127.0.0.1 port {port}" in told.stderr


@pytest.mark.parametrize(
    ("words", "fault"),
    [(("--serial", "54-1046"), "has not the form"), (("--firmware", "2.60"), "2.60"), (("--devices", "0"), "devices")],
)
def test_an_option_that_is_wrong_is_told(words: tuple[str, str], fault: str) -> None:
    told = CliRunner().invoke(app, [*SANDBOX, "0", *words])
    assert told.exit_code == 2
    assert fault in told.stderr
