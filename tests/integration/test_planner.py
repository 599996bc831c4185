import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from infra.broker import PREFIX
from infra.ledger import Ledger
from schemas.errors import LedgerUnavailable
from schemas.events import EventType
from schemas.jobs import NewJob, State
from services.operations import PARAMETERS
from services.planner import CHUNK, Planner
from services.playbook import Playbook, default_text, load_playbook
from tests.conftest import Clock
from tests.support.ledger import DEVICE, RENEW, ROTATE, arrival, ask, claim, device, event_row, rows, settle, wish
from tests.support.works import Bell, take_away

PROVISION = "ublox.set_provisioning"
CERTIFICATE = {"CertificateSerialNumber": "73068c91", "ExpirationDate": "2026-06-09T19:39Z"}


@pytest.fixture(scope="module")
def playbook() -> Playbook:
    return load_playbook(default_text(), operations=PARAMETERS)


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def planner(ledger: Ledger, clock: Clock, bell: Bell, playbook: Playbook) -> Planner:
    return Planner(ledger, playbook, ring=bell, clock=clock)


def tell(ledger: Ledger, clock: Clock, kind: str, uid: str = DEVICE, **payload: Any) -> int:
    """Let an event come in; give its id."""
    body = {"EventType": kind, "ROTPublicUID": uid, "Timestamp": "2026-05-10T11:59Z", "Payload": payload}
    (event,) = ledger.inbox.accept([arrival(clock(), body=json.dumps(body).encode())])
    return event


def jobs(ledger: Ledger) -> list[tuple[str, str, str]]:
    return [
        (row["operation"], row["target"], row["state"])
        for row in rows(ledger, "SELECT operation, target, state FROM jobs ORDER BY id")
    ]


def test_a_new_device_has_its_key_rotated_and_the_worker_is_rung_for(
    ledger: Ledger, clock: Clock, bell: Bell, planner: Planner
) -> None:
    event = tell(ledger, clock, EventType.BOOTSTRAP, IsBlacklisted=False)
    assert planner.plan_waiting() == 1
    (job,) = claim(ledger, clock())
    assert (job.operation, job.target, job.parameters["days"]) == (ROTATE, DEVICE, 7)
    assert bell.rung == [(PREFIX + ROTATE, [job.id])]
    verdict = event_row(ledger, event)["verdict"].split("; ")
    assert verdict[0] == f"rule rotate-key-of-new-device: {ROTATE} on {DEVICE}"


def test_nothing_to_plan_rings_for_nothing(bell: Bell, planner: Planner) -> None:
    assert (planner.plan_waiting(), bell.rung) == (0, [])


def test_an_expiring_certificate_is_renewed_with_what_the_notice_tells(
    ledger: Ledger, clock: Clock, planner: Planner
) -> None:
    event = tell(ledger, clock, EventType.CERTIFICATE_EXPIRATION, DaysToExpiration=30, **CERTIFICATE)
    planner.plan_waiting()
    (job,) = claim(ledger, clock(), RENEW)
    receipt = event_row(ledger, event)["receipt"]
    assert job.evidence == {
        "receipt": receipt,
        "type": EventType.CERTIFICATE_EXPIRATION,
        "occurred_at": "2026-05-10T11:59:00+00:00",
        "serial": "73068c91",
        "expires": "2026-06-09T19:39Z",
    }


def test_a_later_notice_is_answered_by_the_renewal_under_way(ledger: Ledger, clock: Clock, planner: Planner) -> None:
    for days in (60, 30, 7):
        tell(ledger, clock, EventType.CERTIFICATE_EXPIRATION, DaysToExpiration=days, **CERTIFICATE)
        planner.plan_waiting()
        for job in claim(ledger, clock(), RENEW):
            settle(ledger, clock(), job, State.AWAITING, later=timedelta(days=14))
        clock.forward(days=1)
    assert jobs(ledger) == [(RENEW, DEVICE, "awaiting")]


def test_the_renewal_event_confirms_the_waiting_job_and_starts_nothing(
    ledger: Ledger, clock: Clock, bell: Bell, planner: Planner
) -> None:
    tell(ledger, clock, EventType.CERTIFICATE_EXPIRATION, **CERTIFICATE)
    planner.plan_waiting()
    (job,) = claim(ledger, clock(), RENEW)
    settle(ledger, clock(), job, State.AWAITING, later=timedelta(hours=1))
    event = tell(ledger, clock, EventType.CERTIFICATE_RENEWAL, CertificateSerialNumber="b7")
    bell.rung.clear()
    planner.plan_waiting()
    assert jobs(ledger) == [(RENEW, DEVICE, "due")]
    assert bell.rung == [(PREFIX + RENEW, [job.id])]
    evidence = claim(ledger, clock(), RENEW)[0].evidence
    assert (evidence["type"], evidence["serial"]) == (EventType.CERTIFICATE_RENEWAL, "b7")
    assert event_row(ledger, event)["verdict"].endswith(f"confirms job {job.id}")


def test_an_alert_is_logged_as_an_error_and_what_is_proposed_with_it_waits_for_a_person(
    ledger: Ledger, clock: Clock, planner: Planner
) -> None:
    event = tell(ledger, clock, EventType.BOOTSTRAP, IsBlacklisted=True)
    with capture_logs() as logs:
        planner.plan_waiting()
    assert jobs(ledger) == [("ublox.revoke_certificate", DEVICE, "held"), ("ublox.set_whitelist", DEVICE, "held")]
    (alert,) = (log for log in logs if log["log_level"] == "error")
    assert (alert["event"], alert["event_id"], alert["device"]) == ("alert", event, DEVICE)
    assert alert["alert"] == (
        "A blacklisted device has bootstrapped; it gets no keys, and its containment waits for approval."
    )


def test_a_root_ca_that_runs_out_is_proposed_to_be_rolled_once_and_told_when_it_becomes_urgent(
    ledger: Ledger, clock: Clock, planner: Planner
) -> None:
    ca = {"CertificateAuthorityName": "ca.example"}
    for days in (180, 90, 30, 7):
        tell(ledger, clock, EventType.ROOTCA_EXPIRATION, DaysToExpiration=days, **ca)
    with capture_logs() as logs:
        planner.plan_waiting()
    assert jobs(ledger) == [("ublox.roll_root_ca", "rootca:ca.example", "held")]
    assert len([log for log in logs if log["event"] == "alert"]) == 2


def test_a_renewal_that_was_asked_for_and_not_confirmed_is_an_alarm_in_the_last_week(
    ledger: Ledger, clock: Clock, planner: Planner
) -> None:
    """One that still waits for its time is none."""
    told = []
    for progress in ({}, {"asked": "taken", "serial": "a0"}):
        tell(ledger, clock, EventType.CERTIFICATE_EXPIRATION, DaysToExpiration=30 - len(progress), **CERTIFICATE)
        planner.plan_waiting()
        (job,) = claim(ledger, clock(), RENEW)
        settle(ledger, clock(), job, State.AWAITING, progress=progress)
        tell(ledger, clock, EventType.CERTIFICATE_EXPIRATION, DaysToExpiration=7 - len(progress), **CERTIFICATE)
        with capture_logs() as logs:
            planner.plan_waiting()
        told.append([log["alert"] for log in logs if log["event"] == "alert"])
        ledger.work.wake(clock())
    assert told[0] == []
    assert len(told[1]) == 1
    assert told[1][0].startswith("A certificate ends within 7 days and its renewal is not confirmed")


def test_a_renewal_that_never_got_as_far_as_u_blox_is_an_alarm_in_the_last_week_too(
    ledger: Ledger, clock: Clock, planner: Planner
) -> None:
    for days in (30, 7):
        tell(ledger, clock, EventType.CERTIFICATE_EXPIRATION, DaysToExpiration=days, **CERTIFICATE)
        with capture_logs() as logs:
            planner.plan_waiting()
    assert jobs(ledger) == [(RENEW, DEVICE, "due")]
    assert len([log for log in logs if log["event"] == "alert"]) == 1


def test_a_renewal_that_its_schedule_has_spread_is_no_alarm_before_its_time(
    ledger: Ledger, clock: Clock, planner: Planner
) -> None:
    begins = clock() + timedelta(hours=1)
    ask(ledger, clock(), NewJob(operation=RENEW, target=DEVICE, parameters={}, not_before=begins))
    told = []
    for days in (7, 6):
        tell(ledger, clock, EventType.CERTIFICATE_EXPIRATION, DaysToExpiration=days, **CERTIFICATE)
        with capture_logs() as logs:
            planner.plan_waiting()
        told.append(len([log for log in logs if log["event"] == "alert"]))
        clock.forward(hours=1)
    assert told == [0, 1]


@pytest.mark.parametrize(
    ("wished", "alerts"),
    [({"heartbeat_seconds": 3600}, 1), ({"authorizations": {"LocalC2CKeyPairing": "ENABLED"}}, 0)],
)
def test_key_pairing_is_an_alarm_unless_that_very_change_waits_for_the_device(
    ledger: Ledger, clock: Clock, planner: Planner, wished: dict[str, Any], alerts: int
) -> None:
    ask(ledger, clock(), wish(DEVICE, PROVISION, **wished))
    (job,) = claim(ledger, clock(), PROVISION)
    settle(ledger, clock(), job, State.AWAITING, progress={"asked": "taken"})
    states = [{"Name": "LocalC2CKeyPairing", "State": "ENABLED"}]
    tell(ledger, clock, EventType.PROPERTIES_CHANGE, CurrentProperties={"Authorizations": states})
    with capture_logs() as logs:
        planner.plan_waiting()
    assert len([log for log in logs if log["event"] == "alert"]) == alerts


def test_a_condition_that_cannot_be_told_is_noted_in_the_verdict_and_the_log(
    ledger: Ledger, clock: Clock, planner: Planner
) -> None:
    event = tell(ledger, clock, EventType.BOOTSTRAP)  # says nothing of IsBlacklisted
    with capture_logs() as logs:
        planner.plan_waiting()
    verdict = event_row(ledger, event)["verdict"]
    assert verdict.startswith("no rule matches; rule rotate-key-of-new-device: ")
    assert [log["log_level"] for log in logs if log["event"] == "a rule could not be told"] == ["warning"] * 6


@pytest.mark.parametrize("kind", ["DEVICE_TELEPORTED", EventType.PROPERTIES_CHANGE])
def test_an_event_without_a_rule_is_planned_and_leads_to_nothing(
    ledger: Ledger, clock: Clock, bell: Bell, planner: Planner, kind: str
) -> None:
    event = tell(ledger, clock, kind)
    assert planner.plan_waiting() == 1
    assert (event_row(ledger, event)["state"], jobs(ledger), bell.rung) == ("planned", [], [])


@pytest.mark.parametrize("body", [b"\xff", b"{}", b"[]", b'{"EventType": 1}'])
def test_an_event_that_cannot_be_planned_does_not_stop_the_others(
    ledger: Ledger, clock: Clock, planner: Planner, body: bytes
) -> None:
    (broken,) = ledger.inbox.accept([arrival(clock(), body=body)])
    sound = tell(ledger, clock, EventType.BOOTSTRAP, IsBlacklisted=False)
    with capture_logs() as logs:
        assert planner.plan_waiting() == 2
    assert [event_row(ledger, event)["state"] for event in (broken, sound)] == ["fault", "planned"]
    assert event_row(ledger, broken)["verdict"].startswith("could not be planned: ")
    assert len(jobs(ledger)) == 1
    assert [log["event_id"] for log in logs if log["event"] == "an event could not be planned"] == [broken]


def test_what_a_sender_writes_cannot_stop_the_planner(ledger: Ledger, clock: Clock, bell: Bell) -> None:
    """A condition that fails quotes the event, and PostgreSQL takes no NUL."""
    rule = 'name = "odd"\non = { event = "DEVICE_ERRORS_EVENT" }\nwhen = "event.payload[event.payload.Kind] == 1"'
    text = f'version = 1\n[[rules]]\n{rule}\nalert = "odd"\n'
    planner = Planner(ledger, load_playbook(text, operations=PARAMETERS), ring=bell, clock=clock)
    event = tell(ledger, clock, EventType.ERRORS, Kind="a\0b")
    assert planner.plan_waiting() == 1
    assert event_row(ledger, event)["state"] == "planned"


def test_a_backlog_is_planned_chunk_by_chunk_in_one_call(
    ledger: Ledger, clock: Clock, bell: Bell, planner: Planner
) -> None:
    many = CHUNK + 10
    body = {"EventType": EventType.BOOTSTRAP, "Timestamp": "2026-05-10", "Payload": {"IsBlacklisted": False}}
    ledger.inbox.accept(
        [arrival(clock(), body=json.dumps({**body, "ROTPublicUID": device(n)}).encode()) for n in range(many)]
    )
    assert planner.plan_waiting() == many
    assert [len(ids) for _, ids in bell.rung] == [CHUNK, 10]
    assert len(jobs(ledger)) == many


def test_planners_at_once_plan_every_event_once(
    ledger: Ledger, clock: Clock, bell: Bell, planner: Planner, playbook: Playbook
) -> None:
    """Two processes, each with threads that are rung at the same time."""
    for number in range(60):
        tell(ledger, clock, EventType.BOOTSTRAP, device(number), IsBlacklisted=False)
    other = Planner(ledger, playbook, ring=bell, clock=clock)
    with ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(lambda number: (planner, other)[number % 2].plan_waiting(), range(6)))
    assert sum(counts) == 60
    assert sorted(target for _, target, _ in jobs(ledger)) == [device(number) for number in range(60)]
    assert sorted(job for _, ids in bell.rung for job in ids) == [
        row["id"] for row in rows(ledger, "SELECT id FROM jobs ORDER BY id")
    ]


def test_a_ledger_that_is_away_leaves_the_events_for_the_next_ring(
    ledger: Ledger, clock: Clock, bell: Bell, planner: Planner
) -> None:
    tell(ledger, clock, EventType.BOOTSTRAP, IsBlacklisted=False)
    take_away(ledger, times=1)
    with pytest.raises(LedgerUnavailable):
        planner.plan_waiting()
    assert bell.rung == []
    assert planner.plan_waiting() == 1
