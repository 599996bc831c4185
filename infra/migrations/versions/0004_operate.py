"""What operating it needs: keys, audit, schedules, triggers, playbooks, tokens, budgets, and quick lists."""

import json
import secrets

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _time(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    _access()
    _schedules()
    _triggers()
    _playbooks_and_tokens()
    _lists()


def _access() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), primary_key=True),
        *_text("name", "role", "hash"),
        *_time("created_at"),
        *_time("expires_at", "last_used_at", "ended_at", nullable=True),
    )
    op.create_table(
        "audit",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        *_time("at"),
        *_text("actor", "action", "subject", "reason", "detail", "previous", "hash"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "answers",
        sa.Column("actor", sa.Text(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        *_text("request_hash"),
        sa.Column("status", sa.Integer()),
        sa.Column("body", sa.Text()),
        *_time("created_at"),
    )
    op.create_index("ix_answers_created", "answers", ["created_at"])


def _schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text(), primary_key=True),
        *_text("kind", "spec"),
        sa.Column("enabled", sa.Integer(), nullable=False),
        *_time("next_due", "updated_at", "revision"),
    )
    op.create_table(
        "firings",
        sa.Column("schedule", sa.Text(), primary_key=True),
        sa.Column("due_at", sa.BigInteger(), primary_key=True, autoincrement=False),
        *_time("fired_at"),
        *_text("outcome", "detail"),
    )
    _index("ix_firings_open", "firings", ["due_at", "schedule"], "outcome IN ('waiting', 'running')")


def _triggers() -> None:
    op.create_table(
        "triggers",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("idempotency_key", sa.Text()),
        *_text("request_hash", "actor"),
        *_time("created_at"),
        *_text("operation", "selection", "parameters"),
        sa.Column("total", sa.Integer(), nullable=False),
        *_text("state", "detail"),
    )
    op.create_index("uq_triggers_idempotency_key", "triggers", ["idempotency_key"], unique=True)
    op.create_table(
        "trigger_targets",
        sa.Column("trigger_id", sa.Text(), primary_key=True),
        sa.Column("place", sa.Integer(), primary_key=True, autoincrement=False),
        *_text("targets"),
    )
    op.create_index("ix_triggers_created", "triggers", ["created_at"])
    _index("ix_triggers_open", "triggers", ["created_at"], "state IN ('planning', 'approving', 'cancelling')")


def _playbooks_and_tokens() -> None:
    op.create_table(
        "playbooks",
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=True),
        *_text("text"),
        *_time("created_at"),
        *_text("created_by"),
        *_time("activated_at", nullable=True),
        *_text("note"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhook_tokens",
        sa.Column("id", sa.Text(), primary_key=True),
        *_text("name", "hash"),
        *_time("created_at"),
        *_time("ends_at", nullable=True),
    )
    op.create_table(
        "spending",
        sa.Column("operation", sa.Text(), primary_key=True),
        sa.Column("day", sa.Text(), primary_key=True),
        sa.Column("jobs", sa.Integer(), nullable=False),
    )
    watermarks = op.create_table(
        "watermarks", sa.Column("name", sa.Text(), primary_key=True), *_text("value"), *_time("updated_at")
    )
    head = json.dumps({"count": 0, "hash": "0" * 64}, separators=(",", ":"))
    values = {"audit_head": head, "cursor_key": secrets.token_hex(32)}
    op.bulk_insert(watermarks, [{"name": name, "value": value, "updated_at": 0} for name, value in values.items()])


def _lists() -> None:
    for name in ("site", "trigger_id", "hold"):
        op.add_column("jobs", sa.Column(name, sa.Text()))
    op.add_column("jobs", sa.Column("not_after", sa.BigInteger()))
    op.create_index("ix_jobs_target", "jobs", ["target", "id"])
    _index("ix_events_device", "events", ["device", "id"], "state <> 'new'")
    _index("ix_jobs_state", "jobs", ["state", "id"], "state <> 'succeeded'")
    _index("ix_jobs_held", "jobs", ["not_before", "id"], "state = 'held'")
    _index("ix_jobs_closing", "jobs", ["not_after"], "state = 'due' AND not_after IS NOT NULL")
    _index("ix_jobs_site", "jobs", ["site", "id"], "site IS NOT NULL")
    _index("ix_jobs_trigger", "jobs", ["trigger_id", "id"], "trigger_id IS NOT NULL")
    _index("ix_events_malformed", "events", ["id"], "state = 'malformed'")


def downgrade() -> None:
    for name in ("ix_events_malformed", "ix_events_device"):
        op.drop_index(name, "events")
    for name in (
        "ix_jobs_closing",
        "ix_jobs_held",
        "ix_jobs_trigger",
        "ix_jobs_site",
        "ix_jobs_state",
        "ix_jobs_target",
    ):
        op.drop_index(name, "jobs")
    for name in ("not_after", "hold", "trigger_id", "site"):
        op.drop_column("jobs", name)
    later = ("watermarks", "spending", "webhook_tokens", "playbooks", "trigger_targets", "triggers")
    for table in (*later, "firings", "schedules", "answers", "audit", "api_keys"):
        op.drop_table(table)
