"""What people do to schedules: enable, disable, edit, run now. Each change writes its entry of the audit with it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from infra.ledger import AuditEntry, Connection, Ledger
from infra.ledger.audit import write
from schemas.errors import InputError
from schemas.schedules import RULE, Firing, FiringState, Schedule, Spec
from services.schedules.firing import WAITS
from services.schedules.registry import parameters_of
from services.schedules.shipped import respecified


def enable(
    connection: Connection,
    ledger: Ledger,
    schedule: Schedule,
    *,
    enabled: bool,
    now: datetime,
    entry: Mapping[str, str],
) -> Schedule:
    """Switch a schedule on or off in the caller's transaction; moments that passed while it was off are not due.

    One that stands so already is left as it is, with what it is due for.

    Raises:
        InputError: it has been changed since it was read.
    """
    if schedule.enabled == enabled:
        return schedule
    action = "schedule.enable" if enabled else "schedule.disable"
    return _change(connection, ledger, respecified(schedule, schedule.spec, now, enabled=enabled), action, entry)


def edit(
    connection: Connection, ledger: Ledger, schedule: Schedule, spec: Spec, *, now: datetime, entry: Mapping[str, str]
) -> Schedule:
    """Give a schedule another specification in the caller's transaction.

    Raises:
        InputError: it makes no sense, belongs to the playbook, or was changed since it was read.
    """
    if schedule.kind == RULE:
        raise InputError([f"{schedule.name} stands in the playbook: edit the rule"])
    parameters_of(schedule.kind, spec.parameters)
    detail = {"before": schedule.spec.model_dump(mode="json"), "after": spec.model_dump(mode="json")}
    return _change(connection, ledger, respecified(schedule, spec, now), "schedule.edit", entry, detail)


def run(
    connection: Connection, ledger: Ledger, schedule: Schedule, *, now: datetime, entry: Mapping[str, str]
) -> Firing:
    """Fire a schedule now, also one that is switched off, in the caller's transaction; its next moment stays.

    Raises:
        InputError: it was fired at this very moment.
    """
    firing = Firing(
        schedule=schedule.name,
        due_at=now,
        fired_at=now,
        state=FiringState.WAITING,
        detail={"kind": schedule.kind, "run_by": entry["actor"], "reason": WAITS},
    )
    if not ledger.schedules.run(connection, firing):
        raise InputError([f"{schedule.name} was fired at this very moment"])
    _record(connection, schedule.name, "schedule.run", now, entry)
    return firing


def _change(
    connection: Connection,
    ledger: Ledger,
    changed: Schedule,
    action: str,
    entry: Mapping[str, str],
    detail: Mapping[str, Any] | None = None,
) -> Schedule:
    if not ledger.schedules.change(connection, changed):
        raise InputError([f"{changed.name} was changed meanwhile: look at it again"])
    _record(connection, changed.name, action, changed.updated_at, entry, detail)
    return replace(changed, revision=changed.revision + 1)


def _record(
    connection: Connection,
    name: str,
    action: str,
    now: datetime,
    entry: Mapping[str, str],
    detail: Mapping[str, Any] | None = None,
) -> None:
    write(
        connection,
        AuditEntry(
            at=now,
            actor=entry["actor"],
            action=action,
            subject=f"schedule/{name}",
            reason=entry.get("reason", ""),
            detail=detail or {},
        ),
    )
