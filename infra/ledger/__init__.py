"""The SQL ledger: the one truth about events and jobs. Nobody else speaks SQL."""

from infra.ledger.engine import Database
from infra.ledger.history import EventLine, History, WorkLine
from infra.ledger.inbox import Arrival, Inbox, JobLine, Receipt, StoredEvent
from infra.ledger.inventory import Entry, EntryId, InventoryChange, InventoryRows, Snapshot
from infra.ledger.lost import Lost
from infra.ledger.mobile_keys import MobileKeys
from infra.ledger.planning import Plan, Planned, Planning
from infra.ledger.schema import check_schema, migrate
from infra.ledger.secrets import SealedSecret, Secrets
from infra.ledger.upkeep import Health, Upkeep
from infra.ledger.work import Settlement, Work

__all__ = [
    "Arrival",
    "Entry",
    "EntryId",
    "EventLine",
    "Health",
    "History",
    "Inbox",
    "InventoryChange",
    "InventoryRows",
    "JobLine",
    "Ledger",
    "Lost",
    "MobileKeys",
    "Plan",
    "Planned",
    "Planning",
    "Receipt",
    "SealedSecret",
    "Secrets",
    "Settlement",
    "Snapshot",
    "StoredEvent",
    "Upkeep",
    "Work",
    "WorkLine",
    "check_schema",
    "migrate",
]


class Ledger:
    """One database, seen from its sides."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.inbox = Inbox(self.database)
        self.planning = Planning(self.database)
        self.work = Work(self.database)
        self.upkeep = Upkeep(self.database)
        self.history = History(self.database)
        self.secrets = Secrets(self.database)
        self.mobile_keys = MobileKeys(self.database, self.secrets)
        self.inventory = InventoryRows(self.database, self.secrets)

    def close(self) -> None:
        """Close every connection."""
        self.database.close()
