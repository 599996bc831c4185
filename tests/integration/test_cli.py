"""The keyturn command, as a person types it."""

import inspect
import json
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from typer import Typer
from typer.testing import CliRunner

from infra.ledger import Ledger, migrate
from infra.ledger.schema import HEAD
from schemas.errors import ConfigurationError
from services.cli.main import app
from tests.support.patience import eventually
from tests.support.ports import free_port
from tests.support.processes import CLI, answers, clean_environ, ran, started
from tests.support.site import TOKEN


def keyturn(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return ran((*CLI, *words), folder=folder, env=clean_environ(**env))


def migrated(folder: Path) -> str:
    """A new ledger that is up to date, and its address."""
    url = f"sqlite:///{folder}/keyturn.db"
    with closing(Ledger(url)) as ledger:
        migrate(ledger.database)
    return url


def test_help_names_every_command() -> None:
    commands = ("up", "web", "worker", "beat", "migrate", "playbook", "sandbox", "fleet", "vault", "tap")
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    for command in commands:
        assert f" {command} " in shown.output
        own = CliRunner().invoke(app, [command, "--help"])
        assert own.exit_code == 0
        assert f" {command} " in own.output
    assert "Usage" in CliRunner().invoke(app, []).output


@pytest.mark.parametrize("words", [("wep",), ("web", "--port", "99999"), ("up", "now")])
def test_a_mistyped_command_is_told(words: tuple[str, ...]) -> None:
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 2
    assert "Usage" in told.stderr


def commands(group: Typer, *path: str) -> Iterator[tuple[str, Callable[..., object]]]:
    """Every command below a group, with what does its work."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield " ".join((*path, command.name or command.callback.__name__)), command.callback
    for one in group.registered_groups:
        assert one.typer_instance is not None
        yield from commands(one.typer_instance, *path, str(one.name))


def test_every_command_that_ends_by_itself_writes_json_where_it_is_asked_to() -> None:
    without = {name for name, work in commands(app) if "as_json" not in inspect.signature(work).parameters}
    processes = {"up", "web", "worker", "beat", *(f"sandbox {twin}" for twin in ("ublox", "tap", "centagate", "twon"))}
    assert without == processes | {"fleet export"}, "which writes the form that it is asked for"


def test_migrate_makes_the_ledger_and_may_be_repeated(database_url: str, tmp_path: Path) -> None:
    env = {"DATABASE_URL": database_url, "KEYTURN_WEBHOOK_TOKENS": TOKEN}
    for _ in range(2):
        done = keyturn(tmp_path, "migrate", **env)
        assert (done.returncode, done.stdout) == (0, "The ledger is up to date.\n")
    told = json.loads(keyturn(tmp_path, "migrate", "--json", **env).stdout)
    assert told == {"ok": True, "schema": HEAD}
    ledger = Ledger(database_url)
    assert ledger.history.newest_event() == 0
    ledger.close()


@pytest.mark.parametrize(("command", "found"), [("web", "empty"), ("web", "0000"), ("worker", "0000")])
def test_an_older_schema_is_refused(tmp_path: Path, command: str, found: str) -> None:
    url = f"sqlite:///{tmp_path}/keyturn.db"
    if found != "empty":
        with closing(Ledger(migrated(tmp_path))) as ledger, ledger.database.writing() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    done = keyturn(tmp_path, command, DATABASE_URL=url, KEYTURN_WEBHOOK_TOKENS=TOKEN, KEYTURN_PORT="0")
    assert done.returncode == 2
    assert f"the ledger's schema is {found}" in done.stderr
    assert "run 'keyturn migrate'" in done.stderr
    assert "Traceback" not in done.stderr


WRONG = {
    "DATABASE_URL": "mysql://user:hidden-word@host/name",
    "KEYTURN_WEBHOOK_TOKENS": "short",
    "KEYTURN_PORT": "eighty",
    "KEYTURN_PROT": "80",
}


def assert_all_named(told: str) -> None:
    assert "KEYTURN_WEBHOOK_TOKENS must hold one whole Authorization value per line" in told
    assert "KEYTURN_PORT must be a valid integer" in told
    assert "KEYTURN_PROT is not a variable of Keyturn, did you mean KEYTURN_PORT?" in told
    assert "DATABASE_URL must be sqlite:///" in told
    assert "hidden-word" not in told


def test_every_wrong_setting_is_named_at_once(tmp_path: Path) -> None:
    done = keyturn(tmp_path, "migrate", **WRONG)
    assert (done.returncode, done.stdout) == (2, "")
    assert_all_named(done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["web", "up"])
def test_nothing_starts_with_a_wrong_setting(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as refused:
        CliRunner().invoke(app, [command], env=WRONG, catch_exceptions=False)
    assert_all_named(str(refused.value))


@pytest.mark.parametrize(("command", "folder"), [("migrate", "/proc/keyturn"), ("web", "/dev/null")])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, command: str, folder: str) -> None:
    url = f"sqlite:///{folder}/keyturn.db"
    done = keyturn(tmp_path, command, DATABASE_URL=url, KEYTURN_WEBHOOK_TOKENS=TOKEN, KEYTURN_PORT=str(free_port()))
    assert done.returncode == 2
    assert f"DATABASE_URL: {folder}/keyturn.db cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_web_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    port = free_port()
    env = clean_environ(DATABASE_URL=migrated(tmp_path), KEYTURN_WEBHOOK_TOKENS=TOKEN)
    with started((*CLI, "web", "--port", str(port)), folder=tmp_path, env=env) as web:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/readyz"))
        answer = httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
        assert "server" not in answer.headers
        assert web.stop() in {0, -15}
        assert "Traceback" not in web.output


def test_web_on_a_port_that_is_taken_says_so(tmp_path: Path) -> None:
    env = {"DATABASE_URL": migrated(tmp_path), "KEYTURN_WEBHOOK_TOKENS": TOKEN}
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = keyturn(tmp_path, "web", "--port", str(other.getsockname()[1]), **env)
    assert done.returncode != 0
    assert "address already in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("worker", "-Q", "control"), ("worker", "-Q", " control , control "), ("beat",)])
def test_a_worker_and_beat_become_a_process_of_their_own(tmp_path: Path, words: tuple[str, ...]) -> None:
    env = clean_environ(
        DATABASE_URL=migrated(tmp_path),
        KEYTURN_WEBHOOK_TOKENS=TOKEN,
        REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",
    )
    with started((*CLI, *words), folder=tmp_path, env=env) as part:
        eventually(lambda: "-m workers" in command_line(part.child.pid))
        assert words[0] in command_line(part.child.pid)


def command_line(pid: int) -> str:
    """The words of a running process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_a_queue_that_is_not_there_is_told(tmp_path: Path) -> None:
    for queues in ("twonn", " , "):
        done = keyturn(tmp_path, "worker", "-Q", queues, KEYTURN_WEBHOOK_TOKENS=TOKEN)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("queues are control, ublox, tap, twon, centagate; not ")


def test_the_ledger_that_migrate_makes_is_a_plain_sqlite_file(tmp_path: Path) -> None:
    assert keyturn(tmp_path, "migrate", KEYTURN_WEBHOOK_TOKENS=TOKEN).returncode == 0
    connection = sqlite3.connect(tmp_path / "var" / "keyturn.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert [path.name for path in tmp_path.iterdir()] == ["var"]
