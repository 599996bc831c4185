"""The keys of 2N locations: rows of the ledger, and their private halves in the vault."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from infra.ledger import MobileKeys
from infra.vault import Vault
from schemas.errors import InputError
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

        One that is missing, does not open, or is another key than its row says, is left out: it is not at hand.

        Raises:
            ConfigurationError: the vault lacks the ring key of one.
        """
        opened = ((each.public, self._opened(each)) for each in held)
        return {public: private for public, private in opened if private is not None}

    def elsewhere(self, publics: Collection[str]) -> Sequence[HeldKey]:
        """The keys of any location that have these public halves, the oldest first."""
        return self._table.by_public(publics) if publics else ()

    def adopt(self, location: str, publics: Collection[str]) -> None:
        """Keep for a location what other locations' keys are at hand of these: a device was moved, a place renamed.

        Raises:
            ConfigurationError: the vault lacks the ring key of one.
            LedgerUnavailable: nothing was kept.
        """
        elsewhere = {key.public: key for key in self.elsewhere(publics)}
        opened = self.reveal(list(elsewhere.values()))
        if opened:
            self.keep(location, [(private, elsewhere[public].created_at) for public, private in opened.items()])

    def _opened(self, held: HeldKey) -> PrivateKey | None:
        try:
            private = keys.parse(self._vault.get(held.secret_name), held.kind)
        except InputError:
            return None
        return _dated(private, held.created_at) if private.public_text == held.public else None

    def settle(self, *, primary: HeldKey | None, dropped: Sequence[HeldKey], now: datetime) -> None:
        """Write that every device has `primary`, if given, as its primary key, and none has those that were dropped.

        Raises:
            LedgerUnavailable: nothing was written.
        """
        known = None if primary is None else primary.id
        self._table.settle(primary=known, dropped=[key.id for key in dropped], now=now)


def _dated(private: PrivateKey, made_at: datetime) -> PrivateKey:
    return replace(private, ctime=round(made_at.timestamp()))


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
