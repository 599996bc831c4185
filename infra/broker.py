"""Celery on Redis, configured as a doorbell: messages carry ids, the ledger holds truth and time.

Every setting departs from Celery's default for a measured reason; see ARCHITECTURE.md, "What Celery is for".
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog
from celery import Celery
from kombu.entity import Exchange, Queue
from kombu.transport import virtual

CONTROL: Final = "control"
"""The queue of planning and sweeping; every outside system has one of its own name."""

QUEUES: Final = (CONTROL, "ublox", "tap", "twon", "centagate")

PLAN: Final = "keyturn.plan"
SWEEP: Final = "keyturn.sweep"
PREFIX: Final = "keyturn."

IDS_PER_MESSAGE: Final = 1_000
RING_GAP: Final = 0.02
FLOOD_GAP: Final = 0.1
"""Seconds between two messages: one costs a millisecond of CPU at either end, so bursts and floods share one."""

FLOOD: Final = 50
"""So many ids in one gap are a flood."""

EXPIRES: Final = 600
"""Seconds after which a worker drops a message unread; far above what two machines' clocks may differ."""

log = structlog.get_logger(__name__)


def make_celery(redis_url: str, *, sweep_every: float) -> Celery:
    """Make the Celery application, without tasks."""
    _forget_what_a_lost_connection_held()
    app = Celery("keyturn", broker=redis_url.replace("unix://", "redis+socket://", 1))  # kombu's word for a socket
    direct = Exchange("", type="direct")  # the nameless exchange needs no binding, which a wiped Redis would have lost
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_queues=[Queue(name, direct, routing_key=name) for name in QUEUES],
        task_default_queue=CONTROL,
        task_default_exchange="",
        task_default_routing_key=CONTROL,
        task_create_missing_queues=False,
        task_ignore_result=True,
        task_acks_late=True,
        task_retry_on_worker_lost=True,
        task_reject_on_worker_lost=False,  # rang 13 times in 9 s for one killed worker
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=True,  # Flower shows real work
        worker_soft_shutdown_timeout=5,
        worker_cancel_long_running_tasks_on_connection_loss=False,  # a thread cannot be cancelled; its fence can
        worker_enable_prefetch_count_reduction=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_acquire_timeout=5,
        broker_transport_options={
            "ack_emulation": False,  # see _forget_what_a_lost_connection_held
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "health_check_interval": 25,
        },
        beat_scheduler="celery.beat:Scheduler",  # keeps no file that a kill could break: the ledger remembers
        beat_max_loop_interval=1,
        beat_schedule={
            "sweep": {"task": SWEEP, "schedule": sweep_every, "options": {"expires": EXPIRES}},
        },
    )
    return app


def _forget_what_a_lost_connection_held() -> None:
    """Let messages die with their connection, as doorbells may.

    kombu 5.7 keeps unacknowledged messages in Redis too. When Redis has gone away it acknowledges and restores them
    over the closed channel, and that ends the whole worker (AttributeError: 'NoneType' object has no attribute
    'hostname', or 'client'; seen at every kill of Redis with work in hand). The sweep rings again for them.
    """
    virtual.QoS.restore_at_shutdown = False


def queue_of(task: str) -> str:
    """The queue of a task: its outside system, or `CONTROL`."""
    system = task.removeprefix(PREFIX).partition(".")[0]
    return system if system in QUEUES else CONTROL


class Doorbell:
    """Rings for work: one message for many ids, from a thread of its own, in bounded time, never raising.

    A message that is lost costs one sweep. So trouble with Redis is logged once and otherwise ignored.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._ids: dict[str, list[int]] = {}
        self._wanted = threading.Condition()
        self._stopped = False
        self._healthy = True
        self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self, task: str, ids: Iterable[int]) -> None:
        """Ask for a message to `task` about `ids`; returns at once."""
        with self._wanted:
            self._ids.setdefault(task, []).extend(ids)
            self._wanted.notify()

    def close(self) -> None:
        """Send what is asked for, then stop."""
        with self._wanted:
            self._stopped = True
            self._wanted.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._wanted:
                self._wanted.wait_for(lambda: self._ids or self._stopped)
                asked, self._ids = self._ids, {}
            if not asked:
                return
            for task, ids in asked.items():
                self._send(task, ids)
            time.sleep(FLOOD_GAP if max(map(len, asked.values())) >= FLOOD else RING_GAP)

    def _send(self, task: str, ids: list[int]) -> None:
        for start in range(0, max(1, len(ids)), IDS_PER_MESSAGE):  # no id means: look for yourself what waits
            if not self._publish(task, ids[start : start + IDS_PER_MESSAGE]):
                return

    def _publish(self, task: str, ids: list[int]) -> bool:
        try:
            self._celery.send_task(
                task, kwargs={"ids": ids}, queue=queue_of(task), expires=EXPIRES, retry=False, ignore_result=True
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the sweep rings again
            if self._healthy:
                log.warning("the doorbell is silent; the sweep rings instead", error=type(error).__name__)
            self._healthy = False
            return False
        self._healthy = True
        return True


Ring = Callable[[str, Iterable[int]], Any]
"""What rings: `Doorbell.ring`, or a list's append in a test."""
