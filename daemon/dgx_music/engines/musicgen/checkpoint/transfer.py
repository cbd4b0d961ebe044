"""Fetching one file over HTTP: resumed where it stopped, in this process or the next, and whole or not there at all."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dgx_music.engines.musicgen.checkpoint.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedRandom
    from pathlib import Path

__all__ = ["Remote", "Transfer", "open_url"]

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_BROKEN = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Remote:
    """A file to fetch."""

    url: str
    size: int
    sha256: str
    """Empty where the hub does not say, as for small files."""


class Transfer:
    """How files are fetched."""

    def __init__(self, *, retries: int = 5, retry_wait_s: float = 1.0) -> None:
        """Set how patient to be.

        Args:
            retries: how often to try again after a failure, counted anew whenever bytes have come.
            retry_wait_s: how long to wait before, doubled each time.
        """
        self._retries = retries
        self._retry_wait_s = retry_wait_s

    def fetch(self, remote: Remote, partial: Path, target: Path, on_bytes: Callable[[int], None]) -> None:
        """Fetch a file to `partial`, and move it to `target` once it is whole and its hash is right.

        Args:
            remote: what.
            partial: where it grows; on the same file system. What is there already is kept.
            target: where it goes.
            on_bytes: told how many bytes of it are here. May raise to stop; the next call goes on from there.

        Raises:
            ModelError: it cannot be fetched, or is not what the hub promised.
        """
        partial.parent.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with partial.open("ab+") as file:
                # Another process that fetches the same waits here until this one is done.
                fcntl.flock(file, fcntl.LOCK_EX)
                if not _is(file, partial):
                    # That process has moved the file away meanwhile.
                    if target.exists() and target.stat().st_size == remote.size:
                        on_bytes(remote.size)
                        return
                    continue
                self._fill(remote, file, on_bytes)
                self._check(remote, file, partial)
                file.flush()
                os.fsync(file.fileno())
                partial.replace(target)
                return

    def _fill(self, remote: Remote, file: BufferedRandom, on_bytes: Callable[[int], None]) -> None:
        failures = 0
        while True:
            have = file.seek(0, os.SEEK_END)
            if have > remote.size:
                file.truncate(have := 0)
            on_bytes(have)
            if have == remote.size:
                return
            try:
                self._stream(remote, file, have, on_bytes)
            except urllib.error.HTTPError as err:
                if err.code not in _PASSING:
                    raise ModelError(f"{remote.url}: the server says {err.code} {err.reason}") from err
                why = f"the server says {err.code} {err.reason}"
            except _BROKEN as err:
                why = str(getattr(err, "reason", "") or err or type(err).__name__)
            else:
                why = "the connection ended early"
            came = file.seek(0, os.SEEK_END) - have
            if have + came == remote.size:
                continue
            failures = 1 if came > 0 else failures + 1
            if failures > self._retries:
                raise ModelError(
                    f"{remote.url}: {why}; {have + came} of {remote.size} bytes are here and kept, try again later"
                )
            time.sleep(self._retry_wait_s * 2 ** (failures - 1))

    @staticmethod
    def _stream(remote: Remote, file: BufferedRandom, have: int, on_bytes: Callable[[int], None]) -> None:
        with open_url(remote.url, {"Range": f"bytes={have}-"} if have else {}) as answer:
            if have and answer.status != http.HTTPStatus.PARTIAL_CONTENT:
                file.truncate(have := 0)
            while have < remote.size:
                # read1 gives what has come; read would drop it where the connection breaks.
                chunk = answer.read1(min(_CHUNK_BYTES, remote.size - have))
                if not chunk:
                    return
                file.write(chunk)
                have += len(chunk)
                on_bytes(have)

    @staticmethod
    def _check(remote: Remote, file: BufferedRandom, partial: Path) -> None:
        if not remote.sha256:
            return
        file.flush()
        file.seek(0)
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != remote.sha256:
            partial.unlink()
            raise ModelError(
                f"{remote.url}: what came has the SHA-256 {found}, and the hub says {remote.sha256}; it was thrown "
                "away, try again"
            )


def _is(file: BufferedRandom, path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def open_url(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """Ask for a URL over http or https.

    Raises:
        ModelError: it is neither.
        OSError, http.client.HTTPException: no answer, or one that says no (`urllib.error.HTTPError`).
    """
    if not url.startswith(("https://", "http://")):
        raise ModelError(f"{url}: only https and http are fetched (HF_ENDPOINT)")
    # Compressed answers would make lengths and ranges mean something else.
    asked = {"User-Agent": "dgx-music", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=asked | headers)  # noqa: S310 - checked above
    answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    return answer
