"""`Database`: the transactions that the store's verbs are made of."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from dgx_music.errors import StoreError
from dgx_music.jobs import schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Database", "now"]


class Database:
    """One SQLite file, opened with its schema checked. Safe to use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open the database at `path`, making it where there is none.

        Raises:
            StoreError: see `schema.connect`.
        """
        self.path = path
        self._engine = schema.connect(path)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def write(self, *, synced: bool = True) -> Iterator[sa.Connection]:
        """Open a transaction that may change things, and commit it at the end.

        Args:
            synced: whether the commit is to survive a power cut, too.

        Raises:
            StoreError: the database cannot be written; nothing was changed.
        """
        with self._transaction(write=True, synced=synced) as db:
            yield db

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that only looks, and sees the database as it is at its first look.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._transaction(write=False) as db:
            yield db

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the database, so that it doesn't grow for months."""
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
                db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        except sa.exc.DatabaseError as err:
            raise StoreError(f"{self.path}: {err.orig}") from err

    @contextmanager
    def _transaction(self, *, write: bool, synced: bool = True) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect().execution_options(write=write, synced=synced) as db, db.begin():
                yield db
        except sa.exc.DatabaseError as err:
            raise StoreError(f"{self.path}: {err.orig}") from err


def now() -> str:
    """Return the time in UTC as the tables hold it: ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
