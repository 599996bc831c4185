"""What is at hand for a device, for conditions of the playbook."""

import json
from typing import Final

from sqlalchemy import text

from infra.ledger.engine import Database
from infra.ledger.tables import OPEN_STATES
from schemas.jobs import NewJob
from schemas.playbook import DeviceWork

_OPEN: Final = text(
    f"SELECT operation, progress FROM jobs WHERE lock_key = :key AND {OPEN_STATES} ORDER BY id"  # noqa: S608 - constants only
)

_PARKED: Final = text("SELECT operation FROM jobs WHERE target = :target AND state = 'parked' ORDER BY id")

_UBLOX: Final = "ublox.work"
"""Any operation of u-blox: its devices share a lock."""


class AtHand:
    """Reads it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, device: str) -> DeviceWork:
        """The work of u-blox that waits, runs or is parked for a device."""
        key = NewJob(operation=_UBLOX, target=device).lock_key
        with self._database.reading() as connection:
            rows = connection.execute(_OPEN, {"key": key}).all()
            parked = connection.execute(_PARKED, {"target": device}).scalars().all()
        asked = [row.operation for row in rows if "asked" in json.loads(row.progress)]
        return DeviceWork(
            under_way=tuple(dict.fromkeys(row.operation for row in rows)),
            asked=tuple(dict.fromkeys(asked)),
            parked=tuple(dict.fromkeys(parked)),
        )
