"""Events, jobs, attempts, their links, and notes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _partial(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("hook", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text()),
        sa.Column("device", sa.Text()),
        sa.Column("occurred_at", sa.BigInteger()),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text()),
        sa.Column("planned_at", sa.BigInteger()),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_events_receipt", "events", ["receipt"], unique=True)
    _partial("ix_events_new", "events", ["id"], "state = 'new'")
    op.create_table(
        "jobs",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("lock_key", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("event_id", sa.BigInteger()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("parked_because", sa.Text()),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text()),
        sa.Column("claimed_at", sa.BigInteger()),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("nudged_at", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sqlite_autoincrement=True,
    )
    _partial("uq_jobs_running", "jobs", ["lock_key"], "state = 'running'", unique=True)
    _partial("ix_jobs_due", "jobs", ["operation", "not_before", "id"], "state = 'due'")
    _partial("ix_jobs_open", "jobs", ["lock_key", "id"], "state IN ('held', 'due', 'running', 'awaiting')")
    _partial("ix_jobs_lease", "jobs", ["lease_until"], "state = 'running'")
    _partial("ix_jobs_awaiting", "jobs", ["not_before"], "state = 'awaiting'")
    op.create_index("ix_jobs_event", "jobs", ["event_id"])
    op.create_table(
        "attempts",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text()),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("upstream_status", sa.Integer()),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_index("ix_attempts_job", "attempts", ["job_id"])
    op.create_table(
        "event_jobs",
        sa.Column("event_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("job_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("role", sa.Text(), nullable=False),
    )
    op.create_index("ix_event_jobs_job", "event_jobs", ["job_id"])
    op.create_table(
        "notes",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    for table in ("notes", "event_jobs", "attempts", "jobs", "events"):
        op.drop_table(table)
