from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InputError
from schemas.rhythm import CAP, LOOK_BACK, Rhythm, not_before, offset_of, rhythm_of
from schemas.schedules import RULE, Spec

PARIS = "Europe/Paris"
ZONES = (
    "UTC",
    PARIS,
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Africa/Casablanca",
)


def moments(spec: Spec, first: datetime, last: datetime) -> list[datetime]:
    """Every due moment of a period."""
    rhythm, found, moment = Rhythm(spec), [], first
    while (moment := rhythm.after(moment)) <= last:
        found.append(moment)
    return found


def local(found: list[datetime], zone: str) -> list[str]:
    return [f"{moment.astimezone(ZoneInfo(zone)):%d %H:%M %z}" for moment in found]


def test_a_time_that_the_clock_leaves_out_fires_once_right_after_the_gap() -> None:
    """In Paris the hour from 2 to 3 did not exist on 29 March 2026."""
    found = moments(
        Spec(cron="30 2 * * *", timezone=PARIS),
        datetime(2026, 3, 28, tzinfo=UTC),
        datetime(2026, 3, 30, 12, tzinfo=UTC),
    )
    assert local(found, PARIS) == ["28 02:30 +0100", "29 03:00 +0200", "30 02:30 +0200"]


def test_several_times_in_the_gap_fire_once() -> None:
    found = moments(
        Spec(cron="*/15 2 * * *", timezone=PARIS),
        datetime(2026, 3, 28, 12, tzinfo=UTC),
        datetime(2026, 3, 29, 12, tzinfo=UTC),
    )
    assert local(found, PARIS) == ["29 03:00 +0200"]


def test_a_time_that_the_clock_shows_twice_fires_the_first_time() -> None:
    found = moments(
        Spec(cron="30 2 * * *", timezone=PARIS),
        datetime(2026, 10, 24, 12, tzinfo=UTC),
        datetime(2026, 10, 26, 12, tzinfo=UTC),
    )
    assert local(found, PARIS) == ["25 02:30 +0200", "26 02:30 +0100"]


@pytest.mark.parametrize("hours", ["*", "*/1", "0-23", "0-11,12-23"])
def test_an_hourly_schedule_follows_real_time(hours: str) -> None:
    spec = Spec(cron=f"30 {hours} * * *", timezone=PARIS)
    for day in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        found = moments(spec, day, day + timedelta(hours=6))
        assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(hours=1)}


@given(
    zone=st.sampled_from(ZONES),
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    start=st.dates(date(2025, 1, 1), date(2027, 12, 1)),
)
def test_a_daily_schedule_fires_once_on_each_day_of_its_zone(zone: str, minute: int, hour: int, start: date) -> None:
    """Whatever clocks do: a day may have 23 to 25 hours, and some have a gap at midnight."""
    first = datetime(start.year, start.month, start.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    found = moments(
        Spec(cron=f"{minute} {hour} * * *", timezone=zone), first - timedelta(seconds=1), first + timedelta(20)
    )
    days = [moment.astimezone(ZoneInfo(zone)).date() for moment in found]
    assert len(set(days)) == len(days)
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))


@given(
    cron=st.sampled_from(
        ["*/7 * * * *", "5 */3 * * *", "*/20 1-4 * * *", "0 0 1 * *", "0 12 * * MON-FRI", "59 23 L * *"]
    ),
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants them so
)
def test_moments_only_go_forward_and_do_not_hang_on_where_one_begins(cron: str, zone: str, start: datetime) -> None:
    rhythm = Rhythm(Spec(cron=cron, timezone=zone))
    first = rhythm.after(start)
    second = rhythm.after(first)
    assert start < first < second
    assert rhythm.after(first - timedelta(microseconds=1)) == first
    assert rhythm.after(first + (second - first) / 2) == second


def test_an_interval_finds_the_same_moments_on_every_machine() -> None:
    rhythm = Rhythm(Spec(every_seconds=900))
    for seconds in (0, 1, 899):
        assert rhythm.after(datetime(2026, 5, 10, 12, 0, tzinfo=UTC) + timedelta(seconds=seconds)) == datetime(
            2026, 5, 10, 12, 15, tzinfo=UTC
        )


def test_what_has_passed_is_counted_and_bounded() -> None:
    rhythm, now = Rhythm(Spec(every_seconds=60)), datetime(2026, 5, 10, 12, tzinfo=UTC)
    few = rhythm.passed(now - timedelta(minutes=2), now)
    assert (few.count, few.latest) == (3, tuple(now - timedelta(minutes=ago) for ago in (2, 1, 0)))
    many = rhythm.passed(now - timedelta(days=1), now)
    assert (many.count, len(many.latest), many.latest[-1]) == (1441, CAP, now)
    ages = rhythm.passed(now - timedelta(days=400), now)
    assert (ages.count, ages.first) == (LOOK_BACK // timedelta(minutes=1), now - LOOK_BACK + timedelta(minutes=1))


def test_a_rare_moment_that_was_missed_long_ago_still_counts() -> None:
    first, now = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 5, 10, tzinfo=UTC)
    passed = Rhythm(Spec(cron="0 0 1 1 *")).passed(first, now)
    assert (passed.count, passed.latest, passed.first) == (1, (first,), first)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (Spec(cron="61 2 * * *"), "cron: Bad minute"),
        (Spec(cron="0 0 31 2 *"), "cron: Bad day-of-month"),
        (Spec(cron="a b c d e"), "cron: Bad minute"),
        (Spec(cron="0 2 * * *", timezone="Europe/Pariss"), "timezone: Europe/Pariss is no zone"),
        (Spec(every_seconds=60, timezone="../etc/passwd".replace(".", "")), "timezone: /etc/passwd is no zone"),
    ],
)
def test_what_makes_no_sense_is_refused(spec: Spec, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Rhythm(spec)


@pytest.mark.parametrize(
    "spec",
    [{}, {"cron": "0 2 * * *", "every_seconds": 60}, {"every_seconds": 60, "jitter_seconds": 60}, {"cron": "0 2 * *"}],
)
def test_a_schedule_has_one_rhythm(spec: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected exactly one|must be less|should match"):
        Spec.model_validate(spec)


@given(words=st.text(), within=st.integers(0, 86_400))
def test_jitter_is_always_the_same_for_the_same_words(words: str, within: int) -> None:
    offset = offset_of(words, within)
    assert offset == offset_of(words, within)
    assert timedelta() <= offset < timedelta(seconds=max(within, 1))


def test_jitter_spreads_the_targets_of_a_schedule_and_shifts_one_without_targets() -> None:
    spec, due = Spec(every_seconds=3600, jitter_seconds=600), datetime(2026, 5, 10, 12, tzinfo=UTC)
    assert rhythm_of("rule:a", RULE, spec).after(due) == due + timedelta(hours=1)
    shifted = rhythm_of("certificate-scan", "ublox.scan_certificates", spec).after(due)
    assert (shifted - due) % timedelta(hours=1) == offset_of("certificate-scan", 600)
    starts = {not_before("rule:a", f"{number:016x}", spec, due) for number in range(200)}
    assert len(starts) > 100
    assert max(starts) < due + timedelta(seconds=600)
