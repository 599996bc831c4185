"""When a certificate is to be renewed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ublox import CertificateLook, DeviceLook
from services.operations.renewal_lead import BEATS, is_silent, lead_of, next_look, renewal_due_at
from tests.conftest import Clock

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ISSUED = datetime(2026, 1, 1, tzinfo=UTC)

HEARTBEATS = st.timedeltas(min_value=timedelta(minutes=10), max_value=timedelta(days=30))
LIVES = st.integers(min_value=30, max_value=3650).map(timedelta)


def look(
    clock: Clock,
    *,
    days: float | None,
    life: int | None = None,
    every: timedelta | None = None,
    seen: timedelta | None = None,
) -> DeviceLook:
    ends = None if days is None else clock() + days * DAY
    return DeviceLook(
        uid="0002000089280087",
        certificate=CertificateLook(serial=1, ca_name="ca", expires_at=ends, validity_days=life),
        heartbeat=every,
        last_seen=None if seen is None else clock() - seen,
    )


@pytest.mark.parametrize(
    ("life", "heartbeat", "lead"),
    [
        (365, HOUR, 3 * DAY),
        (365, DAY, 4.5 * DAY),
        (365, 14 * DAY, 37 * DAY),
        (90, 14 * DAY, 35 * DAY),  # more than a third of the life, for two heartbeats need it
        (90, 12 * DAY, 30 * DAY),
        (30, 4 * DAY, 10 * DAY),
        (365, None, 365 / 3 * DAY),
        (None, None, 30 * DAY),
        (None, HOUR, 3 * DAY),
    ],
)
def test_the_lead_follows_the_heartbeat(life: int | None, heartbeat: timedelta | None, lead: timedelta) -> None:
    assert lead_of(None if life is None else life * DAY, heartbeat) == lead


@given(life=LIVES, heartbeat=HEARTBEATS, phase=st.floats(0, 1, exclude_max=True), late=st.floats(0, 1))
def test_a_device_that_calls_in_does_so_twice_between_the_request_and_the_end(
    life: timedelta, heartbeat: timedelta, phase: float, late: float
) -> None:
    """Whatever moment of the day the schedule fires, and wherever the heartbeats fall."""
    ends = ISSUED + life
    asked = max(ISSUED, ends - lead_of(life, heartbeat))
    if asked > ISSUED:
        asked += late * min(DAY, heartbeat / 2)
    first = ISSUED + phase * heartbeat
    beats = [at for at in (first + n * heartbeat for n in range(int(life / heartbeat) + 2)) if asked < at <= ends]
    assert len(beats) >= min(2, int((ends - asked) / heartbeat))
    if life >= BEATS * heartbeat:
        assert len(beats) >= 2


@given(life=LIVES, heartbeat=HEARTBEATS)
def test_no_renewal_costs_more_than_a_third_of_a_life_unless_the_heartbeats_need_it(
    life: timedelta, heartbeat: timedelta
) -> None:
    assert lead_of(life, heartbeat) <= max(life / 3, BEATS * heartbeat)


def test_a_certificate_whose_end_is_not_told_is_never_due(clock: Clock) -> None:
    assert renewal_due_at(look(clock, days=None, every=HOUR, seen=HOUR), clock()) is None
    assert renewal_due_at(DeviceLook(uid="0002000089280087"), clock()) is None


@pytest.mark.parametrize(
    ("every", "seen", "lead"),
    [
        (HOUR, HOUR, 3 * DAY),
        (HOUR, 3 * HOUR, 30 * DAY),  # silent
        (14 * DAY, 29 * DAY, 35 * DAY),  # silent, and two of its heartbeats need more than a third
        (None, HOUR, 30 * DAY),
        (HOUR, None, 30 * DAY),
    ],
)
def test_a_device_that_may_not_call_in_again_soon_has_a_third_of_the_life(
    every: timedelta | None, seen: timedelta | None, lead: timedelta, clock: Clock
) -> None:
    due = renewal_due_at(look(clock, days=80, life=90, every=every, seen=seen), clock())
    assert due == clock() + 80 * DAY - lead


def test_a_life_that_is_not_told_is_the_one_that_is_given(clock: Clock) -> None:
    due = renewal_due_at(look(clock, days=80), clock(), life_unless_told=30 * DAY)
    assert due == clock() + 70 * DAY


@pytest.mark.parametrize(
    ("every", "seen", "silent"),
    [
        (HOUR, 2 * HOUR, False),
        (HOUR, timedelta(hours=2, seconds=1), True),
        (None, 99 * DAY, False),
        (HOUR, None, False),
    ],
)
def test_two_heartbeats_without_a_word_are_silence(
    every: timedelta | None, seen: timedelta | None, *, silent: bool, clock: Clock
) -> None:
    assert is_silent(look(clock, days=1, every=every, seen=seen), clock()) is silent


@pytest.mark.parametrize(
    ("every", "seen", "wait"),
    [
        (None, None, HOUR),
        (timedelta(minutes=10), timedelta(minutes=4), timedelta(minutes=66)),
        (14 * DAY, 13 * DAY, DAY + HOUR),
        (14 * DAY, 20 * DAY, 8 * DAY + HOUR),  # one was missed
        (14 * DAY, 29 * DAY, DAY),  # silent: it may come at any time
        (3 * HOUR, 29 * DAY, 3 * HOUR),
        (timedelta(minutes=10), 29 * DAY, HOUR),
        (14 * DAY, None, DAY),
    ],
)
def test_the_next_look_comes_when_the_device_should_have_called_in(
    every: timedelta | None, seen: timedelta | None, wait: timedelta, clock: Clock
) -> None:
    assert next_look(look(clock, days=9, every=every, seen=seen), clock(), HOUR) == clock() + wait
