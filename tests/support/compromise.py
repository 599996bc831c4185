"""A house in which leaked keys are revoked and replaced, and in which the power fails where a test says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, cast

from infra.ledger import Ledger
from infra.ledger.holding import Said, Verdict
from schemas.access import Role
from schemas.fleet import Fleet
from schemas.jobs import Job, NewJob
from schemas.triggers import NewTrigger, Targets
from services.clients.ublox import Ublox
from services.operations import Tools
from services.playbook import default_text
from services.runner import Runner, Terms
from services.sandbox.ublox.certificates import Certificate
from services.triggers import Desk, Maker
from tests.conftest import Clock
from tests.support.ledger import LEASE, ask, confirm, rows, wish
from tests.support.rounds import PATIENCE, House, housed, playbook_of
from tests.support.works import Bell

REVOKE: Final = "ublox.revoke_certificate"
REPLACE: Final = "ublox.replace_certificate"
RULE: Final = "certificate-compromised"

_FIRED: Final = f'on = {{ manual = "{RULE}" }}\n'
APPROVED: Final = default_text().replace(_FIRED, _FIRED + 'approval = { role = "admin" }\n')
"""The shipped playbook, but that rule waits for another person's word."""


class PowerCut(BaseException):
    """The process ends here; nothing can catch that."""


class Steps:
    """Counts what changes anything, upstream or in a note, and ends the process at one of these steps.

    Attributes:
        done: every step that took effect, in order: the verb and what it named.
        dies: at which step, and whether before or after it took effect.
    """

    def __init__(self) -> None:
        self.done: list[tuple[str, tuple[str, ...]]] = []
        self.met = 0
        self.dies: tuple[int, str] | None = None

    def take(self, verb: str, named: Sequence[str], act: Callable[[], Any]) -> Any:
        """Take one step, perhaps the last one."""
        self.met += 1
        self._end_if("before")
        answer = act()
        self.done.append((verb, tuple(named)))
        self._end_if("after")
        return answer

    def _end_if(self, when: str) -> None:
        if self.dies == (self.met, when):
            raise PowerCut


class _Watched:
    """The calls on certificates, each of them a step."""

    def __init__(self, ublox: Ublox, steps: Steps) -> None:
        self._calls = ublox.certificates
        self._steps = steps

    def update(self, uids: Sequence[str], ca_name: str) -> str:
        """As `Certificates.update`."""
        return str(self._steps.take("update", uids, lambda: self._calls.update(uids, ca_name)))

    def revoke(self, ca_name: str, *, serial: str) -> str:
        """As `Certificates.revoke`."""
        return str(self._steps.take("revoke", [serial], lambda: self._calls.revoke(ca_name, serial=serial)))


class _Ublox:
    """The account, with watched calls on certificates."""

    def __init__(self, ublox: Ublox, steps: Steps) -> None:
        self.information, self.authorities = ublox.information, ublox.authorities
        self.certificates = _Watched(ublox, steps)


class Compromised:
    """Devices whose keys have leaked, and everything that sees to them."""

    def __init__(self, house: House, uids: list[str]) -> None:
        self.ledger, self.clock, self.twin, self.uids = house.ledger, house.clock, house.twin, uids
        self.account = house.means.ublox
        self.steps = Steps()
        self.leaked = {uid: self.certificate(uid) for uid in uids}
        tools = Tools(
            ublox=cast("Any", _Ublox(self.account, self.steps)),
            note=self._note,
            children=self.ledger.work.children,
            revocations=self.ledger.certificates.revocations,
            clock=self.clock,
            renewal_look_every=timedelta(hours=1),
            renewal_deadline=timedelta(days=14),
        )
        terms = Terms(worker="worker", lease=LEASE, linger=0.0, patience=PATIENCE)
        self.runner = Runner(self.ledger, tools, terms, ring=Bell(), clock=self.clock)

    def certificate(self, uid: str) -> Certificate:
        """What a device has now."""
        certificate = self.twin.fleet.devices[uid].certificate
        assert certificate is not None
        return certificate

    def ask(self, *, turned: bool = False, evidence: Mapping[str, Any] | None = None) -> None:
        """Wish that every leaked certificate is revoked and then replaced; `turned` plans the second wish first."""
        pair: list[Callable[[str], NewJob]] = [
            lambda uid: wish(uid, REVOKE, unless_under_way=True),
            lambda uid: wish(uid, REPLACE, unless_under_way=True, after_revocation=True),
        ]
        for one in reversed(pair) if turned else pair:
            ask(self.ledger, self.clock(), *map(one, self.uids), evidence=evidence)

    def fire(self, *, approval: bool = False) -> str:
        """A person fires the shipped rule, which may have to be approved; give the trigger's name."""
        playbook = playbook_of(APPROVED if approval else None)
        desk = Desk(self.ledger, fleet=Fleet, playbook=lambda: playbook, clock=self.clock)
        order = desk.check(NewTrigger(rule=RULE, targets=Targets(devices=self.uids)))
        with self.ledger.database.writing() as connection:
            trigger = desk.take(connection, order, actor="key:one")
        self.plan()
        return trigger

    def approve(self, trigger: str) -> None:
        """Another person agrees."""
        said = Said(verdict=Verdict.APPROVE, actor="key:two", role=Role.ADMIN)
        with self.ledger.database.writing() as connection:
            assert self.ledger.triggers.approve(connection, trigger, said)
        self.plan()

    def plan(self) -> None:
        """Do what is left to be done about triggers."""
        maker = Maker(self.ledger, ring=Bell(), clock=self.clock)
        while maker.step():
            pass

    def work(self) -> None:
        """Do whatever can be done now; whoever dies is followed by another when the lease is over."""
        for _ in range(30):
            self.ledger.work.reclaim(self.clock(), max_losses=5)
            self.ledger.work.wake(self.clock())
            try:
                if not sum(self.runner.perform(operation) for operation in (REPLACE, REVOKE)):
                    return
            except PowerCut:
                self.steps.dies = None
                self.clock.now += LEASE + timedelta(seconds=1)
        raise AssertionError("it does not come to rest")

    def hour(self) -> None:
        """An hour passes, at the end of which every device calls in and u-blox tells of it."""
        self.work()
        self.clock.forward(hours=1)
        for uid in self.uids:
            self.twin.beat(self.twin.fleet.devices[uid])
            confirm(self.ledger, self.clock(), uid, operation=REPLACE)
        self.work()

    def states(self) -> dict[str, int]:
        """How many jobs of each operation stand where."""
        found = rows(self.ledger, "SELECT operation, state, count(*) AS jobs FROM jobs GROUP BY operation, state")
        return {f"{row['operation']} {row['state']}": row["jobs"] for row in found}

    def revoked(self) -> set[int]:
        """What the CA has revoked."""
        (ca,) = self.twin.fleet.authorities.values()
        return set(ca.revoked)

    def order_held(self) -> bool:
        """Whether every update came after the revocation of what the device had."""
        gone: set[str] = set()
        for verb, named in self.steps.done:
            if verb == "revoke":
                gone.update(named)
            elif verb == "update" and not {self.leaked[uid].serial_text for uid in named} <= gone:
                return False
        return True

    def _note(self, noted: Sequence[tuple[Job, Mapping[str, Any]]]) -> set[int]:
        targets = [job.target for job, _ in noted]
        ours: set[int] = self.steps.take("note", targets, lambda: self.ledger.work.note(noted))
        return ours


@contextmanager
def compromised(ledger: Ledger, clock: Clock, *, count: int = 3) -> Iterator[Compromised]:
    """Have devices whose keys have leaked."""
    with housed(ledger, clock) as house:
        yield Compromised(house, house.recruit(count))
