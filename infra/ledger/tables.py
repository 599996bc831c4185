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
_MICROSECOND: Final = timedelta(microseconds=1)
_KEY: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only an INTEGER key

NOT_BEGUN: Final = (
    """(progress = '{}' OR substr(progress, 1, 11) = '{"redriven"' OR substr(progress, 1, 9) = '{"serial"')"""
)
"""Nothing is under way outside: no progress, or of a renewal that was given up or refused nothing but what it was to
replace. What was asked for stands before that in the order of names."""

OPEN_STATES: Final = "state IN ('held', 'due', 'running', 'awaiting')"
"""Literal on purpose: SQLite uses a partial index only where a query repeats its condition word for word."""


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of the rows for which a condition holds."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


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
    _partial("ix_events_new", "id", where="state = 'new'"),
    _partial("ix_events_fault", "id", where="state = 'fault'"),
    _partial("ix_events_malformed", "id", where="state = 'malformed'"),
    _partial("ix_events_device", "device", "id", where="state <> 'new'"),
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
    Column("site", Text),
    Column("trigger_id", Text),  # the manual trigger that asked for it
    Column("hold", Text),  # JSON: the terms that bind it, a window, an approval or a budget
    Column("not_after", BigInteger),  # when its window closes: it is not begun from then on
    Column("parent_id", BigInteger),  # the job whose work it is a part of
    _partial("uq_jobs_running", "lock_key", where="state = 'running'", unique=True),
    _partial("ix_jobs_due", "operation", "not_before", "id", where="state = 'due'"),
    _partial("ix_jobs_open", "lock_key", "id", where=OPEN_STATES),
    _partial("ix_jobs_lease", "lease_until", where="state = 'running'"),
    _partial("ix_jobs_awaiting", "not_before", where="state = 'awaiting'"),
    _partial("ix_jobs_held", "not_before", "id", where="state = 'held'"),
    _partial("ix_jobs_closing", "not_after", where="state = 'due' AND not_after IS NOT NULL"),
    _partial("ix_jobs_parked", "id", where="state = 'parked'"),
    Index("ix_jobs_event", "event_id"),
    Index("ix_jobs_target", "target", "id"),
    _partial("ix_jobs_state", "state", "id", where="state <> 'succeeded'"),
    _partial("ix_jobs_site", "site", "id", where="site IS NOT NULL"),
    _partial("ix_jobs_trigger", "trigger_id", "id", where="trigger_id IS NOT NULL"),
    _partial("ix_jobs_parent", "parent_id", "state", where="parent_id IS NOT NULL"),
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
    _partial("uq_mobile_keys_job", "location", "job_id", where="job_id IS NOT NULL", unique=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),  # the public part of the key
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),  # viewer, operator, admin
    Column("hash", Text, nullable=False),  # SHA-256 of the secret part
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("ended_at", BigInteger),
)

audit = Table(
    "audit",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),  # canonical JSON, without secrets
    Column("previous", Text, nullable=False),  # the hash of the row before
    Column("hash", Text, nullable=False),  # SHA-256 of every other column
    sqlite_autoincrement=True,
)

answers = Table(
    "answers",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("key", Text, primary_key=True),  # the Idempotency-Key that the actor sent
    Column("request_hash", Text, nullable=False),
    Column("status", Integer),  # null only inside the transaction that makes the answer
    Column("body", Text),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_answers_created", "created_at"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("spec", Text, nullable=False),  # canonical JSON: when, time zone, catch-up, jitter, parameters
    Column("enabled", Integer, nullable=False),
    Column("next_due", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

firings = Table(
    "firings",
    metadata,
    Column("schedule", Text, primary_key=True),
    Column("due_at", BigInteger, primary_key=True, autoincrement=False),  # a second beat collides
    Column("fired_at", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
    _partial("ix_firings_open", "due_at", "schedule", where="outcome IN ('waiting', 'running')"),
)

triggers = Table(
    "triggers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("idempotency_key", Text),
    Column("request_hash", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("operation", Text, nullable=False),
    Column("selection", Text, nullable=False),  # canonical JSON
    Column("parameters", Text, nullable=False),  # canonical JSON
    Column("total", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("uq_triggers_idempotency_key", "idempotency_key", unique=True),
    Index("ix_triggers_created", "created_at"),
    _partial("ix_triggers_open", "created_at", where="state IN ('planning', 'approving', 'cancelling')"),
)

trigger_targets = Table(
    "trigger_targets",
    metadata,
    Column("trigger_id", Text, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("targets", Text, nullable=False),  # canonical JSON: those of one transaction, gone when they are planned
)

playbooks = Table(
    "playbooks",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=True),
    Column("text", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("activated_at", BigInteger),
    Column("note", Text, nullable=False),
    sqlite_autoincrement=True,
)

webhook_tokens = Table(
    "webhook_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False),  # SHA-256 of the whole Authorization header value
    Column("created_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger),
)

spending = Table(
    "spending",
    metadata,
    Column("operation", Text, primary_key=True),
    Column("day", Text, primary_key=True),  # the hour of it too: YYYY-MM-DDTHH in UTC
    Column("jobs", Integer, nullable=False),
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

certificates = Table(
    "certificates",
    metadata,
    Column("uid", Text, primary_key=True),  # canonical ROTPublicUID
    Column("serial", Text, nullable=False),  # hex
    Column("ca_name", Text),
    Column("expires_at", BigInteger),
    Column("validity_days", Integer),
    Column("heartbeat_seconds", BigInteger),
    Column("last_seen", BigInteger),
    Column("seen_at", BigInteger, nullable=False),  # when we looked
    Column("alarmed", Text),  # what a person was told of it already
    Index("ix_certificates_expires", "expires_at"),
)

authorities = Table(
    "authorities",
    metadata,
    Column("name", Text, primary_key=True),
    Column("expires_at", BigInteger),
    Column("devices", Integer),
    Column("seen_at", BigInteger, nullable=False),  # when we looked
)


def to_us(moment: datetime) -> int:
    """An aware time as microseconds since 1970 UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def storable(words: str) -> str:
    """Words that every database takes: PostgreSQL has no NUL, and half a surrogate pair has no UTF-8."""
    return words.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def from_us(value: int) -> datetime:
    """Microseconds since 1970 UTC as an aware time."""
    return _EPOCH + timedelta(microseconds=value)
