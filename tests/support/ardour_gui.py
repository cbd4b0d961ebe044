"""Runs the Ardour program itself: a screen and a home of its own, OSC and keys to drive it, screenshots to look at it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from pythonosc.osc_message_builder import OscMessageBuilder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LUA = Path(__file__).parents[2] / "ardour" / "lua"
_NEEDED = ("ardour", "Xvfb", "xdotool")
needs_ardour_gui = pytest.mark.skipif(
    not all(map(shutil.which, _NEEDED)) and os.environ.get("CI") != "true",
    reason=f"needs {', '.join(_NEEDED)} (apt install ardour xvfb xdotool); in CI this fails instead",
)
"""Put beside the markers `ardour` and `slow`."""

_STARTS = 3
_START_S = 60

# The dummy backend starts by itself, so no dialog asks for a sound card; OSC answers to where a message came from.
_CONFIG = """<?xml version="1.0" encoding="UTF-8"?>
<Ardour>
  <Config>
    <Option name="try-autostart-engine" value="1"/>
    <Option name="hide-dummy-backend" value="0"/>
    <Option name="discover-plugins-on-start" value="0"/>
    <Option name="periodic-safety-backups" value="0"/>
    <Option name="osc-port" value="{osc_port}"/>
  </Config>
  <Metadata/>
  <Extra>
    <AudioMIDISetup>
      <EngineStates>
        <State backend="None (Dummy)" driver="Normal Speed" device="Silence" input-device="" output-device=""
          sample-rate="{sample_rate_hz}" buffer-size="1024" n-periods="0" input-latency="0" output-latency="0"
          lm-input="" lm-output="" active="1" use-buffered-io="0" midi-option="1 in, 1 out, Silence" lru="1">
          <MIDIDevices/>
        </State>
      </EngineStates>
    </AudioMIDISetup>
  </Extra>
  <ControlProtocols>
    <Protocol name="Open Sound Control (OSC)" active="1" address-only="0" feedback="0" debugmode="0"
      remote-port="0" banksize="0" striptypes="31" gainmode="0" send-page-size="0" plug-page-size="0"/>
  </ControlProtocols>
</Ardour>
"""


class ArdourGuiError(AssertionError):
    """Ardour did not do what it was told to in time; says what it logged and which windows are open."""


class ArdourGui:
    """One Ardour on one screen. Use `ardour_gui`, which ends both."""

    def __init__(self, scratch: Path, display: str, sample_rate_hz: int) -> None:
        self.home = scratch / "ardour-home"
        self.log_file = scratch / "ardour.log"
        self.modules = self.home / "dgx-lua"
        """Where `install_scripts` puts the modules."""
        self._environ = {
            **os.environ,
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "DISPLAY": display,
            "LC_ALL": "C.UTF-8",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._osc = "127.0.0.1", _free_port()
        self._config = self.home / ".config" / "ardour7"
        self._config.mkdir(parents=True, exist_ok=True)
        (self.home / ".local" / "share").mkdir(parents=True, exist_ok=True)
        (self._config / ".a7").touch()  # the first-run assistant has been through
        config = _CONFIG.format(osc_port=self._osc[1], sample_rate_hz=sample_rate_hz)
        (self._config / "config").write_text(config)

    # -- before the start ------------------------------------------------------------------------------------

    def install_actions(self, *sources: str) -> list[int]:
        """Put Lua actions into free slots, as if chosen in the script manager; fire them with `run_script`.

        Returns:
            Their slots, from 1 on.
        """
        return [self._register(source.encode()) for source in sources]

    def install_scripts(self, runtime: Path, spool: Path, *names: str) -> dict[str, int]:
        """Register scripts of `ardour/lua/actions`, with a copy of the modules; each action in the next free slot.

        Args:
            runtime: where the modules look for the daemon's record.
            spool: where they look for the folders of sessions.
            names: such as `dgx_fetch_now`; a hook goes beside the hooks.

        Returns:
            The slot of each action.
        """
        from dgx_music.assets.stubs import render_stub
        from dgx_music.delivery.ardour.lua_text import lua_chunk

        shutil.copytree(LUA / "dgx_music", self.modules, dirs_exist_ok=True)
        place = lua_chunk({"runtime": bytes(runtime), "spool": bytes(spool)})
        (self.modules / "place.lua").write_bytes(place)
        stubs = {name: (LUA / "actions" / f"{name}.lua").read_bytes() for name in names}
        slots = {name: self._register(render_stub(stub, self.modules)) for name, stub in stubs.items()}
        return {name: slot for name, slot in slots.items() if slot}

    def _register(self, source: bytes) -> int:
        """Give an action the next slot; a hook, which has none, gives 0."""
        from dgx_music.assets.signals import signal_bits
        from dgx_music.assets.stubs import header_of
        from dgx_music.assets.ui_scripts import Script, UiScripts

        header = header_of(source)
        assert header, "this is no script that Ardour lists"
        file = self._config / "ui_scripts"
        registered = UiScripts(file.read_bytes() if file.exists() else None)
        slot = 0
        if header.is_hook:
            script = Script(header.name, source, signals=signal_bits(header.signals, 7))
            registered.set_hook(script, header.signals)
        else:
            slot = registered.free_slots()[0]
            registered.set_action(slot, Script(header.name, source))
        file.write_bytes(registered.to_bytes())
        return slot

    def open(self, session_file: Path) -> Self:
        """Start Ardour with a session; returns when it answers. Its start is tried again, nothing else is.

        A session that Ardour saved itself keeps OSC as it was then; `ArdourTools(gui.home)` makes sessions with it on.
        """
        for left in reversed(range(_STARTS)):
            with self.log_file.open("wb") as log:
                self._process = subprocess.Popen(
                    ["ardour", "-n", "-a", str(session_file)],
                    env=self._environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            try:
                self.await_window(f"{session_file.stem} - Ardour", _START_S)
                self.await_(self._answers, "Ardour answers by OSC", _START_S)
            except ArdourGuiError:
                self.kill()
                if not left:
                    raise
                # What a killed Ardour leaves behind would make the next one ask about crash recovery.
                session_file.with_suffix(".pending").unlink(missing_ok=True)
            else:
                break
        return self

    # -- OSC -------------------------------------------------------------------------------------------------

    def send(self, address: str, *arguments: str | float) -> None:
        message = OscMessageBuilder(address=address)
        for argument in arguments:
            message.add_arg(argument)
        self._socket.sendto(message.build().dgram, self._osc)

    def run_action(self, *names: str) -> None:
        """Do what a menu entry does, such as `Editor/zoom-to-session`; in the given order."""
        for name in names:
            self.send("/access_action", name)

    def run_script(self, slot: int) -> None:
        self.run_action(f"LuaAction/script-{slot}")

    def locate(self, sample: int) -> None:
        """Move the playhead; returns when it is there."""
        self.send("/locate", sample, 0)
        self.await_(lambda: self._playhead() == sample, f"the playhead is at {sample}")

    def _playhead(self) -> int | None:
        from pythonosc.osc_message import OscMessage

        reply = self._ask("/transport_frame")
        return OscMessage(reply).params[0] if reply and reply.startswith(b"/transport_frame") else None

    def _answers(self) -> bool:
        return bool(self._ask("/strip/list"))

    def _ask(self, address: str) -> bytes:
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                self._socket.recv(65536)
        self._socket.settimeout(0.5)
        self.send(address)
        try:
            return self._socket.recv(65536)
        except (TimeoutError, ConnectionError):
            return b""

    # -- the screen ------------------------------------------------------------------------------------------

    def windows(self) -> dict[str, str]:
        """The visible windows: title to X11 id."""
        found = {}
        for window in self._xdotool("search", "--onlyvisible", "--name", ".").split():
            title = self._xdotool("getwindowname", window).strip()
            if title:
                found[title] = window
        return found

    def await_window(self, title: str, timeout_s: float = 30) -> None:
        """Wait for a window, and give it the keys."""
        self.await_(lambda: self._has_keys(title), f"the window {title!r} takes keys", timeout_s)

    def _has_keys(self, title: str) -> bool:
        # Without a window manager nobody else moves the focus. A window may go again, as Ardour's does at its start.
        window = self.windows().get(title)
        if window is None:
            return False
        self._xdotool("windowfocus", window)
        return self._xdotool("getwindowfocus", "-f").strip() == window

    def await_only_window(self, title: str) -> None:
        """Wait until this window is all there is: a dialog beside it would stay, and fail this."""
        self.await_(lambda: list(self.windows()) == [title], f"{title!r} is the only window", 30)

    def await_no_window(self, title: str) -> None:
        self.await_(lambda: title not in self.windows(), f"the window {title!r} is gone")

    def dismiss(self, title: str) -> None:
        """Wait for a dialog, and close it by Escape; a key that comes too early for it is lost, so there may be more."""
        self.await_window(title)
        pressed = 0.0

        def is_gone() -> bool:
            nonlocal pressed
            if title not in self.windows():
                return True
            if time.monotonic() - pressed > 3 and self._has_keys(title):
                pressed = time.monotonic()
                self.press("Escape")
            return False

        self.await_(is_gone, f"the window {title!r} is gone")

    def fill_the_screen(self, title: str, width: int, height: int) -> None:
        self.await_window(title)
        window = self._xdotool("getwindowfocus", "-f").strip()

        def fills() -> bool:
            shape = self._xdotool("getwindowgeometry", "--shell", window).split()
            if {"X=0", "Y=0", f"WIDTH={width}", f"HEIGHT={height}"} <= set(shape):
                return True
            self._xdotool("windowmove", window, "0", "0", "windowsize", window, str(width), str(height))
            return False

        self.await_(fills, f"{title!r} fills the screen")

    def type(self, text: str) -> None:
        self._xdotool("type", "--delay", "10", text)

    def press(self, *keys: str) -> None:
        """Press keys, named as xdotool names them: `Tab`, `alt+o`."""
        self._xdotool("key", "--delay", "50", *keys)

    def move_mouse(self, x: int, y: int) -> None:
        """Put the pointer onto a pixel of the screen."""
        self._xdotool("mousemove", "--sync", str(x), str(y))

    def hold_mouse(self, button: int = 1) -> None:
        self._xdotool("mousedown", str(button))

    def release_mouse(self, button: int = 1) -> None:
        self._xdotool("mouseup", str(button))

    def screenshot(self, path: Path) -> Path:
        """Take a picture of the whole screen as PNG; needs ImageMagick."""
        subprocess.run(["import", "-window", "root", str(path)], env=self._environ, check=True, timeout=60)
        return path

    def _xdotool(self, *arguments: str) -> str:
        done = subprocess.run(
            ["xdotool", *arguments],
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout

    # -- what else -------------------------------------------------------------------------------------------

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def complaints(self) -> list[str]:
        """The errors and warnings that Ardour itself has logged."""
        return [
            line
            for line in self.log().splitlines()
            if any(f"[{kind}]" in line for kind in ("ERROR", "WARNING"))
        ]

    def await_(self, condition: Callable[[], bool], what: str, timeout_s: float = 30) -> None:
        """Wait until a condition holds; polls, since Ardour announces nothing."""
        until = time.monotonic() + timeout_s
        while not condition():
            if self._process is None or self._process.poll() is not None:
                raise ArdourGuiError(f"Ardour has ended before {what}\n{self.log()[-3000:]}")
            if time.monotonic() > until:
                raise ArdourGuiError(
                    f"after {timeout_s} s it is still not so that {what}; windows: {list(self.windows())}\n{self.log()[-3000:]}"
                )
            time.sleep(0.1)

    def quit(self) -> None:
        """Save the session and leave, as a user would."""
        if self._process is None:
            return
        self.run_action("Common/Save", "Common/Quit")
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            raise ArdourGuiError(f"Ardour does not quit; windows: {list(self.windows())}") from None
        self._process = None

    def save(self, session_file: Path) -> None:
        """Save the session; returns when the file is written.

        By an action of Ardour's window, as are all others: `/save_state` saves in another thread than the one that
        undoes and redoes, and crashes Ardour now and then when both are at work.
        """
        before = session_file.stat().st_mtime_ns
        self.run_action("Common/Save")
        self.await_(lambda: session_file.stat().st_mtime_ns != before, f"{session_file.name} is saved")

    def kill(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None

    def close(self) -> None:
        self.kill()
        self._socket.close()


@contextmanager
def ardour_gui(
    scratch: Path, *, sample_rate_hz: int = 48_000, screen: tuple[int, int] = (1500, 900)
) -> Iterator[ArdourGui]:
    """Give an Ardour that is not started yet, on a new screen; ends whatever is left of both."""
    with _x_server(screen) as display:
        gui = ArdourGui(scratch, display, sample_rate_hz)
        try:
            yield gui
        finally:
            gui.close()


@contextmanager
def _x_server(screen: Sequence[int]) -> Iterator[str]:
    read_end, write_end = os.pipe()
    size = f"{screen[0]}x{screen[1]}x24"
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write_end), "-screen", "0", size, "-nolisten", "tcp"],
        pass_fds=[write_end],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    try:
        with os.fdopen(read_end) as said:
            number = said.readline().strip()  # the server chose a free one, and is ready
        if not number:
            raise ArdourGuiError("Xvfb did not start")
        yield f":{number}"
    finally:
        _end(server)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
