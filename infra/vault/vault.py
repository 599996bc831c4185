"""Secrets by name: sealed before the ledger sees them, opened when they are needed, kept nowhere else."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from pydantic import SecretStr

from infra.ledger import SealedSecret, Secrets
from infra.vault.ring import KeyRing
from infra.vault.sealing import Place, rewrap, seal, unseal
from schemas.errors import ConfigurationError, InputError
from schemas.secret import Secret, secret_name

LARGEST: Final = 65_536
"""Bytes of a value; keys and passwords are far smaller."""

BATCH: Final = 200
"""Values that are sealed again in one transaction: some ten milliseconds, in which nobody else writes on SQLite."""

Progress = Callable[[int, int], None]
"""Told after each batch: how many values are behind us, and how many there are to seal again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyUse:
    """What one ring key seals.

    Attributes:
        in_ring: whether the ring has a key of this id.
        newest: whether it seals what is put now.
        values: how many values it seals.
        closed: how many of them do not open.
    """

    key_id: str
    in_ring: bool
    newest: bool
    values: int
    closed: int


@dataclass(frozen=True, slots=True)
class Resealed:
    """What sealing again has come to.

    Attributes:
        done: how many values the newest ring key has taken over.
        left: how many values other ring keys still seal, by their ids. They do not open, or a process with an older
            ring has put them meanwhile.
    """

    done: int
    left: Mapping[str, int]


def _now() -> datetime:
    return datetime.now(UTC)


class Vault:
    """Keeps secrets under names such as ``tap/IOTZ00000000000042/password``; threads may share it.

    Args:
        table: the ledger's sealed secrets.
        ring: the keys.
        clock: tells the time.
    """

    def __init__(self, table: Secrets, ring: KeyRing, *, clock: Callable[[], datetime] = _now) -> None:
        self._table = table
        self._ring = ring
        self._clock = clock

    def seal(self, name: str, value: SecretStr) -> SealedSecret:
        """Seal a value without storing it, for those who commit it within a transaction of their own.

        Raises:
            InputError: the name or the value cannot be kept; the value is not repeated.
        """
        content = _content(value)
        if faults := _faults(name, content):
            raise InputError(faults)
        key, place = self._ring.newest, Place(secrets.token_hex(16), name)
        sealed = seal(content, key, place)
        return SealedSecret(id=place.id, name=name, key_id=key.id, sealed=sealed, put_at=self._clock())

    def put(self, name: str, value: SecretStr) -> None:
        """Keep a value; it replaces the one that the name had, and is committed on return.

        Raises:
            InputError: as of `seal`.
            LedgerUnavailable: nothing was stored.
        """
        self.put_many({name: value})

    def put_many(self, values: Mapping[str, SecretStr]) -> None:
        """Keep values, all or none.

        Raises:
            InputError: as of `seal`, for all of them at once; nothing was stored.
            LedgerUnavailable: nothing was stored.
        """
        if faults := [fault for name, value in values.items() for fault in _faults(name, _content(value))]:
            raise InputError(faults)
        self._table.put([self.seal(name, value) for name, value in values.items()])

    def get(self, name: str) -> Secret:
        """Open a value.

        Raises:
            InputError: there is none of this name, or it was changed or moved and does not open.
            ConfigurationError: the ring lacks the key that sealed it, or has another one of the same id.
            LedgerUnavailable: it cannot be read now.
        """
        row = self._table.get(name)
        if row is None:
            raise InputError([f"the vault has no secret {name!r}"])
        return _secret(self._open(row))

    def get_many(self, names: Iterable[str]) -> dict[str, Secret]:
        """Open values, with one query for hundreds of them.

        What is not there or does not open is left out; `get` says why.

        Raises:
            LedgerUnavailable: they cannot be read now.
        """
        found = self._table.get_many(names)
        return {row.name: value for row in found if (value := self._opened(row)) is not None}

    def names(self, prefix: str = "") -> list[str]:
        """The names that begin with `prefix`, sorted."""
        return self._table.names(prefix)

    def delete(self, names: Iterable[str]) -> int:
        """Delete values, all or none; give how many there were."""
        return self._table.delete(names)

    def uses(self) -> list[KeyUse]:
        """What each ring key seals: those of the ring, newest first, then those that it lacks. Opens every value."""
        values, closed = Counter[str](), Counter[str]()
        for row in _every(lambda after: self._table.page(after=after, limit=BATCH)):
            values[row.key_id] += 1
            closed[row.key_id] += self._opened(row) is None
        missing = sorted(values.keys() - set(self._ring.ids))
        return [
            KeyUse(
                key_id=key_id,
                in_ring=key_id in self._ring.ids,
                newest=key_id == self._ring.newest.id,
                values=values[key_id],
                closed=closed[key_id],
            )
            for key_id in (*self._ring.ids, *missing)
        ]

    def reseal(self, progress: Progress = lambda _done, _total: None) -> Resealed:
        """Have the newest ring key seal every value, while others go on reading and writing.

        Only the data key of a value is sealed again. Each batch is a transaction of its own: what is done stays done
        when it is interrupted, and a second run, or a second process, finds nothing of it to do.

        Raises:
            LedgerUnavailable: what is done so far stays done.
        """
        newest = self._ring.newest
        total, behind, done = sum(self._left().values()), 0, 0
        after = ""
        while rows := self._table.stale(newest.id, after=after, limit=BATCH):
            after = rows[-1].name
            done += self._table.exchange(list(self._rewrapped(rows)))
            behind += len(rows)
            progress(behind, max(total, behind))
        return Resealed(done, self._left())

    def _left(self) -> dict[str, int]:
        return {key_id: count for key_id, count in self._table.counts().items() if key_id != self._ring.newest.id}

    def _rewrapped(self, rows: Iterable[SealedSecret]) -> Iterator[tuple[SealedSecret, SealedSecret]]:
        """Each row that opens, with what takes its place."""
        newest = self._ring.newest
        for row in rows:
            try:
                key = self._ring.key(row.key_id, of=row.name)
                sealed = rewrap(row.sealed, key, Place(row.id, row.name), to=newest)
            except (InputError, ConfigurationError):
                continue  # it stays as it is, and is counted as left
            yield row, replace(row, key_id=newest.id, sealed=sealed)

    def _open(self, row: SealedSecret) -> bytes:
        return unseal(row.sealed, self._ring.key(row.key_id, of=row.name), Place(row.id, row.name))

    def _opened(self, row: SealedSecret) -> Secret | None:
        try:
            return _secret(self._open(row))
        except (InputError, ConfigurationError):
            return None


def _every(page: Callable[[str], list[SealedSecret]]) -> Iterator[SealedSecret]:
    after = ""
    while rows := page(after):
        yield from rows
        after = rows[-1].name


def _secret(content: bytes) -> Secret:
    return Secret(content.decode(errors="surrogatepass"))


def _content(value: SecretStr) -> bytes:
    """The value as bytes; half a surrogate pair, too, comes back as it was put."""
    return value.get_secret_value().encode(errors="surrogatepass")


def _faults(name: str, content: bytes) -> list[str]:
    try:
        secret_name(name)
    except ValueError as error:
        return [str(error)]
    if not content:
        return [f"the secret {name!r} is empty: delete it instead"]
    return [] if len(content) <= LARGEST else [f"the secret {name!r} is longer than {LARGEST} bytes"]
