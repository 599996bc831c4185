"""The ledger's tables and indexes, as SQLAlchemy Core data.

Times are BIGINT microseconds since 1970 UTC: the same type, order and arithmetic on SQLite and PostgreSQL.
Partial indexes cover open rows, and those that wait for a person, so that a claim costs the same beside ten thousand
old jobs and beside millions.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

metadata = MetaData()

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KEY: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only an INTEGER key

OPEN_STATES: Final = "state IN ('held', 'due', 'running', 'awaiting')"
"""Literal on purpose: SQLite uses a partial index only where a query repeats its condition word for word."""

events = Table(
    "events",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("receipt", Text, nullable=False),  # names the content, so a repeat collides
    Column("source", Text, nullable=False),  # webhook, poll
    Column("hook", Text, nullable=False),  # the {name} of the address it came to, or empty
    Column("event_type", Text),  # null when the body could not be understood
    Column("device", Text),
    Column("occurred_at", BigInteger),
    Column("received_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # raw, immutable
    Column("state", Text, nullable=False),  # new, planned, malformed, fault
    Column("verdict", Text),  # what the playbook said, or why it is malformed
    Column("planned_at", BigInteger),
    Index("uq_events_receipt", "receipt", unique=True),
    Index("ix_events_new", "id", sqlite_where=text("state = 'new'"), postgresql_where=text("state = 'new'")),
    Index("ix_events_fault", "id", sqlite_where=text("state = 'fault'"), postgresql_where=text("state = 'fault'")),
    sqlite_autoincrement=True,
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("operation", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("lock_key", Text, nullable=False),
    Column("parameters", Text, nullable=False),  # canonical JSON
    Column("rule", Text, nullable=False),
    Column("event_id", BigInteger),  # the event that caused it
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),  # why it stands where it stands, for a person
    Column("parked_because", Text),
    Column("not_before", BigInteger, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("worker", Text),
    Column("claimed_at", BigInteger),
    Column("lease_until", BigInteger),
    Column("progress", Text, nullable=False),  # JSON that the operation noted for its next attempt
    Column("evidence", Text, nullable=False),  # JSON: what the causing, later the confirming event said
    Column("nudged_at", BigInteger),  # when it came, so that a nudge during an attempt is not lost
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Index(
        "uq_jobs_running",
        "lock_key",
        unique=True,
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
    Index(
        "ix_jobs_due",
        "operation",
        "not_before",
        "id",
        sqlite_where=text("state = 'due'"),
        postgresql_where=text("state = 'due'"),
    ),
    Index("ix_jobs_open", "lock_key", "id", sqlite_where=text(OPEN_STATES), postgresql_where=text(OPEN_STATES)),
    Index(
        "ix_jobs_lease",
        "lease_until",
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
    Index(
        "ix_jobs_awaiting",
        "not_before",
        sqlite_where=text("state = 'awaiting'"),
        postgresql_where=text("state = 'awaiting'"),
    ),
    Index("ix_jobs_parked", "id", sqlite_where=text("state = 'parked'"), postgresql_where=text("state = 'parked'")),
    Index("ix_jobs_event", "event_id"),
    sqlite_autoincrement=True,
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("job_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("worker", Text),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),  # the state that it led to, or lost
    Column("upstream_status", Integer),
    Column("reason", Text, nullable=False),
    Index("ix_attempts_job", "job_id"),
)

links = Table(
    "event_jobs",
    metadata,
    Column("event_id", BigInteger, primary_key=True, autoincrement=False),
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("role", Text, nullable=False),  # served: no job of its own; confirmed: it proved the job's work
    Index("ix_event_jobs_job", "job_id"),
)

notes = Table(
    "notes",
    metadata,
    Column("name", Text, primary_key=True),  # such as last_sweep
    Column("at", BigInteger, nullable=False),
)


secrets = Table(
    "secrets",
    metadata,
    Column("id", Text, primary_key=True),  # random; bound into what is sealed, as the name is
    Column("name", Text, nullable=False),
    Column("key_id", Text, nullable=False),  # the ring key that opens it
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("uq_secrets_name", "name", unique=True),
    Index("ix_secrets_key", "key_id"),
)

inventory = Table(
    "inventory",
    metadata,
    Column("kind", Text, primary_key=True),  # site, device, twon, token, tap
    Column("key", Text, primary_key=True),
    Column("site", Text, nullable=False),
    Column("entry", Text, nullable=False),  # canonical JSON; it names secrets and holds none
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_inventory_site", "site"),
)

inventory_revision = Table(
    "inventory_revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row, 1
    Column("revision", BigInteger, nullable=False),  # one more in the transaction of every change
)

mobile_keys = Table(
    "mobile_keys",
    metadata,
    Column("id", Text, primary_key=True),  # names the private half in the vault
    Column("location", Text, nullable=False),
    Column("kind", Text, nullable=False),  # rsa, ecc
    Column("public", Text, nullable=False),  # base64 of the DER SubjectPublicKeyInfo
    Column("job_id", BigInteger),  # the job that made it
    Column("origin", Text, nullable=False),  # made, or read from a device
    Column("created_at", BigInteger, nullable=False),
    Column("primary_since", BigInteger),
    Column("dropped_at", BigInteger),
    Index("uq_mobile_keys_public", "location", "public", unique=True),
    Index(
        "uq_mobile_keys_job",
        "location",
        "job_id",
        unique=True,
        sqlite_where=text("job_id IS NOT NULL"),
        postgresql_where=text("job_id IS NOT NULL"),
    ),
)


def to_us(moment: datetime) -> int:
    """An aware time as microseconds since 1970 UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def storable(words: str) -> str:
    """Words that every database takes: PostgreSQL has no NUL, and half a surrogate pair has no UTF-8."""
    return words.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def from_us(value: int) -> datetime:
    """Microseconds since 1970 UTC as an aware time."""
    return _EPOCH + timedelta(microseconds=value)
