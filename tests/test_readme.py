"""What a user can type, send or set stands in the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from dgx_music.cli.app import app
from dgx_music.request import GenerationRequest
from dgx_music.surfaces.osc.routes import markdown_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(command, prefix=""):
    for name, sub in getattr(command, "commands", {}).items():
        if hasattr(sub, "commands"):
            yield from commands(sub, f"{prefix}{name} ")
        else:
            yield prefix + name


@pytest.mark.parametrize("name", list(commands(typer.main.get_command(app))))
def test_every_command_is_in_the_readme(name):
    assert f"`{name}" in README


@pytest.mark.parametrize("name", GenerationRequest.model_fields)
def test_every_field_of_the_request_is_in_the_readme(name):
    table = README[README.index("## The request") : README.index("## What you get")]
    assert f"`{name}`" in table


def test_the_osc_table_is_the_one_in_the_code():
    assert markdown_table().strip() in README


def test_the_first_screen_offers_the_two_commands():
    first_screen = "\n".join(README.splitlines()[:30])
    assert './install.sh --try "' in first_screen
    assert "./install.sh --test\n" in first_screen


def test_every_file_that_the_readme_links_to_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
