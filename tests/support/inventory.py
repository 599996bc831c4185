"""An inventory for tests: read into memory, or taken into a ledger with a vault, as ``keyturn fleet import`` does."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from infra.ledger import Ledger, migrate
from infra.references import resolve
from schemas.fleet import Fleet, FleetDocument, cross_faults
from services.fleet import Importer, ImportResult
from services.fleet.access import FleetTaps
from services.fleet.documents import read_document
from tests.support.vault import ring_text, vault_of

RING: Final = "one"
NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)


def read_fleet(path: Path) -> Fleet:
    """The inventory of a TOML document that says where its secrets stand."""
    return Fleet(sites=read_document(path, FleetDocument, cross_faults).sites)


def taps_in(fleet: Fleet, **more: Any) -> FleetTaps:
    """The way to the Taps of an inventory without a vault."""
    return FleetTaps(lambda: fleet, resolve, **more)


def stock(ledger: Ledger, path: Path, **options: Any) -> ImportResult:
    """Take a document into a ledger, whose vault has the ring key `RING`."""
    return Importer(ledger, lambda: vault_of(ledger, RING), clock=lambda: NOW).take(path, **options)


def house_environ(folder: Path, document: Path | None = None) -> dict[str, str]:
    """The environment of a house with a ledger in `folder`, stocked with a document."""
    url = f"sqlite:///{folder}/keyturn.db"
    ledger = Ledger(url)
    migrate(ledger.database)
    if document is not None:
        stock(ledger, document)
    ledger.close()
    return {
        "DATABASE_URL": url,
        "KEYTURN_WEBHOOK_TOKENS": "Bearer tR7-kq0Zp2-wv9Xs4",
        "KEYTURN_VAULT_KEYS": ring_text(RING),
    }
