"""Jobs that need the trained network of another one.

Revision 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_need",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("needed_job_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_need_job_id_job"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["needed_job_id"], ["job.id"], name=op.f("fk_job_need_needed_job_id_job"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("job_id", "needed_job_id", name=op.f("pk_job_need")),
    )
    with op.batch_alter_table("job_need", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_need_needed_job_id"), ["needed_job_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("job_need", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_need_needed_job_id"))

    op.drop_table("job_need")
