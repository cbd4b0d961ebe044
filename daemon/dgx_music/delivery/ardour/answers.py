"""`Answers`: what the daemon says to a script in Ardour, which cannot receive OSC: a file that it waits for."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dgx_music.delivery.ardour.layout import write_beside
from dgx_music.delivery.ardour.lua_text import lua_chunk
from dgx_music.errors import DgxMusicError, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dgx_music.delivery.ardour.layout import Spool

__all__ = ["Answers", "refusal"]

_log = logging.getLogger(__name__)


def refusal(error: Exception) -> dict[str, object]:
    """Return the answer that tells of an error: `code`, `message`, and `problems` where a request has several."""
    if isinstance(error, RequestError):
        return {"ok": False, "code": error.code, "message": str(error), "problems": error.problems}
    if isinstance(error, DgxMusicError):
        return {"ok": False, "code": error.code, "message": str(error)}
    message = f"the daemon failed at this: {type(error).__name__}; its log has the details"
    return {"ok": False, "code": "internal", "message": message}


class Answers:
    """Writes answers. One that cannot be written is logged and counted, never raised: nobody could help it."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.given = 0
        self.not_given = 0

    async def give(self, session_path: str, ask_id: str, answer: Mapping[str, object]) -> None:
        """Write an answer into a session's spool, which is made where it is missing.

        Args:
            session_path: the session's folder, as Ardour names it.
            ask_id: which ask is answered; an id that a script cannot have made gets no answer.
            answer: plain data.
        """
        try:
            await asyncio.to_thread(self._write, session_path, ask_id, lua_chunk(answer))
        except (OSError, ValueError) as err:
            self.not_given += 1
            _log.warning("no answer to %.100r of the session %.300r: %s", ask_id, session_path, err)
        else:
            self.given += 1

    def _write(self, session_path: str, ask_id: str, content: bytes) -> None:
        spool = self._spool.of(session_path)
        path = spool.answer(ask_id)
        if not spool.session_is_there():
            raise ValueError("there is no such folder")
        spool.make()
        write_beside(path, content)
