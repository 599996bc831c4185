"""The SQL ledger: the one truth about events and jobs. Nobody else speaks SQL."""

from infra.ledger.engine import Database
from infra.ledger.history import EventLine, History, WorkLine
from infra.ledger.inbox import Arrival, Inbox, JobLine, Receipt, StoredEvent
from infra.ledger.lost import Lost
from infra.ledger.planning import Plan, Planned, Planning
from infra.ledger.schema import check_schema, migrate
from infra.ledger.upkeep import Health, Upkeep
from infra.ledger.work import Settlement, Work

__all__ = [
    "Arrival",
    "EventLine",
    "Health",
    "History",
    "Inbox",
    "JobLine",
    "Ledger",
    "Lost",
    "Plan",
    "Planned",
    "Planning",
    "Receipt",
    "Settlement",
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

    def close(self) -> None:
        """Close every connection."""
        self.database.close()
