"""With a virtual clock a year of certificate life passes in a second, in order of time, and every webhook arrives."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from schemas.events import EventType, parse_timestamp
from services.sandbox.ublox.clock import VirtualClock
from services.sandbox.ublox.twin import Twin
from tests.fixtures.ublox import CA, Caller, Mailbox, calling, receiving

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = 86_400
LEAD = 40


@pytest.fixture
def twin() -> Iterator[Caller]:
    with calling(Twin(clock=VirtualClock(START))) as caller:
        yield caller


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with receiving() as mailbox:
        yield mailbox


def total(twin: Caller, action: str) -> int:
    count: int = twin.stats()["actions"][action]["total"]
    return count


def days_told(mailbox: Mailbox) -> list[tuple[str, int]]:
    """Day of arrival and days that were left, as the events tell."""
    return sorted((body["Timestamp"][:10], body["Payload"]["DaysToExpiration"]) for body in mailbox.bodies)


def last_seen(twin: Caller, uid: str) -> datetime:
    return parse_timestamp(twin.info(uid)["CORE"]["LastSeen"])


def test_time_stands_still_until_it_is_moved(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=0.01)
    twin.renew(uid)
    assert twin.http.get("/_twin/clock").json() == {"now": "2026-01-01T00:00:00+00:00", "virtual": True}
    assert total(twin, "renewals_done") == 0
    twin.forward(seconds=1)
    assert total(twin, "renewals_done") == 1
    assert twin.http.get("/_twin/clock").json()["now"] == "2026-01-01T00:00:01+00:00"


def test_a_clock_on_the_wall_cannot_be_moved_and_none_goes_back(twin: Caller) -> None:
    assert twin.http.post("/_twin/clock", json={"forward_seconds": -1}).status_code == 400
    with calling() as real:
        answer = real.http.post("/_twin/clock", json={"forward_seconds": 1})
        assert answer.status_code == 400
        assert "--virtual-clock" in answer.json()["faults"][0]


def test_a_certificate_is_told_of_60_30_and_7_days_before_and_its_end_is_counted(
    twin: Caller, mailbox: Mailbox
) -> None:
    twin.register(mailbox.url, EventType.CERTIFICATE_EXPIRATION)
    twin.devices(1, certificate_days=100, heartbeat_seconds=3600)
    twin.forward(days=99)
    assert days_told(mailbox) == [("2026-02-10", 60), ("2026-03-12", 30), ("2026-04-04", 7)]
    assert total(twin, "expired") == 0
    twin.forward(days=2)
    assert total(twin, "expired") == 1


def test_a_short_certificate_has_no_notice_that_would_lie_before_its_beginning(twin: Caller, mailbox: Mailbox) -> None:
    twin.register(mailbox.url, EventType.CERTIFICATE_EXPIRATION)
    twin.devices(1, certificate_days=30, heartbeat_seconds=3600)
    twin.forward(days=40)
    assert days_told(mailbox) == [("2026-01-24", 7)]


def test_a_renewed_certificate_is_not_told_of(twin: Caller, mailbox: Mailbox) -> None:
    twin.register(mailbox.url, EventType.CERTIFICATE_EXPIRATION)
    (uid,) = twin.devices(1, certificate_days=61, heartbeat_seconds=3600)
    twin.renew(uid, DeviceCertificateValidity=365)
    twin.forward(days=300)
    assert mailbox.bodies == []


def test_a_root_is_told_of_six_times(twin: Caller, mailbox: Mailbox) -> None:
    twin.register(mailbox.url, EventType.ROOTCA_EXPIRATION)
    twin.control("/authorities", name="old-ca", expires_at="2026-10-01T00:00:00Z")
    twin.devices(3, ca_name="old-ca", heartbeat_seconds=DAY)
    twin.forward(days=300)
    assert [days for _, days in days_told(mailbox)] == [180, 90, 60, 30, 7, 0]
    assert {body["Payload"]["ProvisionedDevicesCount"] for body in mailbox.bodies} == {3}
    assert {body["Payload"]["CertificateAuthorityName"] for body in mailbox.bodies} == {"old-ca"}


def test_a_deleted_root_is_not_told_of(twin: Caller, mailbox: Mailbox) -> None:
    twin.register(mailbox.url, EventType.ROOTCA_EXPIRATION)
    twin.control("/authorities", name="old-ca", expires_at="2026-10-01T00:00:00Z")
    twin.ask("/ztp/rootca/delete", CAName="old-ca")
    twin.forward(days=300)
    assert mailbox.bodies == []


def test_everything_happens_at_its_own_time(twin: Caller, mailbox: Mailbox) -> None:
    """The time of a renewal is that of the heartbeat in the middle of the interval, not its end."""
    twin.register(mailbox.url, EventType.CERTIFICATE_RENEWAL)
    (uid,) = twin.devices(1, heartbeat_seconds=10 * DAY)
    twin.renew(uid)
    twin.forward(days=30)
    (body,) = mailbox.bodies
    told = parse_timestamp(body["Timestamp"])
    assert START <= told <= START + timedelta(days=10)
    assert last_seen(twin, uid) >= START + timedelta(days=20)


def test_the_last_heartbeat_is_known_although_nothing_waited_for_it(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=DAY)
    twin.forward(days=100, seconds=1)
    assert timedelta() <= START + timedelta(days=100, seconds=1) - last_seen(twin, uid) < timedelta(days=1)


def test_a_device_is_silent_for_the_time_that_the_dial_names(twin: Caller) -> None:
    quiet, other = twin.devices(2, heartbeat_seconds=DAY)
    until = "2026-02-10T00:00:00Z"
    twin.turn(silences=[{"uid": quiet, "from": "2026-01-10T00:00:00Z", "until": until}])
    twin.forward(days=15)
    twin.renew(quiet, other)
    twin.forward(days=20)
    assert twin.stats()["per_device"]["renewals_done"] == {other: 1}
    assert last_seen(twin, quiet) < datetime(2026, 1, 10, tzinfo=UTC)
    twin.beat(quiet)
    twin.forward(days=10)
    assert twin.stats()["per_device"]["renewals_done"] == {other: 1, quiet: 1}
    assert twin.http.get("/_twin/dials").json()["silences"] == [
        {"uid": quiet, "from": "2026-01-10T00:00:00Z", "until": until}
    ]


def test_what_was_silent_stays_so_when_the_dial_is_turned_back(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=DAY)
    twin.forward(days=5)
    twin.turn(silent_devices=[uid])
    twin.forward(days=5)
    twin.turn(silent_devices=[])
    assert last_seen(twin, uid) <= START + timedelta(days=5)
    twin.forward(days=1)
    assert last_seen(twin, uid) > START + timedelta(days=10)


@pytest.mark.parametrize(
    "silence",
    [
        {"uid": "x", "from": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"},
        {"uid": "0002000089000001", "from": "2026-01-02T00:00:00Z", "until": "2026-01-02T00:00:00Z"},
        {"uid": "0002000089000001", "from": "2026-01-01T00:00:00", "until": "2026-01-02T00:00:00Z"},
    ],
)
def test_a_silence_must_name_a_device_and_a_time(twin: Caller, silence: Any) -> None:
    assert twin.http.patch("/_twin/dials", json={"silences": [silence]}).status_code == 400


def test_a_new_heartbeat_counts_from_the_one_that_brought_it(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=10 * DAY)
    wish = {"NetworkParameters": [{"Name": "SecurityHeartbeatInSec", "Value": 3600}]}
    twin.ask("/device/provisioning/set", ROTPublicUIDs=[uid], Provisioning=wish)
    twin.forward(days=11)
    assert START + timedelta(days=11) - last_seen(twin, uid) < timedelta(hours=1)


def test_certificates_renew_of_themselves_only_when_the_dial_lets_them(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=DAY, certificate_days=100)
    twin.ask("/ztp/rootca/update", CAName=CA, RenewBeforeExpiration=LEAD)
    twin.forward(days=65)
    assert total(twin, "automatic_renewals") == 0
    twin.turn(automatic_renewal=True)
    twin.forward(days=2)
    assert total(twin, "automatic_renewals") == 1
    assert twin.info(uid)["ZTP"]["CertificateValidity"] == 365
    twin.forward(days=3 * 365)
    assert (total(twin, "automatic_renewals"), total(twin, "expired")) == (4, 0)
    assert twin.stats()["billed"] == {"ZTPDeviceCertificateRenewal": 4}


def test_without_a_subscription_nothing_renews_of_itself(twin: Caller) -> None:
    twin.devices(1, heartbeat_seconds=DAY, certificate_days=50)
    twin.turn(automatic_renewal=True, subscription_active=False)
    twin.forward(days=45)
    assert total(twin, "automatic_renewals") == 0
    twin.turn(subscription_active=True)
    twin.forward(days=1)
    assert total(twin, "automatic_renewals") == 1


def test_a_certificate_that_ends_with_its_root_is_not_renewed_over_and_over(twin: Caller) -> None:
    twin.control("/authorities", name="old-ca", expires_at="2026-07-01T00:00:00Z")
    twin.devices(1, ca_name="old-ca", heartbeat_seconds=3600, certificate_days=365)
    twin.turn(automatic_renewal=True)
    twin.forward(days=365)
    assert (total(twin, "automatic_renewals"), total(twin, "expired")) == (0, 1)


def test_a_renewal_that_comes_after_the_end_of_its_root_is_an_error_of_the_device(
    twin: Caller, mailbox: Mailbox
) -> None:
    twin.register(mailbox.url, EventType.ERRORS)
    twin.control("/authorities", name="old-ca", expires_at="2026-01-05T00:00:00Z")
    (uid,) = twin.devices(1, ca_name="old-ca", heartbeat_seconds=60 * DAY, certificate_days=365)
    twin.turn(silences=[{"uid": uid, "from": "2026-01-01T00:00:00Z", "until": "2026-01-06T00:00:00Z"}])
    twin.renew(uid, CAName="old-ca")
    twin.forward(days=130)
    assert "expired" in mailbox.bodies[0]["Payload"]["Error"]
    assert twin.info(uid)["PROVISIONING"]["DesiredProperties"]["Zerotouch"] == {}


def test_a_year_of_notices_is_delivered_before_the_answer(twin: Caller, mailbox: Mailbox) -> None:
    for event_type in EventType:
        twin.register(mailbox.url, event_type)
    twin.devices(400, heartbeat_range=[3600, DAY], certificate_days_range=[61, 300])
    twin.forward(days=400)
    assert len(mailbox.bodies) == 3 * 400
    assert total(twin, "expired") == 400
    assert twin.stats()["deliveries"]["dropped"] == 0


def test_the_same_run_twice_tells_the_same() -> None:
    def run() -> tuple[Any, Any]:
        with calling(Twin(clock=VirtualClock(START))) as twin:
            uids = twin.devices(50, heartbeat_range=[3600, 14 * DAY], certificate_days_range=[30, 365], seed=7)
            twin.renew(*uids)
            twin.forward(days=20)
            return uids, [twin.info(uid)["CORE"]["LastSeen"] for uid in uids]

    assert run() == run()


def test_every_device_may_have_a_heartbeat_of_its_own(twin: Caller) -> None:
    uids = twin.devices(3, heartbeat_seconds=[60, 3600, DAY])
    shown = [twin.http.get(f"/_twin/devices/{uid}").json()["HeartbeatSeconds"] for uid in uids]
    assert shown == [60, 3600, DAY]


@pytest.mark.parametrize(
    "wish",
    [
        {"heartbeat_seconds": [60, 60, 60]},
        {"heartbeat_seconds": 60, "heartbeat_range": [1, 2]},
        {"heartbeat_range": [2, 1]},
        {"certificate_days": 30, "certificate_days_range": [30, 60]},
        {"certificate_days_range": [0, 60]},
        {"profile_uid": "nobody"},
    ],
)
def test_a_fleet_that_contradicts_itself_is_not_made(twin: Caller, wish: Any) -> None:
    answer = twin.http.post("/_twin/devices", json={"count": 2, **wish})
    assert answer.status_code == 400
    assert twin.stats()["devices"] == 0


def test_the_command_takes_a_virtual_clock() -> None:
    command = [sys.executable, "-m", "services.cli.sandbox", "ublox", "--port", "0", "--virtual-clock"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    arguments = [*command, "2026-01-01T00:00:00Z"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout is not None
        line = run.stdout.readline()
        found = re.search(r"dials (http://\S+)/dials", line)
        assert found, line
        answer = httpx.post(f"{found[1]}/clock", json={"forward_seconds": DAY})
        assert answer.json() == {"now": "2026-01-02T00:00:00+00:00", "virtual": True}
        run.send_signal(signal.SIGTERM)
        assert run.wait(timeout=60) == 0
    wrong = subprocess.run([*command, "tomorrow"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
