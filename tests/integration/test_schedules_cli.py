"""``keyturn schedules``, ``catchup`` and ``webhooks``, as a person types them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from infra.ledger import Ledger
from schemas.errors import ConfigurationError, InputError
from schemas.schedules import FiringState
from services.cli.main import app
from services.sandbox.server import running
from services.sandbox.ublox import notices
from services.sandbox.ublox.app import build
from services.sandbox.ublox.twin import API_KEY, API_SECRET, Twin
from services.schedules.shipped import SHIPPED
from services.wiring import now
from tests.conftest import Clock
from tests.support.processes import CLI, clean_environ, ran
from tests.support.rounds import housed, schedule

FIRST, SECOND = "Bearer the-first-token-0123456789", "Bearer the-second-token-0123456789"


@pytest.fixture
def ledger(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """The ledger that the commands open, too."""
    url = ledger.database.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url.replace("postgresql+psycopg://", "postgresql://", 1))
    monkeypatch.setenv("KEYTURN_WEBHOOK_TOKENS", f"{FIRST}\n{SECOND}")
    monkeypatch.setenv("COLUMNS", "250")
    return ledger


@pytest.fixture
def twin(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Twin]:  # noqa: ARG001 - the settings name it too
    """A twin that the settings name, and an address of our own."""
    twin = Twin()
    with running(build(twin)) as address:
        monkeypatch.setenv("KEYTURN_UBLOX_BASE_URL", f"{address.url}/v1")
        monkeypatch.setenv("KEYTURN_UBLOX_API_KEY", API_KEY)
        monkeypatch.setenv("KEYTURN_UBLOX_API_SECRET", API_SECRET)
        monkeypatch.setenv("KEYTURN_PUBLIC_URL", "https://keys.example/")
        yield twin


def run(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


def told(*words: object, code: int = 0) -> Any:
    return json.loads(run(*words, "--json", code=code).stdout)


def audited(ledger: Ledger) -> list[tuple[str, str, str]]:
    return [
        (one.entry.action, one.entry.subject, one.entry.reason)
        for one in reversed(ledger.audit.page(before=None, limit=50))
    ]


def test_every_schedule_is_listed_before_the_first_sweep(ledger: Ledger) -> None:
    assert {one["name"] for one in told("schedules", "list")["items"]} == set(SHIPPED)
    shown = run("schedules", "list").stdout
    for words in ("notification-catch-up", "every 15 min", "0 3 * * * UTC", "never"):
        assert words in shown
    assert len(ledger.schedules.all()) == len(SHIPPED)


def test_a_schedule_is_switched_off_and_on_with_a_word_of_why(ledger: Ledger) -> None:
    assert told("schedules", "disable", "prune", "--reason", "moving")["enabled"] is False
    assert "switched off" in run("schedules", "show", "prune").stdout
    assert "prune: next 20" in run("schedules", "enable", "prune").stdout
    assert audited(ledger) == [
        ("schedule.disable", "schedule/prune", "moving"),
        ("schedule.enable", "schedule/prune", ""),
    ]
    assert "there is no schedule prun; there are" in run("schedules", "disable", "prun", code=1).stderr


def test_a_schedule_is_edited_and_shown_in_its_own_zone(ledger: Ledger) -> None:
    changed = told(
        "schedules", "edit", "certificate-scan", "--cron", "30 2 * * *", "--timezone", "Asia/Kolkata", "--jitter", 0,
        "--catch-up", "skip", "--with", "renew=false",
    )  # fmt: skip
    assert changed["spec"]["parameters"] == {"renew": False}
    assert changed["next_local"].endswith("02:30:00 +0530 Asia/Kolkata")
    assert "policy skip" in run("schedules", "show", "certificate-scan").stdout
    assert told("schedules", "edit", "certificate-scan", "--with", "renew=null")["spec"]["parameters"] == {}
    assert told("schedules", "edit", "certificate-scan", "--every", 3600)["spec"]["every_seconds"] == 3600
    assert len(audited(ledger)) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cron", "61 2 * * *"), "cron: Bad minute"),
        (("--timezone", "Europe/Pariss"), "no zone of the IANA database"),
        (("--with", "renewal=1"), "parameters.renewal"),
    ],
)
def test_an_edit_that_makes_no_sense_changes_nothing(words: tuple[str, ...], said: str, ledger: Ledger) -> None:
    run("schedules", "list")
    before = ledger.schedules.find("certificate-scan")
    assert said in run("schedules", "edit", "certificate-scan", *words, code=1).stderr
    assert ledger.schedules.find("certificate-scan") == before
    assert audited(ledger) == []


def test_an_option_of_the_wrong_shape_is_told() -> None:
    for words in (("--with", "renew"), ("--catch-up", "sometimes")):
        result = CliRunner().invoke(app, ["schedules", "edit", "prune", *words])
        assert isinstance(result.exception, (InputError, ConfigurationError)) or result.exit_code


def test_a_schedule_is_run_now_and_its_next_moment_stays(ledger: Ledger, clock: Clock) -> None:
    due = told("schedules", "show", "prune")["next_due"]
    assert "was fired" in run("schedules", "run", "prune", "--reason", "full disk").stdout
    assert told("schedules", "show", "prune")["next_due"] == due
    clock.now = now()
    with housed(ledger, clock) as house:
        house.performer().perform("ledger.prune")
        assert house.last("prune").state is FiringState.SUCCEEDED
        assert house.last("prune").detail["run_by"].startswith("cli:")
    (last,) = told("schedules", "show", "prune")["firings"]
    assert (last["outcome"], last["detail"]["reason"]) == ("succeeded", "0 rows and 0 firings deleted")
    assert audited(ledger) == [("schedule.run", "schedule/prune", "full disk")]


def test_the_report_of_catching_up_names_what_never_came(ledger: Ledger, clock: Clock) -> None:
    assert "no finished run of catch yet" in run("catchup", "report", "--schedule", "catch", code=1).stderr
    with housed(ledger, clock) as house:
        house.only(schedule("catch", "ublox.catch_up", clock(), every_seconds=900))
        (uid,) = house.recruit(1)
        house.turn(lost_webhooks=1)
        house.twin.announce(notices.bootstrap(house.twin.fleet.devices[uid], clock()))
        clock.forward(minutes=15)
        house.work()
    (report,) = told("catchup", "report", "--schedule", "catch")["runs"]
    assert (report["never_pushed"], report["notices_never_pushed"][0]["device"]) == (1, uid)
    shown = run("catchup", "report", "--schedule", "catch").stdout
    assert uid in shown
    assert report["notices_never_pushed"][0]["receipt"] in shown


def apart(*words: str, code: int = 0) -> str:
    """Run a command in a process of its own, as it sets up the logs; give all that it says."""
    env = {name: value for name, value in os.environ.items() if name.startswith(("DATABASE_URL", "KEYTURN_"))}
    done = ran((*CLI, *words), folder=Path.cwd(), env=clean_environ(**env))
    assert done.returncode == code, done.stderr
    for token in ("the-first-token", "the-second-token"):
        assert token not in done.stdout + done.stderr
    return done.stdout


def test_webhooks_are_planned_synced_and_told_without_a_token(twin: Twin, ledger: Ledger) -> None:
    assert apart("webhooks", "plan", code=1).count("create") == 6
    assert twin.hooks.listed() == []
    assert "6 done" in apart("webhooks", "sync", "--no-probe", "--reason", "first time")
    assert len(twin.hooks.listed()) == 6
    assert set(twin.hooks.by_type["DEVICE_ERRORS_EVENT"].values()) == {FIRST}
    assert "Everything is as the settings say." in apart("webhooks", "sync", "--no-probe")
    steps = json.loads(apart("webhooks", "status", "--json"))["steps"]
    assert {step["action"] for step in steps} == {"keep"}
    assert audited(ledger) == [("webhooks.sync", "webhooks", "first time")]


def test_a_new_first_token_is_registered(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    apart("webhooks", "sync", "--no-probe")
    monkeypatch.setenv("KEYTURN_WEBHOOK_TOKENS", f"{SECOND}\n{FIRST}")
    assert apart("webhooks", "plan", code=1).count("new token") == 6
    apart("webhooks", "sync", "--no-probe")
    assert {token for urls in twin.hooks.by_type.values() for token in urls.values()} == {SECOND}
    apart("webhooks", "plan")


@pytest.mark.usefixtures("twin")
def test_without_a_public_address_webhooks_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYTURN_PUBLIC_URL")
    assert apart("webhooks", "plan", code=2) == ""
