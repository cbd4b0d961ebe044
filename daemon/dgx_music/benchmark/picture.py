"""The benchmark's figures as a picture: SVG, the speed of everything that was measured, and real time as a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lxml import etree

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["picture"]

_WIDTH = 900
_ROW = 26
_LEFT = 290
_RIGHT = 90
_TOP = 70
_COLOURS = {"musicgen": "#2a6f97", "audiocraft": "#b08968", "transformers": "#8d99ae"}


def picture(data: dict[str, Any]) -> bytes:
    """Return the picture of `run`'s data, an SVG document."""
    rows = [each for each in data["results"] if each["kind"] == "steps" and not each["skipped"]]
    height = _TOP + _ROW * len(rows) + 30
    svg = etree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_WIDTH} {height}",
            "width": str(_WIDTH),
            "height": str(height),
            "font-family": "sans-serif",
            "font-size": "13",
        },
    )
    etree.SubElement(svg, "rect", width="100%", height="100%", fill="#ffffff")
    _text(svg, 16, 26, "Audio seconds per second, all takes of the batch together", size="16")
    _text(svg, 16, 46, str(data["machine"]["processor"]), fill="#555555")
    top = max([each["median"]["audio_s_s"] for each in rows], default=1.0)
    scale = (_WIDTH - _LEFT - _RIGHT) / max(top, 1.0)
    for number, each in enumerate(rows):
        y = _TOP + _ROW * number
        value = each["median"]["audio_s_s"]
        _text(svg, _LEFT - 8, y + 15, each["name"], anchor="end")
        etree.SubElement(
            svg,
            "rect",
            x=str(_LEFT),
            y=str(y + 3),
            width=f"{max(1.0, value * scale):.1f}",
            height=str(_ROW - 8),
            fill=_COLOURS[each["engine"]],
        )
        label = f"{value:.2f}"
        _text(svg, _LEFT + value * scale + 6, y + 15, label)
    x = f"{_LEFT + scale:.1f}"
    etree.SubElement(
        svg,
        "line",
        {
            "x1": x,
            "x2": x,
            "y1": str(_TOP - 6),
            "y2": str(height - 24),
            "stroke": "#c1121f",
            "stroke-dasharray": "4 3",
        },
    )
    _text(svg, _LEFT + scale + 4, height - 10, "real time", fill="#c1121f")
    document: bytes = etree.tostring(svg, xml_declaration=True, encoding="utf-8", pretty_print=True)
    return document


def _text(
    svg: _Element,
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    size: str = "13",
    fill: str = "#222222",
) -> None:
    element = etree.SubElement(
        svg,
        "text",
        {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor, "font-size": size, "fill": fill},
    )
    element.text = text
