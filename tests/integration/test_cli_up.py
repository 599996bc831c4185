"""``keyturn up``: everything starts, does its work, mends itself, and leaves nothing behind."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.support.patience import PATIENCE, eventually
from tests.support.ports import free_port
from tests.support.processes import CLI, Process, answers, clean_environ, ran, started
from tests.support.site import TOKEN

TWINS = {"sandbox-ublox", "sandbox-twon", "sandbox-centagate", "sandbox-tap"}
PARTS = {"redis", "web", "control", "ublox", "doors", "beat", *TWINS}
STORY = (
    "ublox.rotate_e2e_key on 0002000089000001",
    "ublox.renew_certificate on 0002000089000002",
    "twon.rotate_mobile_key on location:Entrance",
    "centagate.register_token on user-0001/sms",
    "centagate.register_token on user-0001/otp",
    "tap.reconfigure on IOTZ00000000000042",
)
KILLED = ("services.cli.main web", "workers worker ublox", "valkey")


def environ(folder: Path, **more: str) -> dict[str, str]:
    return clean_environ(**{"KEYTURN_DATA_DIR": str(folder / "data"), "KEYTURN_PORT": str(free_port()), **more})


def of_folder(folder: Path) -> dict[int, str]:
    """Every living process that works in this folder, and its command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                ours = (entry / "cwd").readlink().is_relative_to(folder)
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if ours and words:
                found[int(entry.name)] = words
    return found


@contextmanager
def up(folder: Path, *words: str, **more: str) -> Iterator[tuple[Process, str]]:
    """Run everything; gives the process and the address of the receiver."""
    env = environ(folder, **more)
    with started((*CLI, "up", *words), folder=folder, env=env, fork=False) as house:
        try:
            yield house, f"http://127.0.0.1:{env['KEYTURN_PORT']}"
        finally:
            for pid in of_folder(folder):  # a test that failed leaves nothing either
                os.kill(pid, signal.SIGKILL)


def test_two_events_are_verified_and_no_process_is_left(tmp_path: Path) -> None:
    with up(tmp_path, "--until-verified") as (house, url):
        assert house.child.wait(PATIENCE) == 0, house.output
        assert "Both events verified" in house.output
        assert house.output.count("verified: ") == len(STORY)
        assert all(job in house.output for job in STORY)
        assert "new primary on 2 of 2 devices" in house.output
        assert f"Receiver  {url}/webhooks/ublox" in house.output
        assert of_folder(tmp_path) == {}
    assert {path.stem for path in (tmp_path / "data" / "log").iterdir()} == PARTS
    token = tmp_path / "data" / "webhook-token"
    assert token.stat().st_mode & 0o777 == 0o600
    secret = token.read_text().strip()
    written = house.output + "".join(path.read_text() for path in (tmp_path / "data" / "log").iterdir())
    assert secret not in written
    assert secret.removeprefix("Bearer ") not in written
    assert not any(secret in words for words in of_folder(tmp_path).values())


def test_what_is_killed_is_started_again_and_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    with up(tmp_path, "--no-demo") as (house, url):
        house.says("Ledger ")
        assert len(of_folder(tmp_path)) == len(PARTS) + 1
        killed = [pid for pid, line in of_folder(tmp_path).items() if any(words in line for words in KILLED)]
        assert len(killed) == len(KILLED)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(of_folder(tmp_path).keys() - killed) == len(PARTS) + 1)
        eventually(lambda: answers(f"{url}/readyz"))
        eventually(lambda: house.output.count("starting it again") == len(KILLED))
        house.stop(signal.SIGKILL)
        eventually(lambda: of_folder(tmp_path) == {})


def test_commands_beside_it_speak_to_the_same_installation_also_when_it_has_stopped(tmp_path: Path) -> None:
    beside = clean_environ(KEYTURN_DATA_DIR=str(tmp_path / "data"))
    with up(tmp_path) as (house, _):
        house.says("Both events verified")
        word = tmp_path / "data" / "up.env"
        assert word.stat().st_mode & 0o777 == 0o600
        jobs = told(tmp_path, beside, "jobs", "list", "--json")
        assert {job["operation"] for job in jobs["items"]} == {line.split()[0] for line in STORY}
        wish = ("trigger", "ublox.renew_certificate", "--device", "0002000089000002", "--reason", "it asks u-blox")
        (diff,) = told(tmp_path, beside, *wish, "--dry-run", "--diff", "1", "--json")["diffs"]
        assert diff["then"] == "change"
        assert house.stop(signal.SIGINT) == 0
    assert told(tmp_path, beside, "jobs", "list", "--json") == jobs
    assert "REDIS_URL" not in word.read_text()


def told(folder: Path, env: Mapping[str, str], *words: str) -> Any:
    """What a command says as JSON."""
    done = ran((*CLI, *words), folder=folder, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def stranger() -> Iterator[int]:
    """Somebody else's web server, which answers everything with 200."""

    class Friendly(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Friendly) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_port_that_is_taken_is_told_and_no_process_is_left(tmp_path: Path) -> None:
    with stranger() as port:
        env = environ(tmp_path) | {"KEYTURN_PORT": str(port)}
        done = ran((*CLI, "up"), folder=tmp_path, env=env)
    assert done.returncode == 2
    assert f"KEYTURN_PORT: 127.0.0.1 port {port} cannot be listened on" in done.stderr
    assert "Traceback" not in done.stderr
    assert of_folder(tmp_path) == {}


def test_what_the_env_file_says_counts_on_any_host_and_port_until_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        f"KEYTURN_WEBHOOK_TOKENS={TOKEN}\nDATABASE_URL=sqlite:///{tmp_path}/own.db\n"
        f"REDIS_URL=redis://127.0.0.1:{free_port()}/0\nKEYTURN_HOST=::1\n"
    )
    with up(tmp_path, "--no-demo", KEYTURN_PORT="0") as (house, _):
        house.says(f"Ledger    sqlite:///{tmp_path}/own.db")
        assert "Receiver  http://[::1]:" in house.output
        assert "Receiver  http://[::1]:0/" not in house.output
        assert not any("valkey" in words for words in of_folder(tmp_path).values())
        assert house.stop(signal.SIGINT) == 0
        assert "Stopped. The ledger keeps what is open" in house.output
        assert "Traceback" not in house.output
        assert of_folder(tmp_path) == {}
    assert (tmp_path / "own.db").exists()
    assert not (tmp_path / "data" / "webhook-token").exists()


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    env = clean_environ(KEYTURN_DATA_DIR=str(tmp_path / "file" / "data"))
    done = ran((*CLI, "up"), folder=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "KEYTURN_DATA_DIR" in done.stderr
    assert "Traceback" not in done.stderr
