"""Thousands of prompts at once: each is done once, none is lost, and the daemon does not grow."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from support.daemon import OscSender

pytestmark = pytest.mark.slow

FILES = 2_000
REQUESTS = 1_000
"""Distinct ones; each is sent twice at the least."""
NOISE = {"engine": "test-noise", "duration": 0.5}


class Memory:
    """Samples a process's resident memory, in MiB, until stopped."""

    def __init__(self, pid, done):
        self._status = Path(f"/proc/{pid}/status")
        self._done = done
        self._stop = threading.Event()
        self.samples = [(0, self.now())]
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def now(self):
        return int(re.search(r"VmRSS:\s+(\d+) kB", self._status.read_text())[1]) / 1024

    def _watch(self):
        while not self._stop.wait(0.5):
            self.samples.append((self._done(), self.now()))

    def stop(self):
        self._stop.set()
        self._thread.join()
        self.samples.append((self._done(), self.now()))

    def growth_per_1000_jobs(self):
        """Slope of memory over completed jobs, by least squares over the second half of the run."""
        half = [sample for sample in self.samples if sample[0] >= self.samples[-1][0] / 2]
        mean_jobs = sum(jobs for jobs, _ in half) / len(half)
        mean_mib = sum(mib for _, mib in half) / len(half)
        spread = sum((jobs - mean_jobs) ** 2 for jobs, _ in half)
        return 1000 * sum((jobs - mean_jobs) * (mib - mean_mib) for jobs, mib in half) / spread


def send_until_accepted(sender, requests):
    """Send every request twice, then again whatever is not answered, as a sane client does; return the answers."""
    waiting = dict(requests)
    answers = {request_id: Counter() for request_id in requests}
    rounds = 0
    while waiting:
        rounds += 1
        assert rounds < 60, f"{len(waiting)} requests were never accepted"
        for text in waiting.values():
            for _ in range(2):
                sender.send("/dgx/generate", text)
        while (heard := sender.receive(1.0)) is not None:
            if heard[0] == "/dgx/accepted":
                answers[heard[1]][heard[2]] += 1
                waiting.pop(heard[1], None)
    return answers, rounds


def test_a_burst_is_accounted_for_to_the_last_prompt_and_memory_stays_flat(running, capsys):
    here = running

    def completed():
        return here.states().get("completed", 0)

    memory = Memory(here.daemon.pid, completed)
    began_s = time.monotonic()
    for number in range(FILES):
        (here.inbox / f"file {number}.json").write_text(json.dumps({"prompt": f"file {number}", **NOISE}))
    requests = {
        f"burst-{number}": json.dumps({"prompt": f"osc {number}", "request_id": f"burst-{number}", **NOISE})
        for number in range(REQUESTS)
    }
    with OscSender(here.osc) as sender:
        answers, rounds = send_until_accepted(sender, requests)
    accepted_s = time.monotonic() - began_s
    done = here.inbox / "done"
    here.await_(lambda: completed() == FILES + REQUESTS, 900)
    here.await_(lambda: len(list(done.glob("*.receipt.json"))) == FILES, 60)
    here.await_(lambda: not any((here.inbox / "processing").iterdir()), 60)
    took_s = time.monotonic() - began_s
    memory.stop()

    # OSC: one job for each request, whichever of its copies was heard.
    assert here.states() == {"completed": FILES + REQUESTS}
    stored = dict(here.query("SELECT request_id, id FROM jobs WHERE source_surface = 'osc'"))
    assert {request_id: set(told) for request_id, told in answers.items()} == {
        request_id: {stored[request_id]} for request_id in requests
    }
    # Drop folder: every file in done/ with its receipt, and nowhere else; one job each.
    names = {f"file {number}.json" for number in range(FILES)}
    assert {path.name for path in done.iterdir()} == names | {f"{name}.receipt.json" for name in names}
    assert {path.name for path in here.inbox.iterdir()} == {"done", "failed", "processing"}
    assert list((here.inbox / "failed").iterdir()) == []
    receipts = [json.loads(path.read_text()) for path in done.glob("*.receipt.json")]
    named = {receipt["file"]: receipt["jobs"][0]["job_id"] for receipt in receipts}
    stored = {
        f"{prompt}.json": job_id
        for prompt, job_id in here.query("SELECT req_prompt, id FROM jobs WHERE source_surface = 'drop'")
    }
    assert named == stored
    assert stored.keys() == names
    # The library: one file for each job.
    finals = [final for (final,) in here.query("SELECT final FROM files")]
    assert len(finals) == FILES + REQUESTS
    assert here.library_files() == sorted(finals)
    assert here.query("SELECT count(DISTINCT job_id) FROM takes") == [(FILES + REQUESTS,)]

    before, peak = memory.samples[0][1], max(mib for _, mib in memory.samples)
    with capsys.disabled():
        print(
            f"\n{FILES} files and {REQUESTS} requests (in {rounds} rounds of two copies) accepted in"
            f" {accepted_s:.1f} s, completed in {took_s:.1f} s; memory {before:.1f} MiB before, {peak:.1f} at most,"
            f" {memory.samples[-1][1]:.1f} after, {memory.growth_per_1000_jobs():+.2f} MiB a thousand jobs"
        )
    assert peak < 150
    assert peak - before < 60


def test_a_burst_on_a_paused_queue_survives_a_kill_in_its_middle(running):
    """Here nothing completes: what counts is what was stored, and in whose name, when the daemon dies."""
    here = running
    here.run("pause")
    for number in range(300):
        (here.inbox / f"file {number}.json").write_text(json.dumps({"prompt": f"file {number}", **NOISE}))
    here.await_(lambda: here.query("SELECT count(*) FROM jobs")[0][0] > 20)
    here.stop(9)
    here.start()
    here.await_(lambda: here.query("SELECT count(*) FROM jobs")[0][0] == 300)
    prompts = here.query("SELECT req_prompt FROM jobs")
    assert {prompt for (prompt,) in prompts} == {f"file {number}" for number in range(300)}
    claimed = [path.name for path in (here.inbox / "processing").glob("*/*")]
    assert sorted(claimed) == sorted(f"file {number}.json" for number in range(300))
    assert [path.name for path in here.inbox.iterdir() if path.is_file()] == []
