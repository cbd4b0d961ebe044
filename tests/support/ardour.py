"""Runs Ardour's own command-line tools, each with a home of its own, and fails on every complaint they print."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import pytest

LUA, EXPORT, NEW_SESSION = "ardour7-lua", "ardour7-export", "ardour7-new_session"

needs_ardour = pytest.mark.skipif(
    shutil.which(LUA) is None and os.environ.get("CI") != "true",
    reason=f"{LUA} is not on PATH (apt install ardour); in CI this fails instead",
)
"""Put beside `@pytest.mark.ardour`: without Ardour the test is skipped on a desk, and fails in CI."""

_NOT_ABOUT_THE_SESSION = (
    "Falling back to Reasonable Synth for Midi Audition",  # at every start
    "Error parsing MIDI patch file",  # now and then: a thread that reads Ardour's own files is cut off at the end
)
_COMPLAINTS = ("[ERROR]", "[WARNING]", "[FATAL]")
_CRASHES = {-signal.SIGABRT, -signal.SIGSEGV, 128 + signal.SIGABRT, 128 + signal.SIGSEGV}
_TRIES = 3


class ArdourError(AssertionError):
    """Ardour complained, crashed or hung."""


@dataclass(frozen=True)
class TempoFact:
    """What Ardour says of a musical position: the sample it lies at, the tempo that plays, the meter, bar|beat|tick."""

    samples: int
    quarters_per_minute: float
    notes_per_minute: float
    note_type: int
    meter: tuple[int, int]
    bbt: tuple[int, int, int]


@dataclass(frozen=True)
class SourceFact:
    path: Path
    channel: int
    exists: bool
    length_samples: int


@dataclass
class RegionFact:
    name: str
    position_samples: int
    length_samples: int
    start_samples: int
    channel_count: int
    muted: bool
    fades: tuple[bool, bool]
    gain: float
    sources: list[SourceFact] = field(default_factory=list)


@dataclass
class PlaylistFact:
    name: str
    active: bool
    regions: list[RegionFact] = field(default_factory=list)


@dataclass
class RouteFact:
    name: str
    is_track: bool
    inputs: int
    outputs: int
    connected: bool
    muted: bool
    gain: float
    colour_rgba: int
    comment: str = ""
    playlists: list[PlaylistFact] = field(default_factory=list)

    @property
    def active(self) -> PlaylistFact:
        return next(playlist for playlist in self.playlists if playlist.active)


@dataclass
class Inventory:
    """A session as Ardour loaded it."""

    name: str = ""
    sample_rate_hz: int = 0
    session_range: tuple[int, int] = (0, 0)
    tempo: dict[int, TempoFact] = field(default_factory=dict)
    locations: list[tuple[str, str, int, int]] = field(default_factory=list)
    groups: dict[str, tuple[int, bool, tuple[str, ...]]] = field(default_factory=dict)
    routes: dict[str, RouteFact] = field(default_factory=dict)

    @property
    def tracks(self) -> dict[str, RouteFact]:
        return {name: route for name, route in self.routes.items() if route.is_track}

    @property
    def missing_sources(self) -> list[SourceFact]:
        return [
            source
            for route in self.routes.values()
            for playlist in route.playlists
            for region in playlist.regions
            for source in region.sources
            if not source.exists
        ]


class ArdourTools:
    """Ardour 7's tools below one scratch folder; `home` holds Ardour's configuration and is made when needed."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def inventory(self, session_file: Path, ticks: tuple[int, ...] = ()) -> Inventory:
        """Load a session and list it; `ticks` (1920 a quarter) are the musical positions to report on."""
        script = Path(__file__).with_name("inventory.lua")
        arguments = [str(session_file.parent.resolve()), session_file.stem, *map(str, ticks)]
        lines = self.run_lua(script, *arguments)
        if "=end" not in lines:
            raise ArdourError("\n".join(["the inventory stopped half-way", *lines]))
        return _parse([line[1:].split("\t") for line in lines if line.startswith("=")])

    def run_lua(self, script: Path, *arguments: str, timeout_s: float = 30) -> list[str]:
        """Run a Lua script in `ardour7-lua`; its output, after a check that Ardour printed no complaint."""
        return self._run([LUA, str(script), *arguments], timeout_s)

    def export(self, session_file: Path, out: Path, *, frames: int, bit_depth: str = "float") -> Path:
        """Render the session range of the master bus to a WAV file of `frames` frames.

        `ardour7-export` 7.3 often crashes at its end, after the file is complete, so the file is the judge. On a busy
        machine about one render in fifteen has garbage in one sample of every 2048, or comes 16 samples late, also of
        sessions that Ardour saved itself: what two renders agree on is given.
        """
        seen: set[bytes] = set()
        for _ in range(2 * _TRIES):
            content = self._export_once(session_file, out, frames, bit_depth)
            if content in seen:
                return out
            seen.add(content)
        raise ArdourError(f"{len(seen)} renders of {session_file.name} differ from each other")

    def _export_once(self, session_file: Path, out: Path, frames: int, bit_depth: str) -> bytes:
        import soundfile

        command = [
            EXPORT,
            "-b",
            bit_depth,
            "-o",
            str(out),
            str(session_file.parent.resolve()),
            session_file.stem,
        ]
        for _ in range(_TRIES):
            out.unlink(missing_ok=True)
            with contextlib.suppress(_CrashError):
                self._run_once(command, 20)
            if out.exists() and soundfile.info(out).frames == frames:
                return soundfile.read(out, dtype="float32")[0].tobytes()
        found = soundfile.info(out).frames if out.exists() else "no"
        raise ArdourError(f"{out.name} should have {frames} frames, it has {found}")

    def install_template(self, template_folder: Path) -> None:
        """Put a template where Ardour looks for those of the user."""
        shutil.copytree(template_folder, self._config() / "templates" / template_folder.name)

    def new_session(self, template: str, folder: Path, name: str, sample_rate_hz: int = 48_000) -> Path:
        """Make a session of an installed template, as Ardour does; gives its `.ardour` file."""
        self._run([NEW_SESSION, "-s", str(sample_rate_hz), "-t", template, str(folder), name], 30)
        return folder / f"{name}.ardour"

    def _run(self, command: list[str], timeout_s: float) -> list[str]:
        for _ in range(_TRIES - 1):
            try:
                return self._run_once(command, timeout_s)
            except _CrashError:
                continue
        return self._run_once(command, timeout_s)

    def _run_once(self, command: list[str], timeout_s: float) -> list[str]:
        self._config()
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            cwd="/",
            env={**os.environ, "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config")},
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise _CrashError(f"{command[0]} took longer than {timeout_s} s:\n{output}") from None
        complaints = [
            line
            for line in output.splitlines()
            if any(complaint in line for complaint in _COMPLAINTS)
            and not any(known in line for known in _NOT_ABOUT_THE_SESSION)
        ]
        if complaints:
            raise ArdourError(f"{command[0]} complained:\n" + "\n".join(complaints))
        if process.returncode in _CRASHES:
            raise _CrashError(f"{command[0]} crashed ({process.returncode}):\n{output}")
        if process.returncode != 0:
            raise ArdourError(f"{command[0]} ended with {process.returncode}:\n{output}")
        return output.splitlines()

    def _config(self) -> Path:
        config = self.home / ".config" / "ardour7"
        config.mkdir(parents=True, exist_ok=True)
        return config


class _CrashError(ArdourError):
    """Worth another try: Ardour's tools sometimes crash or hang for reasons of their own."""


def ticks(quarters: Fraction | int) -> int:
    """A position in quarter notes as Ardour counts it."""
    return int(Fraction(quarters) * 1920)


def _parse(facts: list[list[str]]) -> Inventory:
    found = Inventory()
    regions: dict[str, RegionFact] = {}
    playlists: dict[str, PlaylistFact] = {}
    for kind, *values in facts:
        if kind == "session":
            found.name, found.sample_rate_hz = values[0], round(float(values[1]))
            found.session_range = int(values[2]), int(values[3])
        elif kind == "tempo":
            at, samples, quarters, notes, note_type, *meter_and_bbt = values
            divisions, note_value, *bbt = (round(float(value)) for value in meter_and_bbt)
            found.tempo[int(at)] = TempoFact(
                int(samples),
                float(quarters),
                float(notes),
                int(note_type),
                (divisions, note_value),
                (bbt[0], bbt[1], bbt[2]),
            )
        elif kind == "location":
            found.locations.append((values[0], values[1], int(values[2]), int(values[3])))
        elif kind == "group":
            found.groups[values[0]] = int(values[1]), values[2] == "1", tuple(values[3:])
        elif kind == "route":
            name, is_track, inputs, outputs, connected, muted, gain, colour = values
            found.routes[name] = RouteFact(
                name,
                is_track == "1",
                int(inputs),
                int(outputs),
                connected == "1",
                muted == "1",
                float(gain),
                int(colour),
            )
        elif kind == "comment":
            found.routes[values[0]].comment = values[1].replace("\\n", "\n")
        elif kind == "playlist":
            playlists[values[1]] = PlaylistFact(values[1], values[2] == "1")
            found.routes[values[0]].playlists.append(playlists[values[1]])
        elif kind == "region":
            playlist, name, position, length, start, channels, muted, fade_in, fade_out, gain = values
            regions[name] = RegionFact(
                name,
                int(position),
                int(length),
                int(start),
                int(channels),
                muted == "1",
                (fade_in == "1", fade_out == "1"),
                float(gain),
            )
            playlists[playlist].regions.append(regions[name])
        elif kind == "source":
            region, _, path, channel, exists, length = values
            regions[region].sources.append(SourceFact(Path(path), int(channel), exists == "1", int(length)))
    return found
