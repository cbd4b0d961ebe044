"""What every command needs: paths, configuration, and one way to print results and errors."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from dgx_music.config import load_config
from dgx_music.errors import DgxMusicError, RequestError, StoreError
from dgx_music.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dgx_music.config import Config
    from dgx_music.instance import RunningDaemon
    from dgx_music.jobs.store import Store

__all__ = ["Cli"]


@dataclass(frozen=True)
class Cli:
    """One command's surroundings; `as_json` is its `--json`."""

    as_json: bool

    @cached_property
    def paths(self) -> Paths:
        """Where everything lies."""
        return Paths.find(os.environ)

    @cached_property
    def config(self) -> Config:
        """The configuration of this installation."""
        return load_config(self.paths.config_file, os.environ)

    @property
    def library(self) -> Path:
        """The root of the finished takes."""
        return self.config.library.path or self.paths.library

    def running(self) -> RunningDaemon | None:
        """Return the running daemon, or `None`; a command that works in place doesn't count."""
        from dgx_music.instance import find_running  # noqa: PLC0415

        holder = find_running(self.paths)
        return holder if holder is not None and holder.role == "daemon" and holder.osc_port else None

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the job store for a look, or for a change that needs no daemon.

        Raises:
            StoreError: there is no database yet, or it cannot be used.
        """
        from dgx_music.jobs.store import Store  # noqa: PLC0415 - half a second

        if not self.paths.database.exists():
            raise StoreError(f"there are no jobs yet: {self.paths.database} does not exist")
        store = Store(self.paths.database)
        try:
            yield store
        finally:
            store.close()

    def show(self, data: object, text: str) -> None:
        """Print a result: as JSON where asked for, else as text."""
        print(json.dumps(data, indent=2, ensure_ascii=False) if self.as_json else text)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn our errors into one message on standard error (or JSON) and the exit code that fits."""
        try:
            yield
        except DgxMusicError as err:
            self.fail(err)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Whoever read our output has gone; point it elsewhere so that Python's own flush stays quiet.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except OSError as err:
            self.fail(DgxMusicError(f"{err.filename or 'the system'}: {err.strerror or err}"))

    def fail(self, err: DgxMusicError) -> NoReturn:
        """Print an error and leave."""
        problems = err.problems if isinstance(err, RequestError) else [str(err)]
        if self.as_json:
            failure: dict[str, Any] = {"error": {"code": err.code, "message": str(err), "problems": problems}}
            print(json.dumps(failure, indent=2, ensure_ascii=False))
        else:
            for problem in problems:
                print(f"dgx-music: {problem}", file=sys.stderr)
        raise typer.Exit(err.exit_code)
