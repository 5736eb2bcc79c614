"""Sweeps: many jobs made by one request.

Revision 0004, after 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sweep",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("max_parallel", sa.Integer(), nullable=True),
        sa.Column("api_key_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_key.id"], name=op.f("fk_sweep_api_key_id_api_key"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweep")),
    )
    op.create_table(
        "sweep_job",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("sweep_id", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("point", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_sweep_job_job_id_job"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["sweep_id"], ["sweep.id"], name=op.f("fk_sweep_job_sweep_id_sweep"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_sweep_job")),
    )
    with op.batch_alter_table("sweep_job", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_sweep_job_sweep_id_position_seed"), ["sweep_id", "position", "seed"], unique=False
        )

    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sweep_id", sa.String(length=40), nullable=True))
        batch_op.create_index(batch_op.f("ix_idempotency_sweep_id"), ["sweep_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_idempotency_sweep_id_sweep"), "sweep", ["sweep_id"], ["id"], ondelete="CASCADE"
        )


def downgrade() -> None:
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_idempotency_sweep_id_sweep"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_idempotency_sweep_id"))
        batch_op.drop_column("sweep_id")

    with op.batch_alter_table("sweep_job", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sweep_job_sweep_id_position_seed"))

    op.drop_table("sweep_job")
    op.drop_table("sweep")
