"""The `<TempoMap>` element in both formats."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from lxml import etree

from .errors import SessionError
from .superclock import SUPERCLOCKS_PER_SECOND, round_half_up, simplest_tempo
from .tempo_map import MeterChange, TempoChange, TempoMap
from .timeline_text import FileFormat, TempoAnchor, quarters_text, read_quarters
from .xml_file import tag_of

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_NO_RAMP = "Tempo::Constant"
_RAMP = "Tempo::Ramped"


def tempo_map_element(tempo_map: TempoMap, file_format: FileFormat, sample_rate_hz: int) -> Element:
    """The element for a new session file. Every attribute is written: Ardour 7 crashes when some are absent."""
    if file_format is FileFormat.ARDOUR_6:
        return _format_6(tempo_map, sample_rate_hz)
    root = etree.Element("TempoMap", {"superclocks-per-second": str(SUPERCLOCKS_PER_SECOND)})
    tempos = etree.SubElement(root, "Tempos")
    for index, tempo in enumerate(tempo_map.tempos):
        end_bpm = tempo.bpm if tempo.end_bpm is None else tempo.end_bpm
        attributes = {
            "npm": _decimal(tempo.bpm),
            "enpm": _decimal(end_bpm),
            "note-type": str(tempo.note_type),
            "type": _NO_RAMP if tempo.end_bpm is None else _RAMP,
            "active": "1",
            "locked-to-meter": "0",
            "continuing": "0",
            **_place(tempo_map, tempo.quarters),
            "omega": _decimal(_omega(tempo_map, index)),
        }
        etree.SubElement(tempos, "Tempo", attributes)
    meters = etree.SubElement(root, "Meters")
    for meter in tempo_map.meters:
        attributes = {
            "note-value": str(meter.note_value),
            "divisions-per-bar": str(meter.beats_per_bar),
            **_place(tempo_map, tempo_map.quarters_at_bar(meter.bar)),
        }
        etree.SubElement(meters, "Meter", attributes)
    etree.SubElement(root, "MusicTimes")
    return root


def read_tempo_map(element: Element) -> TempoMap:
    """The tempo and meter changes of a session file.

    Bar markers (`MusicTimes`), which restart the count of bars, are not part of a `TempoMap`.

    Raises:
        SessionError: an attribute is absent or makes no sense.
    """
    try:
        if element.find("Tempos") is None:
            return _read_format_6(element)
        tempos = tuple(
            _tempo_change(tempo, "npm", "enpm", read_quarters(tempo))
            for tempo in element.iterfind("Tempos/Tempo")
        )
        meters = tuple(
            MeterChange(
                round(float(meter.get("divisions-per-bar", ""))),
                round(float(meter.get("note-value", ""))),
                int(meter.get("bbt", "").partition("|")[0]),
            )
            for meter in element.iterfind("Meters/Meter")
        )
        return TempoMap(_without_open_ramp(tempos), meters)
    except (ValueError, OverflowError) as error:
        raise SessionError(f"the tempo map makes no sense: {error}", line=element.sourceline) from error


def tempo_anchors(element: Element) -> tuple[TempoAnchor, ...]:
    """Every tempo with both of its positions as the file states them, bar markers included; empty for format 6000."""
    anchors = []
    for holder in (*element.iterfind("Tempos/Tempo"), *element.iterfind("MusicTimes/MusicTime")):
        tempo = holder if holder.tag == "Tempo" else holder.find("Tempo")
        if tempo is None:
            continue
        try:
            superclock = int(holder.get("sclock", ""))
            quarters_per_minute = Fraction(tempo.get("npm", "")) * 4 / int(tempo.get("note-type", "4"))
            length = 60 * superclocks_per_second(element) / quarters_per_minute
            omega = float(tempo.get("omega", "0"))
        except (ValueError, ZeroDivisionError) as error:
            raise SessionError(f"this tempo makes no sense: {error}", line=tempo.sourceline) from error
        anchors.append(TempoAnchor(read_quarters(holder), superclock, length, omega))
    return tuple(sorted(anchors, key=lambda anchor: anchor.quarters))


def superclocks_per_second(element: Element) -> int:
    """The clock that the file counts in; Ardour 7 to 9 all write 282 240 000."""
    text = element.get("superclocks-per-second", str(SUPERCLOCKS_PER_SECOND))
    if not text.isdecimal() or int(text) < 1:
        raise SessionError(f"superclocks-per-second={text!r} is no clock rate", line=element.sourceline)
    return int(text)


def _place(tempo_map: TempoMap, quarters: Fraction) -> dict[str, str]:
    return {
        "sclock": str(round_half_up(tempo_map.superclock_at(quarters))),
        "quarters": quarters_text(quarters),
        "bbt": str(tempo_map.bar_beat_tick_at(quarters)),
    }


def _omega(tempo_map: TempoMap, index: int) -> Fraction:
    """Ardour's growth constant of a ramp, per superclock (see `TempoAnchor`)."""
    # quarters per minute grow by `slope` a quarter, that is exponentially in time with slope / minute.
    return tempo_map.ramp_slope(index) / (60 * SUPERCLOCKS_PER_SECOND)


def _decimal(value: Fraction) -> str:
    """The shortest text that reads as the nearest double, whole numbers without a point."""
    return str(value.numerator) if value.denominator == 1 else repr(float(value))


def _format_6(tempo_map: TempoMap, sample_rate_hz: int) -> Element:
    root = etree.Element("TempoMap")
    # Ardour 7 converts in the order of the file, each change by those before it: they must stand in order of time.
    changes: list[tuple[Fraction, int, str, dict[str, str]]] = []
    for tempo in tempo_map.tempos:
        attributes = {
            "beats-per-minute": _decimal(tempo.bpm),
            "note-type": str(tempo.note_type),
            "clamped": "0",
            "end-beats-per-minute": _decimal(tempo.bpm if tempo.end_bpm is None else tempo.end_bpm),
            "active": "1",
            "locked-to-meter": "1" if tempo.quarters == 0 else "0",
        }
        changes.append((tempo.quarters, 1, "Tempo", attributes))
    beats, previous = 0, tempo_map.meters[0]
    for meter in tempo_map.meters:
        beats += (meter.bar - previous.bar) * previous.beats_per_bar
        previous = meter
        attributes = {
            "bbt": f"{meter.bar}|1|0",
            "beat": str(beats),
            "note-type": str(meter.note_value),
            "divisions-per-bar": str(meter.beats_per_bar),
        }
        changes.append((tempo_map.quarters_at_bar(meter.bar), 0, "Meter", attributes))
    for quarters, _, tag, attributes in sorted(changes, key=lambda change: change[:2]):
        place = {
            "pulse": _decimal(quarters / 4),
            "frame": str(tempo_map.sample_at(quarters, sample_rate_hz)),
            "movable": "0" if quarters == 0 else "1",
            "lock-style": "AudioTime" if quarters == 0 else "MusicTime",
        }
        etree.SubElement(root, tag, place | attributes)
    return root


def _read_format_6(element: Element) -> TempoMap:
    tempos = tuple(
        _tempo_change(
            tempo, "beats-per-minute", "end-beats-per-minute", _on_tick(4 * _number(tempo, "pulse"))
        )
        for tempo in element.iterfind("Tempo")
        if tempo.get("active", "1") == "1"
    )
    meters = tuple(
        MeterChange(
            round(_number(meter, "divisions-per-bar")),
            round(_number(meter, "note-type")),
            int(meter.get("bbt", "").partition("|")[0]),
        )
        for meter in element.iterfind("Meter")
    )
    by_place = tuple(sorted(tempos, key=lambda tempo: tempo.quarters))
    return TempoMap(_without_open_ramp(by_place), tuple(sorted(meters, key=lambda meter: meter.bar)))


def _tempo_change(element: Element, start: str, end: str, quarters: Fraction) -> TempoChange:
    bpm = simplest_tempo(_number(element, start))
    # Ardour 6 writes -1 for "whatever follows" in sessions that it converted; Ardour 7 reads no ramp from it either.
    end_bpm = _number(element, end) if end in element.attrib else bpm
    note_type = round(float(element.get("note-type", "4")))
    return TempoChange(bpm, quarters, note_type, end_bpm if end_bpm > 0 else None)


def _without_open_ramp(tempos: tuple[TempoChange, ...]) -> tuple[TempoChange, ...]:
    """Ardour plays a ramp that nothing follows as a constant tempo."""
    if not tempos or tempos[-1].end_bpm is None:
        return tempos
    last = tempos[-1]
    return (*tempos[:-1], TempoChange(last.bpm, last.quarters, last.note_type))


def _number(element: Element, attribute: str) -> Fraction:
    try:
        return Fraction(element.get(attribute, ""))
    except ValueError:
        raise SessionError(
            f"<{tag_of(element)} {attribute}={element.get(attribute)!r}> should be a number",
            line=element.sourceline,
        ) from None


def _on_tick(quarters: Fraction) -> Fraction:
    return Fraction(round_half_up(quarters * 1920), 1920)
