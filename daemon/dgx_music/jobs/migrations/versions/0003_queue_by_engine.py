"""The queue's index holds the engine too: jobs of a full engine are passed over, and each engine's audio is counted."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the index anew."""
    op.drop_index("ix_jobs_queue", "jobs")
    op.create_index("ix_jobs_queue", "jobs", ["state", "priority", "seq", "engine", "audio_s"])
