"""The states of a circuit breaker, without anybody to call."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from infra.circuits import CLOSED, Circuit, Circuits, Temper
from tests.conftest import Clock

TEMPER = Temper(failures=3, pause=5.0, cap=60.0, probe=100.0)
NOW = 1000.0


def failed(circuit: Circuit, times: int, *, told: float | None = None) -> Circuit:
    for _ in range(times):
        circuit = circuit.failed("call", NOW, told, "answered 503", TEMPER)
    return circuit


def test_it_opens_after_some_failures_in_a_row_and_a_success_between_them_starts_anew() -> None:
    twice = failed(CLOSED, 2)
    assert not twice.is_open
    assert twice.succeeded("call") == CLOSED
    assert failed(twice, 1).is_open
    assert failed(twice, 1).until == NOW + TEMPER.pause


def test_who_tells_us_to_wait_is_believed_at_once_and_to_the_second() -> None:
    told = failed(CLOSED, 1, told=120.0)
    assert (told.is_open, told.until) == (True, NOW + 120)
    assert not told.admits(NOW + 119.9)
    assert told.admits(NOW + 120)


def test_who_tells_us_to_wait_for_nothing_again_and_again_is_asked_ever_more_seldom() -> None:
    circuit, pauses = CLOSED, []
    for _ in range(6):
        circuit = circuit.entered("call", NOW, TEMPER).failed("call", NOW, 0.0, "answered 503", TEMPER)
        pauses.append(circuit.until - NOW)
    assert pauses == [0, 5, 10, 20, 40, 60]


def test_one_call_probes_and_what_it_finds_decides() -> None:
    waiting = failed(CLOSED, 3)
    late = waiting.until
    probing = waiting.entered("probe", late, TEMPER)
    assert not probing.admits(late)
    assert probing.succeeded("another from before") == probing
    assert probing.succeeded("probe") == CLOSED
    again = probing.failed("probe", late, None, "no answer", TEMPER)
    assert (again.until, again.reason) == (late + 2 * TEMPER.pause, "no answer")


def test_a_probe_that_never_comes_back_is_followed_by_another() -> None:
    probing = failed(CLOSED, 3).entered("probe", NOW + 5, TEMPER)
    assert not probing.admits(NOW + 5 + TEMPER.probe - 1)
    assert probing.admits(NOW + 5 + TEMPER.probe)
    assert probing.abandoned("probe").admits(NOW + 5)


def test_a_late_failure_from_before_adds_nothing_but_the_pause_that_it_was_told() -> None:
    open_ = failed(CLOSED, 3)
    assert open_.failed("old", NOW, None, "no answer", TEMPER) == open_
    assert open_.failed("old", NOW, 300.0, "answered 429", TEMPER).until == NOW + 300


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"unknown": 1}', b"null"])
def test_a_state_that_nobody_can_read_is_a_closed_one(text: bytes) -> None:
    assert Circuit.read(text) == CLOSED


class Outage(RuleBasedStateMachine):
    """Calls that overlap in any way, on a clock that only goes forward."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.circuits = Circuits(None, self.clock, TEMPER)
        self.under_way: list[str] = []
        self.count = 0
        self.shut_until = datetime.min.replace(tzinfo=UTC)

    @rule()
    def begin(self) -> None:
        """A call wants to begin."""
        self.count += 1
        if self.circuits.enter("x", str(self.count)) is None:
            assert self.clock() >= self.shut_until, "sooner than told"
            self.under_way.append(str(self.count))

    @rule(told=st.none() | st.floats(0, 100))
    def fail(self, told: float | None) -> None:
        """The oldest call fails."""
        if self.under_way:
            self.circuits.failed("x", self.under_way.pop(0), told=told, reason="answered 503")
            if told is not None:
                until = self.clock() + timedelta(seconds=told) - timedelta(milliseconds=1)
                self.shut_until = max(self.shut_until, until)

    @rule()
    def succeed(self) -> None:
        """The oldest call is answered."""
        if self.under_way:
            self.circuits.succeeded("x", self.under_way.pop(0))

    @rule()
    def abandon(self) -> None:
        """The oldest call was not made after all."""
        if self.under_way:
            self.circuits.abandoned("x", self.under_way.pop(0))

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.forward(seconds=seconds)

    @invariant()
    def it_never_stays_shut_for_ever(self) -> None:
        """Whatever happened, a bounded time later a call is admitted."""
        circuit = self.circuits.enter("x", "")
        if circuit is None:
            self.circuits.abandoned("x", "")
            return
        assert max(circuit.until, circuit.probe_until) <= self.clock().timestamp() + max(TEMPER.cap, TEMPER.probe, 100)


TestOutage = Outage.TestCase
TestOutage.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
