from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from dgx_music.errors import StoreError
from dgx_music.jobs import Source, schema
from dgx_music.jobs.store import NewJob, Store
from dgx_music.jobs.tables import metadata
from dgx_music.request import GenerationRequest
from support.takes import take


def describe(engine):
    """The schema as SQLite understands it: columns with type and constraints, generated ones too, and indices."""
    with engine.connect() as db:
        names = [row[0] for row in db.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'table'"))]
        return {
            name: {
                # Sorted: a column that came later stands at the end in an upgraded table, which is no difference.
                "columns": sorted(
                    (tuple(row)[1:] for row in db.execute(sa.text(f"PRAGMA table_xinfo('{name}')"))), key=str
                ),
                "keys": [
                    tuple(row)[2:5] for row in db.execute(sa.text(f"PRAGMA foreign_key_list('{name}')"))
                ],
                "indices": sorted(
                    (
                        row[2],
                        tuple(column[2] for column in db.execute(sa.text(f"PRAGMA index_info('{row[1]}')"))),
                    )
                    for row in db.execute(sa.text(f"PRAGMA index_list('{name}')"))
                ),
            }
            for name in names
            if name not in ("alembic_version", "sqlite_sequence")
        }


def test_migrations_make_the_tables_that_the_store_uses(tmp_path):
    schema.upgrade(tmp_path / "migrated.sqlite")
    plain = sa.create_engine(f"sqlite:///{tmp_path}/plain.sqlite")
    metadata.create_all(plain)
    migrated = sa.create_engine(f"sqlite:///{tmp_path}/migrated.sqlite")
    assert describe(migrated) == describe(plain)
    plain.dispose()
    migrated.dispose()


def test_head_is_the_newest_migration():
    newest = max(Path(schema.__file__).with_name("migrations").glob("versions/[0-9]*.py"))
    assert newest.name.startswith(schema.HEAD + "_")


def test_a_new_database_is_private_and_in_wal_mode(tmp_path):
    Store(tmp_path / "deep" / "jobs.sqlite").close()
    path = tmp_path / "deep" / "jobs.sqlite"
    assert path.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_upgrade_is_idempotent(tmp_path):
    path = tmp_path / "jobs.sqlite"
    assert schema.upgrade(path) == (None, schema.HEAD)
    assert schema.upgrade(path) == (schema.HEAD, schema.HEAD)


def test_takes_of_the_first_schema_are_still_read_after_the_upgrade(tmp_path):
    path = tmp_path / "jobs.sqlite"
    store = Store(path)
    ((job_id, _),) = store.add(
        [NewJob(GenerationRequest.from_fields({"prompt": "x"}), Source("cli"), "sketch")]
    )
    store.claim()
    store.record_takes(job_id, (take(0, job_id),))
    store.close()
    with sqlite3.connect(path) as db:
        for name in ("device", "precision", "licence"):
            db.execute(f"ALTER TABLE takes DROP COLUMN {name}")
        db.execute("ALTER TABLE files DROP COLUMN pcm_sha256")
        db.execute("ALTER TABLE jobs DROP COLUMN req_tempo_map")
        db.execute("DROP TABLE deliveries")
    set_version(path, "0001")
    (tmp_path / "jobs.sqlite.schema-0001.part").write_bytes(b"of an upgrade that was killed")
    assert schema.upgrade(path) == ("0001", schema.HEAD)
    copy = tmp_path / "jobs.sqlite.schema-0001"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert schema.schema_version(copy) == "0001"
    store = Store(path)
    assert store.get(job_id).takes == (take(0, job_id),)
    store.close()


def set_version(path, version):
    with sqlite3.connect(path) as db:
        db.execute("UPDATE alembic_version SET version_num = ?", (version,))


def test_a_newer_schema_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "jobs.sqlite"
    schema.upgrade(path)
    set_version(path, "9999")
    before = path.read_bytes()
    for attempt in (Store, schema.upgrade):
        with pytest.raises(StoreError, match=r"newer DGX Music \(schema 9999; this one knows"):
            attempt(path)
    assert path.read_bytes() == before


def test_an_older_schema_names_the_command_that_upgrades_it(tmp_path):
    path = tmp_path / "jobs.sqlite"
    schema.upgrade(path)
    set_version(path, "0000")
    with pytest.raises(StoreError, match="dgx-music db upgrade"):
        Store(path)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "jobs.sqlite"
    path.write_bytes(b"not a database at all, but long enough to be read as one" * 50)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="cannot be read as a database"):
        Store(path)
    assert path.read_bytes() == before


def test_somebody_elses_database_is_refused(tmp_path):
    path = tmp_path / "jobs.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(StoreError, match="not one of DGX Music's"):
        Store(path)


def test_only_a_change_that_a_power_cut_may_undo_is_committed_without_a_sync(tmp_path):
    engine = schema.connect(tmp_path / "jobs.sqlite")

    def level(**options):
        with engine.connect().execution_options(write=True, **options) as db, db.begin():
            return db.scalar(sa.text("PRAGMA synchronous"))

    full, normal = 2, 1
    # On one connection, turn by turn: what one transaction set must not stay for the next.
    assert [level(), level(synced=False), level(), level(synced=True)] == [full, normal, full, full]
    engine.dispose()


@pytest.mark.parametrize("name", ["q?b", "p%41b", "a#b", "with space", "größe"])
def test_a_folder_may_have_any_name(tmp_path, name):
    path = tmp_path / name / "jobs.sqlite"
    Store(path).close()
    set_version(path, "9999")
    with pytest.raises(StoreError, match="newer DGX Music"):
        Store(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
