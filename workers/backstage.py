"""What the tasks of one worker process share, made when it is first needed and after any fork."""

import os
import socket
import threading
from collections.abc import Collection
from functools import cached_property

import structlog
from celery import Celery

from infra.broker import QUEUES, Doorbell
from infra.ledger import Ledger
from infra.meters import PUSH_EVERY
from infra.settings import Settings
from schemas.errors import LedgerUnavailable
from services.clients.guards import Guards
from services.planner import Planner
from services.runner import Runner
from services.schedules import Beat, Performer
from services.sweep import sweep
from services.wiring import make_beat, make_performer, make_planner, make_runner, now, open_ledger

log = structlog.get_logger(__name__)


class Backstage:
    """The tools behind the tasks; of outside systems those alone whose queues are worked on."""

    def __init__(self, settings: Settings, broker: Celery, queues: Collection[str] = QUEUES) -> None:
        self._settings = settings
        self._broker = broker
        self._queues = queues
        self._making = threading.RLock()  # tasks run in threads: each tool is made once
        self._stopped = threading.Event()
        self._serves_systems = False

    @cached_property
    def _tools(self) -> tuple[Ledger, Doorbell]:
        return open_ledger(self._settings), Doorbell(self._broker)

    @cached_property
    def _planner(self) -> Planner:
        ledger, doorbell = self._tools
        return make_planner(self._settings, ledger, doorbell.ring)

    @cached_property
    def _guards(self) -> Guards:
        return Guards(self._settings)

    @cached_property
    def _runner(self) -> Runner:
        ledger, doorbell = self._tools
        return make_runner(self._settings, ledger, doorbell.ring, self._guards, serves=self._queues)

    @cached_property
    def _beat(self) -> Beat:
        ledger, doorbell = self._tools
        return make_beat(self._settings, ledger, doorbell.ring)

    @cached_property
    def _performer(self) -> Performer:
        ledger, doorbell = self._tools
        return make_performer(self._settings, ledger, doorbell.ring, self._guards, serves=self._queues)

    @property
    def performer(self) -> Performer:
        """What does the work of schedules in this process."""
        with self._making:
            return self._performer

    def plan(self) -> None:
        """Plan what waits."""
        with self._making:
            planner = self._planner
        planner.plan_waiting()

    @property
    def runner(self) -> Runner:
        """The runner of this process."""
        with self._making:
            return self._runner

    def sweep(self) -> None:
        """Sweep the ledger once."""
        with self._making:
            ledger, doorbell = self._tools
            beat = self._beat
        sweep(ledger, ring=doorbell.ring, clock=now, fire=beat)

    def start_keeping_leases(self, *, of_jobs: bool = True) -> None:
        """Renew, from a thread of its own, the leases of whatever this process works on; jobs are not every queue's."""
        self._serves_systems = of_jobs
        threading.Thread(target=self._keep_leases, name="leases", daemon=True).start()

    def _keep_leases(self) -> None:
        while not self._stopped.wait(self._settings.lease / 3):
            try:
                if self._serves_systems:
                    self.runner.keep_leases()
                if performer := self.__dict__.get("_performer"):  # made when the first schedule comes
                    performer.keep_leases()
            except LedgerUnavailable as error:
                log.warning("leases could not be renewed", error=str(error))
            except Exception:
                log.exception("leases could not be renewed")

    def start_metering(self, queues: list[str]) -> None:
        """Add up what this process counts, and say that it lives, from a thread of its own."""
        with self._making:
            guards = self._guards
        threading.Thread(target=self._meter, args=(guards, queues), name="meters", daemon=True).start()

    def _meter(self, guards: Guards, queues: list[str]) -> None:
        worker = f"{socket.gethostname()}:{os.getpid()}"
        while True:
            guards.meters.live(worker, queues)
            stopped = self._stopped.wait(PUSH_EVERY)
            guards.meters.push()
            if stopped:
                return

    def stop(self) -> None:
        """Stop what runs behind the tasks, and keep what was counted."""
        self._stopped.set()
        with self._making:
            if runner := self.__dict__.get("_runner"):  # made when the first job comes
                runner.close()
            self._guards.meters.push()
