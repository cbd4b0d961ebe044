"""DGX Music: prompts in, finished takes and Ardour sessions out."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
