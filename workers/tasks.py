"""The Celery tasks: shells of a line around plain functions. They carry ids and nothing else."""

from collections.abc import Callable
from typing import Any

from celery import Celery

from infra.broker import PLAN, PREFIX, SWEEP
from services.operations import OPERATIONS
from services.schedules import ACTIONS
from workers.backstage import Backstage


def register(app: Celery, backstage: Backstage) -> None:
    """Give the application its tasks; an operation's task bears the operation's name."""

    def add(name: str, work: Callable[[], Any]) -> None:
        def task(ids: list[int] | None = None) -> None:  # noqa: ARG001 - shown by Flower; the ledger says what is due
            work()

        app.task(task, name=name)

    def perform(operation: str) -> Callable[[], int]:
        return lambda: backstage.runner.perform(operation)

    def act(kind: str) -> Callable[[], int]:
        return lambda: backstage.performer.perform(kind)

    add(PLAN, backstage.plan)
    add(SWEEP, backstage.sweep)
    for operation in OPERATIONS:
        add(PREFIX + operation, perform(operation))
    for kind in ACTIONS:
        add(PREFIX + kind, act(kind))
