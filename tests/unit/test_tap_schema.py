"""Wanted configurations of Taps: every fault at once with its place, and no secret repeated."""

from pathlib import Path

import pytest

from infra.references import resolve
from schemas.errors import InputError
from schemas.references import EnvironmentReference, FileReference
from schemas.tap import ADMIN, SUPERVISOR, TapConfiguration, json_schema
from services.fleet import load_configuration
from tests.support.taps import write_fleet

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "tap-configuration.schema.json"
USERS = """
[[users]]
name = "admin"
password = { env = "A" }
[[users]]
name = "supervisor"
password = { env = "S" }
"""
SECRET = '{ file = "path" }, { env = "NAME" } or { vault = "name" }'


def faults_of(folder: Path, text: str) -> list[str]:
    file = folder / "tap.toml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_configuration(file)
    return [fault.removeprefix(f"{file}: ") for fault in caught.value.faults]


def fault_of(folder: Path, text: str) -> str:
    (fault,) = faults_of(folder, text)
    return fault


def test_the_committed_json_schema_is_the_one_that_the_code_gives() -> None:
    expected = json_schema()
    assert SCHEMA.read_text() == expected, "write schemas.tap.json_schema() to the file"


def test_a_full_configuration_is_read(tmp_path: Path) -> None:
    write_fleet(tmp_path)
    wanted = load_configuration(tmp_path / "tap.toml")
    assert wanted.wifi.key == FileReference(file=tmp_path / "wifi-key")
    assert [user.number for user in wanted.users] == [ADMIN, SUPERVISOR, 7]


def test_every_fault_of_a_configuration_is_listed_with_its_place(tmp_path: Path) -> None:
    text = """\
version = "0.0.0"
nam = "x"
protocols = ["wifi", "smoke"]
inactivity = 300
hash_iterations = true

[wifi]
ssid = "0123456789012345678901234567890123"
key = "hunter2hunter2"
ip = "300.1.1.1"

[mqtt]
password = { env = "my secret !" }
net_key = { file = "a", env = "B" }

[[users]]
name = "admin"
group = 4
password = { fil = "x" }

[[users]]
name = "op"
password = { file = "x", y = 2 }
"""
    faults = faults_of(tmp_path, text)
    assert "hunter2" not in str(faults)
    assert "my secret" not in str(faults)
    places = [fault.partition(": ")[0] for fault in faults]
    assert places == [
        "users",
        "line 1, version",
        "line 2, nam",
        "line 3, protocols[2]",
        "line 4, inactivity",
        "line 5, hash_iterations",
        "line 8, wifi.ssid",
        "line 9, wifi.key",
        "line 10, wifi.ip",
        "line 13, mqtt.password.env",
        "line 14, mqtt.net_key",
        "line 18, users[1].group",
        "line 19, users[1].password",
        "line 21, users[2]",
        "line 23, users[2].password.y",
    ]
    assert "did you mean 'name'?" in faults[2]
    assert faults[7] == f"line 9, wifi.key: expected where the secret stands, such as {SECRET}"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('name = "' + "x" * 33 + '"', "name: expected at most 32 characters"),
        ('name = "é"', "name: expected printable ASCII characters"),
        ("protocols = []", "protocols: Tuple should have at least 1 item"),
        ('[time]\nntp_server = "' + "n" * 101 + '"', "time.ntp_server: expected at most 100 characters"),
        ('[time]\nzone = "' + "z" * 65 + '"', "time.zone: expected at most 64 characters"),
        ('[mqtt]\nhost = "' + "h" * 210 + '"', "mqtt.host: expected at most 209 characters"),
        ("[mqtt]\nport = 0", "mqtt.port: expected at least 1, not 0"),
        ("[wifi]\ncountry = 1000", "wifi.country: expected at most 999, not 1000"),
        ('[certificates]\npublic = { env = "A" }', "certificates.private: is missing"),
        (
            '[[users]]\nname = "abcdefghijklmnopq"\ngroup = 3\npassword = { env = "A" }',
            "users[1].name: expected at most 16 characters",
        ),
        ('[[users]]\nname = "boss"\ngroup = 65535\npassword = { env = "A" }', "users[1].group: group 65535 belongs"),
        ('[[users]]\nname = "admin"\npassword = { env = "A" }', "users: name admin is there twice"),
    ],
)
def test_a_value_beyond_its_limit_is_told(tmp_path: Path, body: str, fault: str) -> None:
    assert fault in fault_of(tmp_path, f'version = "1.2.3"\n{body}\n{USERS}')


@pytest.mark.parametrize("version", ["1.2", "256.0.0", "1.2.65536", "255.255.65535", "v1.2.3", "0.0.0"])
def test_a_version_is_one_that_a_tap_can_hold(tmp_path: Path, version: str) -> None:
    assert "expected a version" in fault_of(tmp_path, f'version = "{version}"\n{USERS}')


@pytest.mark.parametrize("missing", ["admin", "supervisor"])
def test_the_two_users_of_every_tap_need_a_password(tmp_path: Path, missing: str) -> None:
    text = f'version = "1.2.3"\n{USERS}'.replace(f'"{missing}"', '"other"\ngroup = 9')
    assert f"{missing} is missing: its password must never stay" in fault_of(tmp_path, text)


def test_what_is_no_toml_no_text_and_no_file_is_told(tmp_path: Path) -> None:
    assert "is not TOML" in fault_of(tmp_path, "version =")
    (tmp_path / "tap.toml").write_bytes(b"\xff")
    for path in (tmp_path / "tap.toml", tmp_path / "absent.toml"):
        with pytest.raises(InputError):
            load_configuration(path)


def test_a_model_made_by_hand_is_checked_too() -> None:
    with pytest.raises(ValueError, match="admin is missing"):
        TapConfiguration.model_validate({"version": "1.2.3", "users": []})


def test_a_secret_is_fetched_when_it_is_needed_and_does_not_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("hunter2\n")
    monkeypatch.setenv("TAP_KEY", "hunter3")
    one, other = resolve(FileReference(file=tmp_path / "key")), resolve(EnvironmentReference(env="TAP_KEY"))
    assert (one.get_secret_value(), other.get_secret_value()) == ("hunter2", "hunter3")
    assert "hunter" not in f"{one!r} {other}"


def test_a_secret_that_is_not_there_is_told_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAP_KEY", raising=False)
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "long").write_bytes(b"x" * 70_000)
    for name, words in (
        ("absent", "cannot be read"),
        ("empty", "holds no secret"),
        ("binary", "is not UTF-8"),
        ("long", "longer than"),
    ):
        with pytest.raises(InputError, match=words):
            resolve(FileReference(file=tmp_path / name))
    with pytest.raises(InputError, match="variable TAP_KEY holds no secret"):
        resolve(EnvironmentReference(env="TAP_KEY"))
