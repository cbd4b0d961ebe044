"""`dgx-music daemon`."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from dgx_music.app import run_daemon
from dgx_music.log import set_up_logging

if TYPE_CHECKING:
    from dgx_music.cli.context import Cli

__all__ = ["run"]


def run(cli: Cli) -> None:
    """Run the daemon in the foreground."""
    set_up_logging(cli.config.log_level, os.environ)
    asyncio.run(run_daemon(cli.config, cli.paths))
