"""The whole bootstrap story, and afterwards nobody finds a secret where it does not belong."""

import base64
import contextlib
import signal
import socket
import threading
from pathlib import Path
from typing import Final

import pytest
import redis

from infra.ledger import Ledger
from infra.vault import KeyRing, Vault
from schemas.events import EventType
from tests.integration.upstreams import valkey
from tests.support.flood import Flood, notification
from tests.support.patience import eventually
from tests.support.ports import free_port
from tests.support.processes import CLI, Process, clean_environ, ran, started
from tests.support.sentry import Inbox, sentry_inbox
from tests.support.vault import everything

PASSWORD: Final = "a-door-password-of-some-length"
PHONE: Final = "+999555123456"
SHORTEST: Final = 6
"""Characters of what is looked for; the factory passwords of twins, such as 2n, stand in many words."""

SECOND_SITE: Final = f"""
version = 1

[[sites]]
name = "second"
devices = ["00020000890000ff"]

[[sites.twon]]
serial = "54-9999-0001"
address = "https://127.0.0.1:{{port}}"
location = "Nobody is there"
password = "{PASSWORD}"
fingerprint = "{"ab" * 32}"

[[sites.tokens]]
username = "nobody-of-this-name"
type = "sms"
phone = "{PHONE}"
"""


class Wire:
    """Everything that anybody says to a Redis, byte by byte."""

    def __init__(self, url: str) -> None:
        self._socket = socket.create_connection(
            ("127.0.0.1", redis.Redis.from_url(url).get_connection_kwargs()["port"])
        )
        self.said = bytearray()
        self._socket.sendall(b"MONITOR\r\n")
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while piece := self._socket.recv(65_536):
                self.said += piece


@pytest.mark.parametrize("database", ["postgres"])  # the same story is told on SQLite by test_cli_up
@pytest.mark.xdist_group("whole machine")
def test_the_whole_bootstrap_story_leaves_no_secret_anywhere(tmp_path: Path, database_url: str) -> None:
    """A second site goes wrong on purpose: errors are where secrets come out."""
    with valkey(tmp_path) as redis_url, sentry_inbox() as inbox:
        wire = Wire(redis_url)
        env = clean_environ(
            KEYTURN_DATA_DIR=str(tmp_path / "data"),
            KEYTURN_PORT=str(free_port()),
            KEYTURN_LOG_LEVEL="DEBUG",
            DATABASE_URL=database_url,
            REDIS_URL=redis_url,
            SENTRY_DSN=f"http://public@127.0.0.1:{inbox.server_port}/1",
        )
        with started((*CLI, "up"), folder=tmp_path, env=env, fork=False) as house:
            house.says("Both events verified")
            ledger = Ledger(database_url)
            _go_wrong(tmp_path, env, ledger)
            eventually(inbox.events, "Sentry has heard of it")
            in_redis = _all_of(redis_url)
            house.stop(signal.SIGINT)
        wire.close()
        vault = Vault(ledger.secrets, KeyRing.parse((tmp_path / "data" / "vault-keys").read_text()))
        secrets = {name: vault.get(name).get_secret_value() for name in vault.names()}
        assert {name.partition("/")[0] for name in secrets} == {"tap", "twon", "token", "mobile-key"}
        places = {
            "the logs": _logs(tmp_path / "data", house),
            "Sentry": _reported(inbox),
            "the words said to Redis": bytes(wire.said),
            "the keys of Redis": in_redis,
            "the ledger": everything(ledger),
        }
        states = ledger.history.work_of_events_after(0, 500)
        ledger.close()
    assert b"keyturn.twon.rotate_mobile_key" in places["the words said to Redis"]
    assert any(row.state == "parked" and row.operation == "centagate.register_token" for row in states)
    found = [
        f"{name} stands in {place}"
        for place, content in places.items()
        for name, secret in {**secrets, **_of_the_house(tmp_path / "data")}.items()
        if len(secret) >= SHORTEST and _stands_in(content, secret)
    ]
    assert found == []


def _go_wrong(folder: Path, env: dict[str, str], ledger: Ledger) -> None:
    """A site whose door does not exist and whose person nobody knows."""
    (folder / "second.toml").write_text(SECOND_SITE.format(port=free_port()))
    environ = {**env, "KEYTURN_VAULT_KEYS_FILE": str(folder / "data" / "vault-keys")}
    environ["KEYTURN_WEBHOOK_TOKENS_FILE"] = str(folder / "data" / "webhook-token")
    done = ran((*CLI, "fleet", "import", "second.toml"), folder=folder, env=environ)
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout
    assert PHONE not in done.stdout
    flood = Flood(int(env["KEYTURN_PORT"]), (folder / "data" / "webhook-token").read_text().strip())
    flood.send([notification(EventType.BOOTSTRAP, "00020000890000ff")], connections=1)
    eventually(
        lambda: any(row.state == "parked" for row in ledger.history.work_of_events_after(0, 500)), "one is parked"
    )


def _logs(data: Path, house: Process) -> bytes:
    return house.output.encode() + b"".join(path.read_bytes() for path in sorted((data / "log").iterdir()))


def _reported(inbox: Inbox) -> bytes:
    return b"\n".join(inbox.envelopes)


def _all_of(url: str) -> bytes:
    with redis.Redis.from_url(url) as client:
        return b"\n".join(key + b" " + (client.dump(key) or b"") for key in client.scan_iter())


def _of_the_house(data: Path) -> dict[str, str]:
    ring = (data / "vault-keys").read_text().strip().partition(":")[2]
    token = (data / "webhook-token").read_text().strip().removeprefix("Bearer ")
    passwords = {path.name: path.read_text() for path in (data / "sandbox").glob("tap-*")}
    return {"the ring key": ring, "the webhook token": token, **passwords}


def _stands_in(content: bytes, secret: str) -> bool:
    """As it is, and in the forms in which a key or a password might travel."""
    plain = secret.encode()
    forms = {plain, plain.hex().encode(), base64.b64encode(plain), base64.b64encode(f"admin:{secret}".encode())}
    if len(secret) > 200:  # a key: its DER may travel raw
        forms.add(base64.b64decode(secret))
    return any(form in content for form in forms)
