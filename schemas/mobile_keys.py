"""A mobile key of a 2N location as Keyturn keeps it: public half and story; the private half is in the vault."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from schemas.twon import KeyType

VAULT_FOLDER: Final = "mobile-key"
"""What the names of private keys in the vault begin with."""


class Origin(StrEnum):
    """Where a key came from."""

    MADE = "made"  # by Keyturn
    READ = "read"  # from a device that tells its private keys


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldKey:
    """A mobile key whose private half is in the vault.

    Attributes:
        public: the public half: Base64 of a SubjectPublicKeyInfo in DER.
        job_id: the job that made it.
        created_at: when it was made; of one that was read, what the device says, or when it was read.
        primary_since: since when it was seen as the primary key of every device of the location.
        dropped_at: when it was taken from the location's list.
    """

    id: str
    location: str
    kind: KeyType
    public: str
    origin: Origin
    created_at: datetime
    job_id: int | None = None
    primary_since: datetime | None = None
    dropped_at: datetime | None = None

    @property
    def secret_name(self) -> str:
        """The name of its private half in the vault."""
        return f"{VAULT_FOLDER}/{self.id}"

    @property
    def waits(self) -> bool:
        """Whether it was made to become the primary key and has not been everywhere yet."""
        return self.origin is Origin.MADE and self.primary_since is None and self.dropped_at is None
