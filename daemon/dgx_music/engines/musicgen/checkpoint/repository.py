"""A repository on the hub: what it holds, by the hub's public interface, and where its files go on this machine.

`GET {endpoint}/api/models/{repository}?blobs=true` lists the files with sizes and hashes, and
`GET {endpoint}/{repository}/resolve/{commit}/{file}` gives one (https://huggingface.co/docs/hub/api).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import tempfile
import urllib.error
import urllib.parse
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from dgx_music.engines.musicgen.checkpoint.errors import ModelError
from dgx_music.engines.musicgen.checkpoint.transfer import Remote, open_url

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CachePlace", "Entry", "FolderPlace", "Listing", "Place", "endpoint", "list_repository"]


@dataclass(frozen=True)
class Entry:
    """A file of a repository."""

    name: str
    remote: Remote
    blob: str
    """The name that the hub's cache gives to its content."""


@dataclass(frozen=True)
class Listing:
    """A repository's main version."""

    repository: str
    commit: str
    entries: Mapping[str, Entry]


def endpoint(environ: Mapping[str, str]) -> str:
    """Return the hub's address, which `HF_ENDPOINT` may change."""
    return (environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def list_repository(repository: str, environ: Mapping[str, str]) -> Listing:
    """Ask the hub what a repository holds.

    Raises:
        ModelError: the machine is offline, the hub does not answer, or does not have it.
    """
    hub = endpoint(environ)
    if environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise ModelError(
            f"{repository} is to be fetched, and HF_HUB_OFFLINE says to stay off the network; {_BY_HAND}"
        )
    url = f"{hub}/api/models/{repository}?blobs=true"
    try:
        with open_url(url, {}) as answer:
            said = json.loads(answer.read())
        return _listing(repository, hub, said)
    except urllib.error.HTTPError as err:
        raise ModelError(f"{repository} cannot be fetched: {hub} says {err.code} {err.reason}") from err
    except (OSError, http.client.HTTPException) as err:
        why = getattr(err, "reason", "") or err
        raise ModelError(f"{repository} cannot be fetched: no answer from {hub} ({why}); {_BY_HAND}") from err
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise ModelError(
            f"{repository} cannot be fetched: {hub} does not answer as the hub does ({err})"
        ) from err


_BY_HAND = (
    "fetch it where there is a network ('hf download'), and give the folder as the model or in models_dir"
)


def _listing(repository: str, hub: str, said: Any) -> Listing:
    commit = str(said["sha"])
    if not commit.isalnum():
        raise ValueError(f"commit {commit!r}")
    entries: dict[str, Entry] = {}
    for sibling in said["siblings"]:
        name, size, lfs = str(sibling["rfilename"]), int(sibling["size"]), sibling.get("lfs") or {}
        sha256 = str(lfs.get("sha256", ""))
        blob = sha256 or str(sibling["blobId"])
        if PurePosixPath(name).name != name or not blob.isalnum():
            continue  # nothing that is fetched lies in a folder
        where = urllib.parse.quote(f"{repository}/resolve/{commit}/{name}")
        entries[name] = Entry(name, Remote(f"{hub}/{where}", size, sha256), blob)
    return Listing(repository, commit, entries)


class Place(Protocol):
    """Where a repository's files go."""

    folder: Path
    """Where they are found afterwards."""

    def target(self, entry: Entry) -> tuple[Path, Path]:
        """Return where a file grows and where it goes."""

    def placed(self, entry: Entry) -> None:
        """Say that a file is there."""

    def done(self) -> None:
        """Say that all are there."""


class FolderPlace:
    """A plain folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def target(self, entry: Entry) -> tuple[Path, Path]:
        """Return a name with the content's hash, so that a newer version is not taken for the rest of an older one."""
        return self.folder / f".{entry.name}.{entry.blob[:16]}.partial", self.folder / entry.name

    def placed(self, entry: Entry) -> None:
        """Do nothing: it is where it belongs."""

    def done(self) -> None:
        """Do nothing: the order in which the files came made the folder a model."""


class CachePlace:
    """The hub's own cache, in its layout: content by hash, and a folder of links for each version."""

    def __init__(self, cache: Path, listing: Listing) -> None:
        self._home = cache / f"models--{listing.repository.replace('/', '--')}"
        self._commit = listing.commit
        self.folder = self._home / "snapshots" / listing.commit

    def target(self, entry: Entry) -> tuple[Path, Path]:
        """Return where the content goes."""
        blob = self._home / "blobs" / entry.blob
        return blob.with_name(f"{entry.blob}.partial"), blob

    def placed(self, entry: Entry) -> None:
        """Link it into the version's folder."""
        link = self.folder / entry.name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.unlink(missing_ok=True)
            with contextlib.suppress(
                FileExistsError
            ):  # somebody else has linked it meanwhile, to the same content
                link.symlink_to(Path("../../blobs") / entry.blob)

    def done(self) -> None:
        """Make the version the main one; before, nobody finds it."""
        main = self._home / "refs" / "main"
        main.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own: another thread or process may be as far as this one.
        descriptor, fresh = tempfile.mkstemp(prefix="main.", dir=main.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self._commit)
        Path(fresh).replace(main)
