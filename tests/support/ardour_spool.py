"""Plays the daemon towards the scripts in Ardour: a spool of one session, manifests for it, and an ear for OSC."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any, Self

from pythonosc.osc_message import OscMessage

from dgx_music.delivery.ardour.fnv import fingerprint
from dgx_music.delivery.ardour.layout import session_key
from dgx_music.delivery.ardour.lua_text import lua_chunk
from support.session_material import write_noise

__all__ = ["HandMadeSpool"]


class HandMadeSpool:
    """What a daemon would keep for one session, at the mercy of a test."""

    def __init__(self, scratch: Path, session_folder: Path) -> None:
        self.session_path = str(session_folder)
        self.root = scratch / "spool"
        self.runtime = scratch / "daemon.json"
        self.folder = self.root / session_key(self.session_path)
        self.folder.mkdir(parents=True)
        self._ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._ear.bind(("127.0.0.1", 0))
        self._ear.setblocking(False)
        record = {"pid": os.getpid(), "role": "daemon", "osc_host": "127.0.0.1", "osc_port": self.port}
        self.runtime.write_text(json.dumps(record))
        self._heard: list[tuple[Any, ...]] = []

    @property
    def port(self) -> int:
        port: int = self._ear.getsockname()[1]
        return port

    def allow(self, **permissions: bool) -> None:
        """Write the session's permissions."""
        lines = [f"{name} = {'yes' if given else 'no'}\n" for name, given in permissions.items()]
        (self.folder_of_session / "dgx-music.permissions").write_text("".join(lines))

    @property
    def folder_of_session(self) -> Path:
        return self.root.parent / self.session_path  # an absolute path wins

    # -- what the daemon puts up -------------------------------------------------------------------------------

    def take(
        self, stem: str, *, frames: int, channels: int = 2, rate_hz: int = 48_000, seed: int = 0, **more: Any
    ) -> dict[str, Any]:
        """Make a file of noise, and give what a manifest says of it."""
        audio = self.folder / "audio"
        audio.mkdir(exist_ok=True)
        path = audio / f"{stem}.wav"
        write_noise(path, channels=channels, frames=frames, rate_hz=rate_hz, seed=seed)
        return {
            "path": str(path),
            "name": stem,
            "channels": channels,
            "frames": frames,
            "bytes": path.stat().st_size,
            "fingerprint": fingerprint(path),
            **more,
        }

    @staticmethod
    def fingerprint(take: dict[str, Any]) -> str:
        return fingerprint(Path(take["path"]))

    def manifest(self, delivery: str, takes: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return {
            "format": 1,
            "delivery": delivery,
            "offer": 1,
            "job": delivery.rsplit("-", 1)[0],
            "session": self.session_path,
            "position": 96_000,
            "sample_rate": 48_000,
            "frames": takes[0]["frames"],
            "takes": takes,
            "stems": [],
            "group": "Stems",
            "track": "[sketch] takes",
            "new_track": False,
            "playlists": "new",
            "on_top": "take",
            "marker": "warm pad",
            "comment": "made by hand",
            "colour": 0x5A8FD6FF,
            "group_colour": 0x6E7F99FF,
            "stem_colours": [0xD65A5AFF, 0xD6A85AFF],
            "title": "warm pad",
            **more,
        }

    def put_up(self, manifest: dict[str, Any], name: str = "next") -> None:
        """Offer a delivery, as the daemon does: written beside, then renamed."""
        part = self.folder / "part.test"
        part.write_bytes(lua_chunk(manifest))
        part.rename(self.folder / name)

    def answer(self, ask_id: str, **fields: Any) -> None:
        part = self.folder / "part.test"
        part.write_bytes(lua_chunk({"ok": True, **fields}))
        part.rename(self.folder / f"answer.{ask_id}")

    # -- what the scripts tell ---------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        return any((self.folder / name).exists() for name in ("next", "taken", "retaken", "busy"))

    def reports(self) -> list[dict[str, Any]]:
        """Take the reports away, oldest first."""
        found = sorted(self.folder.glob("report.*"), key=lambda path: path.stat().st_mtime_ns)
        told = [json.loads(path.read_text()) for path in found]
        for path in found:
            path.unlink()
        return told

    def heard(self) -> list[tuple[Any, ...]]:
        """All messages so far: address and values."""
        while True:
            try:
                message = OscMessage(self._ear.recv(65_536))
            except BlockingIOError:
                return self._heard
            self._heard.append((message.address, *message.params))

    def close(self) -> None:
        self._ear.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
