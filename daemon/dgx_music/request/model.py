"""`GenerationRequest`: the one model that every surface fills in, with every field, default and bound.

Tempo counts quarter notes a minute. A length is `duration` (seconds), `bars` (needs a tempo, or a tempo map) or
`samples` (at `sample_rate`); lengths in bars are exact rational arithmetic (glides of the tempo: thirty digits), rounded
once, at the end.
"""

from __future__ import annotations

import math
import re
import secrets
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from dgx_music.errors import RequestError
from dgx_music.request.excerpt import AudioExcerpt  # noqa: TC001 - pydantic reads the annotations
from dgx_music.request.explain import explain
from dgx_music.request.music import Key, Meter, canonical_meter, exact_fraction
from dgx_music.request.prompt import read_prompt
from dgx_music.request.structured import from_json_text
from dgx_music.request.target import SessionTarget  # noqa: TC001
from dgx_music.request.tempo_map import MAX_POINTS, TempoPoint, Timeline, check_points, start_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX_DURATION_S", "GenerationRequest"]

MAX_DURATION_S = 600
DEFAULT_DURATION_S = 16.0
NAMED_LOUDNESS_LUFS: dict[str, float | None] = {"ebu-r128": -23.0, "streaming": -14.0, "none": None}
"""Targets by name: EBU R 128 (2023) for broadcast, the streaming services' usual −14, or no change."""
SAMPLE_RATES_HZ = (32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000)
_MAX_SEED = 2**63 - 1
_SAME_TEMPO = 1e-3
"""How far bpm may be from the tempo that the map starts with, as a share."""
_UNSHOWABLE = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _canonical_key(value: object) -> object:
    return str(Key.parse(value)) if isinstance(value, str) else value


def _one_line(value: object) -> object:
    """Take out what cannot be shown, nor stand in XML: control characters, lone surrogates, non-characters."""
    return " ".join(_UNSHOWABLE.sub(" ", value).split()) if isinstance(value, str) else value


def _loudness(value: object) -> object:
    if isinstance(value, str):
        name = value.strip().lower()
        if name in NAMED_LOUDNESS_LUFS:
            return name
        try:
            value = float(name.removesuffix("lufs").strip())
        except ValueError:
            raise ValueError(
                f"{value!r} is no loudness target; give LUFS such as -16, or one of {', '.join(NAMED_LOUDNESS_LUFS)}"
            ) from None
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not -40 <= value <= -6:
            raise ValueError(f"{value} LUFS is outside −40 to −6; −16 is the default, −23 is EBU R 128")
        return float(value)
    return value


def _bit_depth(value: object) -> object:
    return (
        {"float": 32, "32f": 32, "16": 16, "24": 24, "32": 32}.get(value.lower(), value)
        if isinstance(value, str)
        else value
    )


def _sample_rate(value: int) -> int:
    if value not in SAMPLE_RATES_HZ:
        raise ValueError(f"{value} Hz is not offered; choose one of {', '.join(map(str, SAMPLE_RATES_HZ))}")
    return value


class GenerationRequest(BaseModel):
    """What is to be made. Immutable; made by `from_fields`, which also reads the prompt's own words."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    prompt: Annotated[str, BeforeValidator(_one_line)] = Field(
        min_length=1,
        max_length=2000,
        description="what the music should be; MusicGen is unguided without one",
    )
    duration: float | None = Field(None, ge=0.5, le=MAX_DURATION_S, description="length in seconds")
    bars: int | None = Field(
        None, ge=1, le=512, description="length in bars, exact to the sample; needs bpm or tempo_map"
    )
    samples: int | None = Field(
        None, ge=1, le=MAX_DURATION_S * 192_000, description="exact length in samples at sample_rate"
    )
    bpm: float | None = Field(None, ge=20, le=400, description="tempo in quarter notes a minute")
    meter: Annotated[str | None, BeforeValidator(canonical_meter)] = Field(
        None, description="time signature, such as 4/4 or 7/8"
    )
    tempo_map: Annotated[
        tuple[TempoPoint, ...] | None, BeforeValidator(from_json_text), AfterValidator(check_points)
    ] = Field(
        None,
        max_length=MAX_POINTS,
        description="the session's tempo and meter over the take, as a list of points",
    )
    key: Annotated[str | None, BeforeValidator(_canonical_key)] = Field(
        None, description="tonic and mode, such as C# minor"
    )
    loop: bool = Field(default=False, description="the end runs into the beginning")
    takes: int = Field(1, ge=1, le=16, description="how many takes, made as one batch")
    seed: int = Field(
        default_factory=lambda: secrets.randbits(62),
        ge=0,
        le=_MAX_SEED,
        description="take k (from 0) uses seed + k",
    )
    engine: str = Field(
        "auto", min_length=1, max_length=64, description="auto, or an installed engine's name"
    )
    model: str = Field(
        "auto", min_length=1, max_length=4096, description="auto, a model's name or a local path"
    )
    temperature: float = Field(1.0, ge=0.1, le=2.0, description="sampling temperature")
    top_k: int = Field(250, ge=0, le=500, description="sample from the k likeliest tokens; 0 means all")
    top_p: float = Field(0.0, ge=0.0, le=1.0, description="nucleus sampling; 0 means off")
    cfg_coef: float = Field(3.0, ge=1.0, le=10.0, description="classifier-free guidance; 1 means unguided")
    continue_from: AudioExcerpt | None = Field(None, description="audio that the take goes on from")
    melody: AudioExcerpt | None = Field(None, description="audio whose melody the take follows")
    loudness: Annotated[float | Literal["ebu-r128", "streaming", "none"], BeforeValidator(_loudness)] = Field(
        -16.0, description="integrated loudness in LUFS, or ebu-r128, streaming, none"
    )
    sample_rate: Annotated[int, AfterValidator(_sample_rate)] = Field(48_000, description="sample rate in Hz")
    bit_depth: Annotated[Literal[16, 24, 32], BeforeValidator(_bit_depth)] = Field(
        24, description="16, 24, or 32 for float"
    )
    session: SessionTarget | None = Field(None, description="where the takes land in a running Ardour")
    make_session: bool = Field(
        default=False, description="also write an Ardour session with the takes in place"
    )
    request_id: str | None = Field(
        None, min_length=1, max_length=200, description="the sender's own id; sent twice, done once"
    )
    priority: int = Field(0, ge=-10, le=10, description="higher goes first")

    @classmethod
    def from_fields(
        cls, fields: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
    ) -> GenerationRequest:
        """Build a request from a surface's fields; what the prompt says fills in what no field says.

        Args:
            fields: names and values as they came in; an unknown name is refused.
            defaults: the configuration's own values for fields that are not given.

        Raises:
            RequestError: with one teaching sentence for each problem.
        """
        given = {name: value for name, value in fields.items() if value is not None}
        filled = {**(defaults or {}), **given}
        for name, value in start_of(filled.get("tempo_map")).items():
            filled.setdefault(name, value)
        prompt = filled.get("prompt")
        if isinstance(prompt, str):
            facts = read_prompt(prompt)
            if facts.bpm is not None:
                filled.setdefault("bpm", facts.bpm)
            if facts.meter:
                filled.setdefault("meter", str(facts.meter))
            if facts.key:
                filled.setdefault("key", str(facts.key))
            if facts.bars and "bpm" in filled and not {"duration", "bars", "samples"} & filled.keys():
                filled["bars"] = facts.bars
        if not {"duration", "bars", "samples"} & filled.keys():
            filled["duration"] = DEFAULT_DURATION_S
        try:
            return cls.model_validate(filled)
        except ValidationError as err:
            raise RequestError(explain(err, cls)) from err

    @model_validator(mode="after")
    def _check_together(self) -> GenerationRequest:
        lengths = [name for name in ("duration", "bars", "samples") if getattr(self, name) is not None]
        if len(lengths) > 1:
            raise ValueError(
                f"{' and '.join(lengths)} are both given; a length is one of duration, bars, samples"
            )
        if self.bars is not None and self.bpm is None and self.tempo_map is None:
            raise ValueError("bars needs a tempo: give bpm, or write it in the prompt ('84 bpm')")
        self._check_tempo_map()
        if self.length_exact_s > MAX_DURATION_S:
            raise ValueError(
                f"the length comes to {float(self.length_exact_s):.1f} s; the longest take is {MAX_DURATION_S} s"
            )
        if self.seed + self.takes - 1 > _MAX_SEED:
            raise ValueError(
                f"seed {self.seed} leaves no room for {self.takes} takes below 2^63; choose a smaller one"
            )
        return self

    def _check_tempo_map(self) -> None:
        start = start_of(self.tempo_map)
        bpm, meter = start.get("bpm"), start.get("meter")
        if bpm is not None and self.bpm is not None and abs(self.bpm / bpm - 1) > _SAME_TEMPO:
            raise ValueError(
                f"bpm {self.bpm:g} and tempo_map, which starts at {bpm:g}, say two things; leave bpm out"
            )
        if meter is not None and self.meter not in (None, meter):
            raise ValueError(
                f"meter {self.meter} and tempo_map, which starts in {meter}, say two things; leave meter out"
            )

    @property
    def time_signature(self) -> Meter:
        """The meter, 4/4 where none was asked for."""
        return Meter.parse(self.meter) if self.meter else Meter(4, 4)

    @cached_property
    def timeline(self) -> Timeline | None:
        """The take's time on the session's tempo map; `None` where there is no map."""
        if self.tempo_map is None:
            return None
        if self.bars is not None:
            return Timeline.of_bars(self.tempo_map, self.sample_rate, self.time_signature, self.bars)
        return Timeline.of_seconds(
            self.tempo_map, self.sample_rate, self.time_signature, self._length_without_tempo_s
        )

    @property
    def _length_without_tempo_s(self) -> Fraction:
        if self.samples is not None:
            return Fraction(self.samples, self.sample_rate)
        return exact_fraction(self.duration if self.duration is not None else DEFAULT_DURATION_S)

    @property
    def length_exact_s(self) -> Fraction:
        """The length in seconds, exact: bars on the tempo map or at the tempo, or samples over rate, or seconds."""
        if self.bars is not None and self.timeline is not None:
            return self.timeline.length_s
        if self.bars is not None and self.bpm is not None:
            return self.bars * self.time_signature.quarters_per_bar * 60 / exact_fraction(self.bpm)
        return self._length_without_tempo_s

    @property
    def length_samples(self) -> int:
        """The length in samples at `sample_rate`, rounded half up once."""
        return max(1, math.floor(self.length_exact_s * self.sample_rate + Fraction(1, 2)))

    @property
    def loudness_target_lufs(self) -> float | None:
        """The target as a number; `None` leaves the level alone."""
        return NAMED_LOUDNESS_LUFS[self.loudness] if isinstance(self.loudness, str) else self.loudness
