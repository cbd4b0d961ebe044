"""Notes from a SoundFont, by the `fluidsynth` program, placed by the same renderer as the built-in ones.

FluidSynth starts notes only at its own blocks of 64 samples, one block late (measured with version 2.3: 64 samples
for an event on a block's edge at a whole millisecond, up to 191 elsewhere). So it never plays the music: every distinct note is recorded
once, on a block's edge, in a slot of its own, cut out, and placed to the sample like any other sound.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dgx_music.engines.sketch.score import SAMPLE_RATE_HZ
from dgx_music.engines.sketch.smf import all_sound_off, note_off, note_on, program_change, write_smf
from dgx_music.engines.sketch.sounds import VELOCITY_STEPS, Note
from dgx_music.engines.sketch.synth import waves
from dgx_music.engines.sketch.synth.kit import KITS
from dgx_music.engines.sketch.synth.patches import PATCHES
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import IO

    from dgx_music.engines.sketch.soundfont import FluidSynth
    from dgx_music.engines.sketch.synth.waves import Signal

__all__ = ["SoundFontSounds"]

_BLOCK = 64
_EDGE = 192
"""FluidSynth counts whole milliseconds: every third block edge, 4 ms, is one."""
_PRIMER = 24 * _EDGE
"""Ahead of its recording each note is struck once and silenced: FluidSynth's voices keep the level of what they
played before and glide from it, so a note's first block would depend on the note recorded before it."""
_LATENCY = 64
"""Samples from an event on a block's edge to the first sample of its note."""
_TAIL = {True: 2 * SAMPLE_RATE_HZ, False: 3 * SAMPLE_RATE_HZ // 2}
"""How long a drum rings, and a note after its release."""
_LONGEST_GATE = 20 * SAMPLE_RATE_HZ
_COARSE = 4
"""Notes are recorded at every fourth velocity step and scaled to those between."""
# 24000 ticks a quarter at half a second a quarter: one tick is one sample at 48 kHz.
_DIVISION = 24_000
_TEMPO_US = 500_000
_DRUM_CHANNEL = 9
_POLL_S = 0.1
_SILENCE = 2e-5


class SoundFontSounds:
    """Sounds recorded from FluidSynth."""

    def __init__(self, fluidsynth: FluidSynth) -> None:
        self._fluidsynth = fluidsynth
        self._recorded: dict[Note, Signal] = {}

    def prepare(self, notes: Sequence[Note], tick: Callable[[], None]) -> None:
        """Record every distinct note of the take in one run of the program.

        Raises:
            EngineError: when the program fails; nothing else takes over.
        """
        wanted = sorted(
            {_coarse(note) for note in notes}, key=lambda n: (n.instrument, n.pitch, n.gate, n.velocity_step)
        )
        slots: dict[Note, tuple[int, int]] = {}
        messages: list[tuple[int, bytes]] = []
        now = 10 * _EDGE
        for note in wanted:
            length = -(-(note.gate + _TAIL[note.drums]) // _EDGE) * _EDGE
            now += _PRIMER + 2 * _EDGE
            slots[note] = (now, length)
            messages += _messages(note, now)
            now += length
        smf = write_smf(messages, division=_DIVISION, tempo_us=_TEMPO_US, end=now + 4 * _BLOCK)
        audio, said = self._run(smf, tick)
        if audio.shape[1] < now + _LATENCY:
            raise EngineError(
                f"fluidsynth wrote {audio.shape[1]} of {now + _LATENCY} samples with {self._fluidsynth.soundfont}; "
                'set renderer = "numpy" to do without it'
            )
        if not np.any(np.abs(audio) > _SILENCE):
            raise EngineError(
                f"fluidsynth played {self._fluidsynth.soundfont} and nothing was heard; is it a SoundFont with a "
                f"General MIDI bank? It said: {said or 'nothing'}"
            )
        for note, (start, length) in slots.items():
            cut = audio[:, start + _LATENCY : start + _LATENCY + length - 2 * _BLOCK]
            self._recorded[note] = _tidied(note, cut)
            tick()

    def sound(self, note: Note) -> Signal:
        """Return a recorded note, scaled to its velocity."""
        kept = _coarse(note)
        scale = np.float32((note.velocity_step / kept.velocity_step) ** 1.3)
        return np.asarray(self._recorded[kept] * scale, dtype=np.float32)

    def _run(self, smf: bytes, tick: Callable[[], None]) -> tuple[Signal, str]:
        with tempfile.TemporaryDirectory(prefix="dgx-music-fluidsynth-") as name:
            folder = Path(name)
            (folder / "notes.mid").write_bytes(smf)
            (folder / "empty.cfg").touch()
            command = [
                str(self._fluidsynth.program), "--no-midi-in", "--no-shell", "--quiet",
                "--load-config", str(folder / "empty.cfg"),
                "--fast-render", str(folder / "notes.raw"), "--audio-file-type", "raw",
                "--audio-file-format", "float", "--audio-file-endian", "little",
                "--sample-rate", str(SAMPLE_RATE_HZ), "--gain", "0.5", "--reverb", "0", "--chorus", "0",
                "-o", "synth.cpu-cores=1",
                # Given a font that it cannot read, FluidSynth would play the system's default one instead.
                "-o", f"synth.default-soundfont={folder / 'none'}",
                str(self._fluidsynth.soundfont), str(folder / "notes.mid"),
            ]  # fmt: skip
            with (folder / "log").open("w+b") as log:
                code = _wait(command, log, tick)
                log.seek(0)
                said = log.read().decode(errors="replace").strip()
            raw = folder / "notes.raw"
            if code != 0 or not raw.is_file():
                raise EngineError(
                    f"fluidsynth failed with {self._fluidsynth.soundfont} (exit code {code}): {said or 'no message'}; "
                    'set renderer = "numpy" to do without it'
                )
            return np.fromfile(raw, dtype="<f4").reshape(-1, 2).T, said


def _wait(command: list[str], log: IO[bytes], tick: Callable[[], None]) -> int:
    """Run to the end, calling `tick` meanwhile; whatever it raises ends the program too."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        while True:
            try:
                return int(process.wait(timeout=_POLL_S))
            except subprocess.TimeoutExpired:
                tick()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _coarse(note: Note) -> Note:
    step = -(-note.velocity_step // _COARSE) * _COARSE
    return replace(note, velocity_step=min(VELOCITY_STEPS, step), gate=min(note.gate, _LONGEST_GATE))


def _messages(note: Note, start: int) -> list[tuple[int, bytes]]:
    channel = _DRUM_CHANNEL if note.drums else 0
    program = KITS[note.instrument].program if note.drums else PATCHES[note.instrument].program
    velocity = max(1, round(127 * note.velocity_step / VELOCITY_STEPS))
    gate = max(note.gate, _BLOCK) if not note.drums else SAMPLE_RATE_HZ
    silence = [all_sound_off(other) for other in (0, _DRUM_CHANNEL)]
    struck, released = note_on(channel, note.pitch, velocity), note_off(channel, note.pitch)
    return [
        *((start - _PRIMER - _EDGE, message) for message in (*silence, program_change(channel, program))),
        (start - _PRIMER, struck),
        (start - _PRIMER // 2, released),
        *((start - _PRIMER // 2, message) for message in silence),
        (start, struck),
        (start + gate, released),
    ]


def _tidied(note: Note, cut: Signal) -> Signal:
    """End the note in silence, and keep what is low in the middle."""
    loud = np.nonzero(np.max(np.abs(cut), axis=0) > _SILENCE)[0]
    length = int(loud[-1]) + 1 if len(loud) else 1
    sound = np.ascontiguousarray(cut[:, :length])
    fade = min(length, SAMPLE_RATE_HZ // 100)
    sound[:, length - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    if note.drums or note.pitch < 48:
        middle = (sound[0] + sound[1]) * np.float32(0.5)
        side = waves.filtered((sound[0] - sound[1]) * np.float32(0.5), low_hz=150.0)
        sound = np.stack([middle + side, middle - side])
    return sound
