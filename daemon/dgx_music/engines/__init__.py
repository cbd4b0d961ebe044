"""Makers of audio; each runs in a worker process behind one Protocol (`base`)."""

from __future__ import annotations
