"""A house that lives through a year in seconds: a twin with a virtual clock, the real receiver, and a person."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from infra.broker import PLAN, PREFIX
from infra.ledger import Ledger
from infra.ledger.holding import Said, Verdict
from schemas.access import Role
from schemas.events import EventType
from services.clients.transport import Transport
from services.clients.ublox import Ublox
from services.intake import Intake
from services.operations import OPERATIONS
from services.sandbox.server import running
from services.sandbox.ublox.app import build
from services.sandbox.ublox.clock import VirtualClock
from services.sandbox.ublox.devices import Device
from services.sandbox.ublox.dials import Dials
from services.sandbox.ublox.twin import API_KEY, API_SECRET, Twin
from services.schedules import ACTIONS
from services.web.hooks import BODY_SECONDS, Hooks, TokenList
from services.web.hooks import PREFIX as HOOKS
from tests.fixtures.ublox import Caller
from tests.support.ledger import rows
from tests.support.rounds import House, playbook_of, schedule

START: Final = datetime(2026, 1, 1, 6, tzinfo=UTC)
STEP: Final = timedelta(days=1)
"""The rhythm in which everything works here; in real life it is seconds."""

THINKS: Final = timedelta(days=3)
"""How long the person takes to say yes."""

_ORDER: Final = (*(PREFIX + name for name in ACTIONS), PLAN, *(PREFIX + name for name in OPERATIONS))
_TOKEN: Final = "Bearer a-year-of-webhooks"


@dataclass
class Year:
    """What happens, day by day.

    Attributes:
        expired: certificates that came to their end on their device: the device's UID, the end, and when that was seen.
        parked: when the renewal of a device was first seen parked.
        alarms: when an alarm first named a device.
        agreed: what the person said yes to, and when.
        left_on: how many devices were left on a root CA when it ended or was deleted.
        begins: of each device its certificate's end and CA at the beginning.
        fired: how often a schedule's action was done.
    """

    house: House
    caller: Caller
    clock: VirtualClock
    expired: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    parked: dict[str, datetime] = field(default_factory=dict)
    alarms: dict[str, datetime] = field(default_factory=dict)
    agreed: dict[str, datetime] = field(default_factory=dict)
    left_on: Counter[str] = field(default_factory=Counter)
    begins: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)
    _asked: dict[tuple[int, str], datetime] = field(default_factory=dict)
    _ends: dict[str, datetime] = field(default_factory=dict)

    @property
    def devices(self) -> list[Device]:
        """The twin's own."""
        return list(self.house.twin.fleet.devices.values())

    def begin(self) -> None:
        """Remember how everything is, and count from here."""
        self.begins = {one.uid: _certificate(one) for one in self.devices}
        self._ends = {uid: end for uid, (end, _) in self.begins.items()}
        self.caller.control("/stats/reset")

    def pass_by(self, days: int) -> None:
        """Live through so many days."""
        for _ in range(days * (timedelta(days=1) // STEP)):
            self._work()
            self._say_yes()
            self.caller.control("/clock", forward_seconds=STEP.total_seconds())
            self._look()
        self._work()

    def _work(self) -> None:
        """Do what can be done: what is due, what has come in, and what follows from it."""
        house = self.house
        with capture_logs() as logs:
            house.sweep()
            self._answer_the_bell()
        faults = [log for log in logs if log["event"].startswith(("an operation failed", "schedule failed"))]
        assert not faults, faults
        alerts = [str(log["alert"]) for log in logs if log["event"] == "alert"]
        for uid in {word.strip(":;,.") for alert in alerts for word in alert.split()} & self.begins.keys():
            self.alarms.setdefault(uid, self.clock())
        for row in rows(house.ledger, "SELECT target FROM jobs WHERE state = 'parked'"):
            self.parked.setdefault(row["target"], self.clock())

    def _answer_the_bell(self) -> None:
        """As workers do, but what was planned before it is carried out, so that it shares calls as in a busy second."""
        house, rung = self.house, set[str]()
        while rung := rung | set(house.bell.tasks()):
            house.bell.rung.clear()
            task = min(rung, key=_ORDER.index)
            rung.remove(task)
            if task == PLAN:
                house.planner.plan_waiting()
            elif (name := task.removeprefix(PREFIX)) in ACTIONS:
                self.fired[name] += house.performer().perform(name)
            else:
                house.runner.perform(name)

    def _say_yes(self) -> None:
        """A person reads what is asked, and agrees some days later."""
        ledger, now = self.house.ledger, self.clock()
        for row in rows(ledger, "SELECT id FROM jobs WHERE state = 'held'"):
            view = ledger.admin.job(row["id"])
            asks = view.asks if view else None
            step = asks or "begin"
            if now - self._asked.setdefault((row["id"], step), now) >= THINKS:
                said = Said(verdict=Verdict.APPROVE, actor="key:person", role=Role.ADMIN, step=asks)
                with ledger.database.writing() as connection:
                    ledger.holding.say(connection, row["id"], said, now)
                self.agreed.setdefault(step, now)

    def _look(self) -> None:
        """See in the twin's own state what has come to its end."""
        now, fleet = self.clock(), self.house.twin.fleet
        gone = self.house.twin.tally.actions["expired"]
        for uid in [uid for uid in gone if self._ends[uid] <= now]:
            if (uid, self._ends[uid]) not in {(one, end) for one, end, _ in self.expired}:
                self.expired.append((uid, self._ends[uid], now))
        for device in self.devices:
            end = device.certificate.expires_at if device.certificate else None
            if end is not None and end > now:
                self._ends[device.uid] = end
        for authority in fleet.authorities.values():
            if authority.expires_at <= now:
                self.left_on[authority.name] = max(self.left_on[authority.name], len(fleet.signed_by(authority)))


def _certificate(device: Device) -> tuple[datetime, str]:
    assert device.certificate is not None
    return device.certificate.expires_at, device.certificate.authority.name


def regular(house: House, **every: tuple[str, timedelta, dict[str, Any]]) -> None:
    """Have these schedules and no others: name = (action, rhythm, parameters); all are due now."""
    found = [
        schedule(name, kind, house.clock(), every_seconds=round(rhythm.total_seconds()), parameters=parameters)
        for name, (kind, rhythm, parameters) in every.items()
    ]
    house.only(*found)


@contextmanager
def lived(ledger: Ledger, *, playbook: str) -> Iterator[Year]:
    """Run a house whose time is the twin's, and have the twin tell it everything over HTTP."""
    clock = VirtualClock(START)
    twin = Twin(clock=clock, dials=Dials(heartbeat_seconds=31_000_000, token_life_seconds=86_400))
    with ExitStack() as stack:
        receiver = stack.enter_context(running(_receiver(ledger, clock)))
        address = stack.enter_context(running(build(twin)))
        transport = stack.enter_context(closing(Transport(f"{address.url}/v1")))
        caller = stack.enter_context(closing(Caller(address.url)))
        caller.http.timeout = 120  # a day may hold some thousand deliveries
        for event_type in EventType:
            caller.register(f"{receiver.url}{HOOKS}/{event_type}", event_type, _TOKEN)
        key, secret = SecretStr(API_KEY), SecretStr(API_SECRET)
        ublox = Ublox(address.url, api_key=key, api_secret=secret, transport=transport, clock=clock)
        tells: Any = clock  # a house only asks it for the time
        house = House(ledger, tells, ublox, twin, playbook_of(playbook))
        yield Year(house, caller, clock)


def _receiver(ledger: Ledger, clock: VirtualClock) -> ASGIApp:
    """The real one, without the rest of the site."""
    intake = Intake(
        ledger.inbox, on_accepted=lambda _ids: None, timeout=30, queue_limit=100_000, backlog_limit=1_000_000
    )
    hooks = Hooks(intake, TokenList([_TOKEN], clock=clock), body_limit=65_536, body_seconds=BODY_SECONDS, clock=clock)

    @asynccontextmanager
    async def alive(_app: Starlette) -> AsyncIterator[None]:
        intake.start()
        yield
        await intake.stop()

    rest = Starlette(lifespan=alive)

    async def site(scope: Scope, receive: Receive, send: Send) -> None:
        await (hooks if scope["type"] == "http" else rest)(scope, receive, send)

    return site
