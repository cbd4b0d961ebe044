"""Runs all checks in order; one that breaks is a finding of its own, and the rest goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgx_music.doctor import ardour, daemon, deliveries, engines, gpu, installation, musicgen, storage, system
from dgx_music.doctor.check import Check, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dgx_music.doctor.check import Surroundings

__all__ = ["CHECKS", "run_checks"]

CHECKS: tuple[Callable[[Surroundings], Iterable[Check]], ...] = (
    system.python,
    system.packages,
    system.text_encoding,
    storage.configuration,
    storage.database,
    storage.folders,
    storage.disk,
    system.file_watches,
    daemon.daemon,
    daemon.worker,
    engines.engines,
    engines.instruments,
    musicgen.packages,
    musicgen.weights,
    gpu.gpu,
    installation.ardour,
    installation.assets,
    ardour.registration,
    ardour.preferences,
    deliveries.spool,
    deliveries.deliveries,
    installation.unit,
)


def run_checks(
    surroundings: Surroundings, checks: Sequence[Callable[[Surroundings], Iterable[Check]]] = CHECKS
) -> list[Check]:
    """Run checks and return all that they found, in order."""
    found: list[Check] = []
    for check in checks:
        name = check.__name__.replace("_", " ")
        try:
            found += check(surroundings)
        except Exception as err:  # noqa: BLE001 - whatever is broken, the other checks still help
            found.append(
                problem(
                    name,
                    f"the check itself failed: {type(err).__name__}: {err}",
                    "install DGX Music again; if that does not help, report this line",
                )
            )
    return found
