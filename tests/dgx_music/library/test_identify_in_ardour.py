"""What a real Ardour makes of a take when it imports it is found again, as float and as 24 bits."""

from __future__ import annotations

import pytest
import soundfile

from ardour_session import Session, write_session
from support.ardour_gui import ardour_gui, needs_ardour_gui
from support.made_library import MadeLibrary

pytestmark = [pytest.mark.ardour, pytest.mark.slow, needs_ardour_gui]

IMPORT = """
ardour { ["type"] = "EditorAction", name = "Import what a test names" }
function factory () return function ()
	local files = C.StringVector ()
	for path in string.gmatch ([[%s]], "[^\\n]+") do files:push_back (path) end
	Editor:do_import (files, Editing.ImportSerializeFiles, Editing.ImportAsRegion, ARDOUR.SrcQuality.SrcBest,
		ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
		Temporal.timepos_t (0), ARDOUR.PluginInfo (), ARDOUR.Track (), false)
end end
"""


@pytest.mark.parametrize(
    ("data_format", "subtype", "exact"), [("FormatFloat", "FLOAT", True), ("FormatInt24", "PCM_24", False)]
)
def test_what_ardour_imported_is_found(tmp_path, data_format, subtype, exact):
    home = MadeLibrary(tmp_path)
    home.make(seed=1, loudness=-8)
    job_id, paths = home.make(seed=20, takes=2, stems=("drums", "bass"), loudness=-8)
    wanted = [paths[3], paths[4]]  # the second take, and its drums
    session_file = write_session(Session(name="told"), tmp_path / "told")
    text = session_file.read_text()
    session_file.write_text(text.replace('value="FormatFloat"', f'value="{data_format}"'))
    audio = session_file.parent / "interchange" / "told" / "audiofiles"
    with ardour_gui(tmp_path) as ardour:
        (slot,) = ardour.install_actions(IMPORT % "\n".join(map(str, wanted)))
        ardour.open(session_file)
        ardour.run_script(slot)
        ardour.await_(lambda: len(list(audio.glob("*"))) == 4, "two stereo files are imported")
        ardour.quit()
    for path, stem in zip(wanted, (None, "drums"), strict=True):
        channels = [audio / f"{path.stem}%{side}.wav" for side in "LR"]
        for channel in channels:
            info = soundfile.info(channel)
            assert (info.subtype, info.channels, info.frames) == (subtype, 1, 24_000)
        made = home.identify(*((channel, 0) for channel in channels))
        assert made is not None
        assert (made.job_id, made.take, made.stem, made.exact) == (job_id, 2, stem, exact)
        assert home.identify((channels[1],)) == made
