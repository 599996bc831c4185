"""Rules on what belongs to a device's site: its Taps, its 2N locations, its users' CENTAGATE tokens."""

import pytest

from schemas.events import EventType
from schemas.fleet import Fleet
from schemas.playbook import Decision
from services.playbook import default_text
from tests.unit.playbooks import DEVICE, event, faults_of, load, one_rule, playbook

ROTATE = '[[rules.do]]\noperation = "ublox.rotate_e2e_key"'
STRANGER = "1111111111111111"
BARE = "0000000000000000"
SKIPPING = "2222222222222222"


def on(targets: str, operation: str) -> str:
    return f'targets = "{targets}"\n[[rules.do]]\noperation = "{operation}"'


RECONFIGURE = on("site.taps", "tap.reconfigure")
REKEY = on("site.locations", "twon.rotate_mobile_key")
REGISTER = on("site.tokens", "centagate.register_token")


def tap(serial: str, host: str) -> dict[str, object]:
    return {"serial": serial, "address": f"tcp://{host}", "password": {"env": "P"}, "configuration": "tap.toml"}


def door(serial: str, location: str) -> dict[str, object]:
    return {"serial": serial, "address": f"https://{serial}", "location": location, "password": {"env": "P"}}


FLEET = Fleet.model_validate(
    {
        "sites": [
            {
                "name": "lyon",
                "devices": [DEVICE],
                "taps": [tap("A1", "10.0.0.1"), tap("A2", "10.0.0.2")],
                "twon": [
                    door("54-0000-0001", "Lobby"),
                    door("54-0000-0002", "Lobby"),
                    door("54-0000-0003", "Garage"),
                ],
                "tokens": [
                    {"username": "alice", "type": "sms", "phone": {"env": "P"}},
                    {"username": "alice", "type": "otp", "serial": {"env": "S"}},
                ],
            },
            {"name": "bare", "devices": [BARE]},
            {
                "name": "careful",
                "devices": [SKIPPING],
                "taps": [tap("B1", "10.0.0.3")],
                "skip_rules": ["one", "unheard-of"],
            },
        ],
    }
)


def decide(*rules: str, device: str | None = DEVICE, fleet: Fleet = FLEET) -> Decision:
    return load(playbook(*rules)).decide(event(EventType.BOOTSTRAP, device=device), fleet)


@pytest.mark.parametrize(
    ("rule", "jobs"),
    [
        (RECONFIGURE, ["tap:A1", "tap:A2"]),
        (REKEY, ["twon:location:Lobby", "twon:location:Garage"]),
        (REGISTER, ["centagate:alice/sms", "centagate:alice/otp"]),
    ],
)
def test_every_thing_of_the_site_gets_a_job(rule: str, jobs: list[str]) -> None:
    decision = decide(one_rule(rule))
    assert [job.lock_key for job in decision.jobs] == jobs
    assert decision.notes == ()
    assert decision.verdict == "; ".join(f"rule one: {job.operation} on {job.target}" for job in decision.jobs)


@pytest.mark.parametrize(
    ("rule", "kind"), [(RECONFIGURE, "Taps"), (REKEY, "2N locations"), (REGISTER, "CENTAGATE tokens")]
)
def test_a_site_without_such_things_gets_no_job_and_the_verdict_says_so(rule: str, kind: str) -> None:
    decision = decide(one_rule(rule), device=BARE)
    assert (decision.jobs, decision.notes) == ((), ())
    assert decision.verdict == f"rule one: its site bare has no {kind}"


def test_a_device_without_a_site_is_noted_once_for_all_rules() -> None:
    rules = (one_rule(RECONFIGURE, name="a"), one_rule(REKEY, name="b"), one_rule(ROTATE, name="c"))
    decision = decide(*rules, device=STRANGER)
    assert [job.rule for job in decision.jobs] == ["c"]
    assert decision.notes == (f"rules a, b: {STRANGER} belongs to no site of the inventory",)


def test_with_an_empty_inventory_there_is_nothing_to_do_and_no_note() -> None:
    decision = decide(one_rule(RECONFIGURE), fleet=Fleet())
    assert (decision.jobs, decision.notes) == ((), ())
    assert decision.verdict == "rule one: the inventory has no sites"
    assert load(playbook(one_rule(RECONFIGURE))).decide(event(EventType.BOOTSTRAP)) == decision


def test_a_rule_that_the_site_skips_does_nothing_and_the_verdict_says_so() -> None:
    rules = (one_rule(RECONFIGURE), one_rule('alert = "a"', name="two"), one_rule(ROTATE, name="three"))
    decision = decide(*rules, device=SKIPPING)
    assert [job.rule for job in decision.jobs] == ["three"]
    assert decision.alerts == ("a",)
    assert "rule one: the site careful skips it" in decision.verdict
    assert decide(*rules).verdict.count("skips") == 0


def test_a_skipped_rule_whose_condition_does_not_hold_is_not_spoken_of() -> None:
    rule = one_rule(f'when = "event.payload.x"\n{ROTATE}')
    loaded = load(playbook(rule))
    for held, said in ((False, "no rule matches"), (True, "rule one: the site careful skips it")):
        told = event(EventType.BOOTSTRAP, {"x": held}, device=SKIPPING)
        assert loaded.decide(told, FLEET).verdict == said
        (view,) = loaded.explain(told, FLEET)
        assert (view.matched, "skips" in view.why) == (False, held)
    (view,) = loaded.explain(event(EventType.BOOTSTRAP, {"x": True}), FLEET)
    assert view.matched


def test_an_event_without_a_device_is_nobodys_to_skip() -> None:
    loaded = load(playbook(one_rule('alert = "a"', trigger='event = "ROOTCA_EXPIRATION_EVENT"')))
    assert loaded.decide(event(EventType.ROOTCA_EXPIRATION, device=None), FLEET).alerts == ("a",)


def test_the_shipped_playbook_works_on_the_site_of_a_new_device() -> None:
    decision = load(default_text()).decide(event(EventType.BOOTSTRAP, {"IsBlacklisted": False}), FLEET)
    assert [(job.operation, job.target) for job in decision.jobs] == [
        ("ublox.rotate_e2e_key", DEVICE),
        ("tap.reconfigure", "A1"),
        ("tap.reconfigure", "A2"),
        ("twon.rotate_mobile_key", "location:Lobby"),
        ("twon.rotate_mobile_key", "location:Garage"),
        ("centagate.register_token", "alice/sms"),
        ("centagate.register_token", "alice/otp"),
    ]
    assert all(job.unless_under_way for job in decision.jobs if job.target != DEVICE)
    blacklisted = load(default_text()).decide(event(EventType.BOOTSTRAP, {"IsBlacklisted": True}), FLEET)
    assert {job.rule for job in blacklisted.jobs} == {"contain-blacklisted-device"}


@pytest.mark.parametrize(
    ("operation", "targets"),
    [
        ("tap.reconfigure", "site.taps"),
        ("ublox.rotate_e2e_key", "device"),
        ("twon.rotate_mobile_key", "site.locations"),
        ("centagate.register_token", "site.tokens"),
    ],
)
def test_an_operation_works_on_the_targets_that_it_understands(operation: str, targets: str) -> None:
    load(playbook(one_rule(on(targets, operation))))
    for other in {"site.taps", "device", "site.locations", "site.tokens"} - {targets}:
        faults = faults_of(playbook(one_rule(on(other, operation))))
        assert faults.endswith(f'{operation} needs targets = "{targets}"')


def test_unknown_targets_are_one_fault() -> None:
    (fault,) = faults_of(playbook(one_rule(on("site.gates", "tap.reconfigure")))).splitlines()
    assert "targets: expected 'device', 'site.taps', 'site.locations', 'site.tokens' or 'event.ca'" in fault


def test_two_rules_with_the_same_wish_make_one_job_for_each_thing() -> None:
    decision = decide(one_rule(RECONFIGURE, name="a"), one_rule(RECONFIGURE, name="b"))
    assert [(job.rule, job.target) for job in decision.jobs] == [("a", "A1"), ("a", "A2")]
    assert len(decision.notes) == 2
