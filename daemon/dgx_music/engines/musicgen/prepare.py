"""Preparing a checkpoint in a process of its own, once: what reads it needs torch and much memory, and then ends.

`python -m dgx_music.engines.musicgen.prepare` reads the model's folder and the settings from standard input, as JSON, and
writes a line of JSON for each bit of progress, at the end `{"error": …}` where it failed.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from dgx_music.engines.musicgen.checkpoint import Missing, ModelError, load_checkpoint, locate
from dgx_music.engines.musicgen.settings import MusicGenSettings
from dgx_music.errors import DgxMusicError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dgx_music.engines.musicgen.checkpoint import ModelFiles

__all__ = ["main", "prepare_apart", "prepare_here"]


def prepare_apart(files: ModelFiles, settings: MusicGenSettings, loading: Callable[[float], None]) -> None:
    """Prepare a checkpoint in another process; what is prepared already is left as it is.

    Args:
        files: of the checkpoint.
        settings: where to.
        loading: told the share done, 0 to 1; what it raises ends the other process.

    Raises:
        ModelError: the files are damaged or of another kind.
        EngineError: the cache cannot be written, or the process died.
    """
    command = [sys.executable, "-m", "dgx_music.engines.musicgen.prepare"]
    asked = json.dumps({"folder": str(files.folder), "settings": asdict(settings)}, default=str)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin:  # its status tells how it ended
                process.stdin.write(asked)
            error = _listen(process.stdout, loading)
        except BaseException:
            process.kill()
            raise
    if error is not None:
        raise error
    if process.returncode < 0:
        raise EngineError(
            f"preparing {files.name} was ended by signal {-process.returncode}; systems short of memory do that "
            "(signal 9): close other programs, or choose a smaller model"
        )
    if process.returncode != 0:
        raise EngineError(
            f"preparing {files.name} ended with status {process.returncode}; its last words are in the log"
        )


def _listen(lines: Iterable[str], loading: Callable[[float], None]) -> EngineError | None:
    """Pass progress on until the other process ends; return the error that it told of."""
    error: EngineError | None = None
    for line in lines:
        message = _message(line)
        if "error" in message:
            kind = ModelError if message["code"] == ModelError.code else EngineError
            error = kind(message["error"])
        elif "fraction" in message:
            loading(message["fraction"])
    return error


def prepare_here(files: ModelFiles, settings: MusicGenSettings, loading: Callable[[float], None]) -> None:
    """Prepare a checkpoint in this process; see `prepare_apart`."""
    from dgx_music.engines.musicgen.parts_int8 import prepare_parts  # noqa: PLC0415 - onnxruntime

    checkpoint = load_checkpoint(files, settings)
    try:
        prepare_parts(checkpoint, settings, loading)
    finally:
        checkpoint.close()


def main() -> None:
    """Run in the process of its own."""
    asked = json.loads(sys.stdin.read())
    settings = TypeAdapter(MusicGenSettings).validate_python(asked["settings"])
    try:
        files = locate(asked["folder"], settings)
        if isinstance(files, Missing):
            raise ModelError(files.reason)
        prepare_here(files, settings, lambda share: _say(fraction=share))
    except DgxMusicError as err:
        _say(error=str(err), code=err.code)
    except MemoryError:
        _say(error=f"too little memory to prepare {asked['folder']}; close other programs", code="memory")


def _say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def _message(line: str) -> dict[str, Any]:
    """Read a line; a library may print what is none of ours."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


if __name__ == "__main__":
    main()
