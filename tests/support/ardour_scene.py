"""A real Ardour with a session and a spool that is filled by hand: what the stories of deliveries have in common."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ardour_session import (
    AudioFile,
    Playlist,
    Region,
    Session,
    Track,
    read_session,
    write_session,
)
from support.ardour_gui import ArdourGui, ardour_gui
from support.ardour_spool import HandMadeSpool
from support.session_material import write_noise

if TYPE_CHECKING:
    from pathlib import Path

MESSAGE = "DGX Music"
SCRIPTS = ("dgx_hook", "dgx_fetch_now", "dgx_remove_last")
TAKE, LONGER = 72_000, 96_017


@dataclass
class Scene:
    """An Ardour with a session, and the spool that its scripts look into."""

    ardour: ArdourGui
    spool: HandMadeSpool
    session_file: Path
    slots: dict[str, int]
    scratch: Path
    reports: list[dict] = field(default_factory=list)
    saves: list[dict] = field(default_factory=list)

    def open(self) -> None:
        self.ardour.open(self.session_file)
        self.ardour.await_only_window(f"{self.session_file.stem} - Ardour")

    def run(self, name: str) -> None:
        self.ardour.run_script(self.slots[name])

    def _look(self) -> bool:
        for report in self.spool.reports():
            (self.saves if report["kind"] == "saved" else self.reports).append(report)
        return bool(self.reports)

    def report(self) -> dict:
        """The next report, which has to come; not that of a save."""
        self.ardour.await_(self._look, "there is a report", 20)
        return self.reports.pop(0)

    def await_save(self) -> dict:
        """The report that the session was saved with a delivery in it."""
        self.ardour.await_(lambda: self._look() or bool(self.saves), "a save is reported", 20)
        return self.saves.pop(0)

    def deliver(self, manifest: dict) -> dict:
        """Put a manifest up for the hook; returns what it reports."""
        self.spool.put_up(manifest)
        report = self.report()
        self.ardour.await_(lambda: not self.spool.is_busy, "the claim has ended")
        return report

    def remove_last(self) -> dict:
        self.run("dgx_remove_last")
        return self.report()

    def message(self) -> None:
        """Wait for a dialog of ours, and close it."""
        self.ardour.dismiss(MESSAGE)

    def saved(self) -> Session:
        """Let Ardour save, and read what it wrote."""
        self.ardour.save(self.session_file)
        return read_session(self.session_file)

    def audio_files(self) -> list[str]:
        """What lies in the session's own audio folder."""
        return sorted(path.name for path in self.session_file.parent.glob("interchange/*/audiofiles/*"))


@contextmanager
def scene(tmp_path, session=None, *, allowed=("import",), scripts=SCRIPTS):
    session = session or Session(name="story")
    session_file = write_session(session, tmp_path / session.name)
    spool = HandMadeSpool(tmp_path, session_file.parent)
    with spool, ardour_gui(tmp_path, sample_rate_hz=session.sample_rate_hz) as ardour:
        if allowed:
            spool.allow(**dict.fromkeys(allowed, True))
        slots = ardour.install_scripts(spool.runtime, spool.root, *scripts)
        yield Scene(ardour, spool, session_file, slots, tmp_path)


def takes_of(
    spool, delivery, count=3, *, offer=1, track="[sketch] takes", frames=(TAKE, LONGER, TAKE), **more
):
    """Takes with file names as the daemon's: another one in each offer."""
    return [
        spool.take(
            f"pad_{delivery}-{offer}_t{n}",
            frames=frames[n - 1],
            seed=n,
            playlist=f"{track} {n}",
            name=f"[sketch] take {n}",
            **more,
        )
        for n in range(1, count + 1)
    ]


def placed(track):
    """What lies on each playlist: name, position and length of the regions."""
    return {
        playlist.name: [(one.name, one.position_samples, one.length_samples) for one in playlist.regions]
        for playlist in track.playlists
    }


def track_of(session, name):
    (track,) = [track for track in session.tracks if track.name == name]
    return track


def own_music(tmp_path, name="Mine", *, at=48_000, frames=240_000, channels=2):
    """A session as a user has it: one track, one region."""
    path = tmp_path / "recorded.wav"
    write_noise(path, channels=channels, frames=frames, seed=77)
    region = Region("recorded", AudioFile.taken_in(path, channels).channels, frames, at)
    return Session(
        name="mine", tracks=(Track(name, Playlist(f"{name}.1", (region,)), channel_count=channels),)
    )


def note_what_is_said(module, file):
    """Let the dialogs' module write down what it shows: a test cannot read a window."""
    text = module.read_text()
    noting = text.replace(
        "local function show (kind, text)\n",
        f'local function show (kind, text)\n\tlocal file = io.open ("{file}", "w") file:write (text) file:close ()\n',
    )
    assert noting != text
    module.write_text(noting)


def nudge(name):
    """An action that moves the first region of this name by a sample, as an edit of the user's that can be undone."""
    return f"""
ardour {{ ["type"] = "EditorAction", name = "nudge" }}
function factory () return function ()
	for track in Session:get_tracks ():iter () do
		local playlist = track:to_track ():playlist ()
		for region in playlist:region_list ():iter () do
			if region:name () == "{name}" then
				playlist:to_stateful ():clear_changes ()
				region:to_stateful ():clear_changes ()
				Session:begin_reversible_command ("nudge")
				region:set_position (Temporal.timepos_t (region:position ():samples () + 1))
				Session:add_stateful_diff_command (region:to_statefuldestructible ())
				Session:commit_reversible_command (nil)
				return
			end
		end
	end
end end
"""


def regions_of(session):
    return {track.name: placed(track) for track in session.tracks}
