"""Webhook tokens: made and shown once, ended now or later, so that the old and the new hold for a while together."""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from infra.ledger import AuditEntry, Connection, Ledger
from infra.ledger.audit import write
from infra.ledger.hook_tokens import HookToken
from schemas.errors import InputError
from schemas.secret import Secret


class TokenDesk:
    """Where webhook tokens are given and taken."""

    def __init__(self, ledger: Ledger, *, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._clock = clock

    def make(
        self, connection: Connection, *, name: str, ends_at: datetime | None, actor: str, reason: str = ""
    ) -> tuple[HookToken, Secret]:
        """Make a token in the caller's transaction, and record it; the secret is the whole header value.

        Raises:
            InputError: it would have ended before it begins.
        """
        now = self._clock()
        if ends_at is not None and ends_at <= now:
            raise InputError([f"ends_at: {ends_at.isoformat()} is past"])
        token = HookToken(id=secrets.token_hex(6), name=name, created_at=now, ends_at=ends_at)
        header = f"Bearer {secrets.token_urlsafe(32)}"
        self._ledger.hook_tokens.add(connection, token, hashlib.sha256(header.encode()).digest())
        detail = {"name": name, "ends_at": ends_at and ends_at.isoformat()}
        self._record(connection, "webhook-token.new", token.id, (actor, reason), detail)
        return token, Secret(header)

    def end(
        self, connection: Connection, token_id: str, *, after: timedelta, actor: str, reason: str = ""
    ) -> HookToken | None:
        """Let a token end, in the caller's transaction, and record it; None where there is no such token.

        One that ends sooner anyway is left as it is: an end is never put off.
        """
        found = self._ledger.hook_tokens.find(connection, token_id)
        at = self._clock() + after
        if found is None or (found.ends_at is not None and found.ends_at <= at):
            return found
        self._ledger.hook_tokens.end(connection, token_id, at)
        self._record(connection, "webhook-token.end", token_id, (actor, reason), {"ends_at": at.isoformat()})
        return self._ledger.hook_tokens.find(connection, token_id)

    def _record(
        self, connection: Connection, action: str, token: str, by: tuple[str, str], detail: Mapping[str, object]
    ) -> None:
        actor, reason = by
        entry = AuditEntry(
            at=self._clock(),
            actor=actor,
            action=action,
            subject=f"webhook-token/{token}",
            reason=reason,
            detail=detail,
        )
        write(connection, entry)
