"""The SQL ledger: the one truth about events and jobs. Nobody else speaks SQL."""

from sqlalchemy import Connection

from infra.ledger.admin import Admin
from infra.ledger.ages import Ages
from infra.ledger.at_hand import AtHand
from infra.ledger.audit import Audit, AuditEntry
from infra.ledger.certificates import Certificates, GivenUp, SeenAuthority
from infra.ledger.engine import Database
from infra.ledger.family import Question
from infra.ledger.firings import Effects, FiringLost, Firings
from infra.ledger.gauges import Gauges, Measured
from infra.ledger.history import EventLine, History, WorkLine
from infra.ledger.holding import Holding
from infra.ledger.hook_tokens import HookTokens
from infra.ledger.inbox import Arrival, Inbox, JobLine, Receipt, StoredEvent
from infra.ledger.inventory import Entry, EntryId, InventoryChange, InventoryRows, Snapshot
from infra.ledger.keys import Keys
from infra.ledger.lost import Lost
from infra.ledger.mobile_keys import MobileKeys
from infra.ledger.planning import Planning
from infra.ledger.plans import Plan, Planned
from infra.ledger.playbooks import Playbooks
from infra.ledger.polled import Polled
from infra.ledger.schedules import Schedules
from infra.ledger.schema import check_schema, migrate
from infra.ledger.secrets import SealedSecret, Secrets
from infra.ledger.seen import Reach, SeenCertificate
from infra.ledger.triggers import Triggers
from infra.ledger.upkeep import Health, Upkeep
from infra.ledger.work import Settlement, Work

__all__ = [
    "Admin",
    "Ages",
    "Arrival",
    "AtHand",
    "Audit",
    "AuditEntry",
    "Certificates",
    "Connection",
    "Effects",
    "Entry",
    "EntryId",
    "EventLine",
    "FiringLost",
    "Firings",
    "Gauges",
    "GivenUp",
    "Health",
    "History",
    "Holding",
    "HookTokens",
    "Inbox",
    "InventoryChange",
    "InventoryRows",
    "JobLine",
    "Keys",
    "Ledger",
    "Lost",
    "Measured",
    "MobileKeys",
    "Plan",
    "Planned",
    "Planning",
    "Playbooks",
    "Polled",
    "Question",
    "Reach",
    "Receipt",
    "Schedules",
    "SealedSecret",
    "Secrets",
    "SeenAuthority",
    "SeenCertificate",
    "Settlement",
    "Snapshot",
    "StoredEvent",
    "Triggers",
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
        self.work = Work(self.database, self.planning)
        self.holding = Holding(self.database)
        self.triggers = Triggers(self.database, self.planning)
        self.playbooks = Playbooks(self.database)
        self.hook_tokens = HookTokens(self.database)
        self.upkeep = Upkeep(self.database)
        self.history = History(self.database)
        self.gauges = Gauges(self.database)
        self.polled = Polled(self.database)
        self.schedules = Schedules(self.database)
        self.firings = Firings(self.database, self.planning)
        self.keys = Keys(self.database)
        self.audit = Audit(self.database)
        self.admin = Admin(self.database)
        self.ages = Ages(self.database)
        self.at_hand = AtHand(self.database)
        self.certificates = Certificates(self.database)
        self.secrets = Secrets(self.database)
        self.mobile_keys = MobileKeys(self.database, self.secrets)
        self.inventory = InventoryRows(self.database, self.secrets)

    def close(self) -> None:
        """Close every connection."""
        self.database.close()
