from __future__ import annotations

from pathlib import Path

import pytest

from ardour_session import lint, read_session, shipped_templates, write_shipped_templates
from support.ardour import ArdourTools, needs_ardour

SHIPPED = Path(__file__).parents[2] / "templates" / "sessions"
NAMES = [template.name for template in shipped_templates()]


def _contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_files_in_the_repository_are_those_that_the_code_writes(tmp_path):
    # After a change: python -c "from ardour_session import *; from pathlib import Path;
    # write_shipped_templates(Path('templates/sessions'))" into an emptied folder.
    write_shipped_templates(tmp_path)
    assert _contents(tmp_path) == _contents(SHIPPED)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_template_has_no_fault_and_says_what_it_is_for(name):
    path = SHIPPED / name / f"{name}.template"
    assert lint(path) == []
    assert read_session(path).description


@needs_ardour
@pytest.mark.ardour
@pytest.mark.parametrize("template", shipped_templates(), ids=NAMES)
def test_ardour_makes_a_clean_session_of_a_shipped_template(ardour: ArdourTools, tmp_path, template):
    ardour.install_template(SHIPPED / template.name)
    made = ardour.new_session(template.name, tmp_path / "new", "new song", 44_100)
    found = ardour.inventory(made, ticks=(0,))
    assert (found.name, found.sample_rate_hz) == ("new song", 44_100)
    assert list(found.tracks) == [track.name for track in template.tracks]
    for track in template.tracks:
        route = found.routes[track.name]
        assert (route.inputs, route.outputs, route.connected, route.muted) == (2, 2, True, False)
        assert route.colour_rgba == track.colour_rgba
    assert {name: members for name, (_, _, members) in found.groups.items()} == {
        group.name: tuple(track.name for track in template.tracks if track.group == group.name)
        for group in template.groups
    }
    assert (found.tempo[0].quarters_per_minute, found.tempo[0].meter) == (120.0, (4, 4))
    assert lint(made) == []
