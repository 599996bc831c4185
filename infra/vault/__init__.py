"""The vault: secrets sealed in the ledger by a ring of keys that the ledger never sees."""

from infra.vault.ring import KeyRing, new_ring_line
from infra.vault.vault import KeyUse, Resealed, Vault

__all__ = ["KeyRing", "KeyUse", "Resealed", "Vault", "new_ring_line"]
