"""What the tasks of one worker process share, made when it is first needed and after any fork."""

import threading
from datetime import timedelta
from functools import cached_property

import structlog
from celery import Celery

from infra.broker import Doorbell
from infra.ledger import Ledger
from infra.settings import Settings
from schemas.errors import LedgerUnavailable
from services.planner import Planner
from services.runner import Runner
from services.sweep import sweep
from services.wiring import make_planner, make_runner, now, open_ledger

log = structlog.get_logger(__name__)


class Backstage:
    """The tools behind the tasks."""

    def __init__(self, settings: Settings, broker: Celery) -> None:
        self._settings = settings
        self._broker = broker
        self._making = threading.RLock()  # tasks run in threads: each tool is made once
        self._stopped = threading.Event()

    @cached_property
    def _tools(self) -> tuple[Ledger, Doorbell]:
        return open_ledger(self._settings), Doorbell(self._broker)

    @cached_property
    def _planner(self) -> Planner:
        ledger, doorbell = self._tools
        return make_planner(self._settings, ledger, doorbell.ring)

    @cached_property
    def _runner(self) -> Runner:
        ledger, doorbell = self._tools
        return make_runner(self._settings, ledger, doorbell.ring)

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
        sweep(
            ledger,
            ring=doorbell.ring,
            clock=now,
            retention=timedelta(days=self._settings.retention_days),
        )

    def start_keeping_leases(self) -> None:
        """Renew, from a thread of its own, the leases of whatever this process works on."""
        threading.Thread(target=self._keep_leases, name="leases", daemon=True).start()

    def _keep_leases(self) -> None:
        while not self._stopped.wait(self._settings.lease / 3):
            try:
                self.runner.keep_leases()
            except LedgerUnavailable as error:
                log.warning("leases could not be renewed", error=str(error))
            except Exception:
                log.exception("leases could not be renewed")

    def stop(self) -> None:
        """Stop what runs behind the tasks."""
        self._stopped.set()
