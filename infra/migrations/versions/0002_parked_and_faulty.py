"""What waits for a person can be counted without reading what does not."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for name, table, state in (("ix_jobs_parked", "jobs", "parked"), ("ix_events_fault", "events", "fault")):
        condition = sa.text(f"state = '{state}'")
        op.create_index(name, table, ["id"], sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    op.drop_index("ix_events_fault", "events")
    op.drop_index("ix_jobs_parked", "jobs")
