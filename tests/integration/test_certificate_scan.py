"""The certificate scan: what it asks for, what it costs, and what becomes of devices that are silent."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from infra.ledger import GivenUp, Ledger, SeenAuthority, SeenCertificate
from infra.ledger.standing import Released
from schemas.errors import Refused
from schemas.jobs import ParkedBecause, State
from schemas.limits import Budget, Limits, Window
from schemas.schedules import FiringState
from schemas.ublox import AuthorityLook, CertificateLook, DeviceLook
from services.schedules.certificates import NEAREST
from tests.conftest import Clock
from tests.support.ledger import DEVICE, OTHER, ask, claim, claim_one, device, job_row, rows, settle, states, wish
from tests.support.rounds import House, housed, rung, schedule

SCAN, RENEW, TRANSFER = "ublox.scan_certificates", "ublox.renew_certificate", "ublox.transfer_root_ca"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass
class Account:
    """U-blox as the scan sees it.

    Attributes:
        calls: how often each verb was asked.
    """

    clock: Clock
    looks: dict[str, DeviceLook] = field(default_factory=dict)
    roots: list[AuthorityLook] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.information = SimpleNamespace(look=self._look)
        self.devices = SimpleNamespace(walk=self._walk)
        self.authorities = SimpleNamespace(walk=lambda: iter(self.roots))

    def enlist(
        self,
        uid: str,
        days_left: float | None,
        *,
        serial: int = 0xA0,
        every: timedelta = HOUR,
        seen: timedelta = HOUR,
        **known: Any,
    ) -> None:
        """Have a device, or have it anew."""
        ends = None if days_left is None else self.clock() + days_left * DAY
        certificate = CertificateLook(serial=serial, ca_name="ca.example", expires_at=ends, validity_days=365)
        look = DeviceLook(uid=uid, certificate=certificate, heartbeat=every, last_seen=self.clock() - seen)
        self.looks[uid] = replace(look, **known)

    def _look(self, uids: Collection[str], _options: object) -> dict[str, DeviceLook]:
        self.calls["look"] += 1
        if self.refuses & set(uids):
            raise Refused("Bad Request. Invalid ROTPublicUIDs", call="/device/info/get", status=400)
        return {uid: self.looks[uid] for uid in uids if uid in self.looks}

    def _walk(self) -> Iterator[str]:
        self.calls["list"] += 1
        return iter(list(self.looks))


@pytest.fixture
def house(ledger: Ledger, clock: Clock) -> Iterator[House]:
    with housed(ledger, clock) as house:
        yield house


@pytest.fixture
def account(clock: Clock) -> Account:
    return Account(clock)


def scan(house: House, account: Account | None = None, **parameters: Any) -> list[str]:
    """Have the scan fire daily, and do what is due now; give the alerts. Renewals wait, unless it is told otherwise."""
    if house.ledger.schedules.find("daily") is None:
        parameters = {"rule": "in time", **parameters}
        house.only(schedule("daily", SCAN, house.clock(), every_seconds=86_400, parameters=parameters))
    house.sweep()
    with capture_logs() as logs:
        house.performer(**({} if account is None else {"ublox": account})).perform(SCAN)
    return [log["alert"] for log in logs if log["event"] == "alert"]


def targets(house: House) -> list[str]:
    return [row["target"] for row in rows(house.ledger, "SELECT target FROM jobs ORDER BY target")]


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


def given_up(house: House, *, serial: str | None = "a0", **known: object) -> int:
    """A renewal that was parked because its device never woke up."""
    ledger, now = house.ledger, house.clock()
    (number,) = ask(ledger, now, wish(DEVICE, RENEW, when="in time", validity_days=365))
    job = claim_one(ledger, now, RENEW)
    progress = {"asked": "taken", "serial": serial, "rounds": 2, **known} if serial else {}
    settle(ledger, now, job, State.PARKED, parked_because=ParkedBecause.EXHAUSTED, progress=progress)
    return number


def test_a_renewal_that_was_given_up_is_not_asked_for_again_while_its_device_is_silent(
    house: House, account: Account, clock: Clock
) -> None:
    account.enlist(DEVICE, 3, seen=40 * DAY)
    job = given_up(house)
    for _ in range(3):
        clock.forward(days=1)
        assert scan(house, account) == []  # the job itself has raised the alarm
    assert states(house.ledger, [job]) == ["parked"]
    assert targets(house) == [DEVICE]


@pytest.mark.parametrize("serial", [0xA0, 0xA1])
def test_it_goes_on_when_its_device_has_called_in_again(
    serial: int, house: House, account: Account, clock: Clock
) -> None:
    """With the new certificate, or still with the old one."""
    job = given_up(house)
    clock.forward(hours=1)
    account.enlist(DEVICE, 3, serial=serial, seen=timedelta(minutes=1))
    house.bell.rung.clear()
    scan(house, account)
    row = job_row(house.ledger, job)
    assert (row["state"], row["reason"]) == ("due", "its device has called in again; looking")
    assert json.loads(row["progress"]) == {"serial": "a0", "redriven": clock().isoformat()}
    assert rung(house.bell).count(RENEW) >= 1
    assert targets(house) == [DEVICE]


def test_a_move_to_another_ca_goes_on_too(house: House, account: Account, clock: Clock) -> None:
    """Its device has moved meanwhile: a job that waits for nothing must not stay with the parked ones."""
    ledger, now = house.ledger, house.clock()
    (job,) = ask(ledger, now, wish(DEVICE, TRANSFER, from_ca="old.example", to_ca="new.example"))
    progress = {"asked": "taken", "serial": "a0", "rounds": 2}
    claimed = claim_one(ledger, now, TRANSFER)
    settle(ledger, now, claimed, State.PARKED, parked_because=ParkedBecause.EXHAUSTED, progress=progress)
    clock.forward(hours=1)
    account.enlist(DEVICE, 3, serial=0xA1, seen=timedelta(minutes=1))
    house.bell.rung.clear()
    scan(house, account)
    assert states(ledger, [job]) == ["due"]
    assert TRANSFER in rung(house.bell)
    assert targets(house) == [DEVICE, DEVICE], "it bars no renewal"


def all_given_up(house: House, account: Account, limits: Limits, *numbers: int, operation: str = TRANSFER) -> list[int]:
    """Jobs that were parked on these terms, one a day, and whose devices are back."""
    jobs = []
    for number in numbers:
        jobs += ask(house.ledger, house.clock(), replace(wish(device(number), operation), limits=limits))
        claimed = claim_one(house.ledger, house.clock(), operation)
        progress = {"asked": "taken", "serial": "a0", "rounds": 2}
        because = ParkedBecause.EXHAUSTED
        settle(house.ledger, house.clock(), claimed, State.PARKED, parked_because=because, progress=progress)
        house.clock.forward(days=1)
    for number in numbers:
        account.enlist(device(number), 365, seen=timedelta(minutes=1))
    return jobs


def test_what_goes_on_counts_anew_in_its_budget(house: House, account: Account, clock: Clock) -> None:
    """As if a person had retried it: it may be billed again."""
    limits = Limits(budget=Budget(jobs=2, per="day"))
    jobs = all_given_up(house, account, limits, 1, 2, 3)
    ask(house.ledger, clock(), replace(wish(device(9), TRANSFER), limits=limits))
    scan(house, account)
    assert sorted(states(house.ledger, jobs)) == ["due", "held", "held"]
    clock.forward(days=1)
    house.sweep()
    assert sorted(states(house.ledger, jobs)) == ["due", "due", "due"]


def test_a_renewal_that_begins_anew_waits_for_its_window(house: House, account: Account, clock: Clock) -> None:
    """Nothing of it is under way any more, so it does not run late either."""
    limits = Limits(window=Window(opens=time(11), closes=time(13), timezone="UTC"))
    (job,) = all_given_up(house, account, limits, 1, operation=RENEW)
    clock.forward(hours=10)
    account.enlist(device(1), 365, seen=timedelta(minutes=1))
    scan(house, account)
    for hours, state, claimable in ((0, "held", 0), (13, "due", None), (4, "held", 0), (20, "due", 1)):
        clock.forward(hours=hours)
        house.sweep()
        assert states(house.ledger, [job]) == [state], clock()
        if claimable is not None:
            assert len(claim(house.ledger, clock(), RENEW)) == claimable
    assert json.loads(job_row(house.ledger, job)["progress"])["serial"] == "a0"


def test_a_move_that_goes_on_knows_what_it_has_asked_for(house: House, account: Account, clock: Clock) -> None:
    """U-blox may have its request still: it gets another deadline before it may be billed again."""
    (job,) = all_given_up(house, account, Limits(), 1)
    scan(house, account)
    progress = json.loads(job_row(house.ledger, job)["progress"])
    assert progress == {"asked": "taken", "serial": "a0", "rounds": 1, "redriven": clock().isoformat()}


def test_one_that_was_given_up_twice_waits_for_a_person(house: House, account: Account, clock: Clock) -> None:
    job = given_up(house, redriven="2026-05-01T00:00:00+00:00")
    clock.forward(hours=1)
    account.enlist(DEVICE, 3, seen=timedelta(minutes=1))
    scan(house, account)
    assert states(house.ledger, [job]) == ["parked"]
    account.enlist(DEVICE, 365, serial=0xA1, seen=timedelta(minutes=1))
    clock.forward(days=1)
    scan(house, account)
    assert states(house.ledger, [job]) == ["due"]


def test_one_that_was_given_up_before_it_had_looked_goes_on_when_u_blox_answers(house: House, account: Account) -> None:
    job = given_up(house, serial=None)
    account.enlist(DEVICE, 100, seen=9 * DAY)
    scan(house, account)
    assert states(house.ledger, [job]) == ["due"]


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


def test_a_job_that_somebody_moved_meanwhile_is_left(house: House, clock: Clock) -> None:
    job = given_up(house)
    (found,) = house.ledger.certificates.given_up()
    old: GivenUp = replace(found, parked_at=clock() - HOUR)
    assert house.ledger.certificates.try_again({job: old}, clock(), reason="x") == ([], Released())
    moved, released = house.ledger.certificates.try_again({job: found}, clock(), reason="x")
    assert (moved, released.due) == ([job], {RENEW: [job]})
    assert house.ledger.certificates.given_up() == []
