"""A store with completed jobs, a library that holds their takes, and a session that wants them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import replace

from dgx_music.delivery.ardour.courier import Courier
from dgx_music.delivery.ardour.layout import Spool
from dgx_music.jobs import Source
from dgx_music.jobs.deliveries import Deliveries
from dgx_music.jobs.store import NewJob, Store
from dgx_music.jobs.store_thread import StoreThread
from dgx_music.library.take import StagedFile
from dgx_music.request import GenerationRequest
from support.pretend_ardour import PretendArdour
from support.takes import take


class DeliveryScene:
    """Everything that a courier needs, below one folder; the courier itself is made by `courier`."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.library = folder / "library"
        self.spool_root = folder / "state" / "ardour"
        self.ardour = PretendArdour(self.spool_root, folder / "songs" / "one")
        self.store = Store(folder / "jobs.sqlite")
        self.deliveries = Deliveries(self.store.database)

    def close(self):
        self.store.close()

    def complete(self, takes=1, stems=(), silent=(), **session):
        """Have a job completed; returns it."""
        target = {"path": str(self.ardour.session), "position": 1000, **session}
        request = GenerationRequest.from_fields(
            {"prompt": "dusty: drums, slow", "takes": takes, "session": target, "engine": "sketch"}
        )
        [(job_id, _)] = self.store.add([NewJob(request, Source("cli"), "sketch")])
        self.store.claim(job_id)
        made = [self._take(job_id, index, stems, silent=index in silent) for index in range(takes)]
        assert self.store.record_takes(job_id, made)
        return self.store.complete(job_id, None, 1.0)

    def _take(self, job_id, index, stems, *, silent):
        plain = take(index, job_id, stems)
        files = []
        for file in plain.files:
            content = f"{file.final}".encode() * 1000
            path = self.library / file.final
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            sha256 = hashlib.sha256(content).hexdigest()
            files.append(StagedFile(file.staged, file.final, sha256, len(content), file.stem))
        loudness = {"loudness_lufs": None} if silent else {}
        return replace(plain, files=tuple(files), **loudness)

    def states(self):
        return [delivery.state.value for delivery in reversed(self.deliveries.recent(100))]

    @contextlib.asynccontextmanager
    async def courier(self, **options):
        """A courier at work; what the pretended Ardour tells reaches it."""
        thread = StoreThread()
        courier = Courier(Spool(self.spool_root), self.library, store=self.store, thread=thread, **options)
        self.ardour.tell = lambda _address, path: courier.look(path)
        await courier.start()
        try:
            yield courier
        finally:
            await courier.stop()
            thread.close()


async def until(condition, timeout_s=60.0):
    """Wait for something that shows in files or the store alone."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - nobody tells of a file
            await asyncio.sleep(0.005)
