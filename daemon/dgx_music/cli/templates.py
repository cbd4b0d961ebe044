"""`template`: the templates that come along and those of the user's Ardours, and new sessions of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ardour_session import SessionError, instantiate, read_session
from dgx_music.assets.destinations import Destinations
from dgx_music.cli.session_files import SessionFileError, new_folder
from dgx_music.errors import RequestError
from dgx_music.resources import shipped

if TYPE_CHECKING:
    from dgx_music.cli.context import Cli

__all__ = ["list_templates", "template_file", "use_template"]


def list_templates(cli: Cli) -> None:
    """Print the names of all templates, and what they are for."""
    data = []
    for name, file in sorted(_templates().items()):
        try:
            text = read_session(file).description
        except (SessionError, OSError) as err:
            text = f"cannot be used: {err}"
        data.append({"name": name, "description": text, "path": str(file)})
    cli.show(data, "\n".join(f"{item['name']}\n    {item['description']}".rstrip() for item in data))


def use_template(cli: Cli, name: str, output: Path, sample_rate: int) -> None:
    """Make a new session of a template.

    Raises:
        RequestError: there is no such template.
        SessionFileError: it cannot be read, or the session not be written.
    """
    file = template_file(name)
    output = new_folder(output)
    try:
        path = instantiate(file, output.name, sample_rate).save_new(output)
    except (SessionError, OSError) as err:
        raise SessionFileError.of(err, output) from err
    cli.show({"session": str(path)}, f'{path}\nopen it: ardour "{path}"')


def template_file(name: str) -> Path:
    """Return the file of a template: of the user's Ardours, newest version first, of those that come along, or a path.

    Raises:
        RequestError: there is no such template.
    """
    path = Path(name)
    if name.endswith(".template"):
        return path
    known = _templates()
    if name in known:
        return known[name]
    inside = path / f"{path.absolute().name}.template"
    if inside.is_file():
        return inside
    raise RequestError(
        f"there is no template {name!r}; there are {', '.join(map(repr, sorted(known)))}, or name a .template file"
    )


def _templates() -> dict[str, Path]:
    found = {file.stem: file for file in (shipped("templates") / "sessions").glob("*/*.template")}
    for folder in Destinations.find().ardour:  # oldest first: the newest Ardour's stay
        for file in (folder.path / "templates").glob("*/*.template"):
            if file.stem == file.parent.name:  # as Ardour itself looks for them
                found[file.stem] = file
    return found
