"""Schedules and their firings, as the admin API shows and takes them."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import StringConstraints

from schemas.admin import Reason, Shape
from schemas.schedules import FiringState, Spec

ScheduleName = Annotated[str, StringConstraints(pattern=r"^(rule:)?[a-z][a-z0-9-]{0,62}$")]
"""What a schedule is called; that of a playbook's rule begins with ``rule:``."""


class SchedulePath(Shape):
    """Which schedule."""

    name: ScheduleName


class FiringView(Shape):
    """What became of one moment.

    Attributes:
        reason: why it stands where it stands.
        detail: what the action found.
    """

    schedule: str
    due_at: datetime
    fired_at: datetime
    state: FiringState
    reason: str
    detail: dict[str, Any]


class ScheduleLine(Shape):
    """A schedule in one line.

    Attributes:
        does: the name of its action.
        next_due: None while it is switched off.
        last: the latest firing.
    """

    name: str
    does: str
    enabled: bool
    spec: Spec
    next_due: datetime | None
    revision: int
    last: FiringView | None


class ScheduleView(ScheduleLine):
    """One schedule, with its latest firings, newest first."""

    firings: list[FiringView]


class Schedules(Shape):
    """Every schedule, by name."""

    items: list[ScheduleLine]


class EditSchedule(Shape):
    """Another specification for a schedule."""

    spec: Spec
    reason: Reason = ""
