"""Build from the command line: `python -m support.musicgen_checkpoints FOLDER SHAPE [FORMAT] [SEED]`."""

import sys
from pathlib import Path

from support.musicgen_checkpoints import build

folder, shape, *rest = sys.argv[1:]
build(Path(folder), shape, format=rest[0] if rest else "hub", seed=int(rest[1]) if len(rest) > 1 else 0)
