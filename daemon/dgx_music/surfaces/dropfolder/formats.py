"""Prompt files to request fields, one mapping a job. What the fields may be is the request model's business."""

from __future__ import annotations

import codecs
import csv
import io
import tomllib
from typing import Any

from dgx_music.errors import RequestError
from dgx_music.surfaces.dropfolder.front_matter import read_front_matter
from dgx_music.surfaces.dropfolder.names import FORMATS, suffix_of
from dgx_music.surfaces.fields import nest_fields
from dgx_music.surfaces.strict_json import read_json

__all__ = ["parse", "unknown_format"]


def parse(name: str, data: bytes, max_jobs: int) -> list[dict[str, Any]]:
    """Return the jobs that a prompt file asks for, in the file's order.

    Raises:
        RequestError: what is wrong, where, and what would be right.
    """
    suffix = suffix_of(name)
    if suffix not in FORMATS:
        raise RequestError(unknown_format(name))
    text = _decode(data)
    if not text.strip():
        raise RequestError("the file is empty; write what the music should be")
    match suffix:
        case ".txt":
            jobs = [{"prompt": text.strip()}]
        case ".md":
            jobs = [_markdown(text)]
        case ".json":
            jobs = _json(text)
        case ".toml":
            jobs = _toml(text)
        case _:
            jobs = _csv(text, max_jobs)
    if not jobs:
        raise RequestError("the file asks for no job; give at least one prompt")
    if len(jobs) > max_jobs:
        raise RequestError(_too_many(str(len(jobs)), max_jobs))
    return jobs


def unknown_format(name: str) -> str:
    """Say which formats there are."""
    suffix = suffix_of(name)
    what = f"{suffix!r} files are" if suffix else "files without an extension are"
    return f"{what} not prompt files; known are {', '.join(FORMATS)}"


def _too_many(count: str, max_jobs: int) -> str:
    return f"the file asks for {count} jobs; at most {max_jobs} are taken from one file (inbox.max_jobs_per_file)"


def _decode(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise RequestError("the text is UTF-32; save it as UTF-8")
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as err:
        # The decoder counts from after the byte order mark.
        offset = err.start + (3 if encoding == "utf-8-sig" and data.startswith(codecs.BOM_UTF8) else 0)
        raise RequestError(
            f"the text is not {'UTF-16' if encoding == 'utf-16' else 'UTF-8'}: byte {data[offset]:#04x} at offset "
            f"{offset} (line {data.count(10, 0, offset) + 1}) cannot be read; save the file as UTF-8"
        ) from err
    if "\0" in text:
        raise RequestError(f"a NUL character stands at position {text.index(chr(0))}; is this a text file?")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _markdown(text: str) -> dict[str, Any]:
    pairs, body = read_front_matter(text)
    if body.strip():
        if any(key == "prompt" for key, _ in pairs):
            raise RequestError("the prompt stands both in the front matter and below it; keep one of them")
        pairs.append(("prompt", body.strip()))
    return nest_fields(pair for pair in pairs if pair[1] is not None)


def _json(text: str) -> list[dict[str, Any]]:
    found = read_json(text)
    jobs = found if isinstance(found, list) else [found]
    for number, job in enumerate(jobs, start=1):
        if not isinstance(job, dict):
            raise RequestError(
                f'entry {number} of the JSON is {str(job)[:40]!r}; a job is an object, such as {{"prompt": "dusty drums"}}'
            )
    return jobs


def _toml(text: str) -> list[dict[str, Any]]:
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise RequestError(
            f'not valid TOML: {err}; a text stands in quotes, as in prompt = "dusty drums"'
        ) from err
    except RecursionError as err:
        raise RequestError("the TOML is nested too deeply; a job is one flat table of fields") from err
    if "job" not in found:
        return [found]
    jobs = found["job"]
    if len(found) > 1 or not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs):
        raise RequestError(
            "either the whole file is one job, or every job is a [[job]] table and nothing stands outside"
        )
    return jobs


def _csv(text: str, max_jobs: int) -> list[dict[str, Any]]:
    head = text.lstrip("\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    jobs: list[dict[str, Any]] = []
    header: list[str] = []
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if not header:
                header = _header(row)
                continue
            if len(row) > len(header):
                raise RequestError(
                    f"line {reader.line_num}: {len(row)} cells under {len(header)} headings; a text with a "
                    f"{delimiter!r} in it stands in double quotes"
                )
            cells = ((name, cell.strip()) for name, cell in zip(header, row, strict=False))
            jobs.append(nest_fields((name, cell) for name, cell in cells if cell))
            if len(jobs) > max_jobs:
                raise RequestError(_too_many(f"more than {max_jobs}", max_jobs))
    except csv.Error as err:
        raise RequestError(f"line {reader.line_num}: not valid CSV: {err}") from err
    return jobs


def _header(row: list[str]) -> list[str]:
    header = [cell.strip().lower() for cell in row]
    if "prompt" not in header:
        raise RequestError(
            f"the first line names the fields, one of them prompt, but it reads {', '.join(header)[:200]!r}"
        )
    if "" in header or len(set(header)) < len(header):
        raise RequestError(
            "every heading in the first line names another field; one is empty or stands twice"
        )
    return header
