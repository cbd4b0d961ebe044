"""Watches the drop folder and says which names changed. Losing an event is harmless: the folder is scanned too.

Watchdog tells nobody when the kernel's event queue overflows, and network file systems announce only what
this machine changes; the regular scan finds what was missed.
"""

from __future__ import annotations

import logging
import os
from enum import Enum
from typing import TYPE_CHECKING, cast

from watchdog.events import (
    DirDeletedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyFullEmitter, InotifyObserver
from watchdog.observers.inotify_c import InotifyConstants
from watchdog.observers.polling import PollingObserver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watchdog.observers.api import BaseObserver
    from watchdog.observers.inotify_c import Mask

    from dgx_music.config import InboxConfig

__all__ = ["Change", "Watch"]

_log = logging.getLogger(__name__)
# Not the events that merely opening and reading a file cause: our own looks would wake us again.
_EVENTS: list[type[FileSystemEvent]] = [
    DirDeletedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]


class Change(Enum):
    """What happened to a name."""

    COMPLETE = "complete"
    """A writer closed the file, or it was renamed to this name."""
    CONTENT = "content"
    """It appeared or was written to; more may follow."""
    ATTRIBUTES = "attributes"
    """Its permissions, owner or times changed."""
    FOLDER_GONE = "folder gone"
    """The watched folder itself was deleted; the name is empty."""


_CHANGES: dict[type[FileSystemEvent], Change] = {
    FileClosedEvent: Change.COMPLETE,
    FileMovedEvent: Change.COMPLETE,
    FileAttribEvent: Change.ATTRIBUTES,
}


class _Emitter(InotifyFullEmitter):
    """Reports a rename into the folder as what it is, at once.

    Watchdog holds all events back for half a second after a file was renamed away, hoping for the other half
    of the rename. Every claim renames a file away.
    """

    def get_event_mask_from_filter(self) -> Mask:
        return cast("Mask", super().get_event_mask_from_filter() & ~InotifyConstants.IN_MOVED_FROM)


class _InotifyObserver(InotifyObserver):
    def __init__(self) -> None:
        super().__init__(generate_full_events=True)
        self._emitter_class = _Emitter


class _Handler(FileSystemEventHandler):
    def __init__(self, folder: str, listener: Callable[[str, Change], None]) -> None:
        self._folder = folder
        self._listener = listener

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.is_directory:
            if isinstance(event, DirDeletedEvent) and os.fsdecode(event.src_path) == self._folder:
                self._listener("", Change.FOLDER_GONE)
            return
        folder, name = os.path.split(os.fsdecode(event.dest_path or event.src_path))
        if folder == self._folder:
            self._listener(name, _CHANGES.get(type(event), Change.CONTENT))


class Watch:
    """An observer of one folder; `listener` is called in its thread. `start` and `stop` block for a moment."""

    def __init__(self, config: InboxConfig, folder: Path, listener: Callable[[str, Change], None]) -> None:
        self._config = config
        self._folder = os.path.realpath(folder)
        self._listener = listener
        self._observer: BaseObserver | None = None

    def start(self) -> None:
        """Begin to watch; where the system has no watch left, poll instead and say so.

        Raises:
            OSError: the folder cannot be watched at all.
        """
        if self._config.observer == "polling":
            self._run(PollingObserver(timeout=self._config.poll_interval_s))
            return
        try:
            self._run(_InotifyObserver())
        except FileNotFoundError:
            raise
        except OSError as err:
            _log.warning(
                "%s cannot be watched by inotify (%s); it is looked at every %g s instead. sysctl "
                'fs.inotify.max_user_watches and max_user_instances raise the limits, inbox.observer = "polling" '
                "makes this the rule",
                self._folder,
                err.strerror or err,
                self._config.poll_interval_s,
            )
            self._run(PollingObserver(timeout=self._config.poll_interval_s))

    def stop(self) -> None:
        """End the observer and its threads."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None

    def _run(self, observer: BaseObserver) -> None:
        observer.schedule(_Handler(self._folder, self._listener), self._folder, event_filter=_EVENTS)
        try:
            observer.start()
        except OSError:
            observer.on_thread_stop()  # the thread never ran, but what it holds is open
            raise
        self._observer = observer
