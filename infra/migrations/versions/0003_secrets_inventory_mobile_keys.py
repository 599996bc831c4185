"""Sealed secrets, the inventory of sites, and the mobile keys of 2N locations."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "secrets",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("uq_secrets_name", "secrets", ["name"], unique=True)
    op.create_index("ix_secrets_key", "secrets", ["key_id"])
    op.create_table(
        "inventory",
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_inventory_site", "inventory", ["site"])
    revision_table = op.create_table(
        "inventory_revision",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(revision_table, [{"id": 1, "revision": 0}])
    op.create_table(
        "mobile_keys",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("job_id", sa.BigInteger()),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("primary_since", sa.BigInteger()),
        sa.Column("dropped_at", sa.BigInteger()),
    )
    op.create_index("uq_mobile_keys_public", "mobile_keys", ["location", "public"], unique=True)
    condition = sa.text("job_id IS NOT NULL")
    op.create_index(
        "uq_mobile_keys_job",
        "mobile_keys",
        ["location", "job_id"],
        unique=True,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def downgrade() -> None:
    for table in ("mobile_keys", "inventory_revision", "inventory", "secrets"):
        op.drop_table(table)
