"""A small server that speaks as much of the hub's interface as a download needs, and can be told to misbehave."""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "c0ffee" + "0" * 34


@dataclass
class FakeHub:
    """Repositories by name, each a folder. Files named `*.safetensors` and `*.bin` are large: they have a SHA-256."""

    repositories: dict[str, Path]
    cut_after: dict[str, list[int]] = field(default_factory=dict)
    """For a file, after how many bytes each of its next answers breaks off."""
    short: set[str] = field(default_factory=set)
    """Files whose answers end early without the connection breaking, however often they are asked for."""
    spoilt: set[str] = field(default_factory=set)
    """Files that come with one byte changed."""
    says: dict[str, list[int]] = field(default_factory=dict)
    """For a file (or the listing, by the repository's name), the errors that its next answers are."""
    ignores_ranges: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)
    """File and range of every answer, in order."""

    def __enter__(self) -> Self:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                path = urllib.parse.urlsplit(self.path).path
                if path.startswith("/api/models/"):
                    hub._list(self, path.removeprefix("/api/models/"))
                else:
                    repository, _, rest = path.removeprefix("/").partition("/resolve/")
                    commit, _, name = rest.partition("/")
                    assert commit == COMMIT
                    hub._send(self, hub.repositories[repository] / name, name)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fetched(self) -> set[str]:
        """Return the names of the files that were asked for."""
        return {name for name, _ in self.asked}

    def _fails(self, handler: BaseHTTPRequestHandler, name: str) -> bool:
        codes = self.says.get(name)
        if not codes:
            return False
        handler.send_response(codes.pop(0))
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    def _list(self, handler: BaseHTTPRequestHandler, repository: str) -> None:
        if self._fails(handler, repository):
            return
        folder = self.repositories.get(repository)
        if folder is None:
            handler.send_error(404)
            return
        siblings = []
        for path in sorted(folder.iterdir()):
            if not path.is_file():
                siblings.append({"rfilename": f"{path.name}/inside", "size": 1, "blobId": "1"})
                continue
            data = path.read_bytes()
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            said: dict[str, Any] = {"rfilename": path.name, "size": len(data), "blobId": blob}
            if path.suffix in (".safetensors", ".bin"):
                said["lfs"] = {
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "size": len(data),
                    "pointerSize": 130,
                }
            siblings.append(said)
        body = json.dumps({"id": repository, "sha": COMMIT, "siblings": siblings}).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _send(self, handler: BaseHTTPRequestHandler, path: Path, name: str) -> None:
        wanted = handler.headers.get("Range", "")
        self.asked.append((name, wanted))
        if self._fails(handler, name):
            return
        data = path.read_bytes()
        if name in self.spoilt:
            data = data[:-1] + bytes([data[-1] ^ 1])
        start = 0
        if wanted and not self.ignores_ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            handler.send_response(200)
        body = data[start:]
        if name in self.short:
            body = body[: len(body) // 2]
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        cuts = self.cut_after.get(name)
        if cuts:
            handler.wfile.write(body[: cuts.pop(0)])
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.shutdown(2)
        else:
            handler.wfile.write(body)
