"""Circuit breakers that processes share: who fails again and again is left alone, and asked again by one caller.

Our own, because no kept library does all of it: purgatory 3.0 and pybreaker 1.4 let every caller through when the pause
is over, read and write Redis without an exchange of old for new, know no Retry-After, and wait for a Redis that hangs;
pybreaker besides holds a lock for the length of the call that it guards.

    closed ── `failures` in a row, or told to wait ──▶ open ── pause over, one caller probes ──▶ closed
                                                         ◀── the probe fails, the pause doubles ──┘

The state lives in Redis under the name of the circuit. Each process also keeps what it saw last: a pause that it knows
of holds whatever becomes of Redis, and without Redis it goes on from there by itself.
"""

import dataclasses
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Self

from infra.coordination import Coordination

PREFIX: Final = "circuit:"

_KEPT: Final = 7200.0
"""Seconds that Redis keeps a state after its pause."""

_TRIES: Final = 16
"""Exchanges of old for new before a process goes by its own view."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Temper:
    """How soon a circuit opens and how long it stays so; times in seconds.

    Attributes:
        failures: in a row, after which it opens.
        pause: until the first probe; it doubles with each probe that fails.
        cap: the longest pause, unless the upstream asks for a longer one.
        probe: after which a probe that has not come back is given up; longer than any call.
    """

    failures: int = 5
    pause: float = 5.0
    cap: float = 60.0
    probe: float = 150.0

    def pause_after(self, trips: int) -> float:
        """The pause when a circuit has opened for the so-manieth time in a row."""
        return min(self.cap, self.pause * 2.0 ** min(trips - 1, 30))


@dataclass(frozen=True, kw_only=True, slots=True)
class Circuit:
    """The state of a circuit; times in seconds since 1970.

    Attributes:
        failures: in a row, while it is closed.
        trips: how often it has opened without a success since; 0 means closed.
        until: before this no call is made.
        probe: the call that tries whether all is well again.
        probe_until: then another may.
        reason: what opened it.
    """

    failures: int = 0
    trips: int = 0
    until: float = 0.0
    probe: str = ""
    probe_until: float = 0.0
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether calls are held back."""
        return self.trips > 0

    def admits(self, now: float) -> bool:
        """Whether a call may be made now: always, or as the probe."""
        return not self.is_open or (now >= self.until and (not self.probe or now >= self.probe_until))

    def entered(self, call: str, now: float, temper: Temper) -> Self:
        """What it becomes when a call that is admitted begins."""
        return replace(self, probe=call, probe_until=now + temper.probe) if self.is_open else self

    def succeeded(self, call: str) -> Self:
        """What it becomes when a call was answered; one from before the outage closes nothing."""
        return type(self)() if not self.is_open or self.probe == call else self

    def failed(self, call: str, now: float, told: float | None, reason: str, temper: Temper) -> Self:
        """What it becomes when a call failed; `told` is the pause that the upstream asked for."""
        asked = now + (told or 0.0)
        if self.is_open and self.probe != call:
            return replace(self, until=max(self.until, asked))
        failures = self.failures + 1
        if told is None and not self.is_open and failures < temper.failures:
            return replace(self, failures=failures)
        trips = self.trips + 1
        ours = trips if told is None else trips - 1  # who tells a pause is believed the first time
        pause = temper.pause_after(ours) if ours else 0.0
        return type(self)(trips=trips, until=max(asked, now + pause), reason=reason)

    def abandoned(self, call: str) -> Self:
        """What it becomes when a call was not made after all."""
        return replace(self, probe="", probe_until=0.0) if self.probe == call and call else self

    def written(self) -> bytes:
        """As it stands in Redis."""
        return json.dumps(dataclasses.asdict(self)).encode()

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Read what `written` gave; anything else is a closed circuit."""
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError):
            return cls()


CLOSED: Final = Circuit()

Step = Callable[[Circuit], Circuit]


@dataclass(slots=True)
class Circuits:
    """The circuits of every upstream and device, as one process sees them.

    Attributes:
        coordination: shares them between processes; without it each process has its own.
        clock: the time now, with its zone.
    """

    coordination: Coordination | None
    clock: Callable[[], datetime]
    temper: Temper = field(default_factory=Temper)
    _seen: dict[str, Circuit] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, name: str, call: str) -> Circuit | None:
        """Begin a call; the circuit that holds it back, or None when it may be made."""
        now, seen = self._now(), self._seen.get(name, CLOSED)
        if now < seen.until:
            return seen
        held_back: list[Circuit] = []

        def step(circuit: Circuit) -> Circuit:
            held_back.clear()
            if not circuit.admits(now):
                held_back.append(circuit)
                return circuit
            return circuit.entered(call, now, self.temper)

        self._change(name, step)
        return held_back[0] if held_back else None

    def succeeded(self, name: str, call: str) -> None:
        """A call was answered."""
        if name in self._seen:  # else there is nothing to mend: no failure, no probe
            self._change(name, lambda circuit: circuit.succeeded(call))

    def failed(self, name: str, call: str, *, told: float | None, reason: str) -> Circuit | None:
        """A call failed; give the circuit when that has opened it."""
        now, before = self._now(), [CLOSED]

        def step(circuit: Circuit) -> Circuit:
            before[0] = circuit
            return circuit.failed(call, now, told, reason, self.temper)

        circuit = self._change(name, step)
        return circuit if circuit.trips > before[0].trips else None

    def abandoned(self, name: str, call: str) -> None:
        """A call was not made after all."""
        if name in self._seen:
            self._change(name, lambda circuit: circuit.abandoned(call))

    def _now(self) -> float:
        return self.clock().timestamp()

    def _change(self, name: str, step: Step) -> Circuit:
        """Exchange the state for the next one: in Redis, or without it in this process."""
        with self._lock:
            seen = self._seen.get(name, CLOSED)
        changed = None if self.coordination is None else self._exchanged(name, seen, step, self.coordination)
        if changed is not None:
            return self._remember(name, changed)
        with self._lock:
            changed = step(self._seen.get(name, CLOSED))
        return self._remember(name, changed)

    def _exchanged(self, name: str, seen: Circuit, step: Step, coordination: Coordination) -> Circuit | None:
        """The next state, as Redis has it now; None when Redis cannot say, or others are always quicker.

        Where Redis has no state, as after a wipe, what we saw last is the state.
        """
        for _ in range(_TRIES):
            raw = coordination.get(PREFIX + name)
            if raw is None and not coordination.available:
                return None
            held = seen if raw is None else Circuit.read(raw)
            changed = step(held)
            if changed == held or coordination.swap(PREFIX + name, raw, changed.written(), ttl=self._life(changed)):
                return changed
        return None

    def _life(self, circuit: Circuit) -> float:
        return max(0.0, circuit.until - self._now()) + _KEPT

    def _remember(self, name: str, circuit: Circuit) -> Circuit:
        with self._lock:
            if circuit == CLOSED:
                self._seen.pop(name, None)
            else:
                self._seen[name] = circuit
        return circuit
