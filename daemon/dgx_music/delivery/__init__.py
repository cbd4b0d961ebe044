"""Brings finished takes to whoever asked."""

from __future__ import annotations
