"""The audit of commands that act outside the ledger: one entry for each, also where it failed half-way."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from schemas.errors import KeyturnError
from services.cli.output import actor, now

if TYPE_CHECKING:
    from infra.ledger import Ledger


@dataclass(slots=True)
class Deed:
    """What a command has done so far.

    Attributes:
        begun: whether something may have been changed; without that there is no entry.
        detail: JSON-able, without secrets; filled as the work goes on.
    """

    begun: bool = False
    detail: dict[str, Any] = field(default_factory=dict)

    def note(self, **detail: Any) -> None:
        """Something is changed from now on, or was; this is what."""
        self.begun = True
        self.detail |= detail


@contextmanager
def recorded(ledger: "Ledger", action: str, subject: str, *, reason: str) -> Iterator[Deed]:
    """Write one entry of the audit when the block ends, however it ends.

    Raises:
        LedgerUnavailable: the entry could not be written; what was done stands.
    """
    deed = Deed()
    try:
        yield deed
    except BaseException as error:
        why = str(error) if isinstance(error, KeyturnError) else type(error).__name__
        _write(ledger, action, subject, reason, Deed(deed.begun, {**deed.detail, "failed": why}))
        raise
    _write(ledger, action, subject, reason, deed)


def _write(ledger: "Ledger", action: str, subject: str, reason: str, deed: Deed) -> None:
    from infra.ledger import AuditEntry
    from infra.ledger.audit import write

    if not deed.begun:
        return
    entry = AuditEntry(at=now(), actor=actor(), action=action, subject=subject, reason=reason, detail=dict(deed.detail))
    with ledger.database.writing() as connection:
        write(connection, entry)
