"""The commands that ask for work, approve it, change the rules and the webhook tokens, as a person types them."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from infra.ledger import Ledger
from schemas.errors import InputError
from schemas.jobs import NewJob, State
from schemas.limits import Approval, Limits
from services.cli.main import app
from services.cli.output import now
from services.playbook import default_text
from services.triggers import Maker
from tests.support.ledger import ROTATE, ask, claim, device, job_row, rows, settle, states, wish
from tests.support.processes import CLI, clean_environ, ran


@pytest.fixture
def ledger(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """The ledger that the commands open, too."""
    url = ledger.database.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url.replace("postgresql+psycopg://", "postgresql://", 1))
    monkeypatch.setenv("KEYTURN_WEBHOOK_TOKENS", "Bearer hook-token-0123456789")
    monkeypatch.setenv("COLUMNS", "250")
    return ledger


def run(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


def told(*words: object, code: int = 0) -> Any:
    return json.loads(run(*words, "--json", code=code).stdout)


def apart(*words: str) -> str:
    """Run a command in a process of its own, whose log lines are not this one's; give what it prints."""
    env = {name: value for name, value in os.environ.items() if name.startswith(("DATABASE_URL", "KEYTURN_"))}
    done = ran((*CLI, *words), folder=Path.cwd(), env=clean_environ(**env))
    assert done.returncode == 0, done.stderr
    return done.stdout


def make(ledger: Ledger) -> None:
    maker = Maker(ledger, ring=lambda _task, _ids: None, clock=now)
    while maker.step():
        pass


def test_a_dry_run_shows_what_would_follow(ledger: Ledger) -> None:
    words = ("trigger", ROTATE, "--device", device(1), "--with", "days=3", "--with", "type=AUTOMATIC", "--dry-run")
    assert "1 would run, 0 would be held" in run(*words).stdout
    found = told(*words, "--window", "02:00-02:01@Pacific/Apia", "--budget", "5/day", "--approval", "admin")
    assert (found["parameters"]["days"], found["held"]) == (3, 1)
    assert rows(ledger, "SELECT * FROM triggers") == []


def test_a_dry_run_shows_diffs_or_why_there_are_none(ledger: Ledger) -> None:
    words = ("trigger", ROTATE, "--device", device(1), "--device", device(2), "--diff", 1)
    shown = run(*words, "--dry-run").stdout
    assert f"{device(1)}: unknown: this worker has no settings for the outside system ublox" in shown
    assert "devices or users: 2" in shown
    assert [one["target"] for one in told(*words, "--dry-run")["diffs"]] == [device(1)]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert "diffs has a meaning with dry_run only" in str(result.exception)
    assert rows(ledger, "SELECT * FROM triggers") == []


def test_a_trigger_is_taken_in_and_waited_for(ledger: Ledger) -> None:
    name = told("trigger", ROTATE, "--device", device(1), "--device", device(2), "--reason", "by hand")["id"]
    make(ledger)
    for job in claim(ledger, now()):
        settle(ledger, now(), job, State.SUCCEEDED)
    found = ledger.triggers.show(name)
    assert found is not None
    assert (found.state, found.jobs, found.reason) == ("finished", {State.SUCCEEDED: 2}, "by hand")


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Others are at work until a command has ended."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(0.1):
            work()

    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(go_on)
        try:
            yield
        finally:
            over.set()
        others.result()


def do_all(ledger: Ledger) -> None:
    make(ledger)
    for job in claim(ledger, now()):
        settle(ledger, now(), job, State.SUCCEEDED)


def test_whoever_waits_is_told_that_everything_succeeded(ledger: Ledger) -> None:
    with meanwhile(lambda: do_all(ledger)):
        assert "1 succeeded" in run("trigger", ROTATE, "--device", device(1), "--wait").stdout


def test_whoever_waits_is_told_of_work_whose_end_is_not_known(ledger: Ledger) -> None:
    (other,) = ask(ledger, now(), wish(device(1), type="AUTOMATIC", days=3, even_if_set=False))
    with meanwhile(lambda: make(ledger)):
        waited = run("trigger", ROTATE, "--device", device(1), "--with", "days=3", "--wait", code=1)
    assert "1 wish is served by a job of others, whose end a trigger does not know" in waited.stderr
    assert states(ledger, [other]) == ["due"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((ROTATE, "--device", "lamp"), "ROTPublicUID"),
        (("ublox.rotate_e2e", "--all"), "did you mean"),
        ((ROTATE, "--device", device(1), "--with", "days=99"), "parameters.days"),
        (("ublox.revoke_certificate", "--device", device(1), "--with", "serial=123"), "an even number"),
        ((ROTATE, "--all"), "the inventory has no sites"),
    ],
)
def test_what_is_wrong_is_told(ledger: Ledger, words: tuple[str, ...], expected: str) -> None:
    assert expected in run("trigger", *words, code=1).output
    assert rows(ledger, "SELECT * FROM triggers") == []


def test_held_jobs_are_approved_and_rejected_by_number(ledger: Ledger) -> None:
    limits = Limits(approval=Approval(role="admin"))
    wishes = [NewJob(operation=ROTATE, target=device(number), limits=limits) for number in (1, 2)]
    assert ask(ledger, now(), *wishes) == []
    first, second = (row["id"] for row in rows(ledger, "SELECT id FROM jobs ORDER BY id"))
    assert told("approve", first, "--reason", "seen")["changed"] == [first]
    assert told("reject", second)["changed"] == [second]
    assert states(ledger, [first, second]) == ["due", "cancelled"]
    assert told("approve", first)["changed"] == []
    assert "there is no job 99" in run("approve", 99, code=1).output
    run("approve", code=1)
    assert job_row(ledger, second)["reason"].startswith("rejected by cli:")


def test_a_trigger_of_ones_own_is_rejected_but_not_approved(ledger: Ledger) -> None:
    name = told("trigger", ROTATE, "--device", device(1), "--approval", "operator")["id"]
    make(ledger)
    assert "another person must" in run("approve", "--trigger", name, code=1).output
    run("reject", "--trigger", name)
    assert [row["state"] for row in rows(ledger, "SELECT state FROM jobs")] == ["cancelled"]


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("many", ["9" * 20, "9" * 5_000])
def test_a_budget_beyond_all_numbers_is_told_in_a_sentence(many: str) -> None:
    result = CliRunner().invoke(app, ["trigger", ROTATE, "--device", device(1), "--budget", f"{many}/day"])
    assert str(result.exception) == "--budget: jobs Input should be a valid integer"


@pytest.mark.usefixtures("ledger")
def test_triggers_are_listed_the_newest_first_and_shown() -> None:
    names = [told("trigger", ROTATE, "--device", device(number), "--reason", f"[{number}]")["id"] for number in (1, 2)]
    listed = told("triggers", "list")
    assert ([one["id"] for one in listed["items"]], listed["next"]) == (names[::-1], None)
    page = run("triggers", "list", "--limit", 1).stdout
    assert names[1] in page
    assert [one["id"] for one in told("triggers", "list", "--before", page.split()[-1])["items"]] == names[:1]
    newest = told("triggers", "list", "--limit", 1)
    assert [one["id"] for one in told("triggers", "list", "--before", newest["next"])["items"]] == names[:1]
    assert told("triggers", "list", "--until", "1h")["items"] == []
    assert told("triggers", "list", "--before", "trg_0", code=1)["faults"] == ["there is no trigger trg_0"]
    shown = run("triggers", "show", names[0]).stdout
    assert "planning" in shown
    assert "[1]" in shown
    assert told("triggers", "show", names[0])["asked"]["devices"] == [device(1)]
    assert told("triggers", "show", "trg_0", code=1)["faults"] == ["there is no trigger trg_0"]


def test_a_trigger_is_cancelled_as_far_as_it_has_not_run(ledger: Ledger) -> None:
    name = told("trigger", ROTATE, "--device", device(1), "--device", device(2))["id"]
    make(ledger)
    (running,) = claim(ledger, now(), limit=1)
    cancelled = apart("triggers", "cancel", name, "--reason", "too early", "--json")
    assert json.loads(cancelled)["jobs"] == {"cancelled": 1, "running": 1}
    assert job_row(ledger, running.id)["state"] == "running"
    assert "1 cancelled" in run("triggers", "cancel", name).stdout
    assert told("triggers", "cancel", "trg_0", code=1)["faults"] == ["there is no trigger trg_0"]
    (entry,) = told("audit", "list", "--action", "trigger.cancel")["items"]
    assert (entry["entry"]["subject"], entry["entry"]["reason"]) == (f"trigger/{name}", "too early")


def test_a_playbook_is_compared_and_put_in_force(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(default_text().replace("validity_days = 365", "validity_days = 300"))
    assert "changed: renew-expiring-certificate" in run("playbook", "diff", file).stdout
    assert told("playbook", "activate", file, "--reason", "shorter")["version"] == 1
    assert told("playbook", "list")["active"] == 1
    assert told("playbook", "diff", file)["changes"] == []
    file.write_text("version = 2")
    refused = CliRunner().invoke(app, ["playbook", "activate", str(file)]).exception
    assert isinstance(refused, InputError)
    assert [version.version for version in ledger.playbooks.page(None, 10)] == [1]


def test_the_text_of_a_playbook_is_shown(ledger: Ledger, tmp_path: Path) -> None:
    assert run("playbook", "show").stdout == default_text()
    shown = told("playbook", "show")
    assert (shown["version"], shown["active"], shown["text"]) == (None, True, default_text())
    file = tmp_path / "mine.toml"
    file.write_text(default_text().replace("validity_days = 365", "validity_days = 300"))
    run("playbook", "activate", file)
    run("playbook", "activate", file)
    assert run("playbook", "show").stdout == run("playbook", "show", 1).stdout == file.read_text()
    assert [told("playbook", "show", *words)["active"] for words in ((), (1,), (2,))] == [True, False, True]
    assert "renew-expiring-certificate" in [rule["name"] for rule in told("playbook", "show", 1)["rules"]]
    assert told("playbook", "show", 7, code=1)["faults"] == ["there is no version 7 of the playbook"]
    with ledger.database.writing() as connection:
        newer = ledger.playbooks.add(connection, "version = 2", by="key:newer", note="", now=now())
    assert told("playbook", "show", newer)["faults"] != []


@pytest.mark.parametrize("digits", [20, 5000])
@pytest.mark.usefixtures("ledger")
def test_a_number_that_no_version_can_have_names_a_file(digits: int) -> None:
    refused = CliRunner().invoke(app, ["playbook", "activate", "9" * digits]).exception
    assert isinstance(refused, InputError)
    assert "9 cannot be read: " in str(refused)


def test_a_webhook_token_is_made_listed_and_ended(ledger: Ledger) -> None:
    made = told("webhook-tokens", "new", "u-blox", "--hours", 2)
    assert made["authorization"].startswith("Bearer ")
    (token,) = told("webhook-tokens", "list")["items"]
    assert told("webhook-tokens", "end", token["id"])["token"]["id"] == token["id"]
    assert ledger.hook_tokens.living(now()) == []
