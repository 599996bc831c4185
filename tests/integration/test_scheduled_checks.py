"""The shipped checks: root CAs, clones, mobile keys, seals, webhooks."""

import json
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import insert
from structlog.testing import capture_logs

from infra.ledger import Ledger
from infra.ledger.tables import mobile_keys, secrets, to_us
from schemas.fleet import Fleet
from schemas.schedules import FiringState, Spec
from schemas.ublox import Suspect
from services.schedules import clones
from services.schedules.turn import Turn
from tests.conftest import Clock
from tests.support.ledger import rows
from tests.support.rounds import House, housed, schedule

SCAN, CLONES = "ublox.scan_certificates", "ublox.scan_clones"


@pytest.fixture
def house(ledger: Ledger, clock: Clock) -> Iterator[House]:
    with housed(ledger, clock) as house:
        yield house


def daily(house: House, kind: str, **parameters: Any) -> None:
    """Have one schedule, that is due now and every day."""
    house.only(schedule("daily", kind, house.clock(), every_seconds=86_400, parameters=parameters))


def fire(house: House, kind: str, **means: Any) -> list[str]:
    """Fire what is due and do it; give the alerts."""
    house.sweep()
    with capture_logs() as logs:
        house.performer(**means).perform(kind)
    return [log["alert"] for log in logs if log["event"] == "alert"]


def test_a_root_ca_that_runs_out_is_told_once_for_each_step(house: House, clock: Clock) -> None:
    daily(house, SCAN, renew=False)
    house.twin.fleet.authority("old-ca", days_left=91)
    told = []
    for _ in range(3):
        told.append(fire(house, SCAN))
        clock.forward(days=1)
    first, second, third = told
    assert (len(first), len(second), third) == (1, 1, [])
    assert "root CA old-ca runs out in 91 days" in first[0]
    assert house.last("daily").state is FiringState.ATTENTION


def test_cloned_and_suspicious_devices_are_told_once(house: House, clock: Clock) -> None:
    daily(house, CLONES)
    uids = house.recruit(120)
    assert fire(house, CLONES) == []
    house.turn(cloned_devices=[uids[3]], suspicious_devices=[uids[110]])
    clock.forward(days=1)
    assert fire(house, CLONES) == [
        f"{uids[3]} was cloned",
        f"{uids[110]} is suspicious: DUPLICATED_DEV_SERIAL_NUM_SEALING",
    ]
    clock.forward(days=1)
    assert fire(house, CLONES) == []
    assert house.last("daily").state is FiringState.ATTENTION


@pytest.mark.parametrize("reason", ["x" * 5_000, "nul \0 and half a pair \ud800", ""])
def test_whatever_u_blox_says_of_a_suspect_it_is_told_once(house: House, clock: Clock, reason: str) -> None:
    uid = house.recruit(1)[0]
    suspects = SimpleNamespace(clones=lambda *_: [], suspects=lambda _: [Suspect(uid=uid, reason=reason)])
    ublox = SimpleNamespace(devices=SimpleNamespace(walk=lambda: iter([uid])), information=suspects)
    daily(house, CLONES)
    assert len(fire(house, CLONES, ublox=ublox)) == 1
    assert house.last("daily").state is FiringState.ATTENTION
    clock.forward(days=1)
    assert fire(house, CLONES, ublox=ublox) == []


def test_a_finding_of_the_clone_check_is_an_event_that_the_playbook_answers_once(house: House, clock: Clock) -> None:
    """The containment waits for a person; a check that dies before it has ended writes the same event again."""
    daily(house, CLONES)
    (uid,) = house.recruit(1)
    house.turn(cloned_devices=[uid])
    house.sweep()
    firing = house.ledger.firings.claim(CLONES, worker="dies", now=clock(), lease=timedelta(seconds=1))
    assert firing is not None
    clones.work(Turn(firing, house.means, Spec(every_seconds=86_400)))
    clock.forward(seconds=2)
    for _ in range(3):
        fire(house, CLONES)
        clock.forward(days=1)
    house.planner.plan_waiting()
    events = rows(house.ledger, "SELECT event_type, device, source FROM events")
    assert events == [{"event_type": "DEVICE_CLONED", "device": uid, "source": "poll"}]
    jobs = rows(house.ledger, "SELECT operation, target, state, reason FROM jobs ORDER BY id")
    assert [(job["operation"], job["target"], job["state"]) for job in jobs] == [
        ("ublox.revoke_certificate", uid, "held"),
        ("ublox.set_whitelist", uid, "held"),
    ]
    assert all("approval by an operator" in job["reason"] for job in jobs)


def mobile_key(house: House, location: str, days: int, number: int, *, dropped: bool = False) -> None:
    since = to_us(house.clock() - timedelta(days=days))
    row = {"id": str(number), "location": location, "kind": "ecc", "public": str(number), "origin": "made"}
    times = {"created_at": since, "primary_since": since, "dropped_at": since if dropped else None}
    with house.ledger.database.writing() as connection:
        connection.execute(insert(mobile_keys), row | times)


LOBBY = {"serial": "54-1046-0745", "address": "https://192.0.2.7", "location": "old", "auth": "none"}


def test_old_mobile_keys_are_rotated(house: House) -> None:
    """Counted is the key that is the primary one now, not one that was; a location that is gone is told."""
    daily(house, "mobile_keys.check_ages", days=365)
    for number, (location, days, dropped) in enumerate(
        [
            ("old", 400, False),
            ("changed", 400, True),
            ("changed", 10, False),
            ("young", 10, False),
            ("gone", 400, False),
        ]
    ):
        mobile_key(house, location, days, number, dropped=dropped)
    sites = Fleet.model_validate({"version": 1, "sites": [{"name": "one", "twon": [LOBBY]}]})
    fire(house, "mobile_keys.check_ages", fleet=lambda: sites)
    jobs = rows(house.ledger, "SELECT operation, target, site FROM jobs")
    assert jobs == [{"operation": "twon.rotate_mobile_key", "target": "location:old", "site": "one"}]
    assert house.last("daily").reason.endswith("1 of them are not in the inventory any more")


def test_a_ledger_without_mobile_keys_has_nothing_to_rotate(house: House) -> None:
    daily(house, "mobile_keys.check_ages")
    fire(house, "mobile_keys.check_ages")
    assert house.last("daily").reason.startswith("0 locations, 0 with a primary key older than 365 days")


@pytest.mark.parametrize(("newest", "told"), [(None, "new seals 1, old seals 2"), ("new", "old seals 2")])
def test_secrets_that_wait_for_their_new_seal_are_told(
    newest: str | None, told: str, house: House, clock: Clock
) -> None:
    daily(house, "vault.check_seals")
    fire(house, "vault.check_seals", newest_seal=newest)
    assert house.last("daily").state is FiringState.SUCCEEDED
    with house.ledger.database.writing() as connection:
        for number, key in enumerate(("new", "old", "old")):
            row = {
                "id": str(number),
                "name": str(number),
                "key_id": key,
                "sealed": b"x",
                "created_at": 0,
                "updated_at": 0,
            }
            connection.execute(insert(secrets), row)
    clock.forward(days=1)
    fire(house, "vault.check_seals", newest_seal=newest)
    assert f"({told}): run 'keyturn vault reseal'" in house.last("daily").reason


def test_webhooks_that_are_not_as_the_settings_say_are_told_and_left(house: House, clock: Clock) -> None:
    daily(house, "ublox.check_webhooks")
    fire(house, "ublox.check_webhooks")
    assert "KEYTURN_PUBLIC_URL is not set" in house.last("daily").reason
    clock.forward(days=1)
    means = {"public_url": "https://keys.example", "webhook_tokens": (SecretStr("Bearer a-token-of-the-tests"),)}
    fire(house, "ublox.check_webhooks", **means)
    assert house.last("daily").state is FiringState.ATTENTION
    assert house.last("daily").reason.startswith("6 webhooks are not as the settings say")
    assert "a-token-of" not in json.dumps(dict(house.last("daily").detail))
    assert house.twin.hooks.listed() == []


@pytest.mark.parametrize("kind", [SCAN, CLONES, "ublox.catch_up"])
def test_a_device_that_is_refused_spoils_no_other_s_answer(kind: str, house: House) -> None:
    daily(house, kind)
    uids = house.recruit(130)
    house.turn(refused_devices=[uids[7]])
    fire(house, kind)
    last = house.last("daily")
    assert last.state in {FiringState.SUCCEEDED, FiringState.ATTENTION}
    assert (last.detail["devices"], list(last.detail["refused"])) == (130, [uids[7]])
