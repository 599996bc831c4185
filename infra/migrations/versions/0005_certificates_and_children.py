"""What certificate work needs: jobs with children, and what the scan saw of certificates and root CAs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_CHECK, _SCAN = "ublox.check_clones", "ublox.scan_clones"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("parent_id", sa.BigInteger()))
    condition = sa.text("parent_id IS NOT NULL")
    op.create_index(
        "ix_jobs_parent", "jobs", ["parent_id", "state"], sqlite_where=condition, postgresql_where=condition
    )
    op.create_table(
        "certificates",
        sa.Column("uid", sa.Text(), primary_key=True),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("ca_name", sa.Text()),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("validity_days", sa.Integer()),
        sa.Column("heartbeat_seconds", sa.BigInteger()),
        sa.Column("last_seen", sa.BigInteger()),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("alarmed", sa.Text()),
    )
    op.create_index("ix_certificates_expires", "certificates", ["expires_at"])
    op.create_table(
        "authorities",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("devices", sa.Integer()),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
    )
    _rename_action(_CHECK, _SCAN)


def _rename_action(old: str, new: str) -> None:
    """Give a schedule's action another name, also where it has fired and is not done: an operation has the old one."""
    schedules = sa.text("UPDATE schedules SET kind = :new WHERE kind = :old")
    firings = sa.text("UPDATE firings SET detail = REPLACE(detail, :old, :new)")
    op.execute(schedules.bindparams(old=old, new=new))
    op.execute(firings.bindparams(old=f'"kind":"{old}"', new=f'"kind":"{new}"'))


def downgrade() -> None:
    _rename_action(_SCAN, _CHECK)
    op.drop_table("authorities")
    op.drop_table("certificates")
    op.drop_index("ix_jobs_parent", "jobs")
    op.drop_column("jobs", "parent_id")
