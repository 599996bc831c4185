from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.limits import SHORTEST, Approval, Budget, Counted, Hold, Standing, Window, stand

ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Paris",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Asia/Kolkata",
    ]
)
TIMES = st.builds(time, st.integers(0, 23), st.integers(0, 59))
MOMENTS = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - aware by its zones
RENEW = "ublox.renew_certificate"


@st.composite
def windows(draw: st.DrawFn) -> Window:
    opens = draw(TIMES)
    length = draw(st.integers(1, 24 * 60 - 1))
    closes = (datetime.combine(date(2000, 1, 1), opens) + timedelta(minutes=length)).time()
    return Window(opens=opens, closes=closes, timezone=draw(ZONES))


def changes_near(window: Window, moment: datetime) -> bool:
    zone = ZoneInfo(window.timezone)
    days = [moment + timedelta(days=day) for day in (-2, -1, 0, 1, 2)]
    return len({day.astimezone(zone).utcoffset() for day in days}) > 1


@given(windows(), MOMENTS)
def test_the_next_opening_is_not_over_and_has_a_length(window: Window, moment: datetime) -> None:
    hours = window.hours(moment)
    assert moment < hours.closes
    assert hours.opens < hours.closes
    assert hours.closes - hours.opens <= timedelta(hours=26)


@given(windows(), MOMENTS)
def test_a_window_is_open_by_the_wall_clock_of_its_zone(window: Window, moment: datetime) -> None:
    if changes_near(window, moment):
        return
    wall = moment.astimezone(ZoneInfo(window.timezone)).time()
    if window.opens < window.closes:
        shows = window.opens <= wall < window.closes
    else:
        shows = wall >= window.opens or wall < window.closes
    assert (window.hours(moment).opens <= moment) is shows


@given(windows(), MOMENTS)
def test_it_never_opens_between_now_and_its_next_opening(window: Window, moment: datetime) -> None:
    hours = window.hours(moment)
    between = hours.opens - moment
    if between <= timedelta(0):
        return
    assert between < timedelta(days=3)
    for part in range(1, 8):
        assert window.hours(moment + between * part / 8).opens == hours.opens


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def paris(opens: str, closes: str) -> Window:
    return Window(opens=time.fromisoformat(opens), closes=time.fromisoformat(closes), timezone="Europe/Paris")


def test_a_time_that_the_clock_leaves_out_is_the_end_of_the_gap() -> None:
    hours = paris("02:30", "04:00").hours(at("2026-03-29T00:00+01:00"))
    assert hours.opens == at("2026-03-29T03:00+02:00")
    assert hours.closes == at("2026-03-29T04:00+02:00")


def test_a_time_that_the_clock_shows_twice_is_the_first() -> None:
    hours = paris("02:30", "04:00").hours(at("2026-10-25T00:00+02:00"))
    assert hours.opens == at("2026-10-25T02:30+02:00")
    assert hours.closes - hours.opens == timedelta(hours=2, minutes=30)


def test_a_window_that_falls_into_the_gap_does_not_open_on_that_day() -> None:
    assert paris("02:10", "02:50").hours(at("2026-03-29T00:00+01:00")).opens == at("2026-03-30T02:10+02:00")


def test_a_window_over_midnight_is_open_after_midnight() -> None:
    hours = paris("22:00", "05:00").hours(at("2026-11-23T01:00+01:00"))
    assert hours.opens == at("2026-11-22T22:00+01:00")
    assert hours.closes == at("2026-11-23T05:00+01:00")


@given(TIMES, ZONES)
def test_a_window_without_length_is_refused_in_every_zone(moment: time, zone: str) -> None:
    with pytest.raises(ValidationError, match="can never be met"):
        Window(opens=moment, closes=moment, timezone=zone)


@pytest.mark.parametrize("zone", ["Europe/Pariz", "Mars", "", "../etc/passwd", "Europe"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError):
        Window(opens=time(2), closes=time(5), timezone=zone)


def test_a_time_with_an_offset_is_refused() -> None:
    with pytest.raises(ValidationError, match="without an offset"):
        Window(opens=time(2, tzinfo=UTC), closes=time(5), timezone="Europe/Paris")


def test_the_shortest_window_is_one_that_the_sweep_cannot_miss() -> None:
    assert timedelta(seconds=30) < SHORTEST


def standing(hold: Hold, now: str, *, spent: int = 0, expires: str | None = None) -> Standing:
    until = None if expires is None else at(expires)
    return stand(hold, RENEW, at(now), expires=until, spent=lambda _: spent)


NIGHT = paris("02:00", "05:00")


def test_a_job_waits_for_its_window_and_says_until_when() -> None:
    found = standing(Hold(window=NIGHT), "2026-11-22T12:00+01:00")
    assert (found.held, found.reason) == (True, "window opens 02:00 Europe/Paris on 23 Nov")
    assert found.not_before == at("2026-11-23T02:00+01:00")


def test_in_its_window_a_job_may_run_until_it_closes() -> None:
    found = standing(Hold(window=NIGHT), "2026-11-23T03:00+01:00")
    assert (found.held, found.not_after) == (False, at("2026-11-23T05:00+01:00"))


def test_a_certificate_that_would_expire_before_the_window_goes_ahead_and_says_so() -> None:
    found = standing(Hold(window=NIGHT), "2026-11-22T12:00+01:00", expires="2026-11-22T23:00+00:00")
    assert not found.held
    assert found.not_after is None
    assert found.reason == (
        "goes ahead of its window: the certificate expires 22 Nov 23:00 UTC,"
        " before the window opens 02:00 Europe/Paris on 23 Nov"
    )


def test_a_certificate_that_lives_until_the_window_opens_waits() -> None:
    assert standing(Hold(window=NIGHT), "2026-11-22T12:00+01:00", expires="2026-11-23T09:00+00:00").held


def test_a_budget_that_is_spent_says_when_it_is_whole_again() -> None:
    hold = Hold(budget=Budget(jobs=100, per="day"))
    found = standing(hold, "2026-11-22T12:00+00:00", spent=100)
    expected = "budget of 100 ublox.renew_certificate jobs per day is spent; next at 00:00 UTC on 23 Nov"
    assert (found.held, found.reason, found.not_before) == (True, expected, at("2026-11-23T00:00+00:00"))
    assert standing(hold, "2026-11-22T12:00+00:00", spent=99).spends


@given(MOMENTS)
def test_a_month_ends_with_the_first_day_of_the_next(moment: datetime) -> None:
    again = Budget(jobs=1, per="month").next(moment)
    assert (again.day, again.hour) == (1, 0)
    assert moment < again <= moment + timedelta(days=31)
    assert again.month != moment.month


def test_a_budget_of_an_hour_is_whole_again_with_the_next_hour() -> None:
    found = standing(Hold(budget=Budget(jobs=2, per="hour")), "2026-11-22T23:40+00:00", spent=2)
    assert found.reason.endswith("next at 00:00 UTC on 23 Nov")
    assert found.not_before == at("2026-11-23T00:00+00:00")
    assert Budget(jobs=2, per="hour").next(at("2026-11-22T11:59+01:00")) == at("2026-11-22T11:00+00:00")


def test_budgets_are_compared_by_what_they_allow_in_a_day() -> None:
    budgets = [Budget(jobs=100, per="day"), Budget(jobs=5, per="hour"), Budget(jobs=2_900, per="month")]
    assert sorted(budgets, key=lambda budget: budget.per_day) == [budgets[2], budgets[0], budgets[1]]


def test_a_person_is_asked_first_then_the_hours_then_the_money() -> None:
    hold = Hold(approval=Approval(role="admin"), window=NIGHT, budget=Budget(jobs=1, per="day"))
    first = standing(hold, "2026-11-22T12:00+01:00", spent=1)
    assert first.reason == "waits for approval by an admin"
    second = standing(hold.model_copy(update={"approval": None}), "2026-11-22T12:00+01:00", spent=1)
    assert second.reason.startswith("window opens")
    third = standing(hold.model_copy(update={"approval": None}), "2026-11-23T03:00+01:00", spent=1)
    assert third.reason.startswith("budget of 1")


def test_a_job_that_was_let_go_once_is_not_counted_twice() -> None:
    first = standing(Hold(window=NIGHT), "2026-11-23T03:00+01:00")
    assert first.spends
    assert first.hold is not None
    counted = first.hold.model_copy(
        update={"counted": Counted(hour="2026-11-23T02"), "budget": Budget(jobs=1, per="day")}
    )
    again = standing(counted, "2026-11-24T03:00+01:00", spent=1)
    assert not again.held
    assert not again.spends


@given(windows())
def test_what_the_ledger_keeps_is_read_back_the_same(window: Window) -> None:
    hold = Hold(window=window, approval=Approval(role="operator"), budget=Budget(jobs=3, per="month"), waits="approval")
    assert Hold.model_validate_json(hold.text()) == hold
