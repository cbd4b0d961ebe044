"""A library with takes in it, and a database that knows them, for tests of what is found there."""

from __future__ import annotations

from datetime import UTC, datetime

from dgx_music.finishing.finish import finish
from dgx_music.jobs import Source
from dgx_music.jobs.store import NewJob, Store
from dgx_music.library import publish
from dgx_music.library.identify import Sounding, identify
from dgx_music.library.staging import stage_take
from dgx_music.request import GenerationRequest
from support.signals import noise, raw_take

RATE = 48_000


class MadeLibrary:
    """A library and a database with whatever was made so far."""

    def __init__(self, folder):
        self.library = folder / "library"
        self.library.mkdir()
        self.database = folder / "jobs.sqlite"

    def make(self, *, seed=1, takes=1, stems=(), duration=0.5, pcm=True, rms=0.1, **fields):
        """Make a job's takes of noise, record and publish them; return its id and the paths of its files."""
        request = GenerationRequest.from_fields(
            {"prompt": f"noise {seed}", "seed": seed, "takes": takes, "duration": duration, **fields}
        )
        store = Store(self.database)
        try:
            ((job_id, _),) = store.add([NewJob(request, Source("cli"), "sketch")])
            store.claim()
            made = []
            for index in range(takes):
                parts = {
                    name: noise(duration, RATE, rms=rms, seed=[seed, index, number])
                    for number, name in enumerate(stems)
                }
                audio = sum(parts.values()) if parts else noise(duration, RATE, rms=rms, seed=[seed, index])
                raw, spec = raw_take(
                    audio, RATE, stems=parts, index=index, bpm=93.5, **request.model_dump(exclude_none=True)
                )
                take = stage_take(
                    finish(raw, spec),
                    raw,
                    spec,
                    job_id=job_id,
                    staging_dir=self.library / ".staging",
                    library_root=self.library,
                    made_at=datetime(2026, 11, 22, tzinfo=UTC),
                )
                made.append(take)
            store.record_takes(job_id, made)
            files = [file for take in made for file in take.files]
            paths = publish(files, self.library)
            store.complete(job_id, None, 0.0)
            if not pcm:  # as a version of the program that knew no such hashes left it
                with store.database.write() as db:
                    db.exec_driver_sql("UPDATE files SET pcm_sha256 = ''")
        finally:
            store.close()
        return job_id, paths

    def identify(self, *sources, **options):
        return identify(
            self.database, self.library, [Sounding(str(path), *rest) for path, *rest in sources], **options
        )
