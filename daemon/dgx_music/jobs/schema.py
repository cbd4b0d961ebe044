"""Opens the database with its schema checked, and upgrades it with Alembic when asked.

Only `upgrade` imports Alembic: a daemon whose database is up to date never pays for it.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from dgx_music.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

__all__ = ["HEAD", "connect", "schema_version", "upgrade"]

HEAD = "0004"
"""The revision that this version of the program works with: the newest in `migrations/versions`."""


def connect(path: Path) -> sa.Engine:
    """Open a database whose schema is current, making it first where there is none.

    Write-ahead log, 5 s of patience for a lock, foreign keys on. Transactions with the execution option `write`
    take the write lock at once, and their commit is synced (an accepted job survives a power cut), unless
    `synced` is false: such a change survives the death of every process, and is synced with the next that is.

    Raises:
        StoreError: the schema is newer or older than the program, or the file cannot be used.
    """
    version = schema_version(path)
    if version is None:
        upgrade(path)
    elif version != HEAD:
        raise StoreError(_mismatch(path, version))
    return _engine(path)


def schema_version(path: Path) -> str | None:
    """Return the database's revision, or `None` where there is no database (or an empty one) yet.

    Raises:
        StoreError: the file is no SQLite database, or holds someone else's tables.
    """
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
            names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not names:
                return None
            if "alembic_version" in names:
                row = db.execute("SELECT version_num FROM alembic_version").fetchone()
                return str(row[0]) if row else None
    except sqlite3.DatabaseError as err:
        raise StoreError(
            f"{path}: cannot be read as a database ({err}). Nothing was changed. "
            "Move the file aside to start with an empty one, or put a backup in its place."
        ) from err
    raise StoreError(
        f"{path}: is a database, but not one of DGX Music's. Name another folder with DGX_MUSIC_HOME."
    )


def upgrade(path: Path) -> tuple[str | None, str]:
    """Bring the database to `HEAD`, keeping a copy of an older one beside it; return (before, after).

    Raises:
        StoreError: the database is newer than the program, or cannot be written.
    """
    before = schema_version(path)
    if before is not None and before > HEAD:
        raise StoreError(_mismatch(path, before))
    if before == HEAD:
        return before, HEAD
    from alembic import command  # noqa: PLC0415 - 1 s, wanted only here
    from alembic.config import Config  # noqa: PLC0415

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if before is not None:
        _keep_copy(path, path.with_name(f"{path.name}.schema-{before}"))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    engine = _engine(path)
    try:
        with engine.connect().execution_options(write=True) as connection, connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except sa.exc.DatabaseError as err:
        raise StoreError(
            f"{path}: the upgrade to schema {HEAD} failed and was rolled back: {err.orig}"
        ) from err
    finally:
        engine.dispose()
    path.chmod(0o600)
    return before, HEAD


def _mismatch(path: Path, version: str) -> str:
    if version > HEAD:
        return (
            f"{path}: was written by a newer DGX Music (schema {version}; this one knows {HEAD}). "
            "Install that version again, or name another folder with DGX_MUSIC_HOME. Nothing was changed."
        )
    return f"{path}: has the older schema {version}. Run 'dgx-music db upgrade' (a copy is kept), then start again."


def _keep_copy(path: Path, copy: Path) -> None:
    if copy.exists():
        return
    part = copy.with_name(f"{copy.name}.part")  # one that was killed leaves no half a copy under the name
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as target:
        source.backup(target)
    part.replace(copy)


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), connect_args={"check_same_thread": False}
    )
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    driver: Any = connection
    driver.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 5000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _on_begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("write", False):
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if options.get('synced', True) else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
