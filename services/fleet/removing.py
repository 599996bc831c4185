"""Takes one thing out of the inventory, with its secrets."""

from datetime import datetime

from infra.ledger import AuditEntry, EntryId, Ledger
from infra.ledger.audit import write
from schemas.errors import InputError
from services.fleet.importing import MOST_TRIES, Change, Draft, Importer


def remove(
    ledger: Ledger, importer: Importer, wanted: EntryId, *, name: str, actor: str, reason: str, now: datetime
) -> Change | None:
    """Take one thing away and record it, in one transaction; None where there is no such thing.

    Args:
        ledger: where the inventory stands.
        importer: works the change out.
        wanted: which thing.
        name: what people call it, such as ``2n/54-1046-0001``.
        actor: who does it.
        reason: why.
        now: the time.

    Raises:
        InputError: things belong to it, or the inventory changes all the time; nothing was changed.
    """
    for _ in range(MOST_TRIES):
        draft = importer.removal(wanted)
        if not draft.removed:
            return None
        if (told := obstacle(draft, wanted)) is not None:
            raise InputError([told])
        (gone,), change = draft.removed, importer.change_of(draft)
        entry = AuditEntry(
            at=now,
            actor=actor,
            action="fleet.remove",
            subject=f"fleet/{name}",
            reason=reason,
            detail={"site": gone.site},
        )
        with ledger.database.writing() as connection:
            if ledger.inventory.store_in(connection, change, now):
                write(connection, entry)
                return gone
    raise InputError(["the inventory is being changed by somebody else: try again"])


def obstacle(draft: Draft, wanted: EntryId) -> str | None:
    """Why a thing cannot go: a site has things that belong to it."""
    if wanted.kind != "site":
        return None
    others = sum(entry.site == wanted.key and entry.id != wanted for entry in draft.snapshot.entries)
    return (
        f"the site {wanted.key} has things that belong to it ({others}): remove or move them first" if others else None
    )
