"""The shipped checks: certificates and root CAs, clones, mobile keys, seals, webhooks."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import insert
from structlog.testing import capture_logs

from infra.ledger import Ledger
from infra.ledger.tables import mobile_keys, secrets, to_us
from schemas.fleet import Fleet
from schemas.schedules import FiringState
from schemas.ublox import CertificateLook
from services.schedules.certificates import NEAREST, ScanParameters, is_due
from tests.conftest import Clock
from tests.support.ledger import rows
from tests.support.rounds import House, housed, schedule

SCAN, CLONES = "ublox.scan_certificates", "ublox.check_clones"


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


def test_certificates_past_two_thirds_of_their_life_are_renewed(house: House, clock: Clock) -> None:
    daily(house, SCAN)
    fresh = house.recruit(150)
    old = house.recruit(3, certificate_days_left=100)
    house.recruit(1, certificate_days_left=100, blacklisted=True)
    fire(house, SCAN)
    jobs = rows(house.ledger, "SELECT target, operation, rule, parameters, evidence, event_id FROM jobs")
    assert sorted(job["target"] for job in jobs) == old
    assert {(job["operation"], job["rule"], job["event_id"]) for job in jobs} == {
        ("ublox.renew_certificate", "schedule:daily", None)
    }
    evidence = json.loads(jobs[0]["evidence"])
    assert datetime.fromisoformat(evidence["expires"]) > clock() + timedelta(days=99)
    assert house.last("daily").detail["devices"] == len(fresh) + 4
    assert house.last("daily").state is FiringState.SUCCEEDED
    nearest = json.loads(house.ledger.firings.marks(NEAREST)[NEAREST])
    assert datetime.fromisoformat(nearest["at"]) < clock() + timedelta(days=101)


def test_a_renewal_that_is_under_way_serves_the_next_scan(house: House, clock: Clock) -> None:
    daily(house, SCAN)
    house.recruit(1, certificate_days_left=100)
    fire(house, SCAN)
    house.runner.perform("ublox.renew_certificate")
    clock.forward(days=1)
    fire(house, SCAN)
    assert len(rows(house.ledger, "SELECT id FROM jobs")) == 1
    assert house.last("daily").detail["asked"] == 1


def test_a_scan_may_only_tell(house: House) -> None:
    daily(house, SCAN, renew=False)
    old = house.recruit(1, certificate_days_left=100)
    fire(house, SCAN)
    assert rows(house.ledger, "SELECT id FROM jobs") == []
    assert (house.last("daily").state, house.last("daily").detail["due_devices"]) == (FiringState.ATTENTION, old)


@pytest.mark.parametrize(
    ("validity", "left", "due"),
    [(90, 31, False), (90, 30, True), (None, 31, False), (None, 30, True), (3650, 1216, True)],
)
def test_the_last_third_of_a_life_is_time_to_renew(validity: int | None, left: int, *, due: bool, clock: Clock) -> None:
    look = CertificateLook(serial=1, ca_name="ca", expires_at=clock() + timedelta(days=left), validity_days=validity)
    assert is_due(look, clock(), ScanParameters()) is due


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
