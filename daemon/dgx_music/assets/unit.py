"""The systemd user unit: the shipped one with this installation's command in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from dgx_music.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UNIT_NAME", "installed_command", "reload_units", "render_unit"]

UNIT_NAME = "dgx-music.service"
_EXEC_START = re.compile(r"^ExecStart=.*$", re.MULTILINE)
_NOT_IN_A_PROGRAM = re.compile(r"""['"\\]""")
_PATIENCE_S = 15


def installed_command() -> Path:
    """Return the path of this installation's `dgx-music`, by the name that an upgrade keeps.

    Raises:
        AssetError: the package runs without being installed.
    """
    scripts = Path(sysconfig.get_path("scripts"))
    # install.sh makes every venv under a name of its own and points this link at it.
    link = Path(platformdirs.user_data_dir("dgx-music")) / "venv"
    if link.resolve() == Path(sys.prefix).resolve():
        scripts = link / "bin"
    command = scripts / "dgx-music"
    if not os.access(command, os.X_OK):
        raise AssetError(
            f"{command} does not exist: install DGX Music first (./install.sh), then start it from there"
        )
    return command


def render_unit(shipped: str, command: Path, environ: Mapping[str, str]) -> str:
    """Return the unit's text for an installed command, and for `DGX_MUSIC_HOME` where that is set."""
    program = _quoted(str(command))
    if _NOT_IN_A_PROGRAM.search(str(command)):
        # systemd refuses such a path as the program, but not as an argument (where a dollar sign must be doubled).
        program = "/usr/bin/env " + program.replace("$", "$$")
    lines = f"ExecStart={program} daemon"
    if home := environ.get("DGX_MUSIC_HOME", ""):
        home = str(Path(home).expanduser().absolute())
        lines = f"Environment={_quoted(f'DGX_MUSIC_HOME={home}')}\n{lines}"
    return _EXEC_START.sub(lambda _: lines, shipped, count=1)


def reload_units() -> str:
    """Have the user's service manager read its units again; return why it did not, empty if it did."""
    try:
        done = subprocess.run(
            ["systemctl", "--user", "daemon-reload"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except FileNotFoundError:
        return "systemd is not installed"
    except subprocess.TimeoutExpired:
        return f"'systemctl --user daemon-reload' did not end within {_PATIENCE_S} s"
    return (
        ""
        if done.returncode == 0
        else f"no service manager of this user can be reached: {done.stderr.strip()}"
    )


def _quoted(text: str) -> str:
    """Quote a word for a unit file (systemd.syntax(7)): specifiers doubled, backslash and quote escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
