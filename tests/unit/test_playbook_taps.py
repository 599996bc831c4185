"""A rule on ``site.taps``: its targets are the Taps of the device's site."""

import pytest

from schemas.events import EventType
from schemas.fleet import Fleet
from services.playbook import Playbook, default_text, load_playbook
from tests.unit.playbooks import DEVICE, OPERATIONS, event, faults_of, one_rule, playbook

RECONFIGURE = 'targets = "site.taps"\n[[rules.do]]\noperation = "tap.reconfigure"'
ROTATE = '[[rules.do]]\noperation = "ublox.rotate_e2e_key"'
OTHER = "0000000000000000"


def tap(serial: str) -> dict[str, object]:
    return {"serial": serial, "address": "tcp://10.0.0.1", "password": {"env": "P"}, "configuration": "tap.toml"}


FLEET = Fleet.model_validate(
    {
        "version": 1,
        "sites": [
            {"name": "lyon", "devices": [DEVICE], "taps": [tap("A1"), tap("A2")]},
            {"name": "bare", "devices": [OTHER]},
        ],
    }
)


def load(text: str, fleet: Fleet | None = FLEET) -> Playbook:
    return load_playbook(text, operations=OPERATIONS, fleet=fleet)


def test_every_tap_of_the_site_gets_a_job() -> None:
    decision = load(playbook(one_rule(RECONFIGURE))).decide(event(EventType.BOOTSTRAP))
    assert [(job.operation, job.target, job.lock_key) for job in decision.jobs] == [
        ("tap.reconfigure", "A1", "tap:A1"),
        ("tap.reconfigure", "A2", "tap:A2"),
    ]
    assert decision.verdict == "rule one: tap.reconfigure on A1; rule one: tap.reconfigure on A2"
    assert decision.notes == ()


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("1111111111111111", "1111111111111111 belongs to no site of the fleet file"),
        (OTHER, "its site bare has no Taps"),
    ],
)
def test_a_device_without_taps_makes_no_job_and_a_note(device: str, why: str) -> None:
    decision = load(playbook(one_rule(RECONFIGURE))).decide(event(EventType.BOOTSTRAP, device=device))
    assert (decision.jobs, decision.notes) == ((), (f"rule one: {why}",))


def test_without_a_fleet_file_there_is_nothing_to_do_and_no_note() -> None:
    decision = load(playbook(one_rule(RECONFIGURE)), None).decide(event(EventType.BOOTSTRAP))
    assert (decision.jobs, decision.notes) == ((), ())
    assert decision.verdict == "rule one: there is no fleet file, so no Taps"


def test_the_shipped_playbook_configures_the_taps_of_a_new_device() -> None:
    decision = load(default_text()).decide(event(EventType.BOOTSTRAP, {"IsBlacklisted": False}))
    assert [(job.operation, job.target) for job in decision.jobs] == [
        ("ublox.rotate_e2e_key", DEVICE),
        ("tap.reconfigure", "A1"),
        ("tap.reconfigure", "A2"),
    ]
    blacklisted = load(default_text()).decide(event(EventType.BOOTSTRAP, {"IsBlacklisted": True}))
    assert blacklisted.jobs == ()


def test_an_operation_works_on_the_targets_that_it_understands() -> None:
    on_device = RECONFIGURE.replace('targets = "site.taps"\n', "")
    assert 'tap.reconfigure needs targets = "site.taps"' in faults_of(playbook(one_rule(on_device)))
    on_taps = f'targets = "site.taps"\n{ROTATE}'
    assert 'ublox.rotate_e2e_key needs targets = "device"' in faults_of(playbook(one_rule(on_taps)))


def test_two_rules_with_the_same_wish_make_one_job_for_each_tap() -> None:
    decision = load(playbook(one_rule(RECONFIGURE, name="a"), one_rule(RECONFIGURE, name="b"))).decide(
        event(EventType.BOOTSTRAP)
    )
    assert [(job.rule, job.target) for job in decision.jobs] == [("a", "A1"), ("a", "A2")]
    assert len(decision.notes) == 2
