"""Which take is this? By its samples, by samples a step off, by its own record; and never a take that it is not."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer

from dgx_music.cli.context import Cli
from dgx_music.cli.identifying import who_made as who_made_command
from dgx_music.errors import AudioError, LibraryError, RequestError
from dgx_music.library.identify import Sounding, identify
from dgx_music.library.who_made import who_made
from dgx_music.reading.permissions import PERMISSIONS_FILE
from support.made_library import RATE, MadeLibrary
from support.signals import noise


@pytest.fixture
def home(tmp_path):
    return MadeLibrary(tmp_path)


def imported(path, folder, *, as_24_bits=False, rate=RATE):
    """What Ardour makes of a file: one mono file a channel, without metadata, as float or as 24 bits."""
    samples = soundfile.read(path, dtype="float64", always_2d=True)[0].T
    files = []
    for side, channel in zip("LR", samples, strict=False):
        file = folder / f"{path.stem}%{side}.wav"
        if as_24_bits:
            soundfile.write(
                file, np.rint(channel * (2**23 - 1)).astype(np.int32) << 8, rate, subtype="PCM_24"
            )
        else:
            soundfile.write(file, channel.astype(np.float32), rate, subtype="FLOAT")
        files.append(file)
    return files


@pytest.mark.parametrize("bit_depth", [16, 24, 32])
def test_the_channels_of_a_take_are_found_after_a_float_import(home, tmp_path, bit_depth):
    home.make(seed=1, bit_depth=bit_depth)
    job_id, paths = home.make(seed=20, takes=3, bit_depth=bit_depth, key="A minor")
    home.make(seed=3, bit_depth=bit_depth)
    left, right = imported(paths[1], tmp_path)
    for sources in ([(left, 0), (right, 0)], [(left,)], [(right, 0)]):
        made = home.identify(*sources)
        assert made is not None
        assert (made.exact, made.by, made.job_id, made.take, made.stem) == (True, "samples", job_id, 2, None)
        assert (made.prompt, made.seed, made.engine, made.neural) == ("noise 20", 21, "sketch", False)
        assert (made.path, made.frames, made.sample_rate_hz, made.bpm) == (str(paths[1]), 24_000, RATE, 93.5)
        assert made.loudness_lufs == pytest.approx(-16, abs=0.2)


@pytest.mark.parametrize("bit_depth", [16, 24, 32])
def test_the_channels_of_a_take_are_found_after_a_24_bit_import(home, tmp_path, bit_depth):
    # Loud enough that the scale of 2^23 - 1 moves samples by a step.
    job_id, paths = home.make(seed=20, takes=2, bit_depth=bit_depth, loudness=-8)
    left, right = imported(paths[1], tmp_path, as_24_bits=True)
    made = home.identify((left, 0), (right, 0))
    assert made is not None
    assert (made.exact, made.by, made.job_id, made.take) == (False, "nearly the same samples", job_id, 2)


def test_a_stem_is_told_from_its_take_and_from_the_other_stems(home, tmp_path):
    job_id, paths = home.make(seed=4, takes=2, stems=("drums", "bass"))
    for index, path in enumerate(paths):
        made = home.identify(*((file, 0) for file in imported(path, tmp_path)))
        assert made is not None
        assert (made.job_id, made.take, made.stem) == (
            job_id,
            index // 3 + 1,
            (None, "drums", "bass")[index % 3],
        )


def test_takes_of_before_there_were_hashes_are_found_by_comparison(home, tmp_path):
    job_id, paths = home.make(seed=5, takes=3, pcm=False)
    made = home.identify(*((file,) for file in imported(paths[2], tmp_path)))
    assert made is not None
    assert (made.job_id, made.take, made.by) == (job_id, 3, "nearly the same samples")


def test_a_file_with_its_record_is_found_by_that_where_its_samples_were_changed(home, tmp_path):
    job_id, (path,) = home.make(seed=6, bit_depth=24)
    data = bytearray(path.read_bytes())
    changed = tmp_path / "turned down.wav"
    samples = np.frombuffer(bytes(data[-120_000:]), np.uint8).copy()
    samples[2::3] //= 2
    changed.write_bytes(bytes(data[:-120_000]) + samples.tobytes())
    made = home.identify((changed,))
    assert made is not None
    assert (made.exact, made.by, made.job_id, made.path) == (False, "record", job_id, str(path))
    elsewhere = identify(tmp_path / "no.sqlite", home.library, [Sounding(str(path))])
    assert elsewhere is not None
    assert (elsewhere.by, elsewhere.job_id, elsewhere.seed, elsewhere.path) == ("record", job_id, 6, "")
    assert elsewhere.tempo_confidence == made.tempo_confidence


def test_what_was_made_twice_alike_is_the_later_job(home, tmp_path):
    _, (path,) = home.make(seed=7)
    again, _ = home.make(seed=7)
    made = home.identify(*((file,) for file in imported(path, tmp_path)))
    assert made is not None
    assert made.job_id == again


def test_nothing_else_is_taken_for_a_take(home, tmp_path):
    _, (one,) = home.make(seed=8)
    _, (two,) = home.make(seed=9)
    left, right = imported(one, tmp_path)
    other_left, _ = imported(two, tmp_path)
    samples = soundfile.read(left, dtype="float32")[0]
    for name, changed in {
        "a little louder": samples * np.float32(1.0005),
        "one sample less": samples[:-1],
        "a sample later": np.roll(samples, 1),
        "one wrong sample": np.where(np.arange(len(samples)) == 20_000, 0.9, samples),
    }.items():
        soundfile.write(tmp_path / f"{name}.wav", changed.astype(np.float32), RATE, subtype="FLOAT")
        assert home.identify((tmp_path / f"{name}.wav",)) is None, name
    assert home.identify((left,), (other_left,)) is None
    assert home.identify((left,), (right,)) is not None


def test_what_can_hardly_be_heard_is_near_to_no_take(home, tmp_path):
    home.make(seed=10, rms=1e-6, loudness="none")
    soundfile.write(tmp_path / "hiss.wav", np.full(24_000, 1 / 2**23), RATE, subtype="PCM_24")
    assert home.identify((tmp_path / "hiss.wav",)) is None


def test_files_that_have_gone_from_the_library_do_not_stop_the_search(home, tmp_path):
    _, (gone,) = home.make(seed=11, pcm=False)
    job_id, (path,) = home.make(seed=12, pcm=False)
    _, (also_gone,) = home.make(seed=13, pcm=False)
    files = imported(path, tmp_path)
    gone.unlink()
    also_gone.write_bytes(b"RIFF, but no more")
    made = home.identify(*((file,) for file in files))
    assert made is not None
    assert made.job_id == job_id


def test_what_cannot_be_identified_is_refused_with_the_reason(home, tmp_path):
    (tmp_path / "text.wav").write_text("no audio")
    soundfile.write(tmp_path / "mono.wav", np.zeros(10), RATE)
    for sources, said in (
        ([(tmp_path / "text.wav",)], "cannot be read as audio"),
        ([(tmp_path / "none.wav",)], "is no file; name an audio file"),
        ([(tmp_path,)], "is no file"),
        ([(tmp_path / "mono.wav", 1)], r"has 1 channel\(s\), so no channel 1"),
        ([], "sources: empty"),
    ):
        with pytest.raises(RequestError, match=said):
            home.identify(*sources)
    with pytest.raises(RequestError, match="lies outside"):
        home.identify((tmp_path / "mono.wav",), roots=[home.library])


def test_a_file_in_the_middle_of_being_written_is_said_to_be_cut_off(home, tmp_path):
    soundfile.write(tmp_path / "a.flac", noise(1, RATE)[0], RATE)
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(data[: len(data) // 2])
    with pytest.raises((AudioError, RequestError), match=r"cut off|cannot be read"):
        home.identify((tmp_path / "a.flac",))


class TestAskedByTheDaemon:
    def ask(self, home, sources, session=None, **options):
        return asyncio.run(
            who_made(
                sources,
                None if session is None else str(session),
                database=home.database,
                library=home.library,
                reading_roots=[home.library],
                **options,
            )
        )

    @pytest.fixture
    def session(self, tmp_path):
        folder = tmp_path / "Dusty"
        (folder / "interchange" / "Dusty" / "audiofiles").mkdir(parents=True)
        return folder

    def test_a_child_answers_with_the_fields_of_the_contract(self, home, session):
        job_id, (path,) = home.make(seed=14)
        left, right = imported(path, session / "interchange" / "Dusty" / "audiofiles")
        (session / PERMISSIONS_FILE).write_text("read = yes\n")
        sources = [{"path": str(left), "channel": 0}, {"path": str(right), "channel": 0}]
        said = self.ask(home, sources, session)
        assert (said["found"], said["exact"], said["job_id"], said["take"]) == (True, True, job_id, 1)
        assert said.keys() >= {
            "stem", "prompt", "seed", "engine", "model", "neural", "loudness_lufs", "true_peak_dbtp", "bpm", "meter",
            "key", "tempo_measured_bpm", "tempo_confidence", "created_at", "path", "frames", "sample_rate_hz",
        }  # fmt: skip
        soundfile.write(left, np.zeros(100), RATE)
        assert self.ask(home, sources[:1], session) == {"found": False}

    def test_a_session_that_does_not_let_its_audio_be_read_is_told_how_to(self, home, session):
        _, (path,) = home.make(seed=15)
        left, _ = imported(path, session / "interchange" / "Dusty" / "audiofiles")
        with pytest.raises(RequestError, match=rf"'read = yes' in {session / PERMISSIONS_FILE}"):
            self.ask(home, [{"path": str(left), "channel": 0}], session)

    @pytest.mark.parametrize(
        "sources", [None, "a.wav", [], [{"file": "a"}], [{"path": ""}], [{"path": "/a", "channel": -1}]]
    )
    def test_what_is_no_list_of_sources_is_refused(self, home, sources):
        with pytest.raises(RequestError, match="sources: "):
            self.ask(home, sources)

    def test_a_child_that_takes_too_long_is_ended(self, home):
        _, (path,) = home.make(seed=16)
        with pytest.raises(LibraryError, match="not identified within"):
            self.ask(home, [{"path": str(path), "channel": 0}], timeout_s=0.001)

    def test_a_database_that_cannot_be_used_is_an_error_and_no_not_found(self, home):
        _, (path,) = home.make(seed=17)
        home.database.write_bytes(b"SQLite format 3\0 and then rubbish" * 100)
        for ending in ("-wal", "-shm"):
            Path(f"{home.database}{ending}").unlink(missing_ok=True)
        with pytest.raises(LibraryError, match="cannot be read as a database"):
            self.ask(home, [{"path": str(path), "channel": 0}])


class TestTheCommand:
    @pytest.fixture
    def cli(self, tmp_path, monkeypatch):
        monkeypatch.setenv("DGX_MUSIC_HOME", str(tmp_path))
        return Cli(as_json=True)

    def test_it_says_what_made_each_file(self, home, cli, capsys, tmp_path):
        job_id, (path,) = home.make(seed=18)
        assert cli.paths.database == home.database
        who_made_command(cli, [path])
        (shown,) = json.loads(capsys.readouterr().out)
        assert (shown["file"], shown["found"], shown["job_id"], shown["seed"]) == (
            str(path),
            True,
            job_id,
            18,
        )
        who_made_command(Cli(as_json=False), [path])
        assert f"take 1 of {job_id} (the very samples)" in capsys.readouterr().out

    def test_it_leaves_with_status_1_where_something_was_not_made_here(self, home, cli, capsys, tmp_path):
        home.make(seed=19)
        soundfile.write(tmp_path / "mine.wav", noise(0.1, RATE)[0], RATE)
        with pytest.raises(typer.Exit) as left:
            who_made_command(cli, [tmp_path / "mine.wav"])
        assert left.value.exit_code == 1
        assert json.loads(capsys.readouterr().out) == [{"file": str(tmp_path / "mine.wav"), "found": False}]


def test_the_daemon_itself_pays_for_none_of_it():
    code = (
        "import sys, dgx_music.library.who_made, dgx_music.reading.permissions, dgx_music.intake;"
        "print([name for name in ('numpy', 'soundfile', 'lxml', 'soxr') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
