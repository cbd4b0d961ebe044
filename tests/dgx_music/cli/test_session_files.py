from __future__ import annotations

from pathlib import Path

import pytest

from ardour_session import SessionError
from dgx_music.cli.session_files import SessionFileError

SONG = Path("/songs/song.ardour")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "/songs/song.ardour: No space left on device"),
        (OSError(30, "Read-only file system", "/songs/x.wav"), "/songs/x.wav: Read-only file system"),
        (OSError(1, "Operation not permitted", ".x.tmp", None, "/a/b"), "/a/b: Operation not permitted"),
        (FileExistsError("the session has a snapshot b"), "the session has a snapshot b"),
        (SessionError("no tempo", path=SONG), "/songs/song.ardour: no tempo"),
    ],
)
def test_what_went_wrong_with_a_session_is_said_with_its_file_and_without_a_number(error, said):
    assert str(SessionFileError.of(error, SONG)) == said
