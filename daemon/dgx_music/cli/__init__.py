"""The `dgx-music` command. Each command's work lies in a module of its own, imported when it runs."""

from __future__ import annotations

from dgx_music.cli.app import main

__all__ = ["main"]
