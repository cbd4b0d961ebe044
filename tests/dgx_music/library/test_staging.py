from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
import wavinfo

from dgx_music import __version__
from dgx_music.errors import LibraryError
from dgx_music.finishing.finish import finish
from dgx_music.library import Take, publish, read_provenance
from dgx_music.library.staging import stage_take
from dgx_music.request import GenerationRequest
from support.signals import NEURAL, clicks, noise, raw_take


def test_a_take_says_what_was_staged(stage):
    take = stage(bpm=93.5, key="C# minor", meter="4/4", bit_depth=24)
    assert [file.stem for file in take.files] == [None, "drums", "bass"]
    for file in take.files:
        data = Path(file.staged).read_bytes()
        assert file.size_bytes == len(data)
        assert file.sha256 == hashlib.sha256(data).hexdigest()
        assert file.final.startswith("2026/11/22/dusty-lo-fi-drums_sketch_gen_1a2b3c4d5e6f_t1")
        assert file.final.endswith("_c-sharp-minor_93.5bpm.wav")
        assert Path(file.staged).name == Path(file.final).name
    assert (take.frames, take.channels, take.sample_rate_hz, take.bit_depth) == (24_000, 2, 48_000, 24)
    assert (take.bpm, take.key, take.meter) == (93.5, "C# minor", "4/4")
    assert (take.generation_s, take.finishing_s) == (1.5, 0.25)
    assert Take.from_json(json.loads(json.dumps(take.to_json(), allow_nan=False))) == take


@pytest.mark.parametrize(("bits", "subtype"), [(16, "PCM_16"), (24, "PCM_24"), (32, "FLOAT")])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [24_000, 24_001])
def test_soundfile_reads_every_sample_back(bits, subtype, channels, samples, tmp_path):
    raw, spec = raw_take(noise(1, 48_000, channels=channels), 48_000, samples=samples, bit_depth=bits)
    master = finish(raw, spec)
    take = _staged(master, raw, spec, tmp_path)
    path = take.files[0].staged
    info = soundfile.info(path)
    assert (info.frames, info.channels, info.samplerate, info.subtype) == (samples, channels, 48_000, subtype)
    if bits == 32:
        read = soundfile.read(path, dtype="float32", always_2d=True)[0].T
    else:
        read = soundfile.read(path, dtype="int32", always_2d=True)[0].T >> (32 - bits)
    np.testing.assert_array_equal(read, master.audio)


def _staged(master, raw, spec, folder, *, made_at=None, job_id="gen_00ff00ff00ff"):
    return stage_take(
        master,
        raw,
        spec,
        job_id=job_id,
        staging_dir=folder / ".staging",
        library_root=folder,
        made_at=made_at or datetime(2026, 11, 22, 18, 30, 5, tzinfo=UTC),
    )


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_wavinfo_reads_bext_ixml_and_info(bits, stage):
    take = stage(
        prompt="Über dusty <drums> & \x02rhodes, 84 bpm",
        bit_depth=bits,
        session={"path": "/music/song", "position": 2**33 + 5},
        info=NEURAL,
        notes="lofi: i VI III VII",
    )
    read = wavinfo.WavInfoReader(take.files[0].staged)
    bext = read.bext.to_dict()
    assert bext["version"] == 2
    assert bext["originator"] == "DGX Music"
    assert bext["originator_ref"] == "gen_1a2b3c4d5e6f_t1"
    assert (bext["originator_date"], bext["originator_time"]) == ("2026-11-22", "18:30:05")
    assert bext["time_reference"] == 2**33 + 5
    assert bext["description"].startswith("AI-generated: ?ber dusty <drums>")
    assert bext["loudness_value"] == pytest.approx(take.loudness_lufs, abs=0.005)
    assert bext["max_true_peak"] == pytest.approx(take.true_peak_dbtp, abs=0.005)
    for unknown in ("loudness_range", "max_momentary_loudness", "max_shortterm_loudness"):
        assert bext[unknown] == 327.67
    assert bext["coding_history"].startswith(f"A=PCM,F=48000,W={bits},M=stereo,T=DGX Music {__version__}")
    assert bext["coding_history"].endswith("\r\n")
    ixml = read.ixml.to_dict()
    assert (ixml["project"], ixml["scene"], ixml["take"]) == ("DGX Music", "gen_1a2b3c4d5e6f", "1")
    assert [track["name"] for track in ixml["track_list"]] == ["Left", "Right"]
    assert "AI-generated" in read.info.to_dict()["comment"]
    assert read.data.frame_count == take.frames


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is one of the readers")
@pytest.mark.parametrize("bits", [16, 24, 32])
def test_ffprobe_reads_format_and_tags_without_a_complaint(bits, stage):
    take = stage(bit_depth=bits, prompt="Über drums")
    done = subprocess.run(
        ["ffprobe", "-v", "warning", "-show_format", "-show_streams", "-of", "json", take.files[0].staged],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["streams"][0]["codec_name"] == {16: "pcm_s16le", 24: "pcm_s24le", 32: "pcm_f32le"}[bits]
    assert found["streams"][0]["duration_ts"] == take.frames
    assert found["format"]["tags"]["title"] == "Über drums"
    assert found["format"]["tags"]["encoded_by"] == "DGX Music"


def test_the_file_says_how_to_make_it_again(stage):
    take = stage(
        prompt='quotes " and <tags> & \x02 control, é 😀',
        seed=2**62 + 1,
        info=NEURAL,
        notes="n",
        bpm=84.0,
        loudness=-14,
        request_id="abc",
    )
    for file in take.files:
        record = read_provenance(Path(file.staged))
        request = GenerationRequest.model_validate(record["request"])
        assert request.prompt == 'quotes " and <tags> & control, é 😀'
        assert (request.seed, request.loudness, request.request_id) == (2**62 + 1, -14, "abc")
        assert record["seed"] == take.seed == 2**62 + 1
        assert (record["engine"], record["engine_version"]) == ("musicgen", "1.3.0")
        assert (record["model"], record["model_hash"]) == ("musicgen-small", "ab" * 32)
        assert record["made"] == "AI-generated"
        assert record["stem"] == file.stem
        assert record["level"]["loudness_lufs"] == take.loudness_lufs
        assert (record["job_id"], record["take_index"], record["bpm"]) == ("gen_1a2b3c4d5e6f", 0, 84.0)


def test_a_sketch_says_that_no_model_made_it(stage):
    record = read_provenance(Path(stage().files[0].staged))
    assert record["made"] == "procedural, no neural model"
    assert record["neural"] is False


def test_silence_is_written_with_unknown_loudness(stage):
    take = stage(audio=np.zeros((2, 24_000), np.float32), stems=())
    bext = wavinfo.WavInfoReader(take.files[0].staged).bext.to_dict()
    assert (bext["loudness_value"], bext["max_true_peak"]) == (327.67, 327.67)


def test_the_same_take_gives_the_same_bytes_but_for_the_date(tmp_path):
    raw, spec = raw_take(noise(0.5, 48_000), 48_000)
    master = finish(raw, spec)
    now = datetime(2026, 11, 22, tzinfo=UTC)
    first, second, later = (
        _staged(finish(raw, spec) if again else master, raw, spec, tmp_path / name, made_at=made_at)
        for name, again, made_at in (
            ("a", False, now),
            ("b", True, now),
            ("c", False, now + timedelta(days=1)),
        )
    )
    assert first.files[0].sha256 == second.files[0].sha256
    assert first.files[0].sha256 != later.files[0].sha256


@pytest.mark.parametrize(("asked", "name_ends"), [(120, "_120bpm.wav"), (100, "_t1.wav"), (None, "_t1.wav")])
def test_an_asked_tempo_is_in_the_name_only_where_it_is_heard(asked, name_ends, tmp_path):
    prompt = "clicks" if asked is None else f"clicks, {asked} bpm"
    raw, spec = raw_take(clicks(120, 6, 48_000), 48_000, prompt=prompt)
    assert _staged(finish(raw, spec), raw, spec, tmp_path).files[0].final.endswith(name_ends)


def test_no_tempo_is_in_the_name_of_a_take_on_a_map_of_several(tmp_path):
    points = [{"at": 0, "bpm": 120}, {"at": 240_000, "bpm": 60}]
    raw, spec = raw_take(clicks(120, 6, 48_000), 48_000, prompt="clicks", tempo_map=points)
    assert _staged(finish(raw, spec), raw, spec, tmp_path).files[0].final.endswith("_t1.wav")


def test_a_name_that_is_taken_gets_a_second_edition(stage, root):
    first = stage()
    publish(first.files, root)
    second = stage(folder="b", seed=8)
    assert "_t1-2" in second.files[0].final
    assert {file.final for file in first.files}.isdisjoint(file.final for file in second.files)
    publish(second.files, root)


def test_what_a_dead_attempt_left_in_staging_is_replaced(stage):
    take = stage()
    Path(take.files[0].staged).write_bytes(b"half a fi")
    again = stage()
    assert again == take
    assert hashlib.sha256(Path(take.files[0].staged).read_bytes()).hexdigest() == take.files[0].sha256


def test_stems_whose_names_fall_together_are_refused(stage, root):
    with pytest.raises(LibraryError, match="'Lead!', 'lead'"):
        stage(stems=("Lead!", "lead"))
    assert not list(root.rglob("*.wav"))


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path):
    """The file-size limit of a process stands in for the full disk: `write` fails in the middle of a file."""
    import os
    import sys

    code = f"""
import resource, signal, sys
from pathlib import Path
sys.path[:0] = {[path for path in sys.path if path]!r}
from support.signals import noise, raw_take
from dgx_music.finishing.finish import finish
from dgx_music.library.staging import stage_take
from datetime import datetime, UTC
raw, spec = raw_take(noise(0.5, 48000), 48000, stems={{"a": noise(0.5, 48000)}})
master = finish(raw, spec)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
folder = Path({str(tmp_path)!r})
try:
    stage_take(master, raw, spec, job_id="gen_0", staging_dir=folder / "s", library_root=folder, made_at=datetime.now(UTC))
except OSError as err:
    print("refused", err.errno)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.startswith("refused")
    assert list((tmp_path / "s").iterdir()) == []
