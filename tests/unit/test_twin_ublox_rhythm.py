"""Heartbeats that are computed are those that a walk through them would find."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox.ublox.clock import VirtualClock
from services.sandbox.ublox.recruits import Recruits
from services.sandbox.ublox.rhythm import Rhythm, Silence
from services.sandbox.ublox.timeline import Timeline

START = datetime(2026, 1, 1, tzinfo=UTC)
WALKED = 400

minutes = st.integers(min_value=-50, max_value=300)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


@st.composite
def rhythms(draw: st.DrawFn) -> Rhythm:
    spans = draw(st.lists(st.tuples(minutes, st.integers(1, 90)), max_size=4))
    return Rhythm(
        first=START,
        interval=timedelta(minutes=draw(st.integers(1, 60))),
        silences=[Silence(start=at(begin), end=at(begin + length)) for begin, length in spans],
    )


def walked(rhythm: Rhythm) -> list[datetime]:
    moments = (rhythm.first + number * rhythm.interval for number in range(WALKED))
    return [moment for moment in moments if not rhythm.silent_at(moment)]


@given(rhythms(), minutes)
def test_the_next_heartbeat_is_the_first_one_after_the_moment(rhythm: Rhythm, minute: int) -> None:
    assert rhythm.next_after(at(minute)) == min(beat for beat in walked(rhythm) if beat > at(minute))


@given(rhythms(), minutes)
def test_the_last_heartbeat_is_the_latest_one_up_to_the_moment(rhythm: Rhythm, minute: int) -> None:
    assert rhythm.last_until(at(minute)) == max((beat for beat in walked(rhythm) if beat <= at(minute)), default=None)


def test_after_the_beginning_of_an_endless_silence_nothing_comes() -> None:
    rhythm = Rhythm(first=START, interval=timedelta(minutes=10), silences=[Silence(start=at(15))])
    assert rhythm.next_after(at(0)) == at(10)
    assert rhythm.next_after(at(10)) is None
    assert rhythm.last_until(at(1000)) == at(10)


def test_plans_come_in_order_of_time_and_then_of_planning() -> None:
    timeline, done = Timeline(), list[str]()
    for minute, name in ((2, "c"), (1, "a"), (1, "b"), (3, "d")):
        timeline.at(at(minute), partial(done.append, name))
    while due := timeline.take_due(at(2)):
        due[1]()
    assert done == ["a", "b", "c"]
    assert timeline.next_moment == at(3)


def test_a_virtual_clock_never_goes_back_and_needs_a_zone() -> None:
    clock = VirtualClock(START)
    clock.move_to(at(5))
    clock.move_to(at(1))
    assert clock() == at(5)
    with pytest.raises(ValueError, match="zone"):
        VirtualClock(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the fault


def test_a_varied_fleet_is_the_same_for_the_same_seed_and_stays_in_its_ranges() -> None:
    def fleet(seed: int) -> list[tuple[float | None, tuple[float, float]]]:
        recruits = Recruits(
            count=300,
            heartbeat_range=(3600, 1_209_600),
            certificate_days_range=(30, 365),
            certificate_days_left=None,
            seed=seed,
        )
        return list(zip(recruits.heartbeats(), recruits.lives(), strict=True))

    one = fleet(1)
    assert one == fleet(1) != fleet(2)
    assert all(beat is not None and 3600 <= beat <= 1_209_600 for beat, _ in one)
    assert all(30 <= whole <= 365 and left == whole for _, (whole, left) in one)
    assert sum(beat is not None and beat < 65_000 for beat, _ in one) > 100  # as many below as above the geometric mean
