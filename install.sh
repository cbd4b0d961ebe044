#!/usr/bin/env bash
# Installs DGX Music for this user, or tries it, or tests it. Needs no root, and can be run again at any time.
set -euo pipefail

CHECKOUT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
DATA="${XDG_DATA_HOME:-${HOME:?HOME is not set}/.local/share}/dgx-music"
VENV_LINK="$DATA/venv" # points at the venv in use; every install makes a new one and then moves this link
COMMAND_LINK="$HOME/.local/bin/dgx-music"
UNIT="dgx-music.service"
UNIT_FILE="${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user/$UNIT"
AUDIOCRAFT="audiocraft==1.3.0" # installed without its dependencies, see install_into
LOG="" # where the current step's output goes; set by log_to

usage() {
    cat <<'TEXT'
Usage: ./install.sh                     install for this user, or bring an installation up to date
       ./install.sh --try "PROMPT" […]  set up what is needed in this folder and make that music once, in ./out
       ./install.sh --test […]          set up and run the tests; further arguments go to pytest
       ./install.sh --uninstall         remove the program; music, database and configuration stay

  --musicgen   also install the MusicGen stack: torch and what belongs to it, several gigabytes (first argument);
               the models' weights come at first use
  --help       this text

Arguments after the prompt of --try go to 'dgx-music generate', such as --bars 8 --takes 3.
PYTHON=/path/to/python3 chooses the interpreter (3.11 or newer); DGX_MUSIC_HOME=/folder puts configuration,
database, music and drop folder into one folder.
TEXT
}

main() {
    local musicgen=no
    if [[ "${1:-}" == --musicgen ]]; then
        musicgen=yes
        shift
    fi
    case "${1:-}" in
    "") install "$musicgen" ;;
    --try)
        [[ -n "${2:-}" ]] || fail_usage '--try wants a prompt: ./install.sh --try "dusty lo-fi drums, 84 bpm"'
        try_once "$musicgen" "${@:2}"
        ;;
    --test) run_tests "$musicgen" "${@:2}" ;;
    --uninstall) uninstall ;;
    --musicgen) fail_usage "--musicgen stands once, as the first argument" ;;
    -h | --help) usage ;;
    *) fail_usage "$1 is not an option" ;;
    esac
}

# --- the four things it does ------------------------------------------------------------------------------------

install() {
    local musicgen="$1" python wanted venv="" was_active=no was_there=no assets_ok=yes
    python="$(find_python)"
    # Once installed with MusicGen, an upgrade keeps it.
    [[ ! -e "$VENV_LINK/.musicgen" ]] || musicgen=yes
    wanted="$(fingerprint "$python" "$musicgen")"
    mkdir -p -- "$DATA" || fail "$DATA cannot be made" "check the folder's owner and the free disk space"
    one_at_a_time "$DATA"
    [[ ! -e "$UNIT_FILE" ]] || was_there=yes

    if [[ "$(cat -- "$VENV_LINK/.complete" 2>/dev/null)" == "$wanted" ]]; then
        say "the program is up to date"
    else
        venv="$DATA/venv-$(date +%Y%m%d-%H%M%S)-$$"
        # shellcheck disable=SC2064  # the path of this very venv
        trap "rm -rf -- $(printf %q "$venv")" EXIT
        unit_is active || refuse_while_at_work "$VENV_LINK"
        build_program "$python" "$musicgen" "$venv" "$wanted"
        # Neither the program nor the database may change under a daemon of the earlier version.
        if unit_is active; then
            was_active=yes
            say "stopping the daemon for the upgrade; a job that it is working on is done again afterwards"
            systemctl --user stop "$UNIT"
        fi
        refuse_while_at_work "$venv"
        trap - EXIT
        swap_program "$venv"
    fi
    link_command
    "$VENV_LINK/bin/dgx-music" install-assets || assets_ok=no
    "$VENV_LINK/bin/dgx-music" db upgrade || fail "the database could not be upgraded" \
        "the line above says why; the database is as it was, and the daemon was not started"
    start_unit "$was_there" "$was_active"
    remove_old_venvs
    [[ "$assets_ok" == yes ]] || fail "the program is installed, but some of its files could not be put into place" \
        "the lines marked 'failed' above name them; mend that and run ./install.sh again"
    case ":$PATH:" in
    *":$(dirname -- "$COMMAND_LINK"):"*) ;;
    *) say "note: $(dirname -- "$COMMAND_LINK") is not on your PATH; add it, or call $COMMAND_LINK" ;;
    esac
    say "installed. 'dgx-music doctor' checks everything; 'dgx-music generate \"PROMPT\"' makes music."
    say "to ask for music inside Ardour, quit Ardour and run 'dgx-music install-assets --register' once: the scripts get"
    say "slots beside your own, which stay as they are."
    propose_musicgen "$musicgen"
}

try_once() {
    local musicgen="$1"
    shift
    prepare_checkout core "$musicgen"
    export DGX_MUSIC_HOME="${DGX_MUSIC_HOME:-$CHECKOUT/out}"
    exec "$CHECKOUT/.venv/bin/dgx-music" generate --session "$@"
}

run_tests() {
    local musicgen="$1"
    shift
    prepare_checkout dev "$musicgen"
    say_missing_packages
    cd -- "$CHECKOUT"
    exec .venv/bin/python -m pytest "$@"
}

uninstall() {
    if unit_is active || unit_is enabled; then
        systemctl --user disable --now "$UNIT" || say "the unit could not be stopped: systemctl --user status $UNIT"
    fi
    if [[ -x "$VENV_LINK/bin/dgx-music" ]]; then
        "$VENV_LINK/bin/dgx-music" remove-assets || say "some of the installed files could not be removed, see above"
    fi
    [[ "$(readlink "$COMMAND_LINK" 2>/dev/null)" == "$VENV_LINK/bin/dgx-music" ]] && rm -f -- "$COMMAND_LINK"
    rm -f -- "$VENV_LINK" "$DATA/install.log"
    rm -rf -- "${XDG_CACHE_HOME:-$HOME/.cache}/dgx-music"
    remove_old_venvs
    say "removed. What is yours was left: the music and the drop folder (by default 'DGX Music' and 'DGX Music Inbox'"
    say "in your music folder), the database in $DATA, the configuration in ${XDG_CONFIG_HOME:-$HOME/.config}/dgx-music."
    say "So were downloaded models, which other programs may share: by default ${XDG_CACHE_HOME:-$HOME/.cache}/huggingface."
    [[ -z "${DGX_MUSIC_HOME:-}" ]] || say "DGX_MUSIC_HOME is set: for that installation they are all in $DGX_MUSIC_HOME."
}

# --- venvs ------------------------------------------------------------------------------------------------------

# A new venv beside the old one, and then one rename: an upgrade that fails on the way leaves the old one working.
build_program() {
    local python="$1" musicgen="$2" venv="$3" wanted="$4"
    log_to "$DATA/install.log"
    want_space "$DATA" core "$musicgen"
    make_venv "$python" "$venv"
    install_into "$venv" core "$musicgen"
    "$venv/bin/dgx-music" --version >>"$LOG" 2>&1 || fail_step "the installed program does not start"
    mark "$venv" .complete "$musicgen" "$wanted"
}

swap_program() {
    local venv="$1"
    if [[ -e "$VENV_LINK" && ! -L "$VENV_LINK" ]]; then
        fail "$VENV_LINK is in the way: it is not a link made by this script" "move it away and run ./install.sh again"
    fi
    ln -s -- "$venv" "$VENV_LINK.$$"
    mv -T -- "$VENV_LINK.$$" "$VENV_LINK"
}

link_command() {
    mkdir -p -- "$(dirname -- "$COMMAND_LINK")"
    if [[ -e "$COMMAND_LINK" && ! -L "$COMMAND_LINK" ]]; then
        say "kept: $COMMAND_LINK is a file of yours; the command is $VENV_LINK/bin/dgx-music"
    else
        ln -sfn -- "$VENV_LINK/bin/dgx-music" "$COMMAND_LINK"
    fi
}

refuse_while_at_work() {
    local venv="$1" who
    [[ -x "$venv/bin/python" ]] || return 0
    who="$("$venv/bin/python" -c '
import os
from dgx_music.instance import find_running
from dgx_music.paths import Paths
holder = find_running(Paths.find(os.environ))
print(f"dgx-music {holder.role}, pid {holder.pid}" if holder else "")')"
    [[ -z "$who" ]] || fail "another DGX Music is at work ($who)" \
        "let it finish, or stop it with 'kill ${who##* }', then run ./install.sh again; the old version is still in place"
}

remove_old_venvs() {
    local venv
    for venv in "$DATA"/venv-*; do
        if [[ -d "$venv" && ! "$venv" -ef "$VENV_LINK" ]]; then
            rm -rf -- "$venv"
        fi
    done
}

# The checkout's own .venv, with the package in editable form; kind is core or dev (which holds core).
prepare_checkout() {
    local kind="$1" musicgen="$2" python wanted venv="$CHECKOUT/.venv"
    one_at_a_time "$CHECKOUT"
    # A virtual environment that is there already is used, unless another Python is asked for.
    if [[ -z "${PYTHON:-}" ]] && is_new_enough "$venv/bin/python"; then
        python="$venv/bin/python"
    else
        python="$(find_python)"
    fi
    [[ ! -e "$venv/.musicgen" ]] || musicgen=yes
    wanted="$(fingerprint_of_requirements "$python" "$musicgen")"
    if [[ "$(cat -- "$venv/.complete-dev" 2>/dev/null)" != "$wanted" ]] &&
        [[ "$kind" == dev || "$(cat -- "$venv/.complete-core" 2>/dev/null)" != "$wanted" ]]; then
        if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
            [[ "$(identity "$venv/bin/python")" != "$(identity "$python")" ]]; then
            if [[ -e "$venv" && ! -e "$venv/pyvenv.cfg" && ! -e "$venv/install.log" ]]; then
                fail "$venv is in the way: it is no virtual environment" "move it away and run the same command again"
            fi
            rm -rf -- "$venv"
            want_space "$CHECKOUT" "$kind" "$musicgen"
            mkdir -- "$venv"
            log_to "$venv/install.log"
            make_venv "$python" "$venv"
        fi
        log_to "$venv/install.log"
        rm -f -- "$venv/.complete-core" "$venv/.complete-dev"
        install_into "$venv" "$kind" "$musicgen" --editable
        mark "$venv" ".complete-$kind" "$musicgen" "$wanted"
    fi
    exec 9<&- # what follows may run for as long as it likes
}

# mark VENV FILE MUSICGEN FINGERPRINT: from here on the venv counts as complete
mark() {
    if [[ "$3" == yes ]]; then : >"$1/.musicgen"; fi
    printf '%s\n' "$4" >"$1/$2" || fail "$1 cannot be written" "free some disk space, then run the same command again"
}

one_at_a_time() {
    exec 9<"$1"
    flock -n 9 || {
        say "waiting for another install.sh that works in $1 …"
        flock 9
    }
}

# want_space FOLDER KIND MUSICGEN: packages and their unpacking take about 900 MB, 2.5 GB with what the tests need (a
# torch without CUDA), and 9 GB with a torch that brings CUDA.
want_space() {
    local wanted=1000
    [[ "$2" != dev ]] || wanted=3000
    [[ "$3" == no ]] || wanted=10000
    [[ "$(free_mb "$1")" -ge "$wanted" ]] || fail "only $(free_mb "$1") MB of disk space are left for $1" \
        "free some: $wanted MB are wanted, then run the same command again"
}

free_mb() {
    df --output=avail -BM -- "$1" | tail -n 1 | tr -dc 0-9
}

make_venv() {
    local python="$1" venv="$2"
    say "making a virtual environment with $("$python" --version) …"
    "$python" -m venv "$venv" >>"$LOG" 2>&1 || fail_step "no virtual environment could be made"
}

# install_into VENV KIND MUSICGEN [--editable]; kind is core or dev
install_into() {
    local venv="$1" kind="$2" musicgen="$3" options=("${@:4}") extras=()
    local pip=("$venv/bin/python" -m pip install --disable-pip-version-check --no-input)
    [[ "$kind" == core ]] || extras+=(dev)
    [[ "$musicgen" == no ]] || extras+=(musicgen)
    say "installing what is needed (a minute or two; output in $LOG) …"
    [[ "$musicgen" == no ]] || say "with the MusicGen stack: several gigabytes, this takes a while …"
    "${pip[@]}" "${options[@]}" "$CHECKOUT$(in_brackets "${extras[@]}")" >>"$LOG" 2>&1 ||
        fail_step "the packages could not be installed"
    # It pins versions of torch and av that can no longer be installed; what it needs is among our own extras.
    [[ "${#extras[@]}" == 0 ]] || "${pip[@]}" --no-deps "$AUDIOCRAFT" >>"$LOG" 2>&1 ||
        fail_step "audiocraft could not be installed"
}

in_brackets() {
    local IFS=,
    [[ "$#" == 0 ]] || printf '[%s]' "$*"
}

# What an installation was made from: nothing has to be done again while this stays the same.
fingerprint() {
    local python="$1" musicgen="$2"
    {
        identity "$python"
        printf '%s\n' "musicgen=$musicgen" "$AUDIOCRAFT"
        cd -- "$CHECKOUT"
        find daemon ardour templates etc pyproject.toml README.md LICENSE -type f -not -name '*.pyc' -print0 |
            LC_ALL=C sort -z | xargs -0 sha256sum
    } | sha256sum | cut -d ' ' -f 1
}

# The same for the checkout's editable venv, which follows the sources by itself.
fingerprint_of_requirements() {
    local python="$1" musicgen="$2"
    {
        identity "$python"
        printf '%s\n' "musicgen=$musicgen" "$AUDIOCRAFT" "$CHECKOUT"
        cat -- "$CHECKOUT/pyproject.toml"
    } | sha256sum | cut -d ' ' -f 1
}

find_python() {
    local candidate path
    if [[ -n "${PYTHON:-}" ]]; then
        is_new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.11 or newer that runs" \
            "name another one, or unset PYTHON"
        command -v -- "$PYTHON"
        return
    fi
    for candidate in python3.13 python3.12 python3.11 python3; do
        if path="$(command -v "$candidate")" && is_new_enough "$path"; then
            printf '%s\n' "$path"
            return
        fi
    done
    fail "no Python 3.11 or newer was found" \
        "sudo apt install python3 python3-venv (Debian 12, Ubuntu 24.04 and newer have one), or name it: PYTHON=/path/to/python3.11 ./install.sh"
}

identity() {
    "$1" -c 'import sys; print(sys.version, sys.base_prefix)'
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# --- systemd ----------------------------------------------------------------------------------------------------

has_user_manager() {
    command -v systemctl >/dev/null && systemctl --user show-environment >/dev/null 2>&1
}

unit_is() { # active or enabled
    has_user_manager && systemctl --user --quiet "is-$1" "$UNIT" 2>/dev/null
}

start_unit() {
    local was_there="$1" was_active="$2"
    has_user_manager || return 0 # install-assets has said how to start without
    if [[ "$was_there" == no ]]; then
        systemctl --user enable --now "$UNIT" || say_unit_failed
    elif [[ "$was_active" == yes ]]; then
        systemctl --user start "$UNIT" || say_unit_failed
    elif ! unit_is active; then
        say "the daemon is stopped, as you left it: systemctl --user start dgx-music"
    fi
}

say_unit_failed() {
    say "the daemon did not start: journalctl --user -u dgx-music -n 50 says why, 'dgx-music doctor' what to do"
}

# --- hints ------------------------------------------------------------------------------------------------------

propose_musicgen() {
    [[ "$1" == no ]] && nvidia-smi -L >/dev/null 2>&1 || return 0
    say "an NVIDIA GPU was found: MusicGen can make the music on it (several gigabytes, weights come at first use)"
    local answer=n
    if [[ -t 0 ]]; then
        read -r -p "install MusicGen now? [y/N] " answer || answer=n
    fi
    if [[ "$answer" == [yY]* ]]; then
        exec "$CHECKOUT/install.sh" --musicgen
    fi
    say "later: ./install.sh --musicgen"
}

say_missing_packages() {
    local pair missing=()
    for pair in ardour:ardour Xvfb:xvfb xdotool:xdotool ffmpeg:ffmpeg fluidsynth:fluidsynth oscsend:liblo-tools \
        sqlite3:sqlite3 lua:lua5.3 shellcheck:shellcheck systemd-analyze:systemd cc:gcc; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    [[ ${#missing[@]} -eq 0 ]] || say "tests that need these Debian packages are skipped: ${missing[*]}"
}

# --- messages and failures --------------------------------------------------------------------------------------

say() { printf 'install.sh: %s\n' "$*" >&2; }

log_to() {
    LOG="$1"
    : >"$LOG" || fail "$LOG cannot be written" "check the folder's owner and the free disk space"
}

fail() {
    say "failed: $1"
    say "what to do: $2"
    exit 1
}

fail_usage() {
    say "$1"
    usage >&2
    exit 2
}

# A step whose output is in the log went wrong: its last lines, and a remedy by what they say.
fail_step() {
    tail -n 12 -- "$LOG" >&2 || true
    fail "$1 (all output: $LOG)" "$(remedy)"
}

remedy() {
    local said space
    said="$(tail -n 60 -- "$LOG")"
    space="$(free_mb "$(dirname -- "$LOG")")"
    if [[ "$space" -lt 20 ]] || matches 'no space left|disk quota exceeded|errno 28'; then
        printf 'free some disk space (%s MB are left for %s), then run the same command again' "$space" "$(dirname -- "$LOG")"
    elif matches "ensurepip is not|no module named '?(venv|ensurepip)"; then
        printf 'sudo apt install python3-venv (or the venv package of your Python), then run the same command again'
    elif matches 'name resolution|failed to establish a new connection|connection (broken|refused|reset|aborted|timed out)|network is unreachable|read timed out|connecttimeout|proxyerror|sslerror'; then
        printf 'the Python package index cannot be reached: check the network (and https_proxy, PIP_INDEX_URL), then run the same command again'
    elif matches 'permission denied|read-only file system'; then
        printf 'check the owner of the folder named above: everything must belong to you, and no sudo is needed'
    elif matches 'no matching distribution|could not find a version'; then
        printf 'the package index has nothing for this Python: try another one, such as PYTHON=/usr/bin/python3.12 ./install.sh'
    else
        printf 'the lines above say what went wrong; mend that and run the same command again'
    fi
}

matches() { grep -qiE -- "$1" <<<"$said"; }

main "$@"
