"""`Courier`: brings finished takes into running Ardours, one delivery after the other in each session.

What is known lies in the store and in the session's spool, never in memory alone, so that daemon and Ardour may end at
any instant and in any order:

1. The audio is linked into the spool, the store notes the offer, and only then the manifest appears as `next`. Where
   an offer is noted and neither `next`, `taken` nor a report is there, it is put up again, with the same number.
2. Ardour claims by renaming `next` to `taken`, lands the regions, notes that for itself, reports, and takes `taken`
   away: in this order. So whoever finds none of them, and lists the reports afterwards, overlooks no report.
3. A report is removed once the store knows it, and means nothing new when it is read twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dgx_music.delivery.ardour.offering import (
    TakeLostError,
    check_library,
    clean_audio,
    clean_old,
    prepare,
    put_up,
)
from dgx_music.delivery.ardour.reports import NonsenseError, note_problem, read_report
from dgx_music.errors import DgxMusicError
from dgx_music.jobs.deliveries import OPEN, Deliveries, DeliveryState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dgx_music.delivery.ardour.layout import SessionSpool, Spool
    from dgx_music.delivery.ardour.reports import Report
    from dgx_music.jobs import JobUpdate
    from dgx_music.jobs.deliveries import Delivery
    from dgx_music.jobs.store import Store
    from dgx_music.jobs.store_thread import StoreThread

__all__ = ["MAX_OFFERS", "Courier", "CourierCounters"]

_log = logging.getLogger(__name__)
MAX_OFFERS = 3
"""How often a delivery is offered whose audio Ardour cannot find or read though the library holds it."""
_POLL_S = 0.4
"""How often reports are looked for while Ardour is there; a /dgx/look is heard at once."""
_POLL_SOON_S = 5.0
"""When they are looked for once more where something was asked, and when it is tried again where something failed."""
_POLL_CLOSED_S = 60.0
"""How often they are looked for while no Ardour has the session open: one that opens it says so at once."""
_MAX_DUE = 10_000
_FETCH_S = 1.5
"""The script that fetches waits for its answer two seconds."""


@dataclass
class CourierCounters:
    """What the courier has seen since its start."""

    offered: int = 0
    landed: int = 0
    failed: int = 0
    nonsense: int = 0
    """Reports that could not be understood."""
    troubles: int = 0
    """Visits to a spool that could not be brought to their end; they are made again."""


@dataclass
class _Glance:
    reports: list[Path]
    busy: bool
    ardour_is_there: bool


class Courier:
    """The only one who offers deliveries. All its work with files is done in threads."""

    def __init__(
        self,
        spool: Spool,
        library: Path,
        *,
        store: Store,
        thread: StoreThread,
        on_offer: Callable[[SessionSpool], None] | None = None,
    ) -> None:
        """Make a courier.

        Args:
            spool: where the sessions' folders are.
            library: the library's root.
            store: the jobs and their deliveries.
            thread: the store's.
            on_offer: called in the event loop when something was put up, with where.
        """
        self._spool = spool
        self._library = library
        self._store = store
        self._deliveries = Deliveries(store.database)
        self._thread = thread
        self._on_offer = on_offer
        self._due: set[str] = set()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._again_at: dict[str, float] = {}
        self._has_due: dict[str, bool] = {}
        self._put_up_again: dict[tuple[str, int], int] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.counters = CourierCounters()

    # -- what others may ask ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what waits or is offered since before; returns at once."""
        self._task = asyncio.create_task(self._run(), name="courier")

    async def stop(self) -> None:
        """Do nothing more. What was put up stays there for Ardour."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def on_update(self, update: JobUpdate) -> None:
        """Hear of a job; a completed one may have to be delivered."""
        if update.kind == "completed" and update.job.request.session is not None:
            self._visit_soon(update.job.request.session.path)  # however many looks others have sent

    def look(self, session_path: str) -> None:
        """Look into a session's spool, and for what waits for it, as soon as may be."""
        if len(self._due) < _MAX_DUE:
            self._visit_soon(session_path)

    async def fetch(self, session_path: str) -> int:
        """Offer again what landed in a session and was never saved; return how many deliveries that are.

        Returns when the session was visited, so that what waits for it is put up, or soon after.
        """
        spool = await asyncio.to_thread(self._spool.of, session_path)
        number = await self._thread.call(self._deliveries.fetch, spool.session_path)
        visited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((session_path, visited))
        self._visit_soon(session_path)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(visited, _FETCH_S)
        return number

    async def recent(self, session_path: str, limit: int) -> list[tuple[Delivery, str]]:
        """Return a session's newest deliveries first, each with its job's prompt."""

        def found() -> list[tuple[Delivery, str]]:
            return [
                (delivery, self._store.get(delivery.job_id).request.prompt)
                for delivery in self._deliveries.recent(limit, session_path)
            ]

        return await self._thread.call(found)

    async def tidy(self) -> None:
        """Remove what nobody fetched within an hour."""
        for spool in await asyncio.to_thread(self._spool.all):
            await asyncio.to_thread(clean_old, spool)

    def _visit_soon(self, session_path: str) -> None:
        self._due.add(session_path)
        self._wake.set()

    # -- the loop --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        await self._begin()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(self._again_at.values(), default=None)):
                    await self._wake.wait()
            self._wake.clear()
            asked, self._due = self._due, set()
            now_s = asyncio.get_running_loop().time()
            polled = {path for path, at in self._again_at.items() if at <= now_s} - asked
            for path in (*sorted(asked), *sorted(polled)):
                waiting = [one for one in self._waiting if one[0] == path]
                await self._visit_safely(path, asked=path in asked)
                for one in waiting:
                    self._waiting.remove(one)
                    if not one[1].done():
                        one[1].set_result(None)

    async def _begin(self) -> None:
        """Find out which sessions there is something to do for; the store may be out of order for a while."""
        while True:
            try:
                states = (*OPEN, DeliveryState.LANDED)
                self._due.update(await self._thread.call(self._deliveries.sessions, states))
                await self.tidy()
            except (DgxMusicError, OSError) as err:
                self._trouble("deliveries cannot be taken up yet", err)
                await asyncio.sleep(_POLL_SOON_S)
            else:
                if self._due:
                    self._wake.set()
                return

    async def _visit_safely(self, path: str, *, asked: bool) -> None:
        name = path
        try:
            spool = await asyncio.to_thread(self._spool.of, path)
            name = spool.session_path
            if name != path:
                await self._thread.call(self._deliveries.session_moved, path, name)
                self._again_at.pop(path, None)
                self._has_due.pop(path, None)
            again_s = await self._visit(spool, asked=asked)
        except (DgxMusicError, OSError) as err:
            self._trouble(f"the deliveries into {path!r:.300} must wait", err)
            again_s = _POLL_SOON_S
        except Exception:  # noqa: BLE001 - whatever it is, the other sessions' deliveries must go on
            self.counters.troubles += 1
            _log.exception("the deliveries into %.300r must wait", path)
            again_s = _POLL_SOON_S
        if again_s is None:
            self._again_at.pop(name, None)
            self._has_due.pop(name, None)
        else:
            self._again_at[name] = asyncio.get_running_loop().time() + again_s

    async def _visit(self, spool: SessionSpool, *, asked: bool) -> float | None:
        """Read a session's reports and offer its next delivery; return when to come again, in seconds."""
        path = spool.session_path
        glance = await asyncio.to_thread(_glance, spool)
        if not asked and not glance.reports and (glance.busy or not self._has_due.get(path, True)):
            return _patience_s(glance, asked=asked)
        if asked:
            await asyncio.to_thread(_make_if_open, spool)
        for report in glance.reports:
            await self._take_report(spool, report)
        due = await self._thread.call(self._deliveries.due, path)
        offered = {(delivery.id, delivery.offers) for delivery in due if delivery.offers}
        await asyncio.to_thread(clean_audio, spool, offered)
        waits_s = 0.0
        if due and not glance.busy:
            waits_s = await self._offer_first(spool, due)
            due = await self._thread.call(self._deliveries.due, path)
        self._has_due[path] = bool(due)
        if not due and not await self._thread.call(self._deliveries.has_unsaved, path):
            return None
        return max(waits_s, _patience_s(glance, asked=asked))

    # -- reports ---------------------------------------------------------------------------------------------

    async def _take_report(self, spool: SessionSpool, path: Path) -> None:
        try:
            report = await asyncio.to_thread(read_report, path)
            await self._record(spool, report)
        except FileNotFoundError:
            return
        except (NonsenseError, OSError) as err:
            self.counters.nonsense += 1
            _log.warning("%s: this report cannot be understood: %s", path, err)
            await self._note_problem(spool, "nonsense", f"a report was not understood: {err}")
        await asyncio.to_thread(_remove, path)

    async def _record(self, spool: SessionSpool, report: Report) -> None:
        call, verbs = self._thread.call, self._deliveries
        delivery = None if report.delivery is None else await call(verbs.get, report.delivery)
        if report.delivery is not None and (delivery is None or delivery.session_path != spool.session_path):
            raise NonsenseError(f"this session has no delivery {report.delivery!r}")
        words = f"{report.code or report.kind}: {report.message}"
        if report.kind == "saved":
            await call(verbs.saved, spool.session_path, report.delivery, report.snapshot)
        elif delivery is None:
            _log.warning("Ardour in %s: %s", spool.session_path, words)
            await self._note_problem(spool, report.code or "problem", report.message)
        elif report.kind == "landed":
            self._put_up_again.pop((delivery.id, delivery.offers), None)
            if await call(verbs.landed, delivery.id, report.snapshot, report.message):
                self.counters.landed += 1
                _log.info("%s: landed in %s", delivery.id, spool.session_path)
        elif report.kind == "removed":
            await call(verbs.removed, delivery.id, report.message)
        elif report.kind == "problem":
            if await call(verbs.remark, delivery.id, report.code or "problem", report.message):
                _log.warning("%s: %s", delivery.id, words)
        elif report.offer is None or report.offer == delivery.offers:
            await self._after_failure(delivery, report)

    async def _note_problem(self, spool: SessionSpool, code: str, message: str) -> None:
        try:
            await asyncio.to_thread(note_problem, spool, code, message)
        except OSError as err:  # it is in the log; the reports after it must not wait for a full disk
            self._trouble(f"{spool.problems} cannot be written", err)

    async def _after_failure(self, delivery: Delivery, report: Report) -> None:
        code, message = report.code or "failed", report.message or "Ardour gave no reason"
        if code in ("vanished", "damaged"):
            try:
                job = await self._thread.call(self._store.get, delivery.job_id)
                await asyncio.to_thread(check_library, job, delivery, self._library)
            except TakeLostError as err:
                code, message = err.code, str(err)
            else:
                if delivery.offers < MAX_OFFERS:
                    again = self._deliveries.offer_again
                    if await self._thread.call(again, delivery.id, delivery.offers, code, message):
                        _log.warning("%s: %s: %s; it is offered again", delivery.id, code, message)
                    return
                message = f"{message} (offered {delivery.offers} times, with the library's file whole)"
        await self._fail(delivery, code, message)

    async def _fail(self, delivery: Delivery, code: str, message: str) -> None:
        if await self._thread.call(self._deliveries.failed, delivery.id, code, message):
            self.counters.failed += 1
            _log.warning("%s: could not be delivered: %s: %s", delivery.id, code, message)

    # -- offers ----------------------------------------------------------------------------------------------

    async def _offer_first(self, spool: SessionSpool, due: list[Delivery]) -> float:
        """Put up the first delivery that can be; return for how many seconds there is no use in coming again."""
        if not spool.session_path.startswith("/"):
            for delivery in due:
                await self._fail(
                    delivery, "session", f"{spool.session_path!r} is no absolute path of a session"
                )
            return 0.0
        if not await asyncio.to_thread(spool.session_is_there):
            await self._in_the_way(due[0], "session", f"the session {spool.session_path} is not there now")
            return _POLL_CLOSED_S
        for delivery in due:
            offer = delivery.offers + 1
            if delivery.state is DeliveryState.OFFERED:
                # It was put up and is not there, nor is a report: somebody took it away, or this daemon died
                # just before. Should that go on, it is done ever more rarely.
                offer = delivery.offers
                times = self._put_up_again.get((delivery.id, offer), 0)
                self._put_up_again[delivery.id, offer] = times + 1
                if times and times & (times - 1):
                    return _POLL_SOON_S
            try:
                job = await self._thread.call(self._store.get, delivery.job_id)
                manifest = await asyncio.to_thread(prepare, spool, job, delivery, offer, self._library)
            except TakeLostError as err:
                await self._fail(delivery, err.code, str(err))
                continue
            except ValueError as err:
                await self._fail(delivery, "internal", f"no manifest can be made of it: {err}")
                continue
            except OSError as err:
                self.counters.troubles += 1
                where = err.filename or spool.folder
                await self._in_the_way(delivery, "spool", f"{where}: {err.strerror or err}")
                return _POLL_SOON_S
            await self._thread.call(self._deliveries.offered, delivery.id, offer)
            if not await asyncio.to_thread(put_up, spool, manifest):
                return 0.0
            self.counters.offered += 1
            _log.info("%s: offered to %s", delivery.id, spool.session_path)
            if self._on_offer is not None and offer == 1:
                self._on_offer(spool)  # the user asked for a later one, or the hook's report led to it
            return 0.0
        return 0.0

    async def _in_the_way(self, delivery: Delivery, code: str, message: str) -> None:
        if await self._thread.call(self._deliveries.remark, delivery.id, code, message):
            _log.warning("%s: cannot be delivered yet: %s", delivery.id, message)

    def _trouble(self, what: str, err: Exception) -> None:
        self.counters.troubles += 1
        _log.warning("%s: %s", what, err)


def _glance(spool: SessionSpool) -> _Glance:
    busy = spool.is_busy()  # before the reports are listed: see above
    return _Glance(spool.reports(), busy, spool.ardour_is_there())


def _patience_s(glance: _Glance, *, asked: bool) -> float:
    if glance.ardour_is_there:
        return _POLL_S
    # The hook says that it lives a moment after its first look.
    return _POLL_SOON_S if asked else _POLL_CLOSED_S


def _make_if_open(spool: SessionSpool) -> None:
    """Make the folder of a session that exists, so that its hook can say that it lives."""
    with contextlib.suppress(OSError):  # who has something to write there will tell
        if spool.session_is_there():
            spool.make()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
