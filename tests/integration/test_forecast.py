"""The forecast: what ends when, what it takes, and whether the budget is enough."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.ledger import Ledger, SeenAuthority, SeenCertificate
from schemas.access import Role
from schemas.forecast import Forecast
from schemas.jobs import State
from schemas.limits import Budget
from services.cli.main import app
from services.cli.output import now
from services.forecast import SCAN, forecast
from services.playbook import Playbook, load_playbook
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.ledger import RENEW, ask, claim, device, settle, wish
from tests.support.rounds import schedule
from tests.unit.playbooks import OPERATIONS

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def rules(budget: str | None = None) -> Playbook:
    """A playbook with or without a budget for renewals."""
    bound = "" if budget is None else f"budget = {{ {budget} }}"
    text = f"""
        version = 1
        [[rules]]
        name = "renew"
        on = {{ event = "DEVICE_CERTIFICATE_EXPIRATION_EVENT" }}
        {bound}
        [[rules.do]]
        operation = "ublox.renew_certificate"
        unless_under_way = true
    """
    return load_playbook(text, operations=OPERATIONS)


def known(ledger: Ledger, at: datetime, number: int, days: float | None, **more: Any) -> str:
    """A device whose certificate ends in some days, and that calls in every hour."""
    row: dict[str, Any] = {
        "uid": device(number),
        "serial": "a0",
        "ca_name": "ca.example",
        "expires_at": None if days is None else at + days * DAY,
        "validity_days": 365,
        "heartbeat": HOUR,
        "last_seen": at,
        "seen_at": at,
    }
    ledger.certificates.store([SeenCertificate(**{**row, **more})])
    return device(number)


def ahead(
    ledger: Ledger, clock: Clock, days: int = 30, budget: str | None = None, rule: str | None = "in time"
) -> Forecast:
    """Look ahead where the scan's renewals wait until their devices need them, unless it is told otherwise."""
    if rule is not None and ledger.schedules.find(SCAN) is None:
        parameters = {"rule": rule}
        ledger.schedules.add(
            [schedule(SCAN, "ublox.scan_certificates", clock(), cron="0 3 * * *", parameters=parameters)]
        )
    return forecast(ledger, rules(budget), clock(), days)


def busy(found: Forecast) -> dict[int, tuple[int, int, int]]:
    """The days on which something is due or asked for: due, asked, waiting."""
    return {
        number: (day.due, day.asked, day.waiting)
        for number, day in enumerate(found.series)
        if day.due or day.asked or day.waiting
    }


def test_a_ledger_that_knows_nothing_has_an_empty_forecast(ledger: Ledger, clock: Clock) -> None:
    found = ahead(ledger, clock)
    assert (found.known, found.billed, found.seen_since, found.budget) == (0, 0, None, None)
    assert len(found.series) == 30
    assert found.series[0].day == clock().date()


def test_renewals_come_when_the_devices_need_them(ledger: Ledger, clock: Clock) -> None:
    known(ledger, clock(), 1, 10)
    known(ledger, clock(), 2, 60, heartbeat=14 * DAY)  # its lead is 37 days
    known(ledger, clock(), 3, 200, heartbeat=None)  # a third of the life is 121 days
    known(ledger, clock(), 4, -2)
    known(ledger, clock(), 5, None)
    found = ahead(ledger, clock)
    assert busy(found) == {0: (1, 1, 0), 7: (1, 1, 0), 23: (1, 1, 0)}
    assert (found.known, found.unknown, found.billed) == (4, 1, 3)
    assert [one.device for one in found.certificates] == [device(4), device(1), device(2)]
    assert (found.too_late, found.too_late_devices) == (1, [device(4)])
    assert {number: day.ends for number, day in enumerate(found.series) if day.ends} == {10: 1}


def test_unless_the_scan_is_told_otherwise_renewals_come_after_two_thirds_of_the_life(
    ledger: Ledger, clock: Clock
) -> None:
    known(ledger, clock(), 1, 125)
    known(ledger, clock(), 2, 365, validity_days=30)
    found = ahead(ledger, clock, days=365, rule=None)
    assert list(busy(found)) == [3, 246, 355]  # a third of 365 days is 121 2/3; the renewed one lives for 365
    assert found.certificates[0].renew_from == clock() + 125 * DAY - 365 * DAY / 3


def test_an_hour_s_budget_is_whole_again_in_each_hour_of_a_day(ledger: Ledger, clock: Clock) -> None:
    for number in range(100):
        known(ledger, clock(), number, 5)
    found = ahead(ledger, clock, budget='jobs = 3, per = "hour"')
    assert busy(found) == {2: (100, 72, 28), 3: (0, 28, 0)}
    assert found.too_late == 0


def test_today_has_only_the_hours_that_are_left_of_it(ledger: Ledger, clock: Clock) -> None:
    clock.now = clock().replace(hour=20, minute=30)
    for number in range(100):
        known(ledger, clock(), number, 2.5)
    found = ahead(ledger, clock, budget='jobs = 3, per = "hour"')
    assert busy(found) == {0: (100, 12, 88), 1: (0, 72, 16), 2: (0, 16, 0)}


def test_who_calls_in_only_after_the_end_comes_too_late_whatever_the_hour_is(ledger: Ledger, clock: Clock) -> None:
    clock.now = clock().replace(hour=20, minute=0)
    known(ledger, clock(), 1, 0.1, heartbeat=12 * HOUR)
    known(ledger, clock(), 2, -0.1)
    assert ahead(ledger, clock).too_late_devices == [device(1), device(2)]


def test_a_hundred_devices_of_a_ca_share_their_calls(ledger: Ledger, clock: Clock) -> None:
    for number in range(150):
        known(ledger, clock(), number, 10, ca_name="a" if number < 100 else "b")
    busiest = max(ahead(ledger, clock).series, key=lambda day: day.calls)
    assert (busiest.asked, busiest.calls) == (150, 2 * 2 + 2 + 4)  # 2 of the scan, and the list of a week


def test_what_a_certificate_is_followed_by_is_due_too(ledger: Ledger, clock: Clock) -> None:
    known(ledger, clock(), 1, 10)
    assert list(busy(ahead(ledger, clock, days=1_100))) == [7, 369, 731, 1093]


def test_a_device_whose_life_is_shorter_than_its_heartbeats_comes_to_an_end(ledger: Ledger, clock: Clock) -> None:
    known(ledger, clock(), 1, 10, heartbeat=200 * DAY)
    assert ahead(ledger, clock, days=1_100).billed <= 6


def test_a_budget_puts_renewals_off_and_says_which_come_too_late(ledger: Ledger, clock: Clock) -> None:
    for number in range(10):
        known(ledger, clock(), number, 5)
    enough = ahead(ledger, clock, budget='jobs = 4, per = "day"')
    assert busy(enough) == {2: (10, 4, 6), 3: (0, 4, 2), 4: (0, 2, 0)}
    assert (enough.too_late, enough.budget) == (0, Budget(jobs=4, per="day"))
    short = ahead(ledger, clock, budget='jobs = 2, per = "day"')
    assert (short.too_late, short.too_late_devices) == (2, [device(8), device(9)])


def test_a_month_s_budget_is_whole_again_in_the_next_month(ledger: Ledger, clock: Clock) -> None:
    for number in range(3):
        known(ledger, clock(), number, 5)
    ask(ledger, clock(), wish(device(77), RENEW))
    with ledger.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM spending")
        connection.exec_driver_sql(
            f"INSERT INTO spending (operation, day, jobs) VALUES ('{RENEW}', '{clock():%Y-%m}-01', 9)"  # noqa: S608 - a constant and a date
        )
    found = ahead(ledger, clock, budget='jobs = 10, per = "month"')
    assert found.spent == 9
    assert busy(found)[2] == (3, 1, 2)
    assert busy(found)[22] == (0, 2, 0)  # the first of June
    assert found.too_late == 2


def test_renewals_under_way_are_not_counted_again(ledger: Ledger, clock: Clock) -> None:
    for number in range(4):
        known(ledger, clock(), number, 4)
    for number in range(3):
        ask(ledger, clock(), wish(device(number), RENEW))
    waiting, asked, parked = claim(ledger, clock(), RENEW)
    settle(ledger, clock(), waiting, State.AWAITING, later=DAY)
    settle(ledger, clock(), asked, State.AWAITING, later=DAY, progress={"asked": "taken", "serial": "a0"})
    settle(ledger, clock(), parked, State.PARKED)
    found = ahead(ledger, clock)
    assert found.under_way.model_dump() == {"waiting": 1, "asked": 1, "parked": 1}
    assert found.billed == 2
    assert [one.renewal for one in found.certificates] == ["waiting", "asked", "parked", None]


def test_root_cas_are_told_with_the_day_by_which_their_devices_must_be_asked_to_move(
    ledger: Ledger, clock: Clock
) -> None:
    known(ledger, clock(), 1, 200, heartbeat=10 * DAY)
    ends = clock() + 100 * DAY
    rows = [("z.example", ends, 1), ("never", None, 0), ("ca.example", ends, 101)]
    ledger.certificates.store_authorities(
        [SeenAuthority(name=name, expires_at=at, devices=devices, seen_at=clock()) for name, at, devices in rows]
    )
    found = ahead(ledger, clock).authorities
    assert [(one.name, one.days_left, one.move_by, one.transfer_calls) for one in found] == [
        ("ca.example", 100, ends - 27 * DAY, 6),
        ("z.example", 100, ends - 3 * DAY, 3),
        ("never", None, None, 0),
    ]


def test_a_viewer_reads_it_over_the_api(ledger: Ledger, clock: Clock) -> None:
    site = AdminSite(ledger, clock)
    known(ledger, clock(), 1, 10)
    told = site.get("/forecast", role=Role.VIEWER).json()
    assert (told["days"], len(told["series"]), told["billed"]) == (90, 90, 1)
    assert len(site.get("/forecast?days=7").json()["series"]) == 7
    for days in (0, 1_101, "x"):
        assert problem(site.get(f"/forecast?days={days}"), 422)


def test_a_person_reads_it_week_by_week(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    url = ledger.database.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url.replace("postgresql+psycopg://", "postgresql://", 1))
    monkeypatch.setenv("KEYTURN_WEBHOOK_TOKENS", "Bearer hook-token-0123456789")
    monkeypatch.setenv("COLUMNS", "200")
    assert "nothing is known" in CliRunner().invoke(app, ["forecast"]).stdout
    known(ledger, now(), 1, 10)
    known(ledger, now(), 2, -1)
    ledger.certificates.store_authorities(
        [SeenAuthority(name="ca.example", expires_at=now() + 100 * DAY, devices=2, seen_at=now())]
    )
    shown = CliRunner().invoke(app, ["forecast", "--days", "28"])
    assert shown.exit_code == 0, shown.output
    assert "2 certificates, 0 devices without a known one" in shown.stdout
    assert "ca.example" in shown.stdout
    assert f"1 certificates end before their device can act: {device(2)}" in shown.stdout
    assert shown.stdout.count(f"{now():%Y-%m}") >= 2
    by_day = CliRunner().invoke(app, ["forecast", "--days", "28", "--by", "day"]).stdout
    assert len(by_day.splitlines()) > len(shown.stdout.splitlines()) + 20
    told = json.loads(CliRunner().invoke(app, ["forecast", "--days", "28", "--json"]).stdout)
    assert (told["known"], len(told["series"])) == (2, 28)


def test_no_certificate_outlives_its_root_ca_and_what_ends_with_it_is_not_renewed(ledger: Ledger, clock: Clock) -> None:
    ends = clock() + 200 * DAY
    ledger.certificates.store_authorities(
        [SeenAuthority(name="ca.example", expires_at=ends, devices=3, seen_at=clock())]
    )
    known(ledger, clock(), 1, 10)
    known(ledger, clock(), 2, 200)
    asked = known(ledger, clock(), 3, 10)
    ask(ledger, clock(), wish(asked, RENEW))
    (job,) = claim(ledger, clock(), RENEW)
    settle(ledger, clock(), job, State.AWAITING, later=DAY, progress={"asked": "taken", "serial": "a0"})
    found = ahead(ledger, clock, days=365)
    assert busy(found) == {7: (1, 1, 0)}
    assert (found.billed, found.too_late) == (1, 0)
    assert {one.device: one.renew_from for one in found.certificates}[device(2)] is None
