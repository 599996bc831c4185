"""The doctor finds what was planted, says what to do, and finds nothing in a house that is well."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from typer.testing import CliRunner

from infra.circuits import Circuits
from infra.ledger import Ledger, migrate
from infra.meters import Meters
from infra.settings import Settings
from services.cli.doctor import examine, examined
from services.cli.examination.findings import Finding, Verdict
from services.cli.examination.inside import LEAST_FREE, Patient
from services.cli.examination.outside import public_address
from services.cli.main import app
from services.clients.guards import Guards
from services.sandbox.ublox.twin import API_KEY, API_SECRET
from services.schedules.registration import Registration, known_tokens, plan, sync
from services.wiring import make_ublox, now
from tests.fixtures.ublox import Caller, calling
from tests.support.centagate import centagate_twin
from tests.support.inventory import stock
from tests.support.ports import free_port
from tests.support.processes import CLI, clean_environ, ran
from tests.support.site import TOKEN, serving, settings_for
from tests.support.taps import write_fleet
from tests.support.twon import PASSWORD, USER, twon_park
from tests.support.vault import ring_text, vault_of

PUBLIC = "https://keyturn.invalid"
QUEUES = ["control", "ublox", "tap", "twon", "centagate"]


@pytest.fixture(scope="module")
def twin() -> Iterator[Caller]:
    with calling() as caller:
        yield caller


@dataclass
class House:
    """An installation in which nothing is wrong until a test plants something.

    Attributes:
        variables: its settings, as `settings_for` takes them.
    """

    folder: Path
    ledger: Ledger
    twin: Caller
    variables: dict[str, object]
    free: int = 100 * LEAST_FREE
    clock: Callable[[], datetime] = now
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def settings(self) -> Settings:
        """As they are now."""
        return settings_for(self.url, **self.variables)

    @property
    def url(self) -> str:
        """Where the ledger is."""
        return self.ledger.database.engine.url.render_as_string(hide_password=False)

    def make_well(self) -> None:
        """Sweep, start workers, register webhooks, keep a secret."""
        settings = self.settings
        self.ledger.upkeep.note("last_sweep", now())
        vault_of(self.ledger, "one").put("a/secret", SecretStr("kept"))
        with closing(Guards(settings)) as guards:
            Meters(guards.coordination).live("machine:1", QUEUES)
            ublox = make_ublox(settings, guards)
            wanted = Registration.of(settings.public_url, settings.webhook_tokens)
            steps = plan(wanted, ublox.webhooks.walk(), known_tokens(self.ledger))
            sync(wanted, steps, ublox=ublox, ledger=self.ledger, now=now())

    def findings(self) -> dict[str, Finding]:
        """What the doctor finds, by what was looked at."""
        with closing(Guards(self.settings)) as guards:
            patient = Patient(self.settings, self.ledger, guards, clock=self.clock, free=lambda _: self.free)
            found = list(examined(patient))
        assert len({each.check for each in found}) == len(found)
        return {each.check: each for each in found}

    def sql(self, statement: str) -> None:
        """Change the ledger behind Keyturn's back."""
        with self.ledger.database.writing() as connection:
            connection.execute(text(statement))

    def inventory(self, document: str) -> None:
        """Take a document into the inventory."""
        path = self.folder / "fleet.toml"
        path.write_text(f'version = 1\n[[sites]]\nname = "lyon"\n{document}')
        stock(self.ledger, path)


@pytest.fixture
def house(ledger: Ledger, twin: Caller, redis_url: str, tmp_path: Path) -> Iterator[House]:
    twin.reset()
    variables: dict[str, object] = {
        "redis_url": redis_url,
        "data_dir": tmp_path,
        "public_url": PUBLIC,
        "ublox_base_url": f"{twin.url}/v1",
        "ublox_api_key": API_KEY,
        "ublox_api_secret": API_SECRET,
        "ublox_timeout": 2,
        "vault_keys": ring_text("one"),
    }
    house = House(tmp_path, ledger, twin, variables)
    house.make_well()
    with house.stack:
        yield house


def faults(findings: dict[str, Finding]) -> dict[str, Finding]:
    return {check: each for check, each in findings.items() if each.verdict is Verdict.FAULT}


def twon_device(address: str, serial: str, password: str = PASSWORD) -> str:
    return f"""
[[sites.twon]]
serial = "{serial}"
address = "{address}"
in_clear = true
location = "Lobby"
user = "{USER}"
password = "{password}"
"""


def test_a_house_that_is_well_has_no_fault_but_an_address_that_nobody_can_reach_here(house: House) -> None:
    park = house.stack.enter_context(twon_park())
    house.inventory(twon_device(park.addresses[0], park.serials[0]))
    centagate = house.stack.enter_context(centagate_twin())
    house.variables |= {
        "centagate_base_url": centagate.url,
        "centagate_admin_username": centagate.admin,
        "centagate_admin_password": centagate.password,
        "centagate_integration_key": centagate.integration_key,
        "centagate_secret_key": centagate.secret_key,
    }
    found = house.findings()
    assert set(faults(found)) == {"public address"}
    well = {check for check, each in found.items() if each.verdict is Verdict.OK}
    assert well >= {
        "disk",
        "Redis",
        "ledger",
        "ledger writable",
        "inventory",
        "playbook",
        "vault",
        "sweep",
        "workers of control",
        "workers of twon",
        "u-blox clock",
        "u-blox log-in",
        "webhooks",
        "CENTAGATE log-in",
        f"2N device {park.serials[0]}",
    }
    assert found["inventory"].told == "1 site, 0 Taps, 1 2N device"
    for each in found.values():
        assert bool(each.advice) is (each.verdict in {Verdict.FAULT, Verdict.WARNING})


def full_disk(house: House) -> None:
    house.free = LEAST_FREE - 1


def no_redis(house: House) -> None:
    house.variables["redis_url"] = f"redis://127.0.0.1:{free_port()}/0"


def old_schema(house: House) -> None:
    house.sql("UPDATE alembic_version SET version_num = '0001'")


def faulty_playbook_file(house: House) -> None:
    house.variables["playbook_file"] = house.folder / "mine.toml"
    (house.folder / "mine.toml").write_text('version = 1\n[[rules]]\nname = "lamp"\n')


def unknown_operation(house: House) -> None:
    """As a newer Keyturn may have activated it."""
    words = 'version = 1\n[[rules]]\nname = "a"\non.manual = true\ndo = [{ operation = "ublox.fly" }]\n'
    with house.ledger.database.writing() as connection:
        version = house.ledger.playbooks.add(connection, words, by="key:newer", note="", now=now())
        house.ledger.playbooks.activate(connection, version, now())


def lost_ring_key(house: House) -> None:
    house.variables["vault_keys"] = ring_text("two")


def no_ring(house: House) -> None:
    del house.variables["vault_keys"]


def changed_secret(house: House) -> None:
    house.sql("UPDATE secrets SET name = 'another/name'")


def no_sweep(house: House) -> None:
    house.ledger.upkeep.note("last_sweep", now() - timedelta(minutes=10))


def no_worker(house: House) -> None:
    with closing(Guards(house.settings)) as guards:
        Meters(guards.coordination).live("machine:1", ["control"])


def wrong_clock(house: House) -> None:
    house.clock = lambda: now() + timedelta(minutes=5)


def wrong_credentials(house: House) -> None:
    house.variables["ublox_api_secret"] = "nobody-knows-this-one"


def no_ublox(house: House) -> None:
    house.variables["ublox_base_url"] = f"http://127.0.0.1:{free_port()}/v1"


def missing_webhook(house: House) -> None:
    url = f"{PUBLIC}/webhooks/ublox/ROOTCA_EXPIRATION_EVENT"
    house.twin.ask("/notification/webhook/delete", NotificationURL=url)


def another_webhook_token(house: House) -> None:
    house.variables["webhook_tokens"] = "Bearer Zp7-a-new-token-4417"


def refused_by_centagate(house: House) -> None:
    centagate = house.stack.enter_context(centagate_twin())
    house.variables |= {
        "centagate_base_url": centagate.url,
        "centagate_admin_username": centagate.admin,
        "centagate_admin_password": "not-the-password",
        "centagate_integration_key": centagate.integration_key,
        "centagate_secret_key": centagate.secret_key,
    }


def silent_tap(house: House) -> None:
    stock(house.ledger, write_fleet(house.folder, address=f"tcp://127.0.0.1:{free_port()}"))


def twon_with_another_password(house: House) -> None:
    park = house.stack.enter_context(twon_park())
    house.inventory(twon_device(park.addresses[0], "54-1046-0001", password="wrong-one-here"))


def another_twon(house: House) -> None:
    park = house.stack.enter_context(twon_park())
    house.inventory(twon_device(park.addresses[0], "54-9999-9999"))


@pytest.mark.parametrize(
    ("plant", "check", "told", "advice"),
    [
        (full_disk, "disk", "GB free", "make room"),
        (no_redis, "Redis", "does not answer", "REDIS_URL"),
        (old_schema, "ledger", "0001", "keyturn migrate"),
        (faulty_playbook_file, "playbook", "line 2, rule 1 (lamp): expected", "KEYTURN_PLAYBOOK_FILE"),
        (unknown_operation, "playbook", "version 1 is in force and cannot be loaded", "keyturn playbook activate"),
        (lost_ring_key, "vault", "1 secret sealed by 'one', which the ring lacks", "KEYTURN_VAULT_KEYS"),
        (no_ring, "vault", "holds 1 secret, and there is no key ring", "KEYTURN_VAULT_KEYS"),
        (changed_secret, "vault", "cannot open 1 secret", "restore the right ring"),
        (no_sweep, "sweep", "600 s ago", "keyturn beat"),
        (no_worker, "workers of ublox", "none alive", "keyturn worker -Q ublox"),
        (wrong_clock, "u-blox clock", "differs from ours by", "NTP"),
        (wrong_credentials, "u-blox log-in", "401", "KEYTURN_UBLOX_API_SECRET"),
        (no_ublox, "u-blox log-in", "no connection", "address"),
        (missing_webhook, "webhooks", "ROOTCA_EXPIRATION_EVENT is not registered", "keyturn webhooks sync"),
        (another_webhook_token, "webhooks", "is registered with another token", "keyturn webhooks sync"),
        (refused_by_centagate, "CENTAGATE log-in", "refused", "administrator"),
        (silent_tap, "Tap IOTZ00000000000042", "no connection", "network"),
        (twon_with_another_password, "2N device 54-1046-0001", "401", "password"),
        (another_twon, "2N device 54-9999-9999", "another device answers", "inventory"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_planted_fault_is_found_with_what_to_do(
    house: House, plant: Callable[[House], None], check: str, told: str, advice: str
) -> None:
    plant(house)
    found = faults(house.findings())
    assert told in found[check].told
    assert advice in found[check].advice
    beside = {"public address"} | ({"sweep", "ledger clock"} if plant is wrong_clock else set())
    assert set(found) - {check} <= beside, "and nothing else is made of it"


@pytest.mark.parametrize(
    ("tokens", "verdict", "told"),
    [
        ("Bearer Zp7-a-new-token-4417", Verdict.FAULT, "refuses the first token of KEYTURN_WEBHOOK_TOKENS"),
        (f"{TOKEN}\nBearer Zp7-a-new-token-4417", Verdict.OK, "takes the webhook token"),
    ],
)
def test_a_receiver_that_runs_with_other_tokens_is_found(
    house: House, tokens: str, verdict: Verdict, told: str
) -> None:
    house.variables["webhook_tokens"] = tokens
    with serving(house.url) as receiver, closing(Guards(house.settings)) as guards:
        settings = house.settings.model_copy(update={"public_url": receiver.address.url})
        (found,) = public_address(Patient(settings, house.ledger, guards))
    assert found.verdict is verdict
    assert told in found.told
    assert ("restart `keyturn web`" in found.advice) is (verdict is Verdict.FAULT)
    assert "Bearer" not in str(found)


def test_ten_faults_at_once_are_all_found(house: House) -> None:
    plants = (full_disk, lost_ring_key, no_sweep, no_worker, wrong_clock, missing_webhook, silent_tap)
    for plant in (*plants, refused_by_centagate):
        plant(house)
    found = faults(house.findings())
    print(json.dumps({check: each.told for check, each in found.items()}, indent=1))
    assert set(found) >= {
        "disk",
        "vault",
        "sweep",
        "workers of ublox",
        "workers of tap",
        "workers of centagate",
        "u-blox clock",
        "webhooks",
        "public address",
        "Tap IOTZ00000000000042",
        "CENTAGATE log-in",
    }


def test_a_ledger_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    found = list(
        examine(
            {
                "DATABASE_URL": f"postgresql://keyturn:hidden-one@127.0.0.1:{free_port()}/keyturn",
                "REDIS_URL": f"redis://:hidden-two@127.0.0.1:{free_port()}/0",
                "KEYTURN_WEBHOOK_TOKENS": "Bearer tR7-kq0Zp2-wv9Xs4",
                "KEYTURN_DATA_DIR": str(tmp_path),
            }
        )
    )
    assert {each.check for each in found if each.verdict is Verdict.FAULT} == {"ledger", "Redis"}
    assert "hidden" not in str(found)


def test_the_doctor_keeps_away_from_an_upstream_that_told_us_to_wait(house: House) -> None:
    with closing(Guards(house.settings)) as guards:
        circuits = Circuits(guards.coordination, lambda: datetime.now(UTC))
        circuits.failed("ublox", "call", told=300.0, reason="answered 429")
    found = house.findings()
    for check in ("u-blox clock", "u-blox log-in"):
        assert found[check].verdict is Verdict.WARNING
        assert "u-blox breaker open, next probe" in found[check].told


def test_log_lines_stay_out_of_the_json(house: House, tmp_path: Path) -> None:
    env = clean_environ(
        DATABASE_URL=house.url,
        REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",
        KEYTURN_WEBHOOK_TOKENS=TOKEN,
        KEYTURN_UBLOX_BASE_URL=f"{house.twin.url}/v1",
        KEYTURN_UBLOX_API_KEY=API_KEY,
        KEYTURN_UBLOX_API_SECRET=API_SECRET,
    )
    done = ran((*CLI, "doctor", "--json"), folder=tmp_path, env=env)
    found = {each["check"]: each["verdict"] for each in json.loads(done.stdout)["findings"]}
    assert (found["Redis"], found["u-blox log-in"]) == ("fault", "ok")
    assert "redis.unavailable" in done.stderr


def run(*words: str, **variables: Any) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["doctor", *words], env={"COLUMNS": "200", **variables})
    return answer.exit_code, answer.output


def test_the_command_writes_a_table_or_json_and_ends_with_1_on_a_fault(tmp_path: Path, redis_url: str) -> None:
    url = f"sqlite:///{tmp_path}/keyturn.db"
    ledger = Ledger(url)
    migrate(ledger.database)
    ledger.upkeep.note("last_sweep", now())
    ledger.close()
    env = {
        "DATABASE_URL": url,
        "REDIS_URL": redis_url,
        "KEYTURN_WEBHOOK_TOKENS": "Bearer tR7-kq0Zp2-wv9Xs4",
        "KEYTURN_DATA_DIR": str(tmp_path),
    }
    code, output = run(**env)
    assert code == 1
    assert "keyturn worker -Q control" in output
    assert output.endswith("1 fault.\n")
    code, output = run("--json", "--offline", **env)
    document = json.loads(output)
    assert (code, document["ok"]) == (1, False)
    assert [each["check"] for each in document["findings"] if each["verdict"] == "fault"] == ["workers of control"]
    with closing(Guards(settings_for(url, redis_url=redis_url))) as guards:
        Meters(guards.coordination).live("machine:1", ["control"])
    code, output = run("--json", **env)
    assert (code, json.loads(output)["ok"]) == (0, True)
    code, output = run("--json", **{**env, "KEYTURN_WEBHOOK_TOKENS": "short", "KEYTURN_LEASE": "1"})
    document = json.loads(output)
    assert (code, [each["check"] for each in document["findings"]]) == (1, ["settings"])
    assert "KEYTURN_LEASE" in document["findings"][0]["told"]
