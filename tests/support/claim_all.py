"""Claims every job of a database: the main function of a process of its own."""

from __future__ import annotations

from dgx_music.jobs.store import Store


def claim_all(path, names):
    store = Store(path)
    while (job := store.claim()) is not None:
        names.append(job.id)
    store.close()
