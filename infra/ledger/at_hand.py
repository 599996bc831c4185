"""What is at hand for a device, for conditions of the playbook."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text

from infra.ledger.engine import Database
from infra.ledger.tables import OPEN_STATES, to_us
from infra.ledger.weighing import VALUES
from schemas.jobs import State, lock_key_of
from schemas.playbook import NO_WORK, DeviceWork

_OPEN: Final = {
    dialect: text(
        "SELECT lock_key, operation, state, parameters, progress, fence, not_before FROM jobs"  # noqa: S608 - constants only
        f" WHERE lock_key IN (SELECT value FROM {values}) AND {OPEN_STATES} ORDER BY id"
    )
    for dialect, values in VALUES.items()
}

_PARKED: Final = {
    dialect: text(
        f"SELECT target, operation FROM jobs WHERE target IN (SELECT value FROM {values})"  # noqa: S608 - constants only
        " AND state = 'parked' ORDER BY id"
    )
    for dialect, values in VALUES.items()
}

_UBLOX: Final = "ublox.work"
"""Any operation of u-blox: its devices share a lock."""

_PROVISION: Final = "ublox.set_provisioning"


class AtHand:
    """Reads it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def among(self, devices: Iterable[str], now: datetime) -> Callable[[str], DeviceWork]:
        """Give what tells the work of u-blox that waits, runs or is parked for one of these devices.

        Nothing is read until it is asked about one of them; then it is read for all of them at once.
        """
        return _Among(self._database, frozenset(devices), now).of


class _Among:
    def __init__(self, database: Database, devices: frozenset[str], now: datetime) -> None:
        self._database = database
        self._devices = devices
        self._now = now
        self._known: dict[str, DeviceWork] | None = None

    def of(self, device: str) -> DeviceWork:
        if self._known is None or device not in self._devices:
            self._devices |= {device}
            self._known = _work_of(self._database, self._devices, self._now)
        return self._known.get(device, NO_WORK)


def _work_of(database: Database, devices: frozenset[str], now: datetime) -> dict[str, DeviceWork]:
    by_key = {lock_key_of(_UBLOX, device): device for device in devices}
    with database.reading() as connection:
        dialect = connection.dialect.name
        rows = connection.execute(_OPEN[dialect], {"keys": json.dumps(list(by_key))}).all()
        parked = connection.execute(_PARKED[dialect], {"keys": json.dumps(list(devices))}).all()
    found: defaultdict[str, defaultdict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        for field, name in _seen_of(row, to_us(now)):
            found[by_key[row.lock_key]][field][name] = None
    for row in parked:
        found[row.target]["parked"][row.operation] = None
    return {
        device: DeviceWork(**{field: tuple(names) for field, names in fields.items()})
        for device, fields in found.items()
    }


def _seen_of(row: Row[Any], now: int) -> Iterator[tuple[str, str]]:
    """What an open job is told as: fields of `DeviceWork`, and what stands there."""
    yield "under_way", row.operation
    if "asked" in json.loads(row.progress):
        yield "asked", row.operation
        yield from (("enabling", name) for name in _enabled_by(row))
    elif row.state == State.HELD or (row.state == State.DUE and _has_come(row, now)):
        yield "held_up", row.operation


def _has_come(row: Row[Any], now: int) -> bool:
    """Whether a due job would run, or has run before; a schedule spreads its jobs, and each has its own time."""
    return bool(row.fence > 0 or row.not_before <= now)


def _enabled_by(row: Row[Any]) -> Iterator[str]:
    if row.operation == _PROVISION:
        wished = json.loads(row.parameters).get("authorizations") or {}
        yield from (name for name, state in wished.items() if state == "ENABLED")
