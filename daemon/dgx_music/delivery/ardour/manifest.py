"""What Ardour is to do with a delivery: a finished job as the table that the scripts read.

The best take comes first, which becomes the active one: in order, but a silent one last. Its stems come along where
the request wants them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dgx_music.delivery import labels
from dgx_music.library.naming import slug

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dgx_music.jobs import Job
    from dgx_music.jobs.deliveries import Delivery
    from dgx_music.library.take import StagedFile, Take
    from dgx_music.request import SessionTarget

__all__ = ["FORMAT", "Offered", "manifest_of", "offered_files", "place_of"]

FORMAT = 1
"""Grows where an older script could not make sense of a manifest."""


@dataclass(frozen=True)
class Offered:
    """One file of an offer."""

    take: Take
    file: StagedFile
    name: str
    """Its name in the spool; the name of Ardour's source is made of it, so it tells the delivery."""


def place_of(job: Job, delivery: Delivery) -> SessionTarget:
    """Return where a delivery is to land.

    Raises:
        ValueError: neither it nor its job says.
    """
    place = delivery.target or job.request.session
    if place is None:
        raise ValueError(f"{job.id} names no place in a session")
    return place


def offered_files(job: Job, delivery: Delivery, offer: int) -> list[Offered]:
    """Return the files of an offer: the takes, best first, then the first one's stems where they are wanted."""
    takes = sorted(job.takes, key=lambda take: (take.loudness_lufs is None, take.index))
    token = f"{delivery.id}-{offer}"
    words = slug(labels.title(job), 32) or "take"
    found = [Offered(take, take.files[0], f"{words}_{token}_t{take.index + 1}.wav") for take in takes]
    if place_of(job, delivery).stems and takes:
        best = takes[0]
        for number, stem in enumerate(best.files[1:], start=1):
            part = slug(stem.stem or "", 24) or "stem"
            found.append(Offered(best, stem, f"{words}_{token}_t{best.index + 1}_{number}_{part}.wav"))
    return found


def manifest_of(
    job: Job, delivery: Delivery, offer: int, files: Sequence[tuple[Offered, str, str]]
) -> dict[str, Any]:
    """Return the manifest.

    Args:
        job: a completed job.
        delivery: one of its deliveries.
        offer: the offer's number, from 1.
        files: those of `offered_files`, each with its absolute path in the spool and its fingerprint.
    """
    place = place_of(job, delivery)
    track = place.track or labels.track_name(job)
    takes = [_take(*entry, place, track, len(job.takes)) for entry in files if entry[0].file.stem is None]
    stems = [_stem(*entry, job) for entry in files if entry[0].file.stem is not None]
    return {
        "format": FORMAT,
        "delivery": delivery.id,
        "offer": offer,
        "job": job.id,
        "session": delivery.session_path,
        "position": place.position,
        "sample_rate": job.takes[0].sample_rate_hz,
        "frames": max(take.frames for take in job.takes),
        "takes": takes,
        "stems": stems,
        "group": labels.group_name(),
        "track": track,
        "new_track": place.track is None,
        "playlists": place.playlists,
        "on_top": place.on_top,
        "replace": place.replace.model_dump() if place.replace else None,
        "marker": labels.title(job),
        "comment": labels.comment(job),
        "colour": labels.TAKE_COLOUR,
        "group_colour": labels.GROUP_COLOUR,
        "stem_colours": [labels.stem_colour(index) for index in range(len(stems))],
        "title": labels.title(job, 40),
    }


def _take(
    entry: Offered, path: str, fingerprint: str, place: SessionTarget, track: str, takes: int
) -> Mapping[str, Any]:
    playlist = labels.playlist_name(track, entry.take)
    if place.playlist:
        playlist = place.playlist if takes == 1 else labels.playlist_name(place.playlist, entry.take)
    name = labels.region_name(entry.take)
    return {"name": name, "playlist": playlist, **_file(entry, path, fingerprint)}


def _stem(entry: Offered, path: str, fingerprint: str, job: Job) -> Mapping[str, Any]:
    stem = entry.file.stem or ""
    return {
        "name": labels.stem_region_name(entry.take, stem),
        "track": labels.stem_track_name(entry.take, stem),
        "comment": labels.stem_comment(job, entry.take, stem),
        **_file(entry, path, fingerprint),
    }


def _file(entry: Offered, path: str, fingerprint: str) -> Mapping[str, Any]:
    return {
        "path": path,
        "channels": entry.take.channels,
        "frames": entry.take.frames,
        "bytes": entry.file.size_bytes,
        "fingerprint": fingerprint,
    }
