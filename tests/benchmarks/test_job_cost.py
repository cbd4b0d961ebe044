"""What a job of the sketch engine costs once its worker is warm, and where the time goes; printed, never judged."""

from __future__ import annotations

import json
import statistics
import time

import pytest

from support.daemon import OscSender, installation

pytestmark = pytest.mark.benchmark

JOBS = 6
DURATION_S = 16


def test_seconds_for_a_sketch_of_sixteen_seconds(tmp_path, tmp_path_factory, capsys):
    environ = {"NUMBA_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "numba")}
    with installation(tmp_path / "home", environ) as here:
        here.start()
        with OscSender(here.osc) as sender:

            def one(number):
                began_s = time.monotonic()
                fields = {"prompt": "dusty lo-fi drums and rhodes, 84 bpm, A minor", "duration": DURATION_S}
                sender.send("/dgx/generate", json.dumps({**fields, "engine": "sketch", "seed": number}))
                sender.until("/dgx/done", 300)
                return time.monotonic() - began_s

            cold_s = one(0)
            whole = [one(number + 1) for number in range(JOBS)]
        split = here.query(
            "SELECT generation_s, finishing_s FROM takes JOIN jobs ON jobs.id = job_id ORDER BY seq"
        )[1:]
    generation_s = statistics.median(row[0] for row in split)
    finishing_s = statistics.median(row[1] for row in split)
    rest_s = statistics.median(
        all_of_it - generation - finishing
        for all_of_it, (generation, finishing) in zip(whole, split, strict=True)
    )
    with capsys.disabled():
        print(
            f"\na sketch of {DURATION_S} s, from request to /dgx/done (median of {JOBS}):"
            f" {statistics.median(whole):.2f} s\n"
            f"  generation {generation_s:.2f} s, finishing {finishing_s:.2f} s, the rest {rest_s:.3f} s"
            f" (staging, queue, publishing)\n"
            f"  {DURATION_S / statistics.median(whole):.1f} seconds of music a second; the first job took"
            f" {cold_s:.2f} s"
        )
