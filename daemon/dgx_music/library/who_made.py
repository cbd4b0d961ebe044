"""What made this audio? Asked by the daemon, answered by a child process, since reading and hashing audio is heavy.

The child reads one JSON object on standard input and writes one on standard output.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from dgx_music.errors import DgxMusicError, LibraryError, RequestError
from dgx_music.reading.permissions import PERMISSIONS_FILE, session_roots
from dgx_music.request import FileChannel

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["who_made"]

_log = logging.getLogger(__name__)
_MAX_SOURCES = 64


async def who_made(
    sources: object,
    session_path: str | None,
    *,
    database: Path,
    library: Path,
    reading_roots: Sequence[Path],
    timeout_s: float = 30.0,
) -> dict[str, Any]:
    """Say which take or stem the channels of a region are; see `library.identify`.

    Args:
        sources: a list of `{path, channel}`, as it came in.
        session_path: the session that they belong to; its own audio may be read where its user allows that.
        database: the store's file.
        library: the library's root.
        reading_roots: the folders that may be read for every request.
        timeout_s: how long the answer may take; the child is ended then.

    Returns:
        `{"found": False}`, or `found` and the fields of `library.identify.Made`.

    Raises:
        RequestError: the sources are no such list, may not be read, or are no audio files.
        LibraryError: the child did not come to an answer.
    """
    channels = _channels(sources)
    roots = [*reading_roots, *session_roots(session_path)]
    asked = {
        "sources": [channel.model_dump() for channel in channels],
        "database": str(database),
        "library": str(library),
        "roots": [str(root) for root in roots],
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "dgx_music.library.who_made",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(timeout_s):
            said, complained = await child.communicate(json.dumps(asked).encode())
    except TimeoutError:
        raise LibraryError(
            f"the audio was not identified within {timeout_s:g} s; is the disk busy, or are there very many takes of "
            "this length?"
        ) from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return _answer(said, complained, session_path)


def _channels(sources: object) -> list[FileChannel]:
    try:
        found = TypeAdapter(list[FileChannel]).validate_python(sources)
    except ValidationError as err:
        raise RequestError(
            f"sources: give a list such as [{{'path': '/…/take.wav', 'channel': 0}}]; {err.errors()[0]['msg']}"
        ) from err
    if not 1 <= len(found) <= _MAX_SOURCES:
        raise RequestError(f"sources: {len(found)} channels; a region has 1 to {_MAX_SOURCES}")
    return found


def _answer(said: bytes, complained: bytes, session_path: str | None) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        _log.error("the child that identifies audio failed: %s", complained.decode(errors="replace")[-4000:])
        raise LibraryError("the audio could not be identified; the log has the details") from None
    if "error" not in answer:
        return answer
    if not answer.get("refused"):
        raise LibraryError(str(answer["error"]))
    way_in = ""
    if session_path is not None and "reading.roots" in answer["error"]:
        way_in = f"; or let this session's audio be read, by a line 'read = yes' in {Path(session_path) / PERMISSIONS_FILE}"
    raise RequestError(f"{answer['error']}{way_in}")


def main() -> None:
    """Answer one question: the child's part."""
    from dgx_music.library.identify import Sounding, identify  # noqa: PLC0415 - heavy

    asked = json.load(sys.stdin)
    try:
        made = identify(
            Path(asked["database"]),
            Path(asked["library"]),
            [Sounding(**source) for source in asked["sources"]],
            roots=[Path(root) for root in asked["roots"]],
        )
        answer = {"found": False} if made is None else made.to_json()
    except DgxMusicError as err:
        answer = {"error": str(err), "refused": isinstance(err, RequestError)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
