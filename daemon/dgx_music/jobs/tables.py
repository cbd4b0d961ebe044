"""The tables, as SQLAlchemy Core sees them. `migrations/` makes them; a test holds the two together.

A request is stored once, as JSON, in `jobs.request`; its fields also show as columns, which SQLite computes
from that JSON, so that they can be read, searched and indexed and can never disagree with it.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Computed,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = ["REQUEST_COLUMNS", "deliveries", "events", "files", "flags", "jobs", "metadata", "takes"]

metadata = MetaData()

REQUEST_COLUMNS: dict[str, type[Text | Float[float] | Integer]] = {
    "prompt": Text,
    "duration": Float,
    "bars": Integer,
    "samples": Integer,
    "bpm": Float,
    "meter": Text,
    "tempo_map": Text,
    "key": Text,
    "loop": Integer,
    "takes": Integer,
    "seed": Integer,
    "engine": Text,
    "model": Text,
    "temperature": Float,
    "top_k": Integer,
    "top_p": Float,
    "cfg_coef": Float,
    "continue_from": Text,
    "melody": Text,
    "loudness": Text,
    "sample_rate": Integer,
    "bit_depth": Integer,
    "session": Text,
    "make_session": Integer,
    "request_id": Text,
    "priority": Integer,
}
"""Every field of the request and the type that SQLite gives it; the columns are called `req_` and the name."""

jobs = Table(
    "jobs",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("request_id", Text, unique=True),
    Column("source_surface", Text, nullable=False),
    Column("source_ref", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("progress", Float, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("engine", Text, nullable=False),
    Column("audio_s", Float, nullable=False),
    Column("request", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("cancel_asked", Integer, nullable=False),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("session_path", Text),
    Column("created_at", Text, nullable=False),
    Column("started_at", Text),
    Column("finished_at", Text),
    Column("processing_s", Float),
    *(
        Column(f"req_{name}", kind, Computed(f"json_extract(request, '$.{name}')", persisted=False))
        for name, kind in REQUEST_COLUMNS.items()
    ),
    # With all that the order of the queue and the estimates read, so that neither looks into the rows.
    Index("ix_jobs_queue", "state", "priority", "seq", "engine", "audio_s"),
    Index("ix_jobs_source", "source_surface", "source_ref"),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,
)

takes = Table(
    "takes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False),
    Column("index", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("engine", Text, nullable=False),
    Column("engine_version", Text, nullable=False),
    Column("neural", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_hash", Text, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("channels", Integer, nullable=False),
    Column("sample_rate_hz", Integer, nullable=False),
    Column("bit_depth", Integer, nullable=False),
    Column("loudness_lufs", Float),
    Column("true_peak_dbtp", Float),
    Column("sample_peak_dbfs", Float),
    Column("target_lufs", Float),
    Column("level_outcome", Text, nullable=False),
    Column("level_remark", Text, nullable=False),
    Column("bpm", Float),
    Column("meter", Text),
    Column("key", Text),
    Column("tempo_measured_bpm", Float),
    Column("tempo_confidence", Float, nullable=False),
    Column("key_measured", Text),
    Column("key_confidence", Float, nullable=False),
    Column("generation_s", Float, nullable=False),
    Column("finishing_s", Float, nullable=False),
    *(Column(name, Text, nullable=False, server_default="") for name in ("device", "precision", "licence")),
    UniqueConstraint("job_id", "index"),
)

files = Table(
    "files",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("take_id", Integer, ForeignKey("takes.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("stem", Text),
    Column("staged", Text, nullable=False),
    Column("final", Text, nullable=False, unique=True),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("pcm_sha256", Text, nullable=False, server_default=""),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False, index=True),
    Column("session_path", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("offers", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Index("ix_deliveries_session", "session_path", "state"),
    sqlite_autoincrement=True,
)

flags = Table(
    "flags",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
