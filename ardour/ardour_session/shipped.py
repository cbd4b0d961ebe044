"""The templates that come with this project; `templates/sessions/` holds them as `write_template` wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .model import Playlist, RouteGroup, Session, Track
from .template import write_template
from .tempo_map import TempoMap

if TYPE_CHECKING:
    from pathlib import Path

# Evenly spaced hues of one lightness, so that no track looks more important than another.
_AMBER, _CORAL, _VIOLET, _BLUE, _TEAL, _GREEN = (
    0xE0A030FF,
    0xE06C5AFF,
    0xA878D8FF,
    0x5A92E0FF,
    0x3CB4ACFF,
    0x7CB454FF,
)


def shipped_templates() -> tuple[Session, ...]:
    """The templates, each named as its folder: a sketchpad, one track for takes, and a group of stems.

    All are in 4/4 at 120 bpm, so that the grid fits from the first bar; a session made of one takes its own tempo.
    """
    tempo_map = TempoMap.constant(120)
    sketchpad = Session(
        name="DGX Sketchpad",
        tempo_map=tempo_map,
        tracks=(
            _track("Drums", _AMBER),
            _track("Bass", _BLUE),
            _track("Chords", _TEAL),
            _track("Melody", _CORAL),
            _track("Texture", _VIOLET),
            _track("Found Sound", _GREEN),
        ),
        description="Six empty stereo tracks on a grid of 4/4 at 120 bpm, to collect ideas on.",
    )
    takes = Session(
        name="DGX Takes",
        tempo_map=tempo_map,
        tracks=(_track("Takes", _CORAL),),
        description="One stereo track for takes: each take is a playlist of it, chosen in the track's playlist menu.",
    )
    stems = Session(
        name="DGX Stems",
        tempo_map=tempo_map,
        tracks=(
            _track("Drums", _AMBER, group="Stems"),
            _track("Bass", _BLUE, group="Stems"),
            _track("Chords", _TEAL, group="Stems"),
            _track("Lead", _CORAL, group="Stems"),
        ),
        groups=(RouteGroup("Stems", _GREEN),),
        description="Drums, bass, chords and lead as four stereo tracks in one group.",
    )
    return sketchpad, takes, stems


def write_shipped_templates(folder: Path) -> list[Path]:
    """Write every shipped template into a folder, each as `NAME/NAME.template`."""
    return [write_template(template, folder / template.name) for template in shipped_templates()]


def _track(name: str, colour_rgba: int, group: str | None = None) -> Track:
    return Track(name, Playlist(name), colour_rgba=colour_rgba, group=group)
