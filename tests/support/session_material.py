"""Audio files and sessions for the tests of everything that has to do with Ardour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soundfile

from ardour_session import (
    AudioFile,
    Marker,
    MeterChange,
    Playlist,
    RangeMarker,
    Region,
    RouteGroup,
    Session,
    TempoChange,
    TempoMap,
    TimeRange,
    Track,
)

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 48_000
TAKE_SAMPLES = 72_000


def write_noise(
    path: Path, *, channels: int = 2, frames: int = TAKE_SAMPLES, rate_hz: int = RATE_HZ, seed: int = 0
) -> np.ndarray:
    """Write float noise that no two seeds share; gives the samples, (frames, channels) float32."""
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)
    soundfile.write(path, noise, rate_hz, subtype="FLOAT")
    return noise


def whole(file: AudioFile, name: str, position_samples: int = 0, frames: int = TAKE_SAMPLES) -> Region:
    """A region that plays a whole file bit for bit."""
    return Region(name, file.channels, frames, position_samples)


def full_session(library: Path, name: str = "full") -> Session:
    """A session with something of everything, its audio below `library`: takes, muted stems, tempo and meter changes."""
    library.mkdir(parents=True, exist_ok=True)
    files = {}
    for seed, (stem, channels) in enumerate(
        (("take1", 2), ("take2", 2), ("take3", 2), ("drums", 2), ("bass", 1))
    ):
        path = library / f"{stem}.wav"
        write_noise(path, channels=channels, seed=seed)
        files[stem] = AudioFile.taken_in(path, channels)
    take_at = 48_000
    takes = [Playlist(f"take {n}", (whole(files[f"take{n}"], f"take {n}", take_at),)) for n in (1, 2, 3)]
    drums = Playlist(
        "drums",
        (
            whole(files["drums"], "drums", take_at),
            Region(
                "drums end", files["drums"].channels, 24_000, take_at + TAKE_SAMPLES, 48_000, -6.0, fades=True
            ),
        ),
    )
    bass = Playlist("bass", (whole(files["bass"], "bass", take_at),))
    return Session(
        name,
        RATE_HZ,
        TempoMap(
            (TempoChange(93), TempoChange(100, 8, 4, 140), TempoChange(140, 16), TempoChange(90, 24, 8)),
            (MeterChange(4, 4), MeterChange(7, 8, bar=3), MeterChange(3, 4, bar=5)),
        ),
        tracks=(
            Track(
                "take",
                takes[0],
                other_playlists=tuple(takes[1:]),
                colour_rgba=0xE06C5AFF,
                comment="seed <7> & 8\n2",
            ),
            Track("drums", drums, gain_db=-3.5, muted=True, group="stems"),
            Track("bass", bass, channel_count=1, muted=True, group="stems"),
        ),
        groups=(RouteGroup("stems", 0x3CB4ACFF),),
        markers=(Marker("Start", 0), Marker("Größe “2”", take_at)),
        ranges=(RangeMarker("ending", 96_000, 144_000),),
        loop=TimeRange(take_at, take_at + TAKE_SAMPLES),
        session_range=TimeRange(0, 144_000),
    )
