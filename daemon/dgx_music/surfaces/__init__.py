"""Ways in: one package a surface, each speaking to the `Door` alone."""

from __future__ import annotations
