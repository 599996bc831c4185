"""A root CA that is rolled, with everybody who has a part in it: workers that may die, devices, a person who agrees."""

from datetime import timedelta
from itertools import count
from typing import Any, Final

from infra.ledger import Ledger
from infra.ledger.holding import Said, Verdict
from infra.ledger.steering import Order, Steer, steer
from schemas.access import Role
from schemas.jobs import NewJob
from services.operations import PARAMETERS, Operation, Tools
from services.operations.roll_root_ca import RollRootCa
from services.operations.transfer_root_ca import TransferRootCa
from services.runner import Runner, Terms
from services.settling import Patience
from services.sweep import sweep
from tests.conftest import Clock
from tests.support.ca_account import Account, Killed
from tests.support.ledger import LEASE, ask, device, job_row, rows
from tests.support.works import Bell

ROLL: Final = "ublox.roll_root_ca"
MOVE: Final = "ublox.transfer_root_ca"
CODE: Final = "930783746273459058465786283467236543874968549"
_NUMBERS: Final = count(1)


class Story:
    """One roll of one account on a ledger."""

    def __init__(
        self, ledger: Ledger, clock: Clock, *, account: Account | None = None, devices: int = 3, **more: Any
    ) -> None:
        self.ledger, self.clock = ledger, clock
        self.number = next(_NUMBERS)  # many stories share a ledger
        self.old, self.new = f"old-{self.number}", f"new-{self.number}"
        self.account = account or Account(clock)
        self.account.found(self.old)
        self.uids = [device(1000 * self.number + each) for each in range(devices)]
        self.account.add(self.old, *self.uids)
        self.bell = Bell()
        self.given = {"new_ca": self.new, "ca_validity_days": 1825, **more}
        self.trigger()

    def trigger(self, **more: Any) -> None:
        """A person triggers the roll, or triggers it anew, with more than before."""
        self.given |= more
        parameters = PARAMETERS[ROLL].model_validate(self.given).model_dump(mode="json")
        wish = NewJob(operation=ROLL, target=f"rootca:{self.old}", parameters=parameters)
        (self.id,) = ask(self.ledger, self.clock(), wish)

    @property
    def runner(self) -> Runner:
        """A worker that has just been started."""
        tools = Tools(
            ublox=self.account.ublox,
            note=self.account.noting(self.ledger.work.note),
            children=self.ledger.work.children,
            revocations=self.ledger.certificates.revocations,
            clock=self.clock,
            renewal_look_every=timedelta(hours=1),
            renewal_deadline=timedelta(days=14),
        )
        terms = Terms(worker="worker", lease=LEASE, linger=0.0, patience=Patience(max_attempts=5, base=2.0, cap=60.0))
        verbs: dict[str, Operation] = {ROLL: RollRootCa(), MOVE: TransferRootCa()}
        return Runner(self.ledger, tools, terms, ring=self.bell, clock=self.clock, operations=verbs)

    @property
    def row(self) -> dict[str, Any]:
        """The job as it stands."""
        return job_row(self.ledger, self.id)

    @property
    def children(self) -> list[dict[str, Any]]:
        """The transfers."""
        return rows(self.ledger, "SELECT * FROM jobs WHERE parent_id = :id ORDER BY id", id=self.id)

    def work(self) -> None:
        """Do what can be done now; a worker that dies is found lost, and another takes over."""
        sweep(self.ledger, ring=self.bell, clock=self.clock)
        for verb in (ROLL, MOVE, ROLL):
            try:
                while self.runner.perform(verb):
                    pass
            except Killed:
                self.clock.forward(minutes=2)  # past its lease, and past all doubt about its last call

    def agree(self) -> str:
        """Say yes to what the job asks; give the step."""
        return self._say(Verdict.APPROVE)

    def reject(self) -> str:
        """Say no to it; give the step."""
        return self._say(Verdict.REJECT)

    def _say(self, verdict: Verdict) -> str:
        (hold,) = [job for job in [self.ledger.admin.job(self.id)] if job is not None]
        assert hold.asks is not None, self.row
        said = Said(verdict=verdict, actor="key:boss", role=Role.ADMIN, step=hold.asks)
        with self.ledger.database.writing() as connection:
            self.ledger.holding.say(connection, self.id, said, self.clock())
        return hold.asks

    def retry(self) -> None:
        """A person gives the parked job new tries."""
        with self.ledger.database.writing() as connection:
            steer(connection, Order(job=self.id, steer=Steer.RETRY, actor="key:boss"), self.clock())

    def until_it_rests(self, *, days: float = 2.0, hours: int = 1) -> list[str]:
        """Let time go by in steps of some hours, with heartbeats and a person who agrees; give what was asked."""
        asked = []
        for _ in range(int(days * 24) // hours):
            self.work()
            if self.row["state"] in {"succeeded", "parked", "cancelled"}:
                break
            if self.row["state"] == "held":
                asked.append(self.agree())
            self.account.beat()
            self.clock.forward(hours=hours)
        return asked
