import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.playbook import LARGEST_EVENT, app
from services.playbook import default_text
from services.playbook.loader import LARGEST
from tests.support.inventory import house_environ
from tests.support.taps import SERIAL, write_fleet

DEVICE = "135700008928c093"
BOOTSTRAP = {
    "ROTPublicUID": DEVICE,
    "Timestamp": "2020-05-07T11:23:32",
    "EventType": "DEVICE_BOOTSTRAP_EVENT",
    "Payload": {"IMEI": "862618583984360", "IsBlacklisted": False},
}
NO_FLEET = (
    "rules configure-taps-of-new-device, rotate-mobile-keys-of-new-device, register-tokens-of-new-device:"
    " the inventory has no sites"
)
FAULTY = (
    'version = 1\n[[rules]]\nname = "x"\non = { event = "NOPE" }\nalert = "a"\nbudget = { jobs = 1, per = "day" }\n'
)


def run(*arguments: str | Path, stdin: bytes | None = None, environ: dict[str, str] | None = None) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin, env=environ)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def written(folder: Path, content: str | bytes | dict[str, Any], name: str = "file") -> Path:
    text = json.dumps(content) if isinstance(content, dict) else content
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_check_says_ok_and_shows_the_rules(tmp_path: Path) -> None:
    result = run("check", written(tmp_path, default_text()))
    assert result.exit_code == 0
    assert result.stdout.startswith("ok, 16 rules\n")
    for word in ("root-ca-expiring", "confirm", "event.text"):
        assert word in result.stdout


def test_check_shows_what_nobody_can_fire(tmp_path: Path) -> None:
    rules = '[[rules]]\nname = "s"\nenabled = false\non = { manual = true }\nalert = "[a]"\n'
    rules += '[[rules]]\nname = "t"\non = { manual = true }\nalert = "b"\n'
    result = run("check", written(tmp_path, f"version = 1\n{rules}"))
    assert result.exit_code == 0
    assert "s (disabled)" in result.stdout
    assert "[a]" in result.stdout
    assert "note: rule t: a manual rule without operations: there is nothing that a person could fire" in result.stdout
    assert "rule s:" not in result.stdout


def test_check_as_json(tmp_path: Path) -> None:
    result = run("check", written(tmp_path, default_text()), "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["ok"], answer["warnings"]) == (0, True, [])
    assert answer["rules"][0]["do"] == [{"operation": "ublox.rotate_e2e_key", "with": {"type": "AUTOMATIC", "days": 7}}]


def test_check_prints_every_fault(tmp_path: Path) -> None:
    result = run("check", written(tmp_path, FAULTY))
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert lines[0].startswith("line 4, rule 1 (x), on.event: expected one of DEVICE_BOOTSTRAP_EVENT")
    assert lines[1:] == [
        "line 6, rule 1 (x), budget: limits jobs, and the rule makes none",
        "2 faults",
    ]


def test_check_prints_every_fault_as_json(tmp_path: Path) -> None:
    result = run("check", written(tmp_path, FAULTY), "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["ok"], len(answer["faults"])) == (1, False, 2)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"version = 1\n# caf\xe9", "is not UTF-8 text: line 2 has the byte 0xe9"),
        (b"#" * (LARGEST + 1), "is too large: a playbook has at most 256 KiB"),
        (b"version = ", "not TOML: "),
    ],
)
def test_check_refuses_a_file_that_is_no_playbook(tmp_path: Path, content: bytes, fault: str) -> None:
    result = run("check", written(tmp_path, content))
    assert result.exit_code == 1
    assert fault in result.stderr
    assert result.stderr.endswith("1 fault\n")


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert run("check", written(tmp_path, b"\xef\xbb\xbfversion = 1")).stdout.startswith("ok, 0 rules")


@pytest.mark.parametrize("command", [("check",), ("test",), ("test", "-", "--playbook")])
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert "missing cannot be read: No such file or directory" in run(*command, tmp_path / "missing").stderr
    assert "cannot be read: Is a directory" in run(*command, tmp_path).stderr
    assert "embedded null byte" in run(*command, "a\0b").stderr


def test_test_shows_what_would_happen(tmp_path: Path) -> None:
    result = run("test", written(tmp_path, BOOTSTRAP))
    assert result.exit_code == 0
    for line in (
        f'device       "{DEVICE}"',
        "match     rotate-key-of-new-device: its condition holds",
        "no match  blacklisted-device: its condition does not hold",
        f"verdict  rule rotate-key-of-new-device: ublox.rotate_e2e_key on {DEVICE}; {NO_FLEET}",
    ):
        assert line in result.stdout.splitlines()
    assert f'job      ublox.rotate_e2e_key on {DEVICE} with {{"type":"AUTOMATIC","days":7' in result.stdout


@pytest.mark.parametrize(
    ("kind", "payload", "line"),
    [
        ("ROOTCA_EXPIRATION_EVENT", {}, 'alert    "A root CA is about'),
        ("DEVICE_CERTIFICATE_RENEWAL_EVENT", {}, "confirm  ublox.renew_certificate"),
        ("DEVICE_BOOTSTRAP_EVENT", {}, "note     rule rotate-key-of-new-device: the condition failed"),
        ("DEVICE_CERTIFICATE_EXPIRATION_EVENT", {}, f"job      ublox.renew_certificate on {DEVICE} with"),
        ("DEVICE_CERTIFICATE_EXPIRATION_EVENT", {}, "unless under way"),
        (
            "DEVICE_BOOTSTRAP_EVENT",
            {"IsBlacklisted": True},
            '{"listed":false} unless under way, once an operator agrees',
        ),
        ("DEVICE_CLONED", {}, '"ca_name":null} unless under way, once an operator agrees'),
        ("DEVICE_SUSPICIOUS", {}, "unless under way, once an operator agrees"),
        (
            "ROOTCA_EXPIRATION_EVENT",
            {"CertificateAuthorityName": "ca.example"},
            "unless under way, once an admin agrees",
        ),
    ],
)
def test_test_reads_standard_input(kind: str, payload: dict[str, Any], line: str) -> None:
    document = BOOTSTRAP | {"EventType": kind, "Payload": payload}
    result = run("test", "-", stdin=json.dumps(document).encode())
    assert result.exit_code == 0
    assert line in result.stdout


def test_test_says_what_a_job_will_wait_for(tmp_path: Path) -> None:
    text = 'version = 1\n[[rules]]\nname = "x"\non = { event = "DEVICE_BOOTSTRAP_EVENT" }\n'
    text += 'window = { opens = 02:00:00, closes = 05:30:00, timezone = "Europe/Paris" }\n'
    text += 'budget = { jobs = 9, per = "hour" }\n[[rules.do]]\noperation = "ublox.renew_certificate"\n'
    result = run("test", written(tmp_path, BOOTSTRAP), "--playbook", written(tmp_path, text, "play"))
    assert '"when":"now"}, between 02:00 and 05:30 Europe/Paris, at most 9 per hour' in result.stdout


def test_test_as_json_with_a_playbook(tmp_path: Path) -> None:
    text = 'version = 1\n[[rules]]\nname = "x"\non = { event = "DEVICE_BOOTSTRAP_EVENT" }\n'
    text += '[[rules.do]]\noperation = "ublox.renew_certificate"\n'
    result = run("test", written(tmp_path, BOOTSTRAP), "--playbook", written(tmp_path, text, "play"), "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert answer["event"]["device"] == DEVICE
    assert answer["rules"][0]["matched"] is True
    assert answer["jobs"][0]["parameters"] == {"validity_days": 365, "when": "now"}
    assert answer["verdict"] == f"rule x: ublox.renew_certificate on {DEVICE}"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"{", "is not JSON: "),
        (b"\xff", "is not JSON: "),
        (b"[" * 5000, "is not JSON: "),
        (b"[]", "is not an event: the body must be a JSON object, not a list"),
        (b'{"EventType": "DEVICE_BOOTSTRAP_EVENT"}', "is not an event: ROTPublicUID must be 16 hexadecimal digits"),
        (b" " * (LARGEST_EVENT + 1), "is too large: an event has at most 1024 KiB"),
    ],
)
def test_test_refuses_what_is_no_event(tmp_path: Path, content: bytes, fault: str) -> None:
    result = run("test", written(tmp_path, content))
    assert (result.exit_code, result.stdout) == (1, "")
    assert fault in result.stderr
    assert json.loads(run("test", "-", "--json", stdin=content).stdout)["ok"] is False


def test_test_knows_the_inventory_of_the_ledger(tmp_path: Path) -> None:
    environ = house_environ(tmp_path, write_fleet(tmp_path))
    result = run("test", written(tmp_path, BOOTSTRAP), environ=environ)
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"job      tap.reconfigure on {SERIAL} with {{}} unless under way" in result.stdout.splitlines()


def test_a_slip_in_what_a_site_skips_is_shown(tmp_path: Path) -> None:
    document = written(tmp_path, 'version = 1\n[[sites]]\nname = "lyon"\nskip_rules = ["x", "s"]\n', "fleet.toml")
    rules = '[[rules]]\nname = "s"\non = { event = "ROOTCA_EXPIRATION_EVENT" }\nalert = "a"\n'
    playbook = written(tmp_path, f"version = 1\n{rules}")
    result = run("check", playbook, environ=house_environ(tmp_path, document))
    assert "note: the site lyon skips the rule x, which the playbook does not have" in result.stdout.splitlines()
    assert "rule s" not in result.stdout


def test_a_playbook_is_tried_where_there_is_no_ledger_and_none_is_made(tmp_path: Path) -> None:
    environ = house_environ(tmp_path)
    elsewhere = {**environ, "DATABASE_URL": f"sqlite:///{tmp_path}/none.db"}
    assert run("test", written(tmp_path, BOOTSTRAP), environ=elsewhere).exit_code == 0
    assert not (tmp_path / "none.db").exists()
    unset = run("test", written(tmp_path, BOOTSTRAP), environ={"KEYTURN_WEBHOOK_TOKENS": ""})
    assert unset.exit_code == 0
    assert "The inventory is not read: " in unset.stderr
