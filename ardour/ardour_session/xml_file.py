"""Session files on disk: parsed without trusting them, written so that nobody sees half of one."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lxml import etree

from .errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element as Element
    from lxml.etree import _ElementTree as ElementTree

OLDEST_READ, NEWEST_READ = 6000, 7999


def parse_session_file(path: Path) -> ElementTree:
    """Parse a session or template file; nothing outside the file is read and no entity is expanded.

    Raises:
        FileNotFoundError: there is no such file.
        SessionError: it is not well-formed XML, not an Ardour session, or of a format that this package does not know.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    with path.open("rb") as stream:
        try:
            tree = etree.parse(stream, parser)
        except etree.XMLSyntaxError as error:
            line = error.lineno or None
            raise SessionError(
                f"not well-formed XML, perhaps cut off: {error.msg}", path=path, line=line
            ) from None
    root = tree.getroot()
    if tree.docinfo.doctype:
        raise SessionError("it has a DOCTYPE, which no Ardour session has", path=path)
    if root.tag != "Session":
        raise SessionError(
            f"the root element is <{tag_of(root)}>, an Ardour session has <Session>",
            path=path,
            line=root.sourceline,
        )
    format_version(root, path)
    return tree


def format_version(root: Element, path: Path | None = None) -> int:
    """The file format, such as 6000 or 7002."""
    text = root.get("version", "")
    # Ardour 2 wrote "2.0.0"; all later versions write a whole number.
    if not text.isdecimal() or not OLDEST_READ <= int(text) <= NEWEST_READ:
        raise SessionError(
            f"session format {text!r} is not known here: formats {OLDEST_READ} to {NEWEST_READ} (Ardour 6 to 9) are;"
            " an older session can be opened and saved in a newer Ardour first",
            path=path,
            line=root.sourceline,
        )
    return int(text)


def tag_of(element: Element) -> str:
    """The name of an element."""
    return etree.QName(element).localname


def serialise(root: Element) -> bytes:
    """The bytes of a session file, in UTF-8 with an XML declaration."""
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8") + b"\n"


def write_file(path: Path, content: bytes, *, overwrite: bool = False) -> None:
    """Write a file that appears whole or not at all, and survives a power cut once this returns.

    Raises:
        FileExistsError: the file exists and `overwrite` is false.
    """
    temporary = temporary_beside(path)
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if overwrite:
            if path.exists():
                shutil.copymode(path, temporary)
            temporary.replace(path)
        else:
            rename_to_new(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary sibling folder to build in; when the block ends without an error it becomes `folder`.

    Raises:
        FileExistsError: `folder` exists.
    """
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(errno.EEXIST, "a session is only written to a new folder", str(folder))
    building = temporary_beside(folder)
    building.mkdir()
    try:
        yield building
        for inner, _, _ in os.walk(building):
            sync_folder(Path(inner))
        # Should the folder have come into being meanwhile, this fails unless that folder is empty.
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building)
        raise
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename_to_new(temporary: Path, path: Path) -> None:
    """Give a finished file its name; the temporary one may stay.

    Raises:
        FileExistsError: there is a file of that name.
    """
    try:
        os.link(temporary, path)  # unlike a rename, a link never replaces a file
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
        # FAT and some network file systems have no links: reserve the name, then replace the reservation.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        temporary.replace(path)


def temporary_beside(path: Path) -> Path:
    """A name in the same folder that nobody uses or looks for."""
    return path.parent / f".{secrets.token_hex(8)}.tmp"
