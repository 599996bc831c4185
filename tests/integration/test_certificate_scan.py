"""The certificate scan: what it asks for, and what it costs."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from infra.ledger import Ledger, SeenAuthority, SeenCertificate
from schemas.schedules import FiringState
from schemas.ublox import AuthorityLook, CertificateLook
from services.schedules.certificates import NEAREST
from tests.conftest import Clock
from tests.support.ledger import DEVICE, OTHER, device, rows
from tests.support.rounds import House, housed, schedule
from tests.support.scanning import DAY, HOUR, RENEW, SCAN, Account, scan, targets


@pytest.fixture
def house(ledger: Ledger, clock: Clock) -> Iterator[House]:
    with housed(ledger, clock) as house:
        yield house


@pytest.fixture
def account(clock: Clock) -> Account:
    return Account(clock)


def test_certificates_that_come_near_their_end_are_renewed_in_time(house: House, clock: Clock) -> None:
    fresh = house.recruit(150, heartbeat_seconds=3600)
    old = house.recruit(3, certificate_days_left=2.9, heartbeat_seconds=3600)
    house.recruit(1, certificate_days_left=2.9, heartbeat_seconds=3600, blacklisted=True)
    scan(house)
    jobs = rows(house.ledger, "SELECT target, operation, rule, parameters, evidence, event_id, not_before FROM jobs")
    assert sorted(job["target"] for job in jobs) == old
    assert {(job["operation"], job["rule"], job["event_id"]) for job in jobs} == {(RENEW, "schedule:daily", None)}
    assert {job["parameters"] for job in jobs} == {'{"validity_days":365,"when":"in time"}'}
    assert len({job["not_before"] for job in jobs}) == 1  # or they could not share a call
    evidence = json.loads(jobs[0]["evidence"])
    assert datetime.fromisoformat(evidence["expires"]) > clock() + 2 * DAY
    last = house.last("daily")
    assert (last.state, last.detail["devices"]) == (FiringState.SUCCEEDED, len(fresh) + 4)
    nearest = json.loads(house.ledger.firings.marks(NEAREST)[NEAREST])
    assert datetime.fromisoformat(nearest["at"]) < clock() + 3 * DAY


def test_unless_told_otherwise_renewals_are_asked_for_after_two_thirds_of_the_life(
    house: House, account: Account, clock: Clock
) -> None:
    near, far = DEVICE, OTHER
    account.enlist(near, 121)
    account.enlist(far, 123)
    house.only(schedule("daily", SCAN, clock(), every_seconds=86_400))
    scan(house, account)
    assert targets(house) == [near]
    (job,) = rows(house.ledger, "SELECT parameters FROM jobs")
    assert json.loads(job["parameters"]) == {"validity_days": 365, "when": "now"}
    assert account.calls["look"] == 1
    for _ in range(2):
        clock.forward(days=1)
        account.looks[far] = replace(account.looks[far], last_seen=clock())
        scan(house, account)
    assert targets(house) == sorted([near, far])
    assert account.calls["look"] == 2


def test_a_renewal_that_is_under_way_serves_the_next_scan(house: House, clock: Clock) -> None:
    house.recruit(1, certificate_days_left=20, heartbeat_seconds=8 * 86_400)
    scan(house)
    house.runner.perform(RENEW)
    clock.forward(days=1)
    scan(house)
    assert len(rows(house.ledger, "SELECT id FROM jobs")) == 1


def test_a_root_ca_and_a_certificate_of_an_odd_name_do_not_stand_in_the_way(house: House, account: Account) -> None:
    odd = "nul \0 and half a pair \ud800"
    account.enlist(DEVICE, 2.5)
    certificate = CertificateLook(serial=1, ca_name=odd, expires_at=account.clock() + 2.5 * DAY, validity_days=365)
    account.enlist(OTHER, 2.5, certificate=certificate)
    account.roots = [AuthorityLook(name=odd, pem=None, promised_until=account.clock() + 5 * DAY)]
    assert len(scan(house, account)) == 1
    assert targets(house) == sorted([DEVICE, OTHER])
    assert [one.devices for one in house.ledger.certificates.authorities()] == [1]


def test_a_scan_may_only_tell(house: House, account: Account) -> None:
    account.enlist(DEVICE, 2.5)
    scan(house, account, renew=False)
    assert targets(house) == []
    assert (house.last("daily").state, house.last("daily").detail["due_devices"]) == (FiringState.ATTENTION, [DEVICE])


def test_what_was_looked_at_costs_no_call_until_it_matters(house: House, account: Account, clock: Clock) -> None:
    """5 000 devices: the first day they are all looked at, later only those that come near their end."""
    for number in range(5_000):
        account.enlist(device(number), 200)
    account.enlist(device(7), 12.9)
    scan(house, account)
    assert account.calls == {"list": 1, "look": 50}
    for _ in range(6):
        clock.forward(days=1)
        scan(house, account)
    assert account.calls == {"list": 1, "look": 50}
    clock.forward(days=1)
    scan(house, account)
    assert account.calls == {"list": 2, "look": 50}
    for _ in range(3):
        clock.forward(days=1)
        account.looks[device(7)] = replace(account.looks[device(7)], last_seen=clock())
        scan(house, account)
    assert (account.calls["look"], targets(house)) == (51, [device(7)])
    assert house.last("daily").detail["devices"] == 5_000
    clock.forward(days=20)
    scan(house, account)
    assert account.calls["look"] == 101  # all of them again after a month


def test_both_rhythms_are_the_schedules_to_say(house: House, account: Account, clock: Clock) -> None:
    account.enlist(DEVICE, 200)
    scan(house, account, look_again_days=2, list_again_days=1)
    for _ in range(4):
        clock.forward(days=1)
        scan(house, account)
    assert account.calls == {"list": 5, "look": 3}


def test_devices_come_and_go(house: House, account: Account, clock: Clock) -> None:
    account.enlist(DEVICE, 200)
    scan(house, account)
    del account.looks[DEVICE]
    account.enlist(OTHER, 2)
    clock.forward(days=7)
    account.looks[OTHER] = replace(account.looks[OTHER], last_seen=clock())
    scan(house, account)
    assert set(house.ledger.certificates.all()) == {OTHER}
    assert targets(house) == [OTHER]


def test_a_silent_device_is_renewed_early_so_that_it_can_come_back(house: House, account: Account) -> None:
    account.enlist(DEVICE, 100, seen=3 * HOUR)
    account.enlist(OTHER, 100)
    scan(house, account)
    assert targets(house) == [DEVICE]


def test_a_device_that_is_refused_is_told_and_spoils_no_other(house: House, account: Account) -> None:
    for number in range(130):
        account.enlist(device(number), 2)
    account.refuses = {device(9)}
    scan(house, account)
    assert len(targets(house)) == 129
    assert list(house.last("daily").detail["refused"]) == [device(9)]


def test_a_certificate_that_is_about_to_end_is_told_once(house: House, account: Account, clock: Clock) -> None:
    account.enlist(DEVICE, 1.9)
    (alert,) = scan(house, account)
    assert alert.startswith(f"the certificate of device {DEVICE} ends 12 May 2026 and is not renewed; it called in")
    clock.forward(days=1)
    assert scan(house, account) == []
    account.enlist(DEVICE, 1, serial=0xA1)
    clock.forward(days=30)
    assert len(scan(house, account)) == 1


def test_what_is_seen_is_remembered(ledger: Ledger, clock: Clock) -> None:
    whole = SeenCertificate(
        uid=DEVICE,
        serial="a0",
        ca_name="ca.example",
        expires_at=clock() + DAY,
        validity_days=90,
        heartbeat=HOUR,
        last_seen=clock(),
        seen_at=clock(),
        alarmed="a0",
    )
    bare = SeenCertificate(uid=OTHER, serial="", seen_at=clock())
    seen = ledger.certificates
    seen.store([whole, bare])
    assert seen.all() == {DEVICE: whole, OTHER: bare}
    seen.store([replace(whole, serial="a1", seen_at=clock() - DAY), replace(bare, serial="b", seen_at=clock() + DAY)])
    assert [seen.all()[uid].serial for uid in (DEVICE, OTHER)] == ["a0", "b"]  # an older look changes nothing
    seen.forget([OTHER, device(9)])
    assert list(seen.all()) == [DEVICE]


def test_root_cas_are_remembered_as_they_were_seen_last(house: House, account: Account, clock: Clock) -> None:
    account.enlist(DEVICE, 200)
    ends = clock() + 400 * DAY
    account.roots = [AuthorityLook(name="ca.example", pem=None, promised_until=ends)]
    scan(house, account)
    found = SeenAuthority(name="ca.example", expires_at=ends, devices=1, seen_at=clock())
    assert house.ledger.certificates.authorities() == [found]
    account.roots = []
    clock.forward(days=1)
    scan(house, account)
    assert house.ledger.certificates.authorities() == []


def test_certificates_that_end_with_their_root_ca_are_not_renewed_and_that_is_told_once(
    house: House, account: Account, clock: Clock
) -> None:
    """They would be billed again and again, and live no longer; and it costs no look each day to know that."""
    ends = clock() + 130 * DAY
    account.roots = [AuthorityLook(name="ca.example", pem=None, promised_until=ends)]
    account.enlist(DEVICE, 130)
    account.enlist(OTHER, 129.5)
    account.enlist(device(1), 128)
    scan(house, account, rule="two thirds")
    clock.forward(days=10)
    words = (
        f"certificates that end with their root CA ca.example on {ends:%d %b %Y}, such as that of device {OTHER},"
        " are not renewed: roll the root CA"
    )
    assert words in scan(house, account)
    assert targets(house) == [device(1)]
    looked = account.calls["look"]
    clock.forward(days=1)
    del account.looks[device(1)]
    assert words not in scan(house, account)
    assert (account.calls["look"], targets(house)) == (looked, [device(1)])


def test_a_certificate_that_ends_with_its_root_ca_is_told_of_all_the_same_when_it_is_about_to_end(
    house: House, account: Account, clock: Clock
) -> None:
    account.roots = [AuthorityLook(name="ca.example", pem=None, promised_until=clock() + 130 * DAY)]
    account.enlist(DEVICE, 130)
    scan(house, account, rule="two thirds")
    clock.forward(days=120)
    assert any("roll the root CA" in alert for alert in scan(house, account))
    clock.forward(days=8.5)
    about = [alert for alert in scan(house, account) if alert.startswith(f"the certificate of device {DEVICE} ends")]
    assert len(about) == 1
    clock.forward(days=1)
    assert not [alert for alert in scan(house, account) if DEVICE in alert]
    assert targets(house) == []
