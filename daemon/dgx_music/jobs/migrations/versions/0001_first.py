"""The first schema: jobs, events, takes, files, flags."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_REQUEST_COLUMNS = {
    "prompt": sa.Text,
    "duration": sa.Float,
    "bars": sa.Integer,
    "samples": sa.Integer,
    "bpm": sa.Float,
    "meter": sa.Text,
    "key": sa.Text,
    "loop": sa.Integer,
    "takes": sa.Integer,
    "seed": sa.Integer,
    "engine": sa.Text,
    "model": sa.Text,
    "temperature": sa.Float,
    "top_k": sa.Integer,
    "top_p": sa.Float,
    "cfg_coef": sa.Float,
    "continue_from": sa.Text,
    "melody": sa.Text,
    "loudness": sa.Text,
    "sample_rate": sa.Integer,
    "bit_depth": sa.Integer,
    "session": sa.Text,
    "make_session": sa.Integer,
    "request_id": sa.Text,
    "priority": sa.Integer,
}


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "jobs",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("request_id", sa.Text, unique=True),
        sa.Column("source_surface", sa.Text, nullable=False),
        sa.Column("source_ref", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("audio_s", sa.Float, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("cancel_asked", sa.Integer, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("session_path", sa.Text),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text),
        sa.Column("finished_at", sa.Text),
        sa.Column("processing_s", sa.Float),
        *(
            sa.Column(f"req_{name}", kind, sa.Computed(f"json_extract(request, '$.{name}')", persisted=False))
            for name, kind in _REQUEST_COLUMNS.items()
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_queue", "jobs", ["state", "priority", "seq", "audio_s"])
    op.create_index("ix_jobs_source", "jobs", ["source_surface", "source_ref"])
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_job_id", "events", ["job_id"])
    op.create_table(
        "takes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("engine_version", sa.Text, nullable=False),
        sa.Column("neural", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_hash", sa.Text, nullable=False),
        sa.Column("frames", sa.Integer, nullable=False),
        sa.Column("channels", sa.Integer, nullable=False),
        sa.Column("sample_rate_hz", sa.Integer, nullable=False),
        sa.Column("bit_depth", sa.Integer, nullable=False),
        sa.Column("loudness_lufs", sa.Float),
        sa.Column("true_peak_dbtp", sa.Float),
        sa.Column("sample_peak_dbfs", sa.Float),
        sa.Column("target_lufs", sa.Float),
        sa.Column("level_outcome", sa.Text, nullable=False),
        sa.Column("level_remark", sa.Text, nullable=False),
        sa.Column("bpm", sa.Float),
        sa.Column("meter", sa.Text),
        sa.Column("key", sa.Text),
        sa.Column("tempo_measured_bpm", sa.Float),
        sa.Column("tempo_confidence", sa.Float, nullable=False),
        sa.Column("key_measured", sa.Text),
        sa.Column("key_confidence", sa.Float, nullable=False),
        sa.Column("generation_s", sa.Float, nullable=False),
        sa.Column("finishing_s", sa.Float, nullable=False),
        sa.UniqueConstraint("job_id", "index"),
    )
    op.create_table(
        "files",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("take_id", sa.Integer, sa.ForeignKey("takes.id", ondelete="CASCADE"), nullable=False),
        sa.Column("stem", sa.Text),
        sa.Column("staged", sa.Text, nullable=False),
        sa.Column("final", sa.Text, nullable=False, unique=True),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
    )
    op.create_index("ix_files_take_id", "files", ["take_id"])
    op.create_table(
        "flags",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
