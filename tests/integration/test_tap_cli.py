"""``keyturn tap`` against a Tap on a real socket: what it shows, what it writes, how it fails."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path as FilePath
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from infra.ledger import Ledger
from schemas.errors import InputError
from services.cli.tap import app
from services.cli.tap_values import parse_value, show_value, text_of
from services.cli.tap_visit import Visit, fetch
from services.clients.tap import Path, Response, Status
from services.clients.tap.enumerations import HostProtocol, WifiMode
from services.clients.tap.registry import body_type
from services.clients.tap.relay import Topics
from tests.integration.small_broker import SmallBroker
from tests.integration.tap_device import SERIAL, TapState, TcpDevice
from tests.support.inventory import house_environ

VALUES = {
    Path.parse("/3//3"): b"1.113",
    Path.parse("/1024//9"): b"gate-3",
    Path.parse("/1024//10"): bytes.fromhex("02030004"),
    Path.parse("/1024//3"): bytes.fromhex("0020"),
    Path.parse("/1024//17"): bytes.fromhex("0260"),
    Path.parse("/1024//7"): bytes.fromhex("ffff"),
    Path.parse("/1024//16"): b"wifi-hush",
}

Run = Callable[..., Result]


@pytest.fixture
def device() -> Iterator[TcpDevice]:
    device = TcpDevice(TapState(values=dict(VALUES)))
    yield device
    device.close()


@pytest.fixture
def ledger(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """The ledger that the commands open, too."""
    environ = house_environ(tmp_path)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with closing(Ledger(environ["DATABASE_URL"])) as ledger:
        yield ledger


@pytest.fixture
def run(device: TcpDevice, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Run:
    assert ledger is not None
    monkeypatch.setenv("TAP_PASSWORD", "admin")

    def invoke(command: str, *words: str, user: str | None = "admin") -> Result:
        login = ["--user", user, "--password", "env:TAP_PASSWORD"] if user else []
        return CliRunner().invoke(app, [command, f"tcp://127.0.0.1:{device.port}", *words, *login])

    return invoke


def test_info_tells_what_the_tap_says(run: Run) -> None:
    result = run("info")
    assert result.exit_code == 0, result.output
    assert f"serial             {SERIAL}" in result.output
    assert "firmware           1.113" in result.output
    assert "may be reached by  WIFI, BLE, MQTT" in result.output
    assert "frame sizes        not told: GET /1024//88" in result.output


def test_info_as_json(run: Run) -> None:
    document = json.loads(run("info", "--json").output)
    assert document["ok"]
    assert document["tap"]["configuration"] == "2.3.4"
    assert document["tap"]["sealed"] is True
    assert document["tap"]["calls_per_iv"] == 1
    assert document["tap"]["lock_bits"]["scram_activated"] is True
    assert set(document["not_told"]) == {"frame_sizes"}


def test_info_without_a_login_sees_the_open_side(run: Run) -> None:
    document = json.loads(run("info", "--json", user=None).output)
    assert document["tap"]["sealed"] is False
    assert document["tap"]["serial"] == SERIAL


def test_read_and_write(run: Run, device: TcpDevice) -> None:
    assert run("read", "/1024//9").output == "gate-3\n"
    result = run("write", "/1024//9", "gate-4")
    assert result.exit_code == 0
    assert result.output == f"Tap {SERIAL} has taken /1024//9.\n"
    assert json.loads(run("read", "/1024//9", "--json").output)["value"] == "gate-4"
    assert json.loads(run("write", "/1024//15", "network", "--json").output) == {
        "ok": True,
        "tap": SERIAL,
        "path": "/1024//15",
    }
    assert device.tap.values[Path.parse("/1024//15")] == bytes([WifiMode.NETWORK])


def recorded(ledger: Ledger) -> list[tuple[str, str, str, dict[str, Any]]]:
    entries = [one.entry for one in ledger.audit.page(before=None, limit=9)]
    return [(one.action, one.subject, one.reason, dict(one.detail)) for one in entries if one.action != "fleet.import"]


def test_a_write_stands_in_the_audit_without_its_value(run: Run, ledger: Ledger, tmp_path: FilePath) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    run("write", "/1024//16", f"file:{tmp_path}/key", "--reason", "new key")
    assert recorded(ledger) == [("tap.write", f"tap/{SERIAL}", "new key", {"path": "/1024//16"})]
    run("read", "/1024//9")
    assert len(recorded(ledger)) == 1


def test_a_write_that_the_tap_refused_stands_in_the_audit_and_one_that_never_left_does_not(
    run: Run, device: TcpDevice, ledger: Ledger
) -> None:
    run("write", "/1024//9", "gate-4", user=None)
    assert recorded(ledger) == []
    device.tap.answers[Path.parse("/1024//9")] = Response(Status.RESOURCE_LOCKED)
    assert run("write", "/1024//9", "gate-4").exit_code == 1
    ((action, _, _, detail),) = recorded(ledger)
    assert (action, detail["path"]) == ("tap.write", "/1024//9")
    assert detail["failed"].startswith("PUT /1024//9")


def test_without_a_ledger_nothing_is_written(run: Run, device: TcpDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:////nowhere/at/all/keyturn.db")
    result = run("write", "/1024//9", "gate-4")
    assert result.exit_code != 0
    assert device.tap.values[Path.parse("/1024//9")] == b"gate-3"


def test_a_secret_is_not_taken_from_the_command_line(run: Run, device: TcpDevice, tmp_path: FilePath) -> None:
    refused = run("write", "/1024//16", "hush-on-the-line")
    assert refused.exit_code == 2
    assert "never the secret itself" in refused.output
    assert "hush" not in refused.output
    (tmp_path / "key").write_text("from-a-file\n")
    assert run("write", "/1024//16", f"file:{tmp_path}/key").exit_code == 0
    assert device.tap.values[Path.parse("/1024//16")] == b"from-a-file"


def test_a_secret_is_shown_only_when_asked_for(run: Run) -> None:
    hidden = run("read", "/1024//16")
    assert hidden.exit_code == 2
    assert "wifi-hush" not in hidden.output
    assert run("read", "/1024//16", "--show-secret").output == "wifi-hush\n"


def test_writing_without_a_login_is_refused(run: Run) -> None:
    result = run("write", "/1024//9", "gate-4", user=None)
    assert result.exit_code == 1
    assert "would travel in clear" in result.output


def test_a_wrong_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAP_PASSWORD", "wrong-hush")
    result = run("read", "/1024//9")
    assert result.exit_code == 1
    assert "wrong user or password" in result.output
    assert "hush" not in result.output


def test_another_serial_number(run: Run) -> None:
    result = run("info", "--serial", "IOTZ00000000000001", "--json")
    assert result.exit_code == 1
    document = json.loads(result.output)
    assert document["kind"] == "OurFault"
    assert document["sent"] is False


def test_a_tap_without_scram(device: TcpDevice, run: Run) -> None:
    device.tap.values[Path.parse("/1024//6")] = bytes(2)
    assert run("read", "/1024//9").exit_code == 1
    assert run("read", "/1024//9", "--clear").output == "gate-3\n"


def test_nobody_there_is_worth_another_try() -> None:
    result = CliRunner().invoke(app, ["info", "tcp://127.0.0.1:1", "--json"])
    assert result.exit_code == 3
    assert json.loads(result.output)["kind"] == "TryAgain"


def test_a_refusal_of_the_tap(device: TcpDevice, run: Run) -> None:
    device.tap.answers[Path.parse("/1024//9")] = Response(Status.RESOURCE_LOCKED)
    result = run("read", "/1024//9", "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["status"] == 0x87
    device.tap.answers[Path.parse("/1024//9")] = Response(Status.BUSY)
    assert run("read", "/1024//9").exit_code == 3
    assert run("info").exit_code == 3


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("read", "gate"), "form /object/instance/resource"),
        (("write", "/1024//9/1", "x"), "form /object/instance/resource"),
        (("write", "/1024//58", "x", "--as", "nothing"), "no type of body"),
        (("write", "/1027//21", "x"), "several meanings"),
        (("write", "/1024//15", "elsewhere"), "write one of PEER_TO_PEER, NETWORK"),
        (("write", "/1024//33", "soon"), "write a number"),
        (("write", "/1024//36", "@/no/such/file"), "cannot be read"),
    ],
)
def test_wrong_input_is_told_before_anything_is_opened(
    device: TcpDevice, run: Run, words: tuple[str, ...], text: str
) -> None:
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert text in result.output
    assert not device.connections


@pytest.mark.parametrize(
    "address",
    [
        "192.168.1.50",
        "tcp://",
        "tcp://h/x",
        "http://h",
        "mqtt://broker",
        "tcp://h:99999",
        "tcp://u:p@h",
        "mqtt://h/S?x=1",
    ],
)
def test_addresses_that_are_none(address: str) -> None:
    result = CliRunner().invoke(app, ["info", address])
    assert result.exit_code == 2
    assert "the address" in result.output


def test_the_relay_is_reached_by_serial_and_net_key(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = SmallBroker(suback=0x80)
    monkeypatch.setenv("NET_KEY", "plant-net-key")
    words = ["--net-key", "env:NET_KEY", "--broker-user", "ops", "--broker-password", "env:NET_KEY", "--mqtt", "5"]
    result = CliRunner().invoke(app, ["info", f"mqtt://127.0.0.1:{broker.port}/{SERIAL}", *words])
    broker.close()
    assert result.exit_code == 1
    assert f"mqtt://127.0.0.1:{broker.port}/{SERIAL}: the broker does not let us listen" in result.output
    assert Topics.of(SERIAL, "plant-net-key").answer not in result.output


def test_places_of_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("hush", "env:", "env:1-2", "env:UNSET_VARIABLE", "file:/no/such", "-"):
        with pytest.raises(InputError) as caught:
            fetch(wrong, "Password")
        assert "hush" not in str(caught.value)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: "typed")
    assert fetch("-", "Password").get_secret_value() == "typed"
    with pytest.raises(InputError, match="--mqtt"):
        Visit(address=f"mqtt://h/{SERIAL}", mqtt="4").place()
    assert str(Visit(address=f"mqtts://h/{SERIAL}").place()[0]) == f"mqtts://h:8883/{SERIAL}"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("uint16", "0x1f", 31),
        ("bool", "False", False),
        ("bytes", "00ff", b"\x00\xff"),
        ("host_protocol_set", "wifi+ble", HostProtocol.WIFI | HostProtocol.BLE),
        ("wifi_mode", "1", WifiMode.NETWORK),
        ("float", "1.5", 1.5),
        ("ascii", "a b", "a b"),
    ],
)
def test_values_as_people_write_them(name: str, text: str, value: Any) -> None:
    assert parse_value(body_type(name), text) == value


def test_records_are_json() -> None:
    codec = body_type("security_options")
    options = parse_value(codec, '{"scram_activated": true}')
    assert show_value(options)["scram_activated"] is True
    assert text_of((b"\x01", WifiMode.NETWORK)) == "01, NETWORK"
    assert text_of(options).startswith("{")
    for wrong in ("[1]", "{", '{"hush": 1}'):
        with pytest.raises(InputError) as caught:
            parse_value(codec, wrong)
        assert "hush" not in str(caught.value)
