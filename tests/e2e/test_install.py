"""install.sh for real: in a copy of the checkout, with a home of its own, from a path with spaces in it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEBIAN_NO_ENSUREPIP = """\
The virtual environment was not created successfully because ensurepip is not
available.  On Debian/Ubuntu systems, you need to install the python3-venv
package using the following command.

    apt install python3.11-venv
"""


class Machine:
    """A home folder, a copy of the checkout, and programs that stand in front of the real ones."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home of a user"
        self.checkout = root / "a checkout"
        self.bin = root / "bin"
        for folder in (self.home, self.checkout, self.bin):
            folder.mkdir()
        copy_checkout(self.checkout)

    @property
    def data(self) -> Path:
        return self.home / ".local/share/dgx-music"

    @property
    def command(self) -> Path:
        return self.home / ".local/bin/dgx-music"

    @property
    def unit(self) -> Path:
        return self.home / ".config/systemd/user/dgx-music.service"

    @property
    def config(self) -> Path:
        return self.home / ".config/dgx-music/config.toml"

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def environ(self, **more: str) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("XDG_", "DGX_MUSIC_", "PYTHON", "VIRTUAL_ENV"))
        }
        path = f"{self.bin}:{self.home}/.local/bin:{os.environ['PATH']}"
        # Bytecode is compiled when it is first run; compiling all of it here would take half of the time.
        return {**kept, "HOME": str(self.home), "PATH": path, "PIP_NO_COMPILE": "1", **more}

    def run(self, *command: object, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command],
            env=self.environ(**environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def install(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.run(self.checkout / "install.sh", *arguments, **environ)


def copy_checkout(target: Path) -> None:
    """Copy what is in the repository, or would be; without a repository, what an archive of it holds."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        ignored = shutil.ignore_patterns(".*", "out", "__pycache__")
        shutil.copytree(ROOT, target, ignore=ignored, dirs_exist_ok=True)
        return
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def said(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr


def nothing_installed(machine: Machine) -> bool:
    return not machine.command.exists() and not list(machine.data.glob("venv*"))


FAKE_SYSTEMCTL = """
echo "$*" >>"$HOME/systemctl.log"
case "$*" in
*is-active*) [[ -e "$HOME/active" ]] ;;
*is-enabled*) [[ -e "$HOME/enabled" ]] ;;
*disable*--now*) rm -f "$HOME/enabled" "$HOME/active" ;;
*enable*--now*) touch "$HOME/enabled" "$HOME/active" ;;
*stop*) rm -f "$HOME/active" ;;
*start*) touch "$HOME/active" ;;
esac
"""


@pytest.mark.slow
def test_an_installation_from_first_to_last_day(machine):
    """One story, for each installation takes a minute: install, use, install again, upgrade, uninstall."""
    (machine.home / ".config/ardour8").mkdir(parents=True)
    machine.program("systemctl", FAKE_SYSTEMCTL)
    asked_of_systemd = machine.home / "systemctl.log"

    # The first time.
    done = machine.install()
    assert done.returncode == 0, said(done)
    assert machine.run(machine.command, "--version").returncode == 0
    assert (machine.home / ".config/ardour8/templates/DGX Takes/DGX Takes.template").exists()
    assert list((machine.home / ".config/ardour8/scripts").glob("*.lua"))
    assert (machine.data / "lua/use.lua").exists()
    assert "install-assets --register" in done.stderr
    assert not (machine.home / ".config/ardour8/ui_scripts").exists()
    assert machine.run(machine.command, "install-assets", "--register").returncode == 0
    assert (machine.home / ".config/ardour8/ui_scripts").exists()
    assert f'ExecStart="{machine.data}/venv/bin/dgx-music" daemon' in machine.unit.read_text()
    assert "--user enable --now dgx-music.service" in asked_of_systemd.read_text()
    checked = json.loads(machine.run(machine.command, "doctor", "--json").stdout)
    assert [one for one in checked["checks"] if one["status"] == "problem"] == []

    # It is used: a job waits, the configuration and a template are edited, a take lies in the library.
    job = machine.run(machine.command, "generate", "dusty drums, 84 bpm", "--no-wait", "--json")
    assert job.returncode == 0, said(job)
    job_id = json.loads(job.stdout)["job_id"]
    machine.config.write_text("[osc]\nport = 7411\n")
    edited = machine.home / ".config/ardour8/templates/DGX Stems/DGX Stems.template"
    edited.write_text(edited.read_text() + "<!-- mine -->")
    take = machine.home / "Music/DGX Music/a take.wav"
    take.write_bytes(b"RIFF")

    # The second time nothing is done again, and a running daemon is left alone.
    venv = (machine.data / "venv").resolve()
    asked_of_systemd.unlink()
    again = machine.install()
    assert again.returncode == 0, said(again)
    assert "up to date" in again.stderr
    assert (machine.data / "venv").resolve() == venv
    assert "stop" not in asked_of_systemd.read_text()
    assert "start" not in asked_of_systemd.read_text()

    # An upgrade that fails leaves the old version working.
    source = machine.checkout / "daemon/dgx_music/__init__.py"
    good = source.read_text()
    source.write_text(good + "\nVERSION_OF_THIS_TEST = 'new'\n")
    offline = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    }
    failed = machine.install(**offline, PIP_RETRIES="1", PIP_NO_CACHE_DIR="1")
    assert failed.returncode == 1
    assert "check the network" in failed.stderr
    assert (machine.data / "venv").resolve() == venv
    assert [path.name for path in machine.data.glob("venv-*")] == [venv.name]
    assert machine.run(machine.command, "--version").returncode == 0

    # While someone works in place, nothing is changed under them.
    (machine.home / "active").unlink()
    holder = subprocess.Popen(
        [
            str(machine.data / "venv/bin/python"),
            "-c",
            (
                "import os, sys; from dgx_music.instance import InstanceLock; from dgx_music.paths import Paths\n"
                "with InstanceLock(Paths.find(os.environ), 'generate'): print(flush=True); sys.stdin.read()"
            ),
        ],
        env=machine.environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        refused = machine.install()
    finally:
        holder.communicate()
    assert refused.returncode == 1
    assert f"dgx-music generate, pid {holder.pid}" in refused.stderr
    assert (machine.data / "venv").resolve() == venv

    # An upgrade that works stops the daemon and starts it again, and keeps what is the user's.
    (machine.home / "active").touch()
    asked_of_systemd.unlink()
    upgraded = machine.install()
    assert upgraded.returncode == 0, said(upgraded)
    assert (machine.data / "venv").resolve() != venv
    assert [path.name for path in machine.data.glob("venv-*")] == [(machine.data / "venv").resolve().name]
    code = "import dgx_music; print(dgx_music.VERSION_OF_THIS_TEST)"
    assert machine.run(machine.data / "venv/bin/python", "-c", code).stdout == "new\n"
    calls = asked_of_systemd.read_text()
    assert calls.index("--user stop") < calls.index("--user daemon-reload") < calls.index("--user start")
    assert machine.config.read_text() == "[osc]\nport = 7411\n"
    assert edited.read_text().endswith("<!-- mine -->")
    assert "you changed it" in upgraded.stdout
    history = json.loads(machine.run(machine.command, "history", "--json").stdout)
    assert [one["job_id"] for one in history] == [job_id]

    # The last day.
    gone = machine.install("--uninstall")
    assert gone.returncode == 0, said(gone)
    assert "--user disable --now dgx-music.service" in asked_of_systemd.read_text()
    assert nothing_installed(machine)
    assert not machine.unit.exists()
    assert list((machine.home / ".config/ardour8/scripts").glob("*.lua")) == []
    assert not (machine.home / ".config/ardour8/ui_scripts").exists()
    assert not (machine.data / "lua").exists()
    assert take.read_bytes() == b"RIFF"
    assert machine.config.exists()
    assert edited.exists()
    with closing(sqlite3.connect(machine.data / "jobs.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
    assert str(machine.data) in gone.stderr


@pytest.mark.slow
def test_try_sets_up_makes_a_take_and_says_how_to_open_it(machine):
    done = machine.install("--try", "dusty lo-fi drums, 84 bpm, A minor", "--bars", "2")

    assert done.returncode == 0, said(done)
    (take,) = [
        path
        for path in (machine.checkout / "out/library").rglob("*.wav")
        if "interchange" not in path.parts and f"  {path}" in done.stdout
    ]
    assert take.stat().st_size > 100_000
    assert "LUFS" in done.stdout
    assert "84 BPM" in done.stdout
    opens = done.stdout.rstrip().splitlines()[-1]
    assert opens.split()[:3] == ["open", "it", "ardour"]
    assert Path(opens.split('"')[1]).is_file()
    assert list(machine.home.rglob("*.sqlite")) == []

    # The second time there is nothing to set up: a mistake in the options is found by the program itself.
    again = machine.install("--try", "drums", "--bars", "0")
    assert again.returncode == 2
    assert "installing" not in again.stderr


def test_help_and_wrong_options_change_nothing(machine):
    assert "--try" in machine.install("--help").stdout
    for wrong in (["--nonsense"], ["--try"], ["--try", ""], ["--musicgen", "--musicgen"]):
        done = machine.install(*wrong)
        assert (done.returncode, "Usage:" in done.stderr) == (2, True), wrong
    assert list(machine.home.iterdir()) == []


def fake_pythons(machine: Machine, text: str) -> None:
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        machine.program(name, text)


def test_a_python_too_old_is_refused_with_what_to_install(machine):
    fake_pythons(machine, "exit 1")

    done = machine.install()

    assert done.returncode == 1
    assert "no Python 3.11 or newer was found" in done.stderr
    assert "sudo apt install python3 python3-venv" in done.stderr
    assert nothing_installed(machine)


def test_a_python_named_by_the_user_is_taken_or_refused_never_replaced(machine):
    done = machine.install(PYTHON="/nonexistent/python3")

    assert done.returncode == 1
    assert "PYTHON=/nonexistent/python3" in done.stderr


def real_python() -> str:
    """Return a real interpreter, past any wrapper that looks at the name it was called by."""
    return str(Path(sys.executable).resolve())


def test_a_missing_venv_module_is_named_as_the_package_to_install(machine):
    (machine.bin / "words").write_text(DEBIAN_NO_ENSUREPIP)
    fake_pythons(
        machine,
        f"""
if [[ "$1 $2" == "-m venv" ]]; then cat '{machine.bin}/words'; exit 1; fi
exec '{real_python()}' "$@"
""",
    )

    done = machine.install()

    assert done.returncode == 1
    assert "sudo apt install python3-venv" in done.stderr
    assert nothing_installed(machine)
    assert machine.install("--try", "drums").returncode == 1
    assert not (machine.checkout / "out").exists()


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "free some disk",
        ),
        (
            (
                "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')\n"
                "ERROR: No matching distribution found for hatchling>=1.27"
            ),
            "check the network",
        ),
        ("ReadTimeoutError: HTTPSConnectionPool(host='x', port=443): Read timed out.", "check the network"),
        ("ERROR: No matching distribution found for scipy>=1.13", "try another one"),
        ("ERROR: [Errno 13] Permission denied: '/home/you/.local/lib'", "owner"),
        ("error: metadata-generation-failed", "the lines above"),
    ],
    ids=["disk", "name", "timeout", "version", "owner", "unknown"],
)
def test_what_pip_says_is_shown_and_answered_with_a_remedy(machine, words, remedy):
    (machine.bin / "words").write_text(words + "\n")
    # A python whose virtual environments hold a pip that fails in this way.
    fake_pythons(
        machine,
        f"""
if [[ "$1 $2" == "-m venv" ]]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit; fi
if [[ "$1 $2" == "-m pip" ]]; then cat '{machine.bin}/words'; exit 1; fi
exec '{real_python()}' "$@"
""",
    )

    done = machine.install()

    assert done.returncode == 1
    assert words.splitlines()[-1] in done.stderr
    assert remedy in done.stderr.splitlines()[-1]
    assert nothing_installed(machine)


@pytest.mark.parametrize(
    ("arguments", "extras", "with_audiocraft"),
    [
        (["--try", "drums"], "", False),
        (["--musicgen", "--try", "drums"], "[musicgen]", True),
        (["--test"], "[dev]", True),
        (["--musicgen", "--test"], "[dev,musicgen]", True),
    ],
)
def test_audiocraft_comes_last_and_without_the_versions_that_it_pins(
    machine, arguments, extras, with_audiocraft
):
    asked_of_pip = machine.bin / "pip.log"
    fake_pythons(
        machine,
        f"""
if [[ "$1 $2" == "-m venv" ]]; then
    mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; ln -s /bin/true "$3/bin/dgx-music"; exit
fi
if [[ "$1 $2 $3" == "-m pip install" ]]; then shift 5; echo "$*" >>'{asked_of_pip}'; exit; fi
if [[ "$1 $2" == "-m pip" || "$1 $2" == "-m pytest" ]]; then exit; fi
exec '{real_python()}' "$@"
""",
    )

    done = machine.install(*arguments)

    assert done.returncode == 0, said(done)
    packages = f"--editable {machine.checkout}{extras}"
    audiocraft = ["--no-deps audiocraft==1.3.0"] if with_audiocraft else []
    assert asked_of_pip.read_text().splitlines() == [packages, *audiocraft]

    # The second time there is nothing to do.
    assert machine.install(*arguments).returncode == 0
    assert len(asked_of_pip.read_text().splitlines()) == 1 + len(audiocraft)


@pytest.mark.parametrize(("arguments", "wanted_mb"), [("", 1000), ("--musicgen", 10000)])
def test_a_disk_with_too_little_room_is_found_before_anything_is_installed(machine, arguments, wanted_mb):
    mounted = (
        f"mount -t tmpfs -o size=8m none '{machine.home}' && exec '{machine.checkout}/install.sh' {arguments}"
    )
    own_mounts = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if machine.run(*own_mounts, f"mount -t tmpfs none '{machine.home}'").returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk of their own")

    done = machine.run(*own_mounts, mounted)

    assert done.returncode == 1
    assert "MB of disk space are left" in done.stderr
    assert f"{wanted_mb} MB are wanted" in done.stderr


def test_a_virtual_environment_that_is_something_else_is_left_alone(machine):
    mine = machine.checkout / ".venv"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")

    done = machine.install("--try", "drums")

    assert done.returncode == 1
    assert "is in the way" in done.stderr
    assert (mine / "notes.txt").read_text() == "mine"


def test_uninstalling_what_is_not_installed_does_nothing(machine):
    mine = machine.command
    mine.parent.mkdir(parents=True)
    mine.write_text("a program of the user's own")

    done = machine.install("--uninstall")

    assert done.returncode == 0, said(done)
    assert mine.read_text() == "a program of the user's own"


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs shellcheck")
def test_the_scripts_have_no_shell_mistakes():
    done = subprocess.run(
        ["shellcheck", "install.sh", ".ci/run"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.stdout == ""
