"""Takes a document into the inventory: what it would change, then all of it in one transaction, or nothing."""

import hmac
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from infra.ledger import AuditEntry, Entry, EntryId, InventoryChange, Ledger, Snapshot
from infra.ledger.audit import write
from infra.vault import Vault
from schemas.errors import InputError
from schemas.secret import Secret
from services.fleet.entries import at, names_in, rank, secret_places
from services.fleet.given import Given, understand
from services.fleet.remarks import RuleNames, moves, skip_remarks
from services.fleet.written import Written, read_written

MOST_NAMED: Final = 100
"""Things that the audit names of each kind of change."""

MOST_TRIES: Final = 3
"""How often an import begins again because another one came first."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that an import adds, changes or removes.

    Attributes:
        id: kind and key.
        site: as it is afterwards; of a thing that goes, as it was.
        details: what changes, key by key, without values that may be secret.
    """

    id: EntryId
    site: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportResult:
    """What an import does, or has done.

    Attributes:
        remarks: what a person should know of it although it is no fault.
    """

    added: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    removed: tuple[Change, ...] = ()
    unchanged: int = 0
    remarks: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether all is there already."""
        return not (self.added or self.changed or self.removed)


@dataclass(slots=True)
class Draft:
    """A change that is worked out against a picture of the inventory, and can be stored while that is true."""

    snapshot: Snapshot
    added: list[Change] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    removed: list[Change] = field(default_factory=list)
    upserts: list[Entry] = field(default_factory=list)
    values: dict[str, Secret] = field(default_factory=dict)
    unchanged: int = 0
    remarks: list[str] = field(default_factory=list)

    def result(self) -> ImportResult:
        """What storing it would do."""
        return ImportResult(
            added=_sorted(self.added),
            changed=_sorted(self.changed),
            removed=_sorted(self.removed),
            unchanged=self.unchanged,
            remarks=tuple(self.remarks),
        )


class Importer:
    """Imports documents.

    Args:
        ledger: where the inventory stands.
        open_vault: gives the vault; asked only where a document gives secrets.
        clock: tells the time.
        rules: gives the names of the playbook's rules, to look for slips in skip_rules; without it nobody looks.
    """

    def __init__(
        self,
        ledger: Ledger,
        open_vault: Callable[[], Vault],
        *,
        clock: Callable[[], datetime],
        rules: RuleNames | None = None,
    ) -> None:
        self._rules = rules
        self._ledger = ledger
        self._open_vault = open_vault
        self._clock = clock

    def take(
        self,
        path: Path,
        *,
        prune: bool = False,
        everything: bool = False,
        dry_run: bool = False,
        actor: str = "keyturn",
    ) -> ImportResult:
        """Take a document in.

        Args:
            path: TOML or CSV.
            prune: whether what the document does not name goes; otherwise it stays.
            everything: whether that may be the whole inventory, as the document names nothing.
            dry_run: whether to say only what would change.
            actor: who does it, as the audit names him.

        Raises:
            InputError: every fault of the document, or the inventory changes all the time; nothing was changed.
            ConfigurationError: the document gives secrets, and there is no vault.
            LedgerUnavailable: nothing was changed.
        """
        for _ in range(MOST_TRIES):
            draft = self.draft(read_written(path), prune=prune)
            result = draft.result()
            if prune and not (everything or dry_run):
                refuse_to_empty(path, draft)
            if dry_run or result.is_empty or self._store(draft, actor):
                return result
        raise InputError(["the inventory is being changed by somebody else: import again"])

    def draft(self, written: Written, *, prune: bool = False) -> Draft:
        """Work out what a document would change; nothing is written.

        Raises:
            InputError: every fault of the document.
            ConfigurationError: the document gives secrets, and there is no vault.
        """
        snapshot = self._ledger.inventory.snapshot()
        known = {entry.id: entry for entry in snapshot.entries}
        names = set(self._ledger.secrets.names())
        given = understand(written, known, names, alone=prune)
        new = self._new_values(given, names)
        draft = Draft(snapshot, values=new)
        for entry in given.entries.values():
            _compare(entry, known.get(entry.id), new, draft)
        draft.remarks += moves((known[entry.id], entry) for entry in draft.upserts if entry.id in known)
        if self._rules is not None:
            draft.remarks += skip_remarks(given.entries.values(), self._rules)
        if prune:
            gone = (entry for entry_id, entry in known.items() if entry_id not in given.entries)
            draft.removed.extend(Change(entry.id, entry.site) for entry in gone)
        return draft

    def _new_values(self, given: Given, names: set[str]) -> dict[str, Secret]:
        """The secrets that the vault does not hold yet, or holds with another value, or cannot open any more."""
        if not given.values:
            return {}
        held = self._open_vault().get_many(given.values.keys() & names)
        return {name: value for name, value in given.values.items() if not _are_same(held.get(name), value)}

    def removal(self, entry_id: EntryId) -> Draft:
        """Work out what it is to take one thing away; nothing is written."""
        snapshot = self._ledger.inventory.snapshot()
        gone = [Change(entry.id, entry.site) for entry in snapshot.entries if entry.id == entry_id]
        return Draft(snapshot, removed=gone)

    def change_of(self, draft: Draft) -> InventoryChange:
        """Make a draft ready to be stored, its secrets sealed: nobody else should wait for that."""
        snapshot = draft.snapshot
        removed = {change.id for change in draft.removed}
        upserted = {entry.id for entry in draft.upserts}
        gone = [entry for entry in snapshot.entries if entry.id in removed]
        before = [entry for entry in snapshot.entries if entry.id in upserted]
        stay = [entry for entry in snapshot.entries if entry.id not in removed | upserted]
        vault = self._open_vault() if draft.values else None
        return InventoryChange(
            based_on=snapshot.revision,
            upserts=draft.upserts,
            deletions=removed,
            sealed=[vault.seal(name, value) for name, value in draft.values.items()] if vault else (),
            forgotten=(_own_names(gone) | (_own_names(before) & names_in(before)))
            - names_in(stay)
            - names_in(draft.upserts),
        )

    def _store(self, draft: Draft, actor: str) -> bool:
        change, entry = self.change_of(draft), recorded(draft.result(), actor=actor, at=self._clock())
        with self._ledger.database.writing() as connection:
            stored = self._ledger.inventory.store_in(connection, change, entry.at)
            if stored:
                write(connection, entry)
        return stored


def recorded(result: ImportResult, *, actor: str, at: datetime, reason: str = "") -> AuditEntry:
    """An import as the audit has it: what came, changed and went, by name and without a value."""
    words = {"added": result.added, "changed": result.changed, "removed": result.removed}
    detail: dict[str, object] = {}
    for word, changes in words.items():
        detail[word] = len(changes)
        if changes:
            detail[f"{word}_first"] = [f"{change.id.kind}/{change.id.key}" for change in changes[:MOST_NAMED]]
    return AuditEntry(at=at, actor=actor, action="fleet.import", subject="fleet", reason=reason, detail=detail)


def refuse_to_empty(path: Path, draft: Draft) -> None:
    """A document that lacks everything is a slip rather than a wish."""
    if draft.removed and not (draft.added or draft.changed or draft.unchanged):
        number = len(draft.removed)
        counted = "its one entry with its secrets" if number == 1 else f"all {number} entries with their secrets"
        empties = f"{path}: names nothing, so pruning would empty the inventory: {counted}"
        raise InputError([f"{empties}. Where that is meant, add --yes on the command line"])


def _compare(entry: Entry, before: Entry | None, new: Mapping[str, Secret], draft: Draft) -> None:
    if before is None:
        draft.added.append(Change(entry.id, entry.site))
    elif details := tuple(_differences(before, entry, new)):
        draft.changed.append(Change(entry.id, entry.site, details))
    else:
        draft.unchanged += 1
        return
    draft.upserts.append(entry)


def _differences(before: Entry, after: Entry, new: Mapping[str, Secret]) -> Iterator[str]:
    if before.site != after.site:
        yield f"site: {before.site} → {after.site}"
    secrets = secret_places(*after.id)
    replaced = {place for place, name in secrets.items() if name in new and at(after.fields, place) == {"vault": name}}
    keys = dict.fromkeys((*before.fields, *after.fields))
    changed = [key for key in keys if before.fields.get(key) != after.fields.get(key)]
    yield from changed
    yield from (f"{'.'.join(place)}: another secret" for place in replaced if place[0] not in changed)


def _are_same(held: Secret | None, value: Secret) -> bool:
    """Whether the vault holds a value; what does not open any more is replaced by what is given."""
    if held is None:
        return False
    one, other = (each.get_secret_value().encode(errors="surrogatepass") for each in (held, value))
    return hmac.compare_digest(one, other)


def _own_names(entries: Collection[Entry]) -> set[str]:
    """The secrets that go with their entries: those under the entries' own names."""
    return {name for entry in entries for name in secret_places(*entry.id).values()}


def _sorted(changes: list[Change]) -> tuple[Change, ...]:
    return tuple(sorted(changes, key=lambda change: (rank(change.id.kind), change.site, change.id.key)))
