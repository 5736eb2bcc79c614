"""Receptive fields.

Revision 0006, after 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "receptive_field",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("layer", sa.String(length=100), nullable=False),
        sa.Column("n_neurons", sa.Integer(), nullable=False),
        sa.Column("n_features", sa.Integer(), nullable=False),
        sa.Column("shape", sa.JSON(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("labels", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_receptive_field_job_id_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receptive_field")),
        sa.UniqueConstraint("job_id", "step", "layer", name=op.f("uq_receptive_field_job_id_step_layer")),
    )
    with op.batch_alter_table("receptive_field", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_receptive_field_job_id_id"), ["job_id", "id"], unique=False)

    op.create_table(
        "receptive_field_chunk",
        sa.Column("receptive_field_id", sa.String(length=40), nullable=False),
        sa.Column("n_start", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n_stop", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["receptive_field_id"],
            ["receptive_field.id"],
            name=op.f("fk_receptive_field_chunk_receptive_field_id_receptive_field"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("receptive_field_id", "n_start", name=op.f("pk_receptive_field_chunk")),
    )


def downgrade() -> None:
    op.drop_table("receptive_field_chunk")
    with op.batch_alter_table("receptive_field", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_receptive_field_job_id_id"))

    op.drop_table("receptive_field")
