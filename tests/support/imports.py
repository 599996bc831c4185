"""A document of a site, written down and imported, for the stories of imports."""

from pathlib import Path

import pytest

from infra.ledger import Ledger
from schemas.errors import InputError
from services.fleet import ImportResult
from tests.support.inventory import stock
from tests.support.vault import told

UID = "135700008928c093"


WORD = "correct-horse"


PHONE = "+999100200300"


SHORT_WORD = "hunter2x"


DOOR = {"serial": "54-1046-0746", "address": "https://b", "location": "Lobby", "auth": "none"}


LYON = f"""\
version = 1
[[sites]]
name = "lyon"
devices = ["{UID}"]
[[sites.twon]]
serial = "54-1046-0745"
address = "https://door"
location = "Lobby"
password = "{WORD}"
[[sites.tokens]]
username = "alice"
type = "sms"
phone = "{PHONE}"
"""


def written(folder: Path, text: str | bytes, name: str = "fleet.toml") -> Path:
    """Write a document down."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def faults_of(ledger: Ledger, path: Path, **options: bool) -> list[str]:
    """Import a document that has faults; nothing was changed, and no secret is told."""
    before = ledger.inventory.snapshot(), ledger.secrets.names()
    with pytest.raises(InputError) as caught:
        stock(ledger, path, **options)
    assert (ledger.inventory.snapshot(), ledger.secrets.names()) == before
    assert WORD not in told(caught.value)
    assert PHONE not in told(caught.value)
    return [fault.removeprefix(f"{path}: ") for fault in caught.value.faults]


def keys(changes: tuple[object, ...]) -> list[str]:
    """What changed, as kind and key."""
    return [f"{change.id.kind} {change.id.key}" for change in changes]  # type: ignore[attr-defined] # of any result


def counts(result: ImportResult) -> tuple[int, int, int, int]:
    """How many entries were added, changed, removed, and stayed."""
    return len(result.added), len(result.changed), len(result.removed), result.unchanged


def sealed_rows(ledger: Ledger) -> dict[str, bytes]:
    """Each secret as it lies sealed in the ledger."""
    return {name: row.sealed for name in ledger.secrets.names() if (row := ledger.secrets.get(name))}
