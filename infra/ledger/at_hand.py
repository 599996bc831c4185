"""What is at hand for a device, for conditions of the playbook."""

import json
from collections.abc import Callable, Iterable
from typing import Final

from sqlalchemy import text

from infra.ledger.engine import Database
from infra.ledger.tables import OPEN_STATES
from infra.ledger.weighing import VALUES
from schemas.jobs import lock_key_of
from schemas.playbook import NO_WORK, DeviceWork

_OPEN: Final = {
    dialect: text(
        f"SELECT lock_key, operation, progress FROM jobs WHERE lock_key IN (SELECT value FROM {values})"  # noqa: S608 - constants only
        f" AND {OPEN_STATES} ORDER BY id"
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


class AtHand:
    """Reads it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def among(self, devices: Iterable[str]) -> Callable[[str], DeviceWork]:
        """Give what tells the work of u-blox that waits, runs or is parked for one of these devices.

        Nothing is read until it is asked about one of them; then it is read for all of them at once.
        """
        return _Among(self._database, frozenset(devices)).of


class _Among:
    def __init__(self, database: Database, devices: frozenset[str]) -> None:
        self._database = database
        self._devices = devices
        self._known: dict[str, DeviceWork] | None = None

    def of(self, device: str) -> DeviceWork:
        if self._known is None or device not in self._devices:
            self._devices |= {device}
            self._known = _work_of(self._database, self._devices)
        return self._known.get(device, NO_WORK)


def _work_of(database: Database, devices: frozenset[str]) -> dict[str, DeviceWork]:
    by_key = {lock_key_of(_UBLOX, device): device for device in devices}
    with database.reading() as connection:
        dialect = connection.dialect.name
        rows = connection.execute(_OPEN[dialect], {"keys": json.dumps(list(by_key))}).all()
        parked = connection.execute(_PARKED[dialect], {"keys": json.dumps(list(devices))}).all()
    under_way = _gathered((by_key[row.lock_key], row.operation) for row in rows)
    asked = _gathered((by_key[row.lock_key], row.operation) for row in rows if "asked" in json.loads(row.progress))
    waiting = _gathered((row.target, row.operation) for row in parked)
    return {
        device: DeviceWork(
            under_way=under_way.get(device, ()), asked=asked.get(device, ()), parked=waiting.get(device, ())
        )
        for device in under_way.keys() | waiting.keys()
    }


def _gathered(rows: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """The operations of each device, each once."""
    found: dict[str, dict[str, None]] = {}
    for device, operation in rows:
        found.setdefault(device, {})[operation] = None
    return {device: tuple(operations) for device, operations in found.items()}
