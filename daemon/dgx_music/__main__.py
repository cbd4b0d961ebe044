"""`python -m dgx_music` is the `dgx-music` command."""

from __future__ import annotations

from dgx_music.cli import main

if __name__ == "__main__":
    main()
