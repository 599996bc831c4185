"""Manual rules, and root CAs as targets: what a person fires is what the playbook says, on the playbook's terms."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from infra.ledger import Ledger
from schemas.access import Role
from services.cli.main import app
from services.triggers import Maker
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.inventory import stock
from tests.support.ledger import ROTATE, device, rows
from tests.support.works import Bell

ROLL: Final = "ublox.roll_root_ca"

PLAYBOOK: Final = """
version = 1

[[rules]]
name = "leaked"
on = { manual = "compromised" }
approval = { role = "admin" }

[[rules.do]]
operation = "ublox.revoke_certificate"

[[rules.do]]
operation = "ublox.replace_certificate"
with = { after_revocation = true }

[[rules]]
name = "rotate-now"
on = { manual = true }
budget = { jobs = 2, per = "day" }

[[rules.do]]
operation = "ublox.rotate_e2e_key"
unless_under_way = true

[[rules]]
name = "asleep"
enabled = false
on = { manual = true }
do = [{ operation = "ublox.rotate_e2e_key" }]

[[rules]]
name = "call-somebody"
on = { manual = true }
alert = "somebody should look"

[[rules]]
name = "by-event"
on = { event = "DEVICE_BOOTSTRAP_EVENT" }
do = [{ operation = "ublox.rotate_e2e_key" }]
"""

SITES: Final = """
version = 1

[[sites]]
name = "lyon"
devices = ["{0}"]

[[sites]]
name = "oslo"
devices = ["{1}"]
skip_rules = ["leaked"]
"""


@pytest.fixture
def site(ledger: Ledger, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdminSite:
    playbook, fleet = tmp_path / "playbook.toml", tmp_path / "fleet.toml"
    playbook.write_text(PLAYBOOK)
    fleet.write_text(SITES.format(device(1), device(2)))
    stock(ledger, fleet)
    url = ledger.database.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url.replace("postgresql+psycopg://", "postgresql://", 1))
    monkeypatch.setenv("KEYTURN_WEBHOOK_TOKENS", "Bearer hook-token-0123456789")
    monkeypatch.setenv("KEYTURN_PLAYBOOK_FILE", str(playbook))
    monkeypatch.setenv("COLUMNS", "250")
    return AdminSite(ledger, clock, playbook_file=playbook)


def fire(site: AdminSite, rule: str, *numbers: int, **more: Any) -> Any:
    targets = {"devices": [device(number) for number in numbers]}
    return site.post("/triggers", {"rule": rule, "targets": targets, **more}, role=Role.OPERATOR)


def fault(response: Any) -> str:
    return json.dumps(problem(response, 422))


def make(site: AdminSite, clock: Clock) -> None:
    maker = Maker(site.ledger, ring=Bell(), clock=clock)
    while maker.step():
        pass


def test_a_rule_asks_for_all_its_operations_in_order_and_on_its_terms(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    response = fire(site, "compromised", 1, 3, reason="a key was found")
    assert response.status_code == 202, response.text
    make(site, clock)
    found = rows(ledger, "SELECT * FROM jobs ORDER BY id")
    assert [(row["target"], row["operation"]) for row in found] == [
        (device(1), "ublox.revoke_certificate"),
        (device(1), "ublox.replace_certificate"),
        (device(3), "ublox.revoke_certificate"),
        (device(3), "ublox.replace_certificate"),
    ]
    assert {(row["rule"], row["state"], row["reason"]) for row in found} == {
        ("leaked", "held", "waits for approval by an admin")
    }
    assert json.loads(found[1]["parameters"])["after_revocation"] is True
    name = response.json()["id"]
    shown = site.get(f"/triggers/{name}").json()
    assert (shown["rule"], shown["made"], [step["operation"] for step in shown["steps"]]) == (
        "leaked",
        4,
        ["ublox.revoke_certificate", "ublox.replace_certificate"],
    )
    problem(site.post(f"/triggers/{name}/approve", role=Role.OPERATOR), 403)
    assert site.post(f"/triggers/{name}/approve").status_code == 202
    make(site, clock)
    assert {row["state"] for row in rows(ledger, "SELECT state FROM jobs")} == {"due"}


def test_a_dry_run_of_a_rule_tells_what_follows(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    told = fire(site, "leaked", 1, dry_run=True).json()
    assert (told["rule"], told["total"], told["held"]) == ("leaked", 2, 2)
    expected = [(one["target"], one["operation"], one["then"]) for one in told["targets"]]
    assert rows(ledger, "SELECT id FROM triggers") == []
    fire(site, "leaked", 1)
    make(site, clock)
    found = rows(ledger, "SELECT * FROM jobs ORDER BY id")
    assert expected == [(row["target"], row["operation"], row["state"]) for row in found]


def test_the_budget_of_a_rule_holds_for_who_fires_it(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    assert fire(site, "rotate-now", 1, 3, 4).status_code == 202
    make(site, clock)
    assert [row["state"] for row in rows(ledger, "SELECT state FROM jobs ORDER BY id")] == ["due", "due", "held"]
    assert fire(site, "rotate-now", 1, 3, 4).status_code == 202
    make(site, clock)
    assert len(rows(ledger, "SELECT id FROM jobs")) == 3, "each is served by the job that is there"


def test_a_site_that_skips_the_rule_is_left_out(site: AdminSite) -> None:
    told = fire(site, "leaked", 1, 2, dry_run=True).json()
    assert {one["target"] for one in told["targets"]} == {device(1)}
    assert told["notes"] == ["1 of the targets are left out: their sites skip the rule leaked"]
    assert "their sites skip the rule leaked" in fault(fire(site, "leaked", 2))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("rotate-nov", "expected one of leaked, rotate-now, not 'rotate-nov'"),
        ("asleep", "rule: asleep is disabled"),
        ("by-event", "by-event has a trigger of the kind event; only manual ones can be fired"),
        ("call-somebody", "call-somebody has no operations"),
        ("No Name", "rule"),
    ],
)
def test_a_rule_that_cannot_be_fired_is_told(site: AdminSite, rule: str, expected: str) -> None:
    assert expected in fault(fire(site, rule, 1))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"operation": ROTATE}, "expected exactly one of operation, rule"),
        ({"parameters": {"days": 3}}, "the rule has its own parameters: leave that out"),
        ({"budget": {"jobs": 3, "per": "day"}}, "the rule has its own budget: leave that out"),
    ],
)
def test_what_the_rule_says_nobody_else_says(site: AdminSite, more: dict[str, Any], expected: str) -> None:
    assert expected in fault(fire(site, "leaked", 1, **more))


def test_a_rule_is_fired_from_the_command_line(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    runner = CliRunner()
    shown = runner.invoke(app, ["trigger", "rule", "compromised", "--device", device(1), "--dry-run"])
    assert "ublox.replace_certificate" in shown.stdout
    assert "of 2: 0 would run, 2 would be held" in shown.stdout
    taken = runner.invoke(app, ["trigger", "rule", "compromised", "--device", device(1), "--json"])
    assert json.loads(taken.stdout)["rule"] == "leaked", taken.output
    for words, expected in (
        (["rule"], "expected the name of a manual rule"),
        ([ROTATE, "leaked"], "expected one operation"),
    ):
        result = runner.invoke(app, ["trigger", *words, "--device", device(1)])
        assert expected in (result.output + str(result.exception)), result.output
    make(site, clock)
    assert len(rows(ledger, "SELECT id FROM jobs")) == 2


def roll(site: AdminSite, targets: dict[str, Any], **more: Any) -> Any:
    return site.post("/triggers", {"operation": ROLL, "targets": targets, **more}, role=Role.OPERATOR)


def test_root_cas_are_targets_of_what_works_on_them(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    told = roll(site, {"cas": ["acme.example", "acme.example"]}, dry_run=True).json()
    assert [(one["target"], one["then"]) for one in told["targets"]] == [("rootca:acme.example", "due")]
    assert told["notes"] == [], "a root CA belongs to no site"
    assert roll(site, {"cas": ["acme.example"]}).status_code == 202
    make(site, clock)
    assert [row["lock_key"] for row in rows(ledger, "SELECT lock_key FROM jobs")] == ["ublox:rootca:acme.example"]
    again = {"query": {"jobs": {"state": "due", "operation": ROLL}}}
    assert roll(site, again, dry_run=True).json()["targets"][0]["then"] == "served"


@pytest.mark.parametrize(
    ("operation", "targets", "expected"),
    [
        (ROTATE, {"cas": ["acme"]}, "targets.cas: ublox.rotate_e2e_key does not work on root CAs"),
        (ROLL, {"devices": [device(1)]}, "targets.devices: ublox.roll_root_ca works on root CAs: name them in"),
        (ROLL, {"sites": ["lyon"]}, "targets.sites: ublox.roll_root_ca works on root CAs"),
        (ROLL, {"all": True}, "targets.all: ublox.roll_root_ca works on root CAs"),
        (ROLL, {"query": {"events": {"type": "DEVICE_ERRORS_EVENT"}}}, "events name u-blox devices"),
        (ROLL, {"query": {"jobs": {"state": "due", "operation": ROTATE}}}, "works on what ublox.roll_root_ca does"),
        (ROTATE, {"query": {"jobs": {"state": "due", "operation": ROLL}}}, "works on what ublox.rotate_e2e_key does"),
        (ROLL, {"cas": ["a" * 46]}, "targets"),
        (ROLL, {"cas": ["a b"]}, "targets"),
        (ROLL, {}, "expected some of devices, sites, tags, cas, query, or all alone"),
    ],
)
def test_a_wrong_kind_of_target_is_told(
    site: AdminSite, operation: str, targets: dict[str, Any], expected: str
) -> None:
    response = site.post("/triggers", {"operation": operation, "targets": targets}, role=Role.OPERATOR)
    assert expected in fault(response)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"new_ca": "a" * 46}, "parameters.new_ca"),
        ({"ca_validity_days": 1824}, "parameters.ca_validity_days"),
        ({"device_validity_days": 29}, "parameters.device_validity_days"),
        ({"device_validity_days": 3651}, "parameters.device_validity_days"),
        ({"ca_validity_days": 1825, "device_validity_days": 1826}, "device_validity_days is more than ca_validity"),
        ({"device_validity_days": 30, "renew_before_days": 30}, "renewals would never end"),
    ],
)
def test_a_root_ca_that_cannot_be_is_refused_before_any_call(
    site: AdminSite, parameters: dict[str, Any], expected: str
) -> None:
    assert expected in fault(roll(site, {"cas": ["acme"]}, parameters=parameters))


def test_the_command_line_names_root_cas(site: AdminSite) -> None:
    result = CliRunner().invoke(app, ["trigger", ROLL, "--ca", "acme", "--dry-run", "--json"])
    assert json.loads(result.stdout)["targets"][0]["target"] == "rootca:acme", result.output
    assert site.rung == []
