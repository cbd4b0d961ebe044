"""An engine's `Control` that keeps what it is told, and can cancel."""

from __future__ import annotations

import threading

import numpy as np

from dgx_music.engines.base import CancelledByUserError


class Listener:
    """Cancels once `cancel_at` (take fraction) is passed in the step `generating`."""

    def __init__(self, cancel_at=None):
        self.cancel_at = cancel_at
        self.said = []
        self.models = []
        self.previews = {}
        self.heard = threading.Event()

    def progress(self, take_index, fraction, step):
        self.said.append((take_index, fraction, step))
        if self.cancel_at is not None and step == "generating" and fraction >= self.cancel_at:
            raise CancelledByUserError

    def preview(self, take_index, audio, sample_rate_hz):
        self.previews.setdefault(take_index, []).append(audio)
        self.heard.set()

    def loaded(self, model, seconds):
        self.models.append(model)

    def heard_of(self, take_index):
        return np.concatenate(self.previews[take_index], axis=1)

    def steps_of(self, take_index):
        return [
            fraction for index, fraction, step in self.said if (index, step) == (take_index, "generating")
        ]
