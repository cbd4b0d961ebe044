"""The prompt-file examples that ship are files that the drop folder takes."""

from __future__ import annotations

import pytest

from dgx_music.request import GenerationRequest
from dgx_music.resources import shipped
from dgx_music.surfaces.dropfolder.formats import parse
from dgx_music.surfaces.dropfolder.names import FORMATS

EXAMPLES = sorted(path for path in (shipped("templates") / "prompts").iterdir() if path.name != "README.md")
ABOUT = shipped("templates") / "prompts" / "README.md"


def test_there_is_one_example_of_each_format():
    assert sorted(path.suffix for path in EXAMPLES) == sorted(FORMATS)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_asks_for_jobs_that_can_be_made(path):
    jobs = parse(path.name, path.read_bytes(), max_jobs=100)

    requests = [GenerationRequest.from_fields(fields) for fields in jobs]

    assert all(request.prompt for request in requests)
    assert len({(request.prompt, request.length_samples) for request in requests}) == len(jobs)


def test_the_text_names_every_example_and_every_field_but_the_one_for_ardour():
    text = ABOUT.read_text(encoding="utf-8")

    assert [path.name for path in EXAMPLES if f"`{path.name}`" not in text] == []
    fields = set(GenerationRequest.model_fields) - {"session"}
    assert [name for name in sorted(fields) if f"`{name}`" not in text and f"`{name}.path`" not in text] == []
