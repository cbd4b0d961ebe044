"""A user's desk: the daemon, an Ardour with our scripts registered by the real command, and a session in it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ardour_session import Session, read_session, write_session
from dgx_music.delivery.ardour.layout import session_key
from support.ardour_gui import ArdourGui, ArdourGuiError, ardour_gui
from support.daemon import COMMAND, Installation, installation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ardour_session import Track

__all__ = ["GENERATE", "MESSAGE", "PERMISSIONS", "Studio", "leave", "placed", "studio"]

MESSAGE, PERMISSIONS, GENERATE = "DGX Music", "DGX Music: Permissions", "DGX Music: Generate"
_SLOTS = (
    "from dgx_music.assets import registered_slot; import json, sys;"
    "print(json.dumps({name: registered_slot(name) for name in sys.argv[1:]}))"
)


@dataclass
class Studio:
    """Everything that a musician has running."""

    daemon: Installation
    ardour: ArdourGui
    session_file: Path
    environ: Mapping[str, str]
    slots: dict[str, int] = field(default_factory=dict)

    @property
    def session_folder(self) -> Path:
        return self.session_file.parent

    @property
    def spool(self) -> Path:
        """The folder through which daemon and this session's scripts talk."""
        return self.daemon.home / "state" / "ardour" / session_key(str(self.session_folder))

    # -- set-up ------------------------------------------------------------------------------------------------

    def install(self) -> None:
        """Put scripts into place and into slots, as the user does: by the command, with Ardour closed."""
        subprocess.run(
            [COMMAND, "install-assets", "--register"],
            env=self.environ,
            check=True,
            capture_output=True,
            timeout=120,
        )

    def open(self) -> None:
        """Start Ardour with the session, and wait until the hook looks out for deliveries."""
        alive = self.spool / "alive"
        alive.unlink(missing_ok=True)
        self.ardour.open(self.session_file)
        self.ardour.await_only_window(f"{self.session_file.stem} - Ardour")
        if self.spool.is_dir():
            self.ardour.await_(alive.exists, "the hook lives")

    def allow(self, *names: str) -> None:
        """Give the session's permissions without a dialog."""
        text = "".join(f"{name} = yes\n" for name in names)
        (self.session_folder / "dgx-music.permissions").write_text(text)

    # -- doing ---------------------------------------------------------------------------------------------------

    def run(self, action: str) -> None:
        """Choose one of our actions."""
        self.ardour.run_script(self.slots[action])

    def generate(self, prompt: str) -> None:
        """Fill in the dialog Generate; returns when the daemon has accepted."""
        self.run("dgx_generate")
        self.ardour.await_window(GENERATE)
        self.ardour.type(prompt)
        leave(self.ardour, GENERATE)
        # What was entered is kept when the answer has been read.
        memory = self.spool / "memory"
        self.ardour.await_(lambda: memory.exists() and prompt in memory.read_text(), "it is accepted")

    def select_range(self, start: int, end: int) -> None:
        """Select a range, by way of the loop: the editor's cursor runs after the playhead."""
        self.ardour.send("/loop_location", start, end)
        self.ardour.run_action("Editor/select-loop-range")

    def run_on_all_regions(self, action: str, dialog: str) -> None:
        """Choose an action for what lies on all tracks; returns when its dialog takes keys."""

        def has_come() -> bool:
            windows = self.ardour.windows()
            if MESSAGE in windows:  # Ardour selects when it comes to it, which may be after the action
                self.message()
            if dialog not in windows:
                self.ardour.run_action("Editor/select-all-objects")
                self.run(action)
                self.ardour.await_(
                    lambda: {dialog, MESSAGE} & set(self.ardour.windows()) != set(), "it answers"
                )
            return dialog in self.ardour.windows()

        self.ardour.await_(has_come, f"{dialog!r} has come")
        self.ardour.await_window(dialog)

    def message(self) -> None:
        """Wait for a message of ours, and close it."""
        leave(self.ardour, MESSAGE, "Escape")

    def await_another_look(self) -> None:
        """Wait until the hook has told again that it lives: meanwhile it has looked ten times for what is to be done."""
        alive = self.spool / "alive"
        before = alive.read_text()
        self.ardour.await_(lambda: alive.read_text() != before, "the hook lives on")

    # -- looking -------------------------------------------------------------------------------------------------

    def deliveries(self) -> list[tuple[Any, ...]]:
        """State and code of every delivery, oldest first."""
        return self.daemon.query("SELECT state, code FROM deliveries ORDER BY created_at, id")

    def await_deliveries(self, *states: str, timeout_s: float = 180) -> None:
        """Wait until the deliveries are in these states; `saved` is as good as `landed`."""

        def reached() -> bool:
            found = [str(state) for state, _ in self.deliveries()]
            return len(found) == len(states) and all(
                have == wanted or (have, wanted) == ("saved", "landed")
                for have, wanted in zip(found, states, strict=True)
            )

        self.daemon.await_(reached, timeout_s)

    def saved(self, until: Callable[[Session], bool]) -> Session:
        """Let Ardour save until what it wrote is as it should be; returns that."""
        found: list[Session] = []

        def is_so() -> bool:
            self.ardour.save(self.session_file)
            found[:] = [read_session(self.session_file)]
            return until(found[0])

        try:
            self.ardour.await_(is_so, "the saved session is as it should be")
        except ArdourGuiError as err:
            tracks = {track.name: placed(track) for track in found[0].tracks} if found else {}
            raise ArdourGuiError(f"{err}\nthe saved session has {tracks}") from None
        return found[0]


def leave(ardour: ArdourGui, title: str, key: str = "alt+o") -> None:
    """Wait for a dialog, and press a key that leaves it: on a busy machine one may come before the dialog listens."""
    ardour.await_window(title)
    window, pressed = ardour.windows().get(title), 0.0

    def is_left() -> bool:
        nonlocal pressed
        if ardour.windows().get(title) != window:
            return True  # another one of that title may have come
        if time.monotonic() - pressed > 5:
            pressed = time.monotonic()
            ardour.press(key)
        return False

    ardour.await_(is_left, f"{title!r} is left", 60)


def placed(track: Track) -> dict[str, list[tuple[int, int]]]:
    """Position and length of what lies on each playlist."""
    return {
        playlist.name: [(one.position_samples, one.length_samples) for one in playlist.regions]
        for playlist in track.playlists
    }


@contextmanager
def studio(scratch: Path, session: Session, environ: Mapping[str, str]) -> Iterator[Studio]:
    """A running daemon, and an Ardour with our scripts that is not started yet."""
    session_file = write_session(session, scratch / session.name)
    with (
        installation(scratch / "home", environ) as daemon,
        ardour_gui(scratch, sample_rate_hz=session.sample_rate_hz) as ardour,
    ):
        own = {**daemon.environ, "HOME": str(ardour.home)}
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
            own.pop(name, None)
        made = Studio(daemon, ardour, session_file, own)
        made.install()
        scripts = (ardour.home / ".config" / "ardour7" / "scripts").glob("dgx_*.lua")
        names = [path.stem for path in scripts if path.stem != "dgx_hook"]
        said = subprocess.run(
            [sys.executable, "-c", _SLOTS, *names],
            env=own,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        made.slots = json.loads(said.stdout)
        daemon.start()
        yield made
