"""The Celery application of a worker or of beat, with its tasks and its habits."""

from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from typing import Any, Final

import structlog
from celery import Celery, signals

from infra.broker import CONTROL, QUEUES
from infra.heap import settle_heap
from infra.ledger import Ledger
from infra.settings import Settings
from services.wiring import (
    active_playbook,
    make_broker,
    make_centagate,
    make_taps,
    make_twon,
    make_ublox,
    open_ledger,
)
from workers.backstage import Backstage
from workers.tasks import register

CONTROL_THREADS: Final = 4
"""Planning is single file and sweeping is short: more threads would only wait for each other."""

_MAKERS: Final[Mapping[str, Callable[[Settings, Ledger], object]]] = {
    "twon": make_twon,
    "centagate": make_centagate,
    "tap": make_taps,
}
"""What makes the way to an outside system, by queue."""


def make_app(settings: Settings, queues: Collection[str] = QUEUES) -> tuple[Celery, Backstage]:
    """Make the application of a process that works on some queues; nothing is opened yet."""
    app = make_broker(settings)
    backstage = Backstage(settings, app, queues)
    register(app, backstage)
    return app, backstage


def run_worker(settings: Settings, queues: list[str]) -> None:
    """Work until SIGTERM or SIGINT: then finish what runs, within the soft shutdown time.

    Raises:
        ConfigurationError: something that the queues need is missing; found now, not at the first job.
    """
    app, backstage = make_app(settings, queues)
    with closing(open_ledger(settings)) as ledger:
        active_playbook(settings, ledger)()
    if set(queues) - {CONTROL}:
        _check_outside_systems(settings, queues)
    of_jobs = bool(set(queues) - {CONTROL})
    signals.worker_ready.connect(lambda **_: backstage.start_keeping_leases(of_jobs=of_jobs), weak=False)
    signals.worker_ready.connect(lambda **_: backstage.start_metering(queues), weak=False)
    signals.worker_ready.connect(lambda **_: settle_heap(), weak=False)
    _keep_habits(backstage)
    threads = settings.worker_threads if set(queues) - {CONTROL} else CONTROL_THREADS
    app.worker_main(
        [
            "--quiet",
            "worker",
            "--pool=threads",
            f"--concurrency={threads}",
            f"--queues={','.join(queues)}",
            f"--hostname={'-'.join(queues)}@%h",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=INFO",
        ]
    )


def _check_outside_systems(settings: Settings, queues: list[str]) -> None:
    """Make the way to each outside system once, and let it go again."""
    if "ublox" in queues:
        make_ublox(settings)
    with closing(open_ledger(settings)) as ledger:
        for queue in set(queues) & set(_MAKERS):
            _MAKERS[queue](settings, ledger)


def run_beat(settings: Settings) -> None:
    """Send the sweep's heartbeat until SIGTERM or SIGINT. Two beats do no harm."""
    app, _ = make_app(settings)
    app.Beat(quiet=True, loglevel="INFO").run()


def _keep_habits(backstage: Backstage) -> None:
    def clear(**_: Any) -> None:
        structlog.contextvars.clear_contextvars()  # the last task's ids must not stand in this one's lines

    signals.setup_logging.connect(lambda **_: None, weak=False)  # infra.logs has set them up already
    signals.task_prerun.connect(clear, weak=False)
    signals.worker_shutdown.connect(lambda **_: backstage.stop(), weak=False)
