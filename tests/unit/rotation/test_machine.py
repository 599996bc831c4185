"""Anything that may happen to a location, in any order: devices come and go, workers die, months pass, phones walk."""

from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from schemas.fleet import DEVICE
from schemas.jobs import Awaiting, Done
from tests.support.rotation_world import World

NUMBERS = st.integers(min_value=0, max_value=3)


class Location(RuleBasedStateMachine):
    """Four devices of both generations, six phones, of which one sleeps, and jobs that are tried in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(4, firmware=("2.49.0.1", "2.50.0.76"), phones=6)
        self.world.hold()
        self.world.crowd.tour()
        self.serials = list(self.world.devices)
        self.sleeper = self.world.crowd.phones.pop()

    @rule(days=st.sampled_from([0, 0, 30, 120]), drop_after=st.sampled_from([1, 90]))
    @precondition(lambda self: len(self.world.jobs) < 8)
    def ask(self, days: int, drop_after: int) -> None:
        """Wish for a rotation."""
        self.world.ask(at_most_every_days=days, drop_after_days=drop_after)

    @rule(number=NUMBERS)
    @precondition(lambda self: len(self.world.jobs) < 8)
    def ask_for_one(self, number: int) -> None:
        """Wish for one device to be brought in line."""
        self.world.ask(DEVICE + self.serials[number])

    @rule(choice=st.integers(min_value=0, max_value=7))
    @precondition(lambda self: self.world.jobs)
    def work(self, choice: int) -> None:
        """Try a job."""
        self._attempt(choice)

    @rule(
        choice=st.integers(min_value=0, max_value=7), step=st.integers(1, 50), when=st.sampled_from(["before", "after"])
    )
    @precondition(lambda self: self.world.jobs)
    def work_and_die(self, choice: int, step: int, when: str) -> None:
        """Try a job and die of it."""
        self.world.dies_at = (self.world.steps + step, when)
        self._attempt(choice)
        self.world.dies_at = None

    @rule(number=NUMBERS)
    def a_device_goes_away(self, number: int) -> None:
        """It answers no more; phones go on with it."""
        self.world.silent.add(self.serials[number])

    @rule(number=NUMBERS)
    def a_device_comes_back(self, number: int) -> None:
        """It answers again."""
        self.world.silent.discard(self.serials[number])

    @rule(days=st.sampled_from([1, 50, 100]))
    def time_passes(self, days: int) -> None:
        """Nothing happens but that."""
        self.world.now += timedelta(days=days)

    @rule()
    @precondition(lambda self: len(self.world.jobs) < 8 and not self.world.silent)
    def a_rotation_in_peace(self) -> None:
        """All devices are there, and after it come three quiet months."""
        self.world.attempt(self.world.ask())
        self.world.now += timedelta(days=100)

    @rule(number=NUMBERS)
    def the_sleeper_wakes(self, number: int) -> None:
        """A phone that rarely comes by comes by."""
        self.world.crowd.visit(self.sleeper, self.world.devices[self.serials[number]])

    @rule()
    def phones_walk(self) -> None:
        """Each time to some door."""
        self.world.crowd.step(10)

    @invariant()
    def nobody_is_locked_out(self) -> None:
        """The promise."""
        assert self.world.lockouts == 0

    @invariant()
    def what_a_device_hands_to_phones_every_device_knows(self) -> None:
        """Why the promise holds."""
        lists = [device.keys for device in self.world.devices.values()]
        assert all(one[0] in other for one in lists for other in lists)
        assert all(len(keys) == len(set(keys)) <= 4 for keys in lists)

    def teardown(self) -> None:
        """Everything is back: what was begun comes to its end, and all lists are one."""
        self.world.silent.clear()
        pending = [job for job in self.world.jobs if not isinstance(self.world.outcomes.get(job), Done)]
        for _ in range(4):
            self.world.now += timedelta(days=1)
            pending = [job for job in pending if isinstance(self.world.attempt(job), Awaiting)]
        assert not pending
        self.world.crowd.phones.append(self.sleeper)
        self.world.crowd.tour()
        self.nobody_is_locked_out()

    def _attempt(self, choice: int) -> None:
        open_jobs = [job for job in self.world.jobs if not isinstance(self.world.outcomes.get(job), Done)]
        if open_jobs:
            self.world.attempt(open_jobs[choice % len(open_jobs)])


TestLocation = Location.TestCase
TestLocation.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
