"""The commands that see and steer the ledger, as a person types them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from infra.ledger import Ledger
from schemas.errors import ConfigurationError, InputError
from schemas.jobs import State
from schemas.secret import Secret
from services.access import Access
from services.cli.main import app
from services.cli.output import now
from tests.support.ledger import DEVICE, RENEW, arrival, ask, claim_one, job_row, settle, wish
from tests.support.vault import ring_text, vault_of

HUGE = "99999999999999999999"


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


def parked(ledger: Ledger) -> int:
    (job,) = ask(ledger, now(), wish())
    settle(ledger, now(), claim_one(ledger, now()), State.PARKED, reason="[the] device says no")
    return job


def test_a_key_is_made_shown_once_listed_and_ended(ledger: Ledger) -> None:
    result = run("keys", "new", "ann", "--role", "admin", "--days", "30", "--reason", "on call")
    key = result.stdout.strip()
    found = Access(ledger, clock=now).check(key)
    assert found is not None
    assert "shown only now" in result.stderr
    shown = run("keys", "list")
    assert "living" in shown.stdout
    assert key[16:] not in shown.stdout + json.dumps(told("keys", "list"))
    assert "last living key" in run("keys", "end", found.id, code=1).stderr
    assert told("keys", "end", found.id, "--even-the-last")["changed"] is True
    assert told("keys", "end", found.id)["changed"] is False
    assert Access(ledger, clock=now).check(key) is None
    assert told("keys", "end", "000000000000", code=1)["faults"] == ["there is no key 000000000000"]


@pytest.mark.parametrize("words", [("a/b", "--role", "admin"), ("ann", "--role", "admin", "--days", "0")])
def test_a_key_that_cannot_be_is_refused(ledger: Ledger, words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["keys", "new", *words])
    assert isinstance(result.exception, InputError)  # which main() tells in a sentence, and ends with 2
    assert ledger.keys.list() == []


def test_keys_and_certificates_are_told_with_their_ages_and_ends(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYTURN_VAULT_KEYS", ring_text("new"))
    vault_of(ledger, "old").put("a/secret", Secret("x"))
    ask(ledger, now(), wish(DEVICE, RENEW), evidence={"expires": (now() + timedelta(days=9, hours=1)).isoformat()})
    made = told("webhook-tokens", "new", "ublox", "--hours", 2)
    found = told("keys-and-certificates")
    assert [(one["id"], one["in_ring"], one["secrets"]) for one in found["vault"]] == [
        ("new", True, 0),
        ("old", False, 1),
    ]
    assert [(one["target"], one["days_left"]) for one in found["renewals"]] == [(DEVICE, 9)]
    assert [one["living"] for one in found["webhook_tokens"]] == [True]
    shown = run("keys-and-certificates").stdout
    for words in (DEVICE, "missing", made["token"]["id"], "and 1 of KEYTURN_WEBHOOK_TOKENS"):
        assert words in shown
    assert made["authorization"] not in shown + json.dumps(found)


def test_the_audit_is_listed_and_verified(ledger: Ledger) -> None:
    run("keys", "new", "ann", "--role", "viewer", "--reason", "looks [around]")
    assert "looks [around]" in run("audit", "list").stdout
    assert told("audit", "list", "--action", "key.new")["items"][0]["entry"]["actor"].startswith("cli:")
    assert told("audit", "verify")["holds"] is True
    assert "the chain holds: 1 rows" in run("audit", "verify").stdout
    with ledger.database.writing() as connection:
        connection.execute(text("UPDATE audit SET reason = 'nothing'"))
    assert told("audit", "verify", code=1)["faults"] == ["row 1 was changed"]
    assert "row 1 was changed" in run("audit", "verify", code=1).stdout


def test_events_are_listed_and_shown(ledger: Ledger) -> None:
    ledger.inbox.accept([arrival(now() - timedelta(hours=3), body=b'{"a": [1]}'), arrival(now(), fault="odd")])
    assert DEVICE in run("events", "list").stdout
    assert len(told("events", "list", "--since", "2h")["items"]) == 1
    assert [event["verdict"] for event in told("events", "list", "--state", "malformed")["items"]] == ["odd"]
    assert told("events", "list", "--source", "poll", "--hook", "notification-catch-up@1")["items"] == []
    assert len(told("events", "list", "--source", "webhook")["items"]) == 2
    page = told("events", "list", "--limit", 1)
    (older,) = told("events", "list", "--before", page["next"])["items"]
    assert '{"a":[1]}' in run("events", "show", older["id"]).stdout
    assert told("events", "show", older["id"])["body"] == {"a": [1]}
    assert "there is no event 77" in run("events", "show", 77, code=1).stderr
    for words in ("soon", "999999d"):
        assert isinstance(CliRunner().invoke(app, ["events", "list", "--since", words]).exception, InputError)


def test_jobs_are_listed_and_shown_with_the_reason_of_their_standing(ledger: Ledger) -> None:
    job = parked(ledger)
    assert "[the] device says no" in run("jobs", "list", "--state", "parked").stdout
    assert told("jobs", "list", "--target", DEVICE)["items"][0]["id"] == job
    assert told("jobs", "list", "--state", "held")["items"] == []
    assert "[the] device says no" in run("jobs", "show", job).stdout
    assert told("jobs", "show", job)["tries"][0]["outcome"] == "parked"
    assert "there is no job 77" in run("jobs", "show", 77, code=1).stderr


def test_a_job_is_steered_and_who_did_it_is_recorded(ledger: Ledger) -> None:
    job = parked(ledger)
    assert f"job {job} is due: redriven by cli:" in run("jobs", "retry", job, "--reason", "mended").stdout
    assert f"job {job} is due already" in run("jobs", "force", job).stdout
    assert told("jobs", "cancel", job)["changed"] is True
    assert job_row(ledger, job)["state"] == "cancelled"
    assert "only a job that is parked can be retried" in run("jobs", "retry", job, code=1).stderr
    assert told("jobs", "cancel", 77, code=1)["faults"] == ["there is no job 77"]
    assert [found.entry.action for found in ledger.audit.page(before=None, limit=9)] == ["job.cancel", "job.retry"]


@pytest.mark.parametrize(
    "words",
    [
        ("jobs", "show", HUGE),
        ("jobs", "cancel", HUGE),
        ("jobs", "list", "--before", HUGE),
        ("events", "show", HUGE),
        ("events", "replay", HUGE),
        ("audit", "list", "--before", HUGE),
        ("approve", HUGE),
        ("parked", "redrive", HUGE),
        ("playbook", "list", "--before", HUGE),
        ("playbook", "diff", "1", "--against", HUGE),
    ],
    ids=" ".join,
)
def test_a_number_that_no_row_can_have_is_told_before_a_ledger_is_opened(words: tuple[str, ...]) -> None:
    assert "9223372036854775807" in run(*words, code=2).stderr


def test_a_ledger_of_another_schema_is_refused(ledger: Ledger) -> None:
    with ledger.database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert isinstance(CliRunner().invoke(app, ["jobs", "list"]).exception, ConfigurationError)


def test_parked_jobs_are_listed_seen_and_redriven(ledger: Ledger) -> None:
    job = parked(ledger)
    assert "device says no" in run("parked", "list", "--because", "refused").stdout
    assert told("parked", "list", "--because", "our_fault")["items"] == []
    would = told("parked", "redrive", "--all", "--because", "refused", "--dry-run")
    assert ([one["id"] for one in would["items"]], would["dry_run"]) == ([job], True)
    assert "1 job would be given new tries" in run("parked", "redrive", job, "--dry-run").stdout
    assert job_row(ledger, job)["state"] == "parked"
    done = told("parked", "redrive", job, "--reason", "it is back")
    assert [(one["id"], one["state"]) for one in done["items"]] == [(job, "due")]
    again = run("parked", "redrive", job).stdout
    assert f"job {job} is passed over: it is due" in again
    (entry,) = told("audit", "list", "--action", "parked.redrive")["items"]
    assert entry["entry"]["reason"] == "it is back"


@pytest.mark.parametrize("words", [(), ("1", "--all"), ("1", "--because", "refused")])
def test_a_slip_of_the_hand_does_not_redrive_everything(ledger: Ledger, words: tuple[str, ...]) -> None:
    job = parked(ledger)
    result = CliRunner().invoke(app, ["parked", "redrive", *words])
    assert isinstance(result.exception, InputError)
    assert job_row(ledger, job)["state"] == "parked"


def test_faults_and_events_are_planned_again(ledger: Ledger) -> None:
    first, second = ledger.inbox.accept([arrival(now()), arrival(now())])
    with ledger.database.writing() as connection:
        connection.execute(text("UPDATE events SET state = 'fault', verdict = 'no' WHERE id = :id"), {"id": first})
        connection.execute(text("UPDATE events SET state = 'planned' WHERE id = :id"), {"id": second})
    assert [one["id"] for one in told("faults", "list")["items"]] == [first]
    assert "no" in run("faults", "list").stdout
    assert "1 event would be planned again" in run("faults", "redrive", "--all", "--dry-run").stdout
    assert told("faults", "list")["items"]
    assert [one["state"] for one in told("faults", "redrive", "--all")["items"]] == ["new"]
    assert "would wait for its plan" in run("events", "replay", second, "--dry-run").stdout
    assert told("events", "list", "--state", "planned")["items"]
    assert told("events", "replay", second)["changed"] is True
    assert "waits for its plan already" in run("events", "replay", second).stdout
    ledger.inbox.accept([arrival(now(), fault="no JSON")])
    assert "nothing to plan" in told("events", "replay", ledger.history.newest_event(), code=1)["faults"][0]
    assert told("events", "replay", 999, code=1)["faults"] == ["there is no event 999"]
    actions = [one["entry"]["action"] for one in told("audit", "list")["items"]]
    assert sorted(actions) == ["event.replay", "faults.redrive"]
