"""Session templates: what a new session starts from.

Ardour makes a session of a template by copying the one XML file into a new session folder (and a folder `plugins`
beside it, nothing else). So a template holds audio only by absolute paths: a file below the template's own
`interchange/` would not come along, and Ardour would play silence in its place without a word. A template without audio
keeps tracks, groups, tempo and markers, and empty playlists.

Ardour looks for templates in `templates/` of its configuration folder, `~/.config/ardour7/templates/NAME/NAME.template`
for version 7.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .audio_files import check_audio, take_all_in
from .check import check_writable
from .document import SessionDocument
from .errors import SessionError
from .names import TEMPLATE_SUFFIX, session_name_problem
from .timeline_text import FileFormat
from .writer import session_root
from .xml_file import new_folder, parse_session_file, serialise, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from .model import Session, Track

_BUNDLED_AUDIO = "audiofiles"


def write_template(
    session: Session, folder: Path, *, keep_audio: bool = False, hard_link: bool = True
) -> Path:
    """Write a template folder `NAME/` with the file `NAME.template`, in the format of Ardour 7 to 9.

    Args:
        session: what to write; its name and rate do not become part of the template.
        folder: the template's folder, which must not exist; its name is the name that Ardour shows.
        keep_audio: keep the regions. Files left outside stay there; the others go into the template's folder and are
            referred to by their absolute path, so such a template must stay at its place. Sessions made of it must
            have the rate of the audio, which Ardour does not check and `instantiate` does.
        hard_link: as in `write_session`.

    Returns:
        The path of the `.template` file.

    Raises:
        FileExistsError: the folder exists.
        SessionError: the session is not what Ardour needs, or the folder's name is not legal.
    """
    if problem := session_name_problem(folder.name):
        raise SessionError(f"a template cannot be named {folder.name!r}: {problem}", path=folder)
    kept = session if keep_audio else _without_audio(session)
    check_writable(kept)
    check_audio(kept.audio_files, kept.regions, kept.sample_rate_hz)
    bundled = [file for file in kept.audio_files if not file.is_outside]
    final = folder.absolute()
    paths = {file.name: str(final / _BUNDLED_AUDIO / file.name) for file in bundled}
    root = session_root(kept, FileFormat.ARDOUR_7, as_template=True, source_names=paths)
    with new_folder(folder) as building:
        if bundled:
            (building / _BUNDLED_AUDIO).mkdir()
            take_all_in(bundled, building / _BUNDLED_AUDIO, hard_link=hard_link)
        write_file(building / f"{folder.name}{TEMPLATE_SUFFIX}", serialise(root))
    return folder / f"{folder.name}{TEMPLATE_SUFFIX}"


def instantiate(template: Path, name: str, sample_rate_hz: int) -> SessionDocument:
    """Make a session of a template, as Ardour does; `SessionDocument.save_new` writes it.

    Args:
        template: the `.template` file.
        name: the name of the new session.
        sample_rate_hz: the rate of the new session.

    Raises:
        FileNotFoundError: there is no such file.
        SessionError: it is not a template that can be read, the name is not legal, or its audio is not there or has
            another rate.
    """
    if problem := session_name_problem(name):
        raise SessionError(f"a session cannot be named {name!r}: {problem}")
    root = parse_session_file(template).getroot()
    root.set("name", name)
    root.set("sample-rate", str(sample_rate_hz))
    for description in root.findall("description"):
        root.remove(description)
    document = SessionDocument(root, template)
    session = document.session
    for file in session.audio_files:
        if not file.is_outside:
            raise SessionError(
                f"it plays {file.name!r} from its own folder, which a new session would not find: a template can only"
                " refer to audio by absolute paths",
                path=template,
            )
    check_audio(session.audio_files, session.regions, sample_rate_hz)
    return document


def _without_audio(session: Session) -> Session:
    def emptied(track: Track) -> Track:
        return replace(track, playlist=replace(track.playlist, regions=()), other_playlists=())

    return replace(session, tracks=tuple(emptied(track) for track in session.tracks), other_files=())
