"""The benchmark's figures as a table to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["table"]


def table(data: dict[str, Any]) -> str:
    """Return the report of `run`'s data, some ninety columns wide."""
    return "\n".join(_lines(data))


def _lines(data: dict[str, Any]) -> Iterator[str]:
    machine, results = data["machine"], data["results"]
    read_gb_s = _figure(results, "bandwidth", "read_gb_s")
    yield (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']:g} GB, {machine['system']}, "
        f"Python {machine['python']}"
    )
    yield ", ".join(f"{name} {version or '–'}" for name, version in machine["packages"].items())
    for each in results:
        if each["kind"] == "bandwidth" and read_gb_s:
            yield f"memory reads at {read_gb_s:.1f} GB/s ({each['rounds'][0]['device']})"
    yield ""
    yield f"{'decoding':<40}{'ms a step':>10}{'steps/s':>9}{'audio s/s':>11}{'of bandwidth':>14}{'peak MB':>9}"
    for each in _of(results, "steps"):
        yield _row(each, read_gb_s)
    yield ""
    yield f"{'prompt to waveform, warm':<40}{'s':>10}{'× real time':>13}{'first second s':>15}{'target':>12}"
    for each in _of(results, "take"):
        yield _take(each)
    yield ""
    yield f"{'what precision costs':<40}{'KL':>10}{'top 1':>9}{'top 10':>9}{'cosine':>10}"
    for each in _of(results, "precision"):
        figures = each["median"]
        if each["skipped"]:
            yield f"{each['name']:<40}  {each['skipped']}"
        else:
            yield (
                f"{each['name']:<40}{figures['kl']:>10.5f}{figures['top1']:>9.3f}{figures['top10']:>9.3f}"
                f"{figures['cosine']:>10.6f}"
            )


def _row(each: dict[str, Any], read_gb_s: float | None) -> str:
    if each["skipped"]:
        return f"{each['name']:<40}  {each['skipped']}"
    figures = each["median"]
    share = ""
    if read_gb_s and "read_gb" in figures:
        # The least time in which the weights and the cache can be read, against the time of the step.
        share = f"{figures['read_gb'] / read_gb_s / (figures['ms'] / 1000):.0%}"
    return (
        f"{each['name']:<40}{figures['ms']:>10.1f}{figures['steps_s']:>9.1f}{figures['audio_s_s']:>11.2f}"
        f"{share:>14}{figures['peak_mb']:>9.0f}"
    )


def _take(each: dict[str, Any]) -> str:
    if each["skipped"]:
        return f"{each['name']:<40}  {each['skipped']}"
    figures = each["median"]
    heard = f"{figures['first_second_s']:.2f}" if "first_second_s" in figures else "–"
    target = ""
    if each["target_s"]:
        target = f"{each['target_s']:g} s {'met' if figures['s'] <= each['target_s'] else 'missed'}"
    return f"{each['name']:<40}{figures['s']:>10.1f}{figures['real_time']:>13.2f}{heard:>15}{target:>12}"


def _of(results: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in results if each["kind"] == kind]


def _figure(results: list[dict[str, Any]], kind: str, name: str) -> float | None:
    for each in _of(results, kind):
        value = each["median"].get(name)
        if value is not None:
            return float(value)
    return None
