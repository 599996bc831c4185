"""The keys of 2N locations: rows of the ledger, and their private halves in the vault."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

from infra.ledger import MobileKeys
from infra.vault import Vault
from schemas.mobile_keys import HeldKey, Origin
from schemas.twon import KeyType
from services.clients.twon import PrivateKey, keys


class SealedMobileKeys:
    """Makes, keeps and opens mobile keys; all threads of a process share it."""

    def __init__(self, table: MobileKeys, vault: Vault) -> None:
        self._table = table
        self._vault = vault

    def of_location(self, location: str) -> Sequence[HeldKey]:
        """Every key that a location ever had, the newest first; the dropped ones too."""
        return self._table.of_location(location)

    def make(self, location: str, kind: KeyType, *, job_id: int, now: datetime) -> HeldKey:
        """Make a key for a job, committed with its private half; give the one there is where it has a new one.

        Raises:
            LedgerUnavailable: nothing was made.
        """
        private = keys.generate(kind)
        made = _described(private, location, Origin.MADE, created_at=now, job_id=job_id)
        return self._table.add(made, self._vault.seal(made.secret_name, private.text))

    def keep(self, location: str, found: Sequence[tuple[PrivateKey, datetime]]) -> None:
        """Keep keys that devices told, each with the time of its making.

        Raises:
            LedgerUnavailable: nothing was kept.
        """
        described = [(private, _described(private, location, Origin.READ, created_at=at)) for private, at in found]
        self._table.keep([(held, self._vault.seal(held.secret_name, private.text)) for private, held in described])

    def reveal(self, held: Sequence[HeldKey]) -> Mapping[str, PrivateKey]:
        """Open private halves, by the public ones.

        Raises:
            InputError: one is missing, does not open, or is another key than its row says.
        """
        opened = (keys.parse(self._vault.get(each.secret_name), each.kind) for each in held)
        return {private.public_text: private for private in opened}

    def settle(self, *, primary: HeldKey, dropped: Sequence[HeldKey], now: datetime) -> None:
        """Write that every device has `primary` as its primary key, and none has those that were dropped.

        Raises:
            LedgerUnavailable: nothing was written.
        """
        self._table.settle(primary=primary.id, dropped=[key.id for key in dropped], now=now)


def _described(
    private: PrivateKey, location: str, origin: Origin, *, created_at: datetime, job_id: int | None = None
) -> HeldKey:
    return HeldKey(
        id=secrets.token_hex(16),
        location=location,
        kind=private.type,
        public=private.public_text,
        origin=origin,
        created_at=created_at,
        job_id=job_id,
    )
