"""A renewal that is asked for "in time": not before the device needs it, and not too late for one that is silent."""

from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from schemas.errors import Busy
from schemas.events import EventType
from schemas.jobs import Awaiting, Done, Job, Parked, ParkedBecause
from services.operations.renew_certificate import RenewCertificate
from tests.conftest import Clock
from tests.support.fleet import Desk, Device, Fleet
from tests.support.ledger import DEVICE, OTHER

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def phone(clock: Clock) -> Device:
    ends = clock() + 60 * DAY
    return Device(life_days=365, every=HOUR, last_seen=clock() - HOUR, expires_at=ends)


@pytest.fixture
def fleet(phone: Device) -> Fleet:
    return Fleet({DEVICE: phone, OTHER: Device()})


@pytest.fixture
def desk(fleet: Fleet, clock: Clock) -> Desk:
    return Desk(RenewCertificate(), fleet, clock)


def in_time(desk: Desk, evidence: dict[str, Any] | None = None) -> Job:
    return desk.job(1, DEVICE, evidence, when="in time")


def alerts_of(logs: Any) -> list[str]:
    return [log["alert"] for log in logs if log["event"] == "alert"]


def test_it_waits_until_the_device_needs_it_and_then_asks(
    fleet: Fleet, desk: Desk, phone: Device, clock: Clock
) -> None:
    job = in_time(desk)
    waiting = desk.run_one(job)
    assert isinstance(waiting, Awaiting)
    assert waiting.reason == "serial a0, expires 09 Jul 2026; to be renewed from 06 Jul 2026, 3 days before"
    assert (phone.billed, desk.progress[1]) == (0, {})
    clock.now = waiting.look_at
    assert f"{clock():%H:%M}" == "00:00"
    phone.last_seen = clock() - HOUR
    assert isinstance(desk.run_one(job), Awaiting)
    assert phone.billed == 1
    fleet.heartbeat(DEVICE)
    assert isinstance(desk.run_one(job), Done)


def test_by_itself_it_asks_at_once(desk: Desk, phone: Device) -> None:
    desk.run(desk.job(1, DEVICE))
    assert phone.billed == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_at": None},
        {"every": None, "life_days": 3650},  # a third of the life
        {"last_seen": None, "life_days": 3650},
    ],
)
def test_where_too_little_is_known_to_wait_it_asks(desk: Desk, phone: Device, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        setattr(phone, name, value)
    desk.run(in_time(desk))
    assert phone.billed == 1


def test_a_silent_device_is_asked_for_at_once(desk: Desk, phone: Device, clock: Clock) -> None:
    phone.last_seen = clock() - timedelta(hours=2, minutes=1)
    desk.run(in_time(desk))
    assert phone.billed == 1


def test_a_device_that_somebody_else_had_renewed_meanwhile_needs_nothing(
    desk: Desk, phone: Device, clock: Clock
) -> None:
    desk.run(in_time(desk, {"type": EventType.CERTIFICATE_EXPIRATION, "serial": "a0", "expires": "2026-07-09T12:00Z"}))
    phone.serial, phone.expires_at = 0xA7, clock() + 400 * DAY
    news = {"type": EventType.CERTIFICATE_RENEWAL, "serial": "A7"}
    assert desk.run_one(in_time(desk, news)) == Done(note="renewed already: serial a7, expires 14 Jun 2027")
    assert phone.billed == 0


def test_what_the_scan_saw_is_a_notice_that_may_be_old_too(desk: Desk, phone: Device, clock: Clock) -> None:
    phone.serial, phone.expires_at = 0xA7, clock() + 400 * DAY
    seen = {"type": "certificate scan", "serial": "a0", "expires": "2026-07-09T12:00Z"}
    assert isinstance(desk.run_one(in_time(desk, seen)), Done)


def test_a_blacklisted_device_is_told_at_once(desk: Desk, phone: Device) -> None:
    phone.blacklisted = True
    assert isinstance(desk.run_one(in_time(desk)), Parked)


def test_the_next_look_follows_the_heartbeat(desk: Desk, phone: Device, clock: Clock) -> None:
    phone.every, phone.last_seen = 10 * DAY, clock() - 4 * DAY
    phone.expires_at = clock() + 25 * DAY
    asked = desk.run_one(in_time(desk))
    assert isinstance(asked, Awaiting)
    assert asked.look_at == clock() + 6 * DAY + HOUR


def test_a_device_that_calls_in_rarely_has_two_heartbeats_before_anybody_worries(
    desk: Desk, phone: Device, clock: Clock
) -> None:
    phone.every, phone.last_seen = 28 * DAY, clock() - DAY
    phone.expires_at = clock() + 70 * DAY
    asked = desk.run_one(in_time(desk))
    assert isinstance(asked, Awaiting)
    assert asked.progress["deadline"] == (clock() + 42 * DAY).isoformat()


@pytest.mark.parametrize("days", [3, 20, 40])
def test_a_silent_device_ends_parked_with_an_alarm_a_day_before_its_certificate_ends(
    days: int, desk: Desk, phone: Device, clock: Clock
) -> None:
    """However short the notice was, and although the renewal stands at u-blox."""
    phone.last_seen, phone.expires_at = clock() - 2 * DAY, clock() + days * DAY
    job = in_time(desk)
    outcome = desk.run_one(job)
    with capture_logs() as logs:
        while isinstance(outcome, Awaiting):
            clock.now = outcome.look_at
            outcome = desk.run_one(job)
    assert isinstance(outcome, Parked)
    assert outcome.because is ParkedBecause.EXHAUSTED
    assert clock() <= phone.expires_at - DAY
    assert phone.billed == 1
    (alert,) = alerts_of(logs)
    assert alert.startswith(f"device {DEVICE}: its certificate is not renewed; ")
    assert "(last seen 08 May 2026 12:00 UTC) still has serial a0" in alert


def test_an_update_that_never_ends_is_told_before_the_certificate_does(
    fleet: Fleet, desk: Desk, phone: Device, clock: Clock
) -> None:
    phone.expires_at = clock() + DAY
    fleet.refuses[DEVICE] = Busy("an update is under way", call="/x", status=400)
    with capture_logs() as logs:
        outcome = desk.run_one(desk.job(1, DEVICE))
    assert isinstance(outcome, Parked)
    assert outcome.reason.startswith("an update is under way, and the device")
    assert len(alerts_of(logs)) == 1


def test_one_that_is_tried_again_after_its_device_came_back_does_not_ask_where_it_has_been_renewed(
    desk: Desk, phone: Device
) -> None:
    desk.progress[1] = {"serial": "9f", "redriven": "2026-05-10T12:00:00+00:00"}
    assert isinstance(desk.run_one(in_time(desk)), Done)
    desk.progress[1] = {"serial": "a0", "redriven": "2026-05-10T12:00:00+00:00"}
    desk.run(desk.job(1, DEVICE))
    assert phone.billed == 1
    assert desk.progress[1]["redriven"] == "2026-05-10T12:00:00+00:00"
