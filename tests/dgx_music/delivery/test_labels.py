from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ardour_session import legal_track_name
from ardour_session.names import track_name_problem
from dgx_music.delivery import labels
from dgx_music.request import GenerationRequest
from support.jobs import finished_job
from support.takes import take


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return finished_job(tmp_path_factory.mktemp("library"), takes=2, frames=10)


PROMPTS = st.text(min_size=1, max_size=200).filter(lambda text: text.strip())
NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=300
)


@given(prompt=PROMPTS)
def test_whatever_the_prompt_the_marker_has_a_name_that_ardour_takes(job, prompt):
    try:
        request = GenerationRequest.from_fields({"prompt": prompt, "seed": 1})
    except Exception:  # noqa: BLE001 - no job has this prompt
        return
    title = labels.title(replace(job, request=request))
    assert title
    assert len(title) <= 60
    assert track_name_problem(f"{title} 2") is None


@given(engine=NAMES, stem=NAMES)
def test_whatever_an_engine_calls_itself_ardour_keeps_its_tracks_names(job, engine, stem):
    one = replace(job, engine=engine, takes=(take(0, engine=engine),))
    for name in (
        labels.track_name(one),
        labels.region_name(one.takes[0]),
        labels.stem_track_name(one.takes[0], stem),
        labels.stem_region_name(one.takes[0], stem),
    ):
        assert legal_track_name(name) == name
        assert track_name_problem(f"{name} 123") is None


@given(name=st.text(min_size=1), count=st.integers(0, 8))
def test_names_given_out_never_repeat(name, count):
    taken = []
    for _ in range(count):
        taken.append(labels.unused(name, taken))
    assert len(set(taken)) == count


def test_a_track_says_what_made_it_of_what_and_with_which_seeds(job):
    said = labels.comment(job)
    assert "Procedural, no neural model (sketch 1)" in said
    assert job.request.prompt in said
    assert "take 2: seed 8" in said
    assert said.endswith(job.id)
    neural = replace(job, takes=(take(0, neural=True, model="musicgen-small"),))
    assert labels.comment(neural).startswith("AI-generated, model musicgen-small")


def test_the_daemon_can_use_the_labels_without_the_session_package():
    code = "import sys; import dgx_music.delivery.labels; print(sorted(set(sys.modules) & {'lxml', 'ardour_session', 'numpy'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
