"""From a request to a score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgx_music.engines.sketch.bass import play_bass
from dgx_music.engines.sketch.brief import Brief, read_brief
from dgx_music.engines.sketch.comping import play_chords, play_pad
from dgx_music.engines.sketch.drums import play_drums
from dgx_music.engines.sketch.harmony import spell_chords
from dgx_music.engines.sketch.lead import play_lead
from dgx_music.engines.sketch.plan import make_plan
from dgx_music.engines.sketch.score import Event, Score

if TYPE_CHECKING:
    from collections.abc import Callable

    from dgx_music.request import GenerationRequest

__all__ = ["compose"]


def compose(
    request: GenerationRequest, seed: int, brief: Brief | None = None, tick: Callable[[], None] = lambda: None
) -> Score:
    """Write a take as a score. The same request and seed give the same score.

    Args:
        request: what is to be made.
        seed: the take's own.
        brief: what the prompt asks, if already read.
        tick: called before each part is written.
    """
    brief = brief or read_brief(request.prompt)
    plan = make_plan(request, brief, seed)
    chords = spell_chords(plan)
    players = {
        "drums": lambda: play_drums(plan),
        "bass": lambda: play_bass(plan, chords),
        "chords": lambda: play_chords(plan, chords),
        "pad": lambda: play_pad(plan, chords),
        "lead": lambda: play_lead(plan, chords),
    }
    events: list[Event] = []
    for part in brief.parts:
        tick()
        events += [event for event in players[part]() if event.onset < plan.length_quarters]
    return Score(
        genre=brief.genre.name,
        bpm=plan.bpm,
        timeline=plan.timeline,
        meter=plan.meter,
        key=plan.key,
        bars=len(plan.bars),
        length_quarters=plan.length_quarters,
        loop=plan.loop,
        closes=plan.closes,
        chords=chords,
        events=tuple(sorted(events, key=lambda event: (event.onset, event.part, event.pitch))),
        instruments=brief.patches,
    )
