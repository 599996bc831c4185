"""Who may do what in the admin API: three roles, each of which may do what the one before may."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a key may do; declared from the least to the most."""

    VIEWER = "viewer"  # sees
    OPERATOR = "operator"  # steers work
    ADMIN = "admin"  # changes who may do what, and what Keyturn does by itself

    def covers(self, needed: "Role") -> bool:
        """Whether this role may do what needs the other one."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """A key without its secret.

    Attributes:
        id: the public part, which stands in the audit.
        last_used_at: exact to a minute.
    """

    id: str
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    ended_at: datetime | None = None

    def lives(self, now: datetime) -> bool:
        """Whether it opens anything at this time."""
        return self.ended_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def actor(self) -> str:
        """How it is named in the audit."""
        return f"key:{self.id}/{self.name}"
