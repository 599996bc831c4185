"""A house with one 2N location for tests: the twin's devices in an inventory, a vault, and a runner that rotates."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

from pydantic import SecretStr
from sqlalchemy import text

from infra.ledger import Ledger
from schemas.fleet import LOCATION, Fleet, Site, TwonDevice
from schemas.jobs import NewJob
from schemas.mobile_keys import HeldKey
from schemas.references import EnvironmentReference
from schemas.twon import KeyType
from services.clients.transport import Bounds
from services.clients.twon import keys
from services.fleet.mobile_keys import SealedMobileKeys
from services.fleet.twon import FleetTwon
from services.operations import Tools
from services.operations.rotate_mobile_key import RotateMobileKey
from services.runner import Runner, Terms
from services.sandbox.twon.device import Device
from services.settling import Patience
from tests.support.ledger import LEASE, Row, ask, job_row
from tests.support.twon import PASSWORD, TwonPark, twon_park
from tests.support.vault import vault_of

LOBBY: Final = "Lobby"
ROTATE: Final = "twon.rotate_mobile_key"
BOUNDS: Final = Bounds(connect=0.5, read=0.5, write=0.5, pool=2.0, whole=1.0)
THREADS: Final = 16

_REFERENCE: Final = EnvironmentReference(env="KEYTURN_TEST_TWON_PASSWORD")


class HandClock:
    """A clock that tests move; the phones' clock follows it."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def forward(self, **by: float) -> datetime:
        """Move it on, in the words of `timedelta`."""
        self.now += timedelta(**by)
        return self.now


def entry_of(serial: str, url: str, location: str = LOBBY, **changes: Any) -> TwonDevice:
    """A device as the inventory has it."""
    known = {"serial": serial, "address": url, "location": location, "password": {"env": _REFERENCE.env}}
    return TwonDevice.model_validate({**known, "in_clear": url.startswith("http:"), **changes})


@dataclass
class House:
    """One location and who rotates its key.

    Attributes:
        revealed: what the place of the devices' password holds.
    """

    ledger: Ledger
    clock: Callable[[], datetime]
    devices: list[TwonDevice]
    location: str = LOBBY
    bounds: Bounds = BOUNDS
    threads: int = THREADS
    revealed: str = PASSWORD

    def __post_init__(self) -> None:
        self.vault = vault_of(self.ledger, "one")
        self.keys = SealedMobileKeys(self.ledger.mobile_keys, self.vault)
        self.twon = FleetTwon(
            self.fleet, lambda _: SecretStr(self.revealed), self.keys, threads=self.threads, bounds=self.bounds
        )
        self.tools = Tools(
            ublox=cast("Any", None),
            twon=self.twon,
            note=self.ledger.work.note,
            clock=self.clock,
            renewal_look_every=timedelta(hours=1),
            renewal_deadline=timedelta(days=14),
        )
        self.runner = self.another_runner("worker")

    def fleet(self) -> Fleet:
        """The inventory."""
        return Fleet(sites=(Site(name="house", twon=tuple(self.devices)),))

    def another_runner(self, worker: str, **tools: Any) -> Runner:
        """A worker, perhaps with other tools."""
        patience = Patience(max_attempts=3, base=2.0, cap=60.0)
        terms = Terms(worker=worker, lease=LEASE, linger=0.0, patience=patience)
        return Runner(
            self.ledger,
            replace(self.tools, **tools),
            terms,
            ring=lambda _task, _ids: None,
            clock=self.clock,
            operations={ROTATE: RotateMobileKey()},
        )

    def ask(self, target: str = "", **parameters: Any) -> int:
        """Wish for a rotation of the location, or of the target; give the job."""
        wished = target or LOCATION + self.location
        job = NewJob(operation=ROTATE, target=wished, parameters=parameters, lock=self.fleet().lock_of(ROTATE, wished))
        (job_id,) = ask(self.ledger, self.clock(), job)
        return job_id

    def work(self, runner: Runner | None = None) -> int:
        """Perform what is due now, once."""
        self.ledger.work.wake(self.clock())
        return (runner or self.runner).perform(ROTATE)

    def rotate(self, target: str = "", **parameters: Any) -> Row:
        """Wish for a rotation and perform it once; give the job as it stands then."""
        job_id = self.ask(target, **parameters)
        self.work()
        return self.job(job_id)

    def job(self, job_id: int) -> Row:
        """A job as it stands."""
        return job_row(self.ledger, job_id)

    def redrive(self, job_id: int) -> None:
        """Make a parked job due again, as a person does."""
        with self.ledger.database.writing() as connection:
            connection.execute(text("UPDATE jobs SET state = 'due', not_before = 0 WHERE id = :id"), {"id": job_id})

    def held(self) -> list[HeldKey]:
        """The keys that the location has by our book, newest first."""
        return [key for key in self.keys.of_location(self.location) if key.dropped_at is None]

    def close(self) -> None:
        """Stop speaking with devices."""
        self.twon.close()


@dataclass
class TwinHouse(House):
    """A house whose devices are in a thread of the test."""

    park: TwonPark = field(kw_only=True)

    @property
    def twins(self) -> list[Device]:
        """The devices themselves."""
        return [station.device for station in self.park.park.stations]

    def keep_time(self) -> None:
        """Let the devices' clocks show the time of the house: the twin's park has the machine's."""
        for device in self.twins:
            device.clock = device.log._clock = lambda: self.clock().timestamp()  # noqa: SLF001 - as above

    def hold_first_keys(self) -> None:
        """Know the keys that the devices left the factory with, as if Keyturn had read them before 2.50."""
        for device in self.twins:
            known = [keys.parse(SecretStr(key.private), KeyType.RSA) for key in device.slots if key]
            ages = (timedelta(days=400 + place) for place in range(len(known)))
            self.keys.keep(self.location, [(key, self.clock() - age) for key, age in zip(known, ages, strict=True)])

    def lists(self) -> dict[str, tuple[str, ...]]:
        """What every device has."""
        return {device.serial: device.keys for device in self.twins}

    def distinct(self) -> set[tuple[str, ...]]:
        """The different lists that there are."""
        return set(self.lists().values())


@contextmanager
def twin_house(
    ledger: Ledger,
    clock: Callable[[], datetime],
    devices: int,
    *,
    changes: Mapping[int, Mapping[str, Any]] | None = None,
    factory: Mapping[str, Any] | None = None,
    **options: Any,
) -> Iterator[TwinHouse]:
    """Run devices in a thread and give a house with them.

    Args:
        ledger: where the house keeps its book.
        clock: the time of the house.
        devices: how many.
        changes: keys of the inventory that differ, by the number of the device.
        factory: options of the twin's `Factory`.
        options: those of `House`.
    """
    with twon_park(devices, location=LOBBY, **(factory or {})) as park:
        entries = []
        for number, station in enumerate(park.park.stations):
            pin = {"fingerprint": station.identity.fingerprint} if station.identity else {}
            told = {"serial": station.device.serial, "url": station.url, **pin, **(changes or {}).get(number, {})}
            entries.append(entry_of(**told))
        house = TwinHouse(ledger, clock, entries, park=park, **options)
        try:
            yield house
        finally:
            house.close()


Opens = Callable[..., TwinHouse]

_FACTORY: Final = frozenset({"firmware", "algorithm", "auth", "keys", "https"})


@contextmanager
def houses(ledger: Ledger, clock: Callable[[], datetime]) -> Iterator[Opens]:
    """Give what opens houses of so many devices, and close them at the end; their first keys are held unless told."""
    with ExitStack() as stack:

        def opened(devices: int = 3, *, held: bool = True, **options: Any) -> TwinHouse:
            factory = {name: options.pop(name) for name in _FACTORY & options.keys()}
            house = stack.enter_context(twin_house(ledger, clock, devices, factory=factory, **options))
            if held:
                house.hold_first_keys()
            return house

        yield opened


@contextmanager
def turned(house: TwinHouse, number: int, **dials: Any) -> Iterator[str]:
    """Turn dials of one device for a while; give its serial number."""
    serial = house.park.serials[number]
    before = house.park.park.devices[serial].dials.model_dump(mode="json")
    house.park.turn(serial, **dials)
    yield serial
    house.park.turn(serial, **{name: before[name] for name in dials})


class Killed(BaseException):
    """The worker is gone: nothing after this line of its work happens."""
