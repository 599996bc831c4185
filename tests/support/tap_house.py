"""A house of one Tap in memory: the worker's attempts at it, the ledger's part, and sudden deaths."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.jobs import Again, Awaiting, Done, Job, Outcome
from schemas.references import SecretReference
from services.clients.tap import Method, Request, Response
from services.clients.tap import Path as TapPath
from services.fleet.access import FleetTaps
from services.operations import Tools
from services.operations.reconfigure_tap import ReconfigureTap
from services.operations.tap_access import TapOrder, TapSession
from services.operations.tap_work import TapWork
from services.sandbox.tap.device import Device
from tests.support.inventory import read_fleet, taps_in
from tests.support.taps import FULL, SECRETS, SERIAL, MemoryAddress, make_device, write_fleet

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Killed(BaseException):
    """This process was killed."""


@dataclass
class House:
    """A Tap in memory, the way to it, and the ledger's part: progress and clock."""

    folder: Path
    device: Device = field(default_factory=make_device)
    configuration: str = FULL
    progress: dict[str, Any] = field(default_factory=dict)
    now: datetime = START
    ours: bool = True

    def __post_init__(self) -> None:
        self.fleet = read_fleet(write_fleet(self.folder, configuration=self.configuration))
        self.address = MemoryAddress(self.device)
        self.taps = taps_in(self.fleet, address_of=lambda _: self.address)

    def perform(self, wrap: Callable[[FleetTaps], Any] = lambda taps: taps) -> Outcome:
        """One attempt, with what earlier ones noted."""
        tools = Tools(
            taps=wrap(self.taps),
            note=self._note,
            clock=lambda: self.now,
            renewal_look_every=timedelta(hours=1),
            renewal_deadline=timedelta(days=14),
        )
        job = Job(
            id=1,
            operation="tap.reconfigure",
            target=SERIAL,
            parameters={},
            fence=1,
            attempt=1,
            claimed_at=self.now,
            created_at=self.now,
            progress=dict(self.progress),
        )
        outcome = ReconfigureTap().perform([job], tools)[1]
        progress = getattr(outcome, "progress", None)
        self.progress = self.progress if progress is None else dict(progress)
        return outcome

    def finish(self, most: int = 4) -> Done:
        """Attempts until the end."""
        for _ in range(most):
            outcome = self.perform()
            if isinstance(outcome, Done):
                return outcome
            assert isinstance(outcome, Again | Awaiting), outcome
        raise AssertionError(f"not done after {most} attempts: {outcome}")

    def _note(self, noted: Sequence[tuple[Job, Mapping[str, Any]]]) -> set[int]:
        self.progress = dict(noted[0][1])
        return {job.id for job, _ in noted} if self.ours else set()


def assert_ends_well(house: House) -> None:
    """The Tap is as wished, by its own memory and by a look, and was never near a lock-out."""
    device = house.device
    users = {number: group.name for number, group in device.memory.groups.items()}
    assert users[7] == b"night"
    assert device.memory.stored[path_of("/1024//10")] == b"\x02\x03\x00\x04"
    assert device.memory.stored[path_of("/1024//25")] == b"plant"
    for path, name in (("37", "public.pem"), ("38", "private.pem"), ("57", "broker.pem")):
        assert device.memory.stored[path_of(f"/1024//{path}")] == SECRETS[name].encode()
    assert device.tally.restarts
    assert device.tally.logins["refused"] <= 2
    assert device.tally.logins["locked out"] == 0
    taps = taps_in(house.fleet, address_of=lambda _: house.address)
    plan = TapWork(taps.order(SERIAL), taps, wanted_first=True).look()
    assert (plan.steps, plan.refusals) == ((), ())


def path_of(text: str) -> TapPath:
    """Read a path."""
    return TapPath.parse(text)


def count_writes(folder: Path) -> int:
    """How many writes a whole run takes."""
    house = House(folder)
    house.finish()
    return house.device.tally.write_count


@dataclass
class Deadly:
    """The way to the Taps for a process that is killed at its n-th write."""

    taps: FleetTaps
    left: int
    after: bool

    def order(self, serial: str) -> TapOrder:
        """Pass it on."""
        return self.taps.order(serial)

    def reveal(self, reference: SecretReference) -> Any:
        """Pass it on."""
        return self.taps.reveal(reference)

    def forgive(self, serial: str, user: str) -> None:
        """Pass it on."""
        self.taps.forgive(serial, user)

    @contextmanager
    def open(self, serial: str) -> Iterator[TapSession]:
        """Open a session that kills."""
        with self.taps.open(serial) as session:
            yield DeadlySession(session, self)


@dataclass
class DeadlySession:
    """A line on which the process is killed."""

    session: TapSession
    fate: Deadly

    @property
    def serial(self) -> str:
        """Pass it on."""
        return self.session.serial

    def log_in(self, user: str, password: Any) -> bool:
        """Pass it on."""
        return self.session.log_in(user, password)

    def exchange(self, request: Request) -> Response:
        """Pass it on, or die."""
        self.fate.left -= request.method is not Method.GET
        fatal = request.method is not Method.GET and self.fate.left == 0
        if fatal and not self.fate.after:
            raise Killed
        response = self.session.exchange(request)
        if fatal:
            raise Killed
        return response
