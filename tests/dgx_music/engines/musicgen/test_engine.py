"""The whole engine on tiny checkpoints with random weights: prompts in, audio out, several jobs at once."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile

pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from dgx_music.engines.base import CancelledByUserError
from dgx_music.engines.musicgen import MusicGenEngine
from dgx_music.errors import DgxMusicError, EngineError
from support.listener import Listener

RATE_HZ = 32_000


@pytest.fixture
def make(settings_for):
    """Return a function that makes a job's takes with a fresh engine, or with the one given."""
    engines = []

    def make(takes, listener=None, *, engine=None, **settings):
        if engine is None:
            engine = MusicGenEngine(settings_for(**settings))
            engines.append(engine)
        return dict(engine.generate(takes, listener or Listener()))

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(settings_for):
    made = MusicGenEngine(settings_for())
    yield made
    made.close()


@pytest.mark.parametrize("shape", ["tiny", "tiny_odd", "tiny_stereo", "tiny_melody", "tiny_style"])
def test_every_architecture_makes_audio_of_the_length_that_was_asked_for(make, takes_of, shape):
    kind = "audiocraft" if shape == "tiny_style" else "hub"  # the hub has no form for the style model
    [(index, raw)] = make(takes_of(duration=2.345), shape=shape, format=kind).items()
    assert index == 0
    assert raw.sample_rate_hz == RATE_HZ
    assert raw.audio.dtype == np.float32
    assert raw.audio.shape[0] == (2 if shape == "tiny_stereo" else 1)
    assert 0 <= raw.audio.shape[1] - 2.345 * RATE_HZ < 640
    assert np.isfinite(raw.audio).all()
    assert 1e-4 < np.sqrt((raw.audio**2).mean()) < 1


def test_a_take_says_which_weights_made_it_and_how(make, takes_of):
    raw = make(takes_of(duration=0.5))[0]
    info = raw.info
    assert (info.name, info.neural, info.precision) == ("musicgen", True, "int8")
    assert info.model == "tiny-hub"
    assert len(info.model_hash) == 64
    assert info.device.startswith("cpu ")
    assert "int8 on cpu" in raw.notes


@pytest.mark.parametrize("precision", ["int8", "fp32", "bf16"])
def test_a_take_sounds_the_same_alone_and_in_company(make, takes_of, precision):
    alone = make(takes_of(duration=1.0, seed=9), precision=precision)[0]
    three = make(takes_of(duration=1.0, seed=8, takes=3), precision=precision)
    if precision == "int8":
        np.testing.assert_array_equal(three[1].audio, alone.audio)
    else:
        np.testing.assert_allclose(three[1].audio, alone.audio, atol=1e-4)
    assert np.abs(three[0].audio - three[1].audio).max() > 1e-3


def test_the_same_seed_gives_the_same_samples_in_another_process_state(make, takes_of):
    first = make(takes_of(duration=3.0))[0]
    again = make(takes_of(duration=3.0))[0]
    np.testing.assert_array_equal(first.audio, again.audio)


def test_both_public_formats_of_the_same_weights_make_music(make, takes_of):
    hub = make(takes_of(duration=1.0), precision="fp32")[0]
    audiocraft = make(takes_of(duration=1.0), precision="fp32", format="audiocraft")[0]
    assert hub.audio.shape == audiocraft.audio.shape
    assert hub.info.model_hash != audiocraft.info.model_hash


def test_progress_only_grows_and_previews_add_up_to_the_take(make, takes_of):
    listener = Listener()
    made = make(takes_of(duration=4.0, takes=2), listener)
    for index, raw in made.items():
        steps = listener.steps_of(index)
        assert steps == sorted(steps)
        assert steps[-1] == 1
        np.testing.assert_array_equal(listener.heard_of(index), raw.audio)
    assert [step for _, _, step in listener.said][:1] == ["loading_model"]
    assert "encoding_prompt" in {step for _, _, step in listener.said}


def test_the_first_second_is_heard_while_the_rest_is_made(engine, takes_of):
    listener = Listener()
    heard = []

    def preview(_index, audio, _rate_hz):
        heard.append((sum(samples for samples, _ in heard[-1:]) + audio.shape[1], listener.said[-1][1]))

    listener.preview = preview
    for _ in engine.generate(takes_of(duration=60.0), listener):
        pass
    assert next(fraction for samples, fraction in heard if samples >= RATE_HZ) < 0.5


def test_a_cancelled_job_leaves_the_engine_free_for_the_next(engine, takes_of):
    with pytest.raises(CancelledByUserError):
        list(engine.generate(takes_of(duration=600.0, takes=4), Listener(cancel_at=0.001)))
    assert len(list(engine.generate(takes_of(duration=0.5), Listener()))) == 1
    assert len(engine.warm()) == 1


def test_jobs_in_several_threads_share_the_batch_and_sound_as_they_do_alone(engine, takes_of, make):
    jobs = [
        takes_of(duration=1.0 + number / 3, seed=100 * number, prompt=f"prompt {number}")
        for number in range(5)
    ]
    together = {}
    threads = [
        threading.Thread(target=lambda n=number, job=job: together.__setitem__(n, make(job, engine=engine)))
        for number, job in enumerate(jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for number, job in enumerate(jobs):
        np.testing.assert_array_equal(together[number][0].audio, make(job, engine=engine)[0].audio)


def test_a_job_with_more_takes_than_the_batch_has_room_for_is_finished(make, takes_of):
    made = make(takes_of(duration=0.5, takes=5), max_takes=2)
    assert sorted(made) == [0, 1, 2, 3, 4]


def test_a_long_take_goes_on_from_window_to_window_without_a_seam(make, takes_of):
    # The tiny melody model's window is 5 s.
    raw = make(takes_of(duration=12.0), shape="tiny_melody")[0]
    assert raw.audio.shape[1] >= 12 * RATE_HZ
    short = make(takes_of(duration=4.0), shape="tiny_melody")[0]
    assert raw.audio.shape[1] > short.audio.shape[1]
    second = np.sqrt((raw.audio.reshape(-1)[: 12 * RATE_HZ].reshape(12, RATE_HZ) ** 2).mean(axis=1))
    assert second.min() > 0.2 * second.max()


def write(path, audio, rate_hz):
    soundfile.write(path, audio.T, rate_hz, subtype="FLOAT")
    return str(path)


@pytest.mark.parametrize("setting", [{}, {"precision": "fp32"}, {"shape": "tiny_stereo"}])
def test_a_continuation_starts_where_the_excerpt_ends_and_follows_from_it(make, takes_of, tmp_path, setting):
    source = make(takes_of(duration=3.0, seed=1), **setting)[0].audio
    path = write(tmp_path / "before.wav", source, RATE_HZ)
    fields = {"duration": 1.0, "top_k": 1}
    whole = make(takes_of(**fields, continue_from={"path": path}), **setting)[0]
    assert 0 <= whole.audio.shape[1] - RATE_HZ < 640
    again = make(takes_of(**fields, continue_from={"path": path}), **setting)[0]
    np.testing.assert_array_equal(whole.audio, again.audio)
    begun = {"path": path, "start": 0, "length": 2 * RATE_HZ}
    other = make(takes_of(**fields, continue_from=begun), **setting)[0]
    assert np.abs(other.audio[:, :RATE_HZ] - whole.audio[:, :RATE_HZ]).max() > 1e-4


def test_too_little_to_go_on_from_is_refused_with_the_length(make, takes_of, tmp_path):
    path = write(tmp_path / "short.wav", np.zeros((1, 1000), np.float32), RATE_HZ)
    with pytest.raises(EngineError, match=r"gives 0\.03 s to go on from; at least 0\.1 s"):
        make(takes_of(duration=1.0, continue_from={"path": path}))


@pytest.mark.parametrize("duration", [2.0, 12.0])
def test_a_melody_changes_what_a_melody_model_makes(make, takes_of, tmp_path, duration):
    time_s = np.arange(4 * RATE_HZ) / RATE_HZ
    path = write(tmp_path / "tune.wav", 0.3 * np.sin(2 * np.pi * 440 * time_s)[None], RATE_HZ)
    fields = {"duration": duration, "top_k": 1}
    without = make(takes_of(**fields), shape="tiny_melody")[0]
    with_it = make(takes_of(**fields, melody={"path": path}), shape="tiny_melody")[0]
    assert without.audio.shape == with_it.audio.shape
    assert np.abs(without.audio - with_it.audio).max() > 1e-4
    assert "melody by" in with_it.notes


def test_a_melody_for_a_model_without_ears_is_refused_with_the_models_that_have_them(
    make, takes_of, tmp_path
):
    path = write(tmp_path / "tune.wav", np.zeros((1, 64_000), np.float32), RATE_HZ)
    with pytest.raises(
        EngineError, match="follows no audio; choose a model that does, such as musicgen-melody"
    ):
        make(takes_of(duration=1.0, melody={"path": path}))


def test_audio_outside_the_roots_is_not_read(make, takes_of, tmp_path_factory):
    path = write(tmp_path_factory.mktemp("elsewhere") / "a.wav", np.zeros((1, 64_000), np.float32), RATE_HZ)
    with pytest.raises(DgxMusicError, match=r"reading\.roots"):
        make(takes_of(duration=1.0, continue_from={"path": path}))


def test_a_job_may_read_from_folders_of_its_own_besides_the_settings(make, takes_of, tmp_path_factory):
    session = tmp_path_factory.mktemp("session")
    sides = np.random.default_rng(1).normal(0, 0.1, (2, 64_000)).astype(np.float32)
    left, right = (write(session / f"x%{side}.wav", sides[i : i + 1], RATE_HZ) for i, side in enumerate("LR"))
    both = write(session / "both.wav", sides, RATE_HZ)
    setting = {"shape": "tiny_stereo"}

    def go_on(**excerpt):
        (take,) = takes_of(
            duration=0.5, top_k=1, continue_from={"start": 16_000, "length": 32_000, **excerpt}
        )
        return make([replace(take, reading_roots=(session,))], **setting)[0].audio

    parts = go_on(path=left, more=[{"path": right}])
    np.testing.assert_array_equal(parts, go_on(path=both))
    np.testing.assert_array_equal(parts, go_on(path=both, channel=0, more=[{"path": both, "channel": 1}]))
    assert np.abs(parts - go_on(path=right, more=[{"path": left}])).max() > 1e-4


def test_a_loop_is_as_long_as_its_bars_and_runs_into_itself(make, takes_of):
    raw = make(takes_of(bars=1, bpm=120, loop=True))[0]
    assert raw.audio.shape == (1, 2 * RATE_HZ)


def test_guidance_and_sampling_are_the_requests_own(make, takes_of):
    made = [
        make(takes_of(duration=1.0, **fields))[0].audio
        for fields in ({}, {"cfg_coef": 1.0}, {"temperature": 0.5}, {"top_k": 5}, {"top_p": 0.5})
    ]
    for number, audio in enumerate(made):
        assert all(np.abs(audio - other).max() > 1e-4 for other in made[:number])


def test_idle_models_are_unloaded_after_the_time_that_was_set_and_loaded_again(settings_for, takes_of):
    engine = MusicGenEngine(settings_for(idle_unload_s=5.0))
    listener = Listener()
    list(engine.generate(takes_of(duration=0.5), listener))
    engine.rest(4.0)
    assert len(engine.warm()) == 1
    engine.rest(1e6)
    assert list(engine.warm()) == []
    list(engine.generate(takes_of(duration=0.5), listener))
    assert len(listener.models) == 2
    engine.close()


def test_weights_that_are_not_here_are_not_downloaded_where_that_is_switched_off(
    make, takes_of, monkeypatch, tmp_path
):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(
        EngineError, match=r"musicgen-large is not on this machine.*dgx-music models download"
    ):
        make(takes_of(duration=1.0, model="musicgen-large"))


def test_a_model_that_is_larger_than_the_memory_is_refused_with_both_figures(make, takes_of):
    with pytest.raises(EngineError, match=r"needs 0\.\d GB and may use 0\.1 GB"):
        make(takes_of(duration=1.0), memory_mb=100)


def test_auto_takes_the_engine_only_where_its_weights_are(settings_for, tmp_path, monkeypatch):
    assert MusicGenEngine.availability(settings_for()).automatic
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    absent = MusicGenEngine.availability(settings_for(model="musicgen-small", download=True))
    assert (absent.usable, absent.automatic) == (True, False)
    forbidden = MusicGenEngine.availability(settings_for(model="musicgen-small", download=False))
    assert not forbidden.usable
    assert "musicgen-small is not on this machine" in forbidden.reason
