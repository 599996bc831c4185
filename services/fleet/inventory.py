"""The inventory as a process sees it: one picture for all its threads, new when the ledger has another revision."""

import threading
from typing import Final

import structlog

from infra.ledger import Ledger
from schemas.fleet import Fleet
from services.fleet.entries import fleet_of

_NEVER: Final = -1

log = structlog.get_logger(__name__)


class Inventory:
    """Gives the inventory as it is now, at the price of one small query.

    Args:
        ledger: where it stands.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._seen = _NEVER
        self._fleet = Fleet()

    def current(self) -> Fleet:
        """Give the inventory. What of it this version of Keyturn cannot read is left out, and logged once a revision.

        Raises:
            LedgerUnavailable: the ledger cannot be read now.
        """
        revision = self._ledger.inventory.revision()
        with self._lock:
            if revision != self._seen:  # also lower: a backup was put back
                snapshot = self._ledger.inventory.snapshot()
                self._fleet = fleet_of(snapshot.entries)
                self._seen = snapshot.revision
                for entry in self._fleet.unreadable:
                    log.error("an entry of the inventory is left out", fault=str(entry), site=entry.site)
            return self._fleet
