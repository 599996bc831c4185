"""A whole house in one process, whose clock stands still until a test moves it: twin, beats, planner, workers."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from pydantic import SecretStr

from infra.broker import PREFIX
from infra.ledger import Arrival, Ledger
from schemas.events import read_notification, receipt_of
from schemas.schedules import Firing, Schedule, Spec
from services.clients.transport import Transport
from services.clients.ublox import Ublox
from services.operations import PARAMETERS, Tools
from services.planner import Planner
from services.playbook import Playbook, default_text, load_playbook
from services.runner import Runner
from services.runner import Terms as RunnerTerms
from services.sandbox.server import running
from services.sandbox.ublox.app import build
from services.sandbox.ublox.dials import Dials
from services.sandbox.ublox.fleet import Recruits
from services.sandbox.ublox.twin import API_KEY, API_SECRET, Twin
from services.schedules import ACTIONS, Beat, Means, Performer, Terms, Wanted
from services.schedules.seen_devices import remembering
from services.settling import Patience
from services.sweep import sweep
from tests.conftest import Clock
from tests.support.works import Bell

PATIENCE = Patience(max_attempts=3, base=2.0, cap=60.0)
LEASE = timedelta(seconds=30)


def playbook_of(text: str | None = None) -> Playbook:
    """The shipped playbook, or the one that is given."""
    return load_playbook(default_text() if text is None else text, operations=PARAMETERS)


class House:
    """Everything that runs, on one ledger."""

    def __init__(self, ledger: Ledger, clock: Clock, ublox: Ublox, twin: Twin, playbook: Playbook) -> None:
        self.ledger, self.clock, self.twin = ledger, clock, twin
        self.bell = Bell()
        self.playbook = playbook
        self.means = Means(ledger=ledger, ublox=ublox, ring=self.bell, clock=clock, playbook=lambda: self.playbook)
        self.tools = Tools(
            ublox=ublox,
            note=ledger.work.note,
            children=ledger.work.children,
            revocations=ledger.certificates.revocations,
            ca_ends=ledger.certificates.ca_ends,
            clock=clock,
            renewal_look_every=timedelta(hours=1),
            renewal_deadline=timedelta(days=14),
            remember=remembering(ledger, clock),
        )
        terms = RunnerTerms(worker="runner", lease=LEASE, linger=0.0, patience=PATIENCE)
        self.runner = Runner(ledger, self.tools, terms, ring=self.bell, clock=clock)
        self.planner = Planner(ledger, playbook, ring=self.bell, clock=clock)

    def sweep(self) -> None:
        """One beat: whatever is due is fired."""
        beat = Beat(self.ledger, ring=self.bell, wanted=Wanted(self.ledger, lambda: self.playbook))
        sweep(self.ledger, ring=self.bell, clock=self.clock, fire=beat)

    def performer(self, **changes: Any) -> Performer:
        """A worker."""
        return Performer(replace(self.means, **changes), Terms(worker="worker", lease=LEASE, patience=PATIENCE))

    def work(self, **changes: Any) -> None:
        """Do whatever can be done now: sweep, act, plan, carry out."""
        self.sweep()
        for kind in ACTIONS:
            self.performer(**changes).perform(kind)
        self.planner.plan_waiting()
        for operation in ("ublox.rotate_e2e_key", "ublox.renew_certificate"):
            while self.runner.perform(operation):
                pass

    def only(self, *schedules: Schedule) -> None:
        """Have these schedules and the shipped ones, but of the shipped none switched on."""
        self.sweep()
        self.ledger.schedules.add(schedules)
        for one in self.ledger.schedules.all():
            if one.name not in {schedule.name for schedule in schedules}:
                with self.ledger.database.writing() as connection:
                    self.ledger.schedules.change(connection, replace(one, enabled=False))

    def turn(self, **dials: Any) -> None:
        """Turn dials of the twin."""
        self.twin.turn(dials)

    def recruit(self, count: int, **wishes: Any) -> list[str]:
        """Make devices."""
        return [device.uid for device in self.twin.recruit(Recruits(count=count, **wishes))]

    def last(self, name: str) -> Firing:
        """The latest firing of a schedule."""
        return self.ledger.firings.of(name, 1)[0]


@contextmanager
def housed(ledger: Ledger, clock: Clock, *, playbook: str | None = None) -> Iterator[House]:
    """Run a house with a twin whose devices never wake up by themselves."""
    twin = Twin(clock=clock, dials=Dials(heartbeat_seconds=31_000_000, token_life_seconds=86_400))
    with running(build(twin)) as address, closing(Transport(f"{address.url}/v1")) as transport:
        key, secret = SecretStr(API_KEY), SecretStr(API_SECRET)
        ublox = Ublox(address.url, api_key=key, api_secret=secret, transport=transport, clock=clock)
        yield House(ledger, clock, ublox, twin, playbook_of(playbook))


def schedule(name: str, kind: str, now: datetime, *, due_in: timedelta = timedelta(), **spec: Any) -> Schedule:
    """A schedule that is due after a while."""
    made = Spec.model_validate(spec)
    return Schedule(name=name, kind=kind, spec=made, enabled=True, next_due=now + due_in, updated_at=now, revision=1)


def push(ledger: Ledger, document: dict[str, Any], now: datetime) -> list[int]:
    """Take a notice in as the receiver does."""
    notification = read_notification(document)
    arrival = Arrival(
        receipt=receipt_of(document, notification),
        hook="",
        event_type=notification.event_type,
        device=notification.device,
        occurred_at=notification.occurred_at,
        received_at=now,
        body=orjson.dumps(document),
    )
    return ledger.inbox.accept([arrival])


def rung(bell: Bell) -> Sequence[str]:
    """What was rung for, without the prefix."""
    return [task.removeprefix(PREFIX) for task in bell.tasks()]
