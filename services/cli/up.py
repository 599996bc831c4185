"""``keyturn up``: the whole system on one machine, every part a process of its own."""

import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from infra.embedded import valkey_command
from infra.ledger import Ledger, migrate
from infra.settings import DATA_DIR, Settings, keep_made_up, load_settings, variables
from infra.vault import new_ring_line
from schemas.errors import ConfigurationError
from services.cli.demonstration import Demonstration
from services.cli.ports import free_ports
from services.cli.supervisor import Part
from services.cli.timeline import Timeline
from services.cli.twins import SITE, Twins, keyturn, ports_from
from services.fleet import Importer, Inventory
from services.wiring import now, open_vault

READY_SECONDS: Final = 120.0
_LOOK_EVERY: Final = 0.1
_LASTING: Final = ("DATABASE_URL", "KEYTURN_WEBHOOK_TOKENS_FILE", "KEYTURN_VAULT_KEYS_FILE")
"""What is made up once and holds when everything is stopped, too."""

_WORKERS: Final = {"control": ("control",), "ublox": ("ublox",), "doors": ("twon", "centagate", "tap")}
"""Worker processes and their queues; on one machine the quieter ones share a process."""


def up(*, demo: bool, until_verified: bool) -> int:
    """Run everything until Ctrl-C; give the exit code."""
    console = Console()
    house = House(console)
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        house.open()
        return house.live(demo=demo, until_verified=until_verified)
    except KeyboardInterrupt:
        console.print("\nStopping …", highlight=False)
        return 0
    finally:
        house.close()
        console.print("Stopped. The ledger keeps what is open; start again and it goes on.", highlight=False)


class House:
    """All parts of one machine, in the order in which they start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._parts: list[Part] = []
        self._opened = False
        self._ports = free_ports()
        self._given = variables(os.environ)
        self._environ = dict(self._given)
        self.settings = self._settings()
        self._logs = self.settings.data_dir / "log"
        outside = self.settings.ublox_base_url or self.settings.centagate_base_url
        self._twins = None if outside else Twins(ports_from(self._ports))  # all are real, or none is

    def _settings(self) -> Settings:
        """The settings, with what one machine can make up by itself where nothing is given."""
        data_dir = Path(self._environ.get("KEYTURN_DATA_DIR") or DATA_DIR)
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"KEYTURN_DATA_DIR: {data_dir} cannot be written: {error.strerror}") from None
        self._environ["KEYTURN_DATA_DIR"] = str(data_dir)
        if not self._is_given("KEYTURN_WEBHOOK_TOKENS"):
            self._environ["KEYTURN_WEBHOOK_TOKENS_FILE"] = str(_own(data_dir / "webhook-token", _new_token))
        if not self._is_given("KEYTURN_VAULT_KEYS"):
            self._environ["KEYTURN_VAULT_KEYS_FILE"] = str(_own(data_dir / "vault-keys", new_ring_line))
        if not self._is_given("DATABASE_URL"):
            self._environ["DATABASE_URL"] = f"sqlite:///{data_dir}/keyturn.db"
        self._own_redis = not self._is_given("REDIS_URL")
        if self._own_redis:
            self._redis_port, self._redis_password = next(self._ports), secrets.token_urlsafe(24)
            self._environ["REDIS_URL"] = f"redis://:{self._redis_password}@127.0.0.1:{self._redis_port}/0"
        if self._environ.get("KEYTURN_PORT") == "0":
            self._environ["KEYTURN_PORT"] = str(next(self._ports))
        return load_settings(self._environ)

    def _is_given(self, name: str) -> bool:
        return any(self._environ.get(variable) for variable in (name, f"{name}_FILE"))

    def open(self) -> None:
        """Start every part at once and wait until deliveries are taken."""
        _refuse_taken(self.settings.host, self.settings.port)
        self._ledger = Ledger(self.settings.database_url.get_secret_value())
        migrate(self._ledger.database)
        if self._own_redis:
            folder = self.settings.data_dir / "valkey"
            self._start("redis", valkey_command(port=self._redis_port, password=self._redis_password, folder=folder))
        if self._twins:
            self._start_twins(self._twins)
        self.url = f"http://{_reachable(self.settings.host)}:{self.settings.port}"
        self._start("web", keyturn("web"))
        for name, queues in _WORKERS.items():
            if served := self._served(queues):
                self._start(name, keyturn("worker", "-Q", ",".join(served)))
        self._start("beat", keyturn("beat"))
        self._await(f"{self.url}/healthz", "web")
        for name, url in self._twins.control().items() if self._twins else ():
            self._await(url, name)
        self._leave_word(self._environ)
        self._opened = True

    def live(self, *, demo: bool, until_verified: bool) -> int:
        """Print the timeline and keep the parts alive."""
        self._introduce()
        timeline = Timeline(self._ledger, self._console)
        demonstration = self._demonstration(self._twins) if demo and self._twins and self._is_ours() else None
        while True:
            timeline.look()
            self._revive()
            if demonstration and demonstration.has_ended(timeline):
                self._console.print(f"\n{demonstration.verdict(timeline)}", highlight=False)
                self._console.print("Running. Ctrl-C stops everything.", highlight=False)
                if until_verified:
                    return 0 if demonstration.verified(timeline) else 1
                demonstration = None
            time.sleep(_LOOK_EVERY)

    def close(self) -> None:
        """Stop the parts: first what takes work in or gives it out, last what the others stand on."""
        for part in reversed(self._parts):
            part.stop()
        if self._opened:
            self._leave_word(name for name in _LASTING if name in self._environ)

    def _leave_word(self, names: Iterable[str]) -> None:
        """Tell the commands that are run beside this what was made up here; what was given they are given too."""
        environ = self._environ
        made = {name: environ[name] for name in names if environ[name] != self._given.get(name)}
        try:
            keep_made_up(self.settings.data_dir, made)
        except OSError as error:
            self._console.print(f"No word is left for commands beside this: {error.strerror}.", highlight=False)

    def _start(self, name: str, command: list[str], environ: Mapping[str, str] | None = None) -> Part:
        part = Part(name, command, environ={**self._environ, **(environ or {})}, logs=self._logs)
        part.start()
        self._parts.append(part)
        return part

    def _start_twins(self, twins: Twins) -> None:
        for name, command in twins.commands(location=f"Entrance {secrets.token_hex(2)}").items():
            self._start(name, command)
        self._environ |= Demonstration.environ_for(twins.ublox_url, self._environ) | twins.centagate_environ()
        self.settings = load_settings(self._environ)

    def _served(self, queues: tuple[str, ...]) -> list[str]:
        """The queues whose outside system is there to be spoken to."""
        addresses = {"ublox": self.settings.ublox_base_url, "centagate": self.settings.centagate_base_url}
        return [queue for queue in queues if addresses.get(queue, "always")]

    def _is_ours(self) -> bool:
        """Whether the ledger's inventory holds nothing but what a demonstration has put there."""
        foreign = [site.name for site in Inventory(self._ledger).current().sites if site.name != SITE]
        if foreign:
            self._console.print(f"No demonstration: the inventory has sites of its own ({foreign[0]} …).")
        return not foreign

    def _demonstration(self, twins: Twins) -> Demonstration:
        token = self.settings.webhook_tokens[0].get_secret_value()
        demonstration = Demonstration(twins.ublox_url, hook=f"{self.url}/webhooks/ublox", token=token)
        fresh, aged = demonstration.devices()
        vault = open_vault(self.settings, self._ledger)
        inventory = twins.write_inventory(self.settings.data_dir / "sandbox", fresh)
        Importer(self._ledger, lambda: vault, clock=now).take(inventory)
        demonstration.fire(fresh, aged)
        return demonstration

    def _introduce(self) -> None:
        say = self._console.print
        lines = [
            f"Receiver  {self.url}/webhooks/ublox",
            f"Health    {self.url}/readyz",
            f"Upstreams {self._upstreams()}",
            f"Ledger    {self.settings.shown()['DATABASE_URL']}",
            f"Logs      {self._logs}/",
        ]
        if waiting := self._ledger.history.open_jobs():
            lines.append(f"Going on with {waiting} open jobs of the last run.")
        say("\n".join(lines), end="\n\n", highlight=False, soft_wrap=True)

    def _upstreams(self) -> str:
        if self._twins is None:
            real = {"u-blox": self.settings.ublox_base_url, "CENTAGATE": self.settings.centagate_base_url}
            return ", ".join(f"{name} {url or 'not configured'}" for name, url in real.items())
        return f"u-blox {self._twins.ublox_url}, 2N, CENTAGATE and a Tap, all simulated: none is configured"

    def _await(self, url: str, name: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(url, timeout=2, trust_env=False).is_success:
                    return
            except httpx.HTTPError:
                self._refuse_dead(name)
                time.sleep(0.05)
        raise ConfigurationError(f"{name} did not answer within {READY_SECONDS:g} s; see {self._logs / name}.log")

    def _refuse_dead(self, name: str) -> None:
        for part in self._parts:
            if part.name == name and part.died() is not None:
                raise ConfigurationError(f"{name} ended at its start:\n{part.last_words()}")

    def _revive(self) -> None:
        for part in self._parts:
            code = part.died()
            if code is not None and part.may_start_again():
                self._console.print(f"[red]{part.name} ended (code {code}); starting it again[/red]", highlight=False)
                part.start()


def _own(path: Path, make: Callable[[], str]) -> Path:
    """A secret of this machine's own, made once and readable by its owner alone."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{make()}\n")
            file.flush()
            os.fsync(file.fileno())  # what is sealed with it will be on the disk, and so must it
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    return path


def _new_token() -> str:
    return f"Bearer {secrets.token_urlsafe(32)}"


def _refuse_taken(host: str, port: int) -> None:
    """Find out before the start: whoever holds the port may well answer in our place."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = error.strerror or error
        raise ConfigurationError(f"KEYTURN_PORT: {host} port {port} cannot be listened on: {reason}") from None


def _reachable(host: str) -> str:
    """Give the host as it stands in a URL; a wildcard is no address to call."""
    called = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - as above
    return f"[{called}]" if ":" in called else called


def _as_interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
