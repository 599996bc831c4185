"""API keys: made, shown once, checked, ended.

A key is ``kt_<id>_<secret>``: the id is public and stands in the audit, the secret has 256 random bits. So its SHA-256
is all that has to be stored: there is nothing to guess that a slow hash would protect.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from infra.ledger import AuditEntry, Connection, Ledger
from infra.ledger.audit import write
from schemas.access import ApiKey, Role
from schemas.errors import InputError, LedgerUnavailable
from schemas.secret import Secret

_KEY: Final = re.compile(r"kt_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")

_NOBODY: Final = "0" * 64
"""What the secret of an unknown key is compared with, so that it takes as long as that of a known one."""

log = structlog.get_logger(__name__)


class Access:
    """The API keys of a ledger, as those who use and manage them see them."""

    def __init__(self, ledger: Ledger, *, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._clock = clock

    def check(self, key: str) -> ApiKey | None:
        """Give the living key that this is, and note that it was used; None for whatever else.

        Raises:
            LedgerUnavailable: the keys cannot be read.
        """
        parts = _KEY.fullmatch(key)
        if parts is None:
            return None
        found = self._ledger.keys.find(parts[1])
        known, stored = found or (None, _NOBODY)
        fits = hmac.compare_digest(_hash(parts[2]), stored)
        now = self._clock()
        if known is None or not fits or not known.lives(now):
            return None
        self._note_use(known, now)
        return known

    def make(
        self, connection: Connection, *, name: str, role: Role, days: int | None, actor: str, reason: str = ""
    ) -> tuple[ApiKey, Secret]:
        """Make a key in the caller's transaction, and record it; the secret text is the whole key, given only here."""
        now = self._clock()
        expires = None if days is None else now + timedelta(days=days)
        made = ApiKey(id=secrets.token_hex(6), name=name, role=role, created_at=now, expires_at=expires)
        secret = secrets.token_urlsafe(32)
        self._ledger.keys.add(connection, made, _hash(secret))
        detail = {"name": name, "role": role.value, "expires_at": expires and expires.isoformat()}
        write(
            connection,
            AuditEntry(at=now, actor=actor, action="key.new", subject=f"key/{made.id}", reason=reason, detail=detail),
        )
        return made, Secret(f"kt_{made.id}_{secret}")

    def end(
        self, connection: Connection, key_id: str, *, actor: str, reason: str = "", even_the_last: bool = False
    ) -> bool:
        """End a key in the caller's transaction, and record it; False when it had ended before.

        Raises:
            InputError: it is the last living admin key, without which nobody could make another.
        """
        now = self._clock()
        admins = self._ledger.keys.hold_admins(connection, now)
        if admins == {key_id} and not even_the_last:
            raise InputError([f"{key_id} is the last living key of an admin: make another one first"])
        if not self._ledger.keys.end(connection, key_id, now):
            return False
        write(connection, AuditEntry(at=now, actor=actor, action="key.end", subject=f"key/{key_id}", reason=reason))
        return True

    def _note_use(self, key: ApiKey, now: datetime) -> None:
        try:
            self._ledger.keys.note_use(key, now)
        except LedgerUnavailable as error:
            log.warning("the use of a key was not noted", key_id=key.id, error=str(error))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
