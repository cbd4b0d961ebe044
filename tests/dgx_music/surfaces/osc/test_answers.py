"""What the daemon answers, to whom, and in which order."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dgx_music.jobs import Source, TakePreview
from support.memory_door import MemoryDoor
from support.osc_peer import LIBRARY, Peer, Scene, bundle, message, osc_scene


def run(scenario: Any, **config: Any) -> None:
    async def main() -> None:
        async with osc_scene(**config) as scene:
            await scenario(scene)

    asyncio.run(main())


def generate(**fields: Any) -> bytes:
    return message("/dgx/generate", "s", json.dumps({"prompt": "dusty drums", **fields}))


async def accepted(peer: Peer) -> str:
    answer = await peer.receive()
    assert answer[0] == "/dgx/accepted", answer
    job_id: str = answer[2]
    return job_id


def test_a_request_is_accepted_followed_and_done() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(generate(request_id="mine", takes=2))
        address, request_id, job_id, place, eta_s, engine = await scene.peer.receive()
        assert (address, request_id, place, eta_s, engine) == ("/dgx/accepted", "mine", 0, 1.5, "sketch")
        assert scene.door.jobs[job_id].source == Source("osc", f"127.0.0.1:{scene.peer.port}")
        scene.door.progress(job_id, 0.5)
        assert await scene.peer.receive() == ("/dgx/progress", job_id, 0.5, "generating")
        scene.door.complete(job_id)
        for take in range(2):
            path = str(LIBRARY / f"2026/11/22/take_{take}.wav")
            assert await scene.peer.receive() == ("/dgx/done", job_id, take, path, "sketch", 2)

    run(scenario)


def test_a_prompt_of_twenty_thousand_characters_arrives_whole() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(generate(prompt="dusty" + " " * 20_000 + "drums"))
        job_id = await accepted(scene.peer)
        assert scene.door.jobs[job_id].request.prompt == "dusty drums"
        scene.peer.send(message("/dgx/generate", "s", "x" * 60_000))
        answer = await scene.peer.receive()
        assert answer[:2] == ("/dgx/error", "bad_request")
        assert "prompt" in answer[2]

    run(scenario)


def test_progress_comes_at_most_ten_times_a_second_and_the_last_one_always() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(generate())
        job_id = await accepted(scene.peer)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for step in range(1, 101):
            scene.door.progress(job_id, step / 100)
            await asyncio.sleep(0.003)
        ended = loop.time()
        scene.door.complete(job_id)
        answers = await scene.peer.receive_until("/dgx/done")
        fractions = [answer[2] for answer in answers[:-1]]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0
        assert len(fractions) <= (ended - begun) / 0.1 + 2

    run(scenario)


def test_previews_are_told_at_once_to_everybody_who_follows_and_hold_no_progress_back() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(generate(request_id="mine"))
        job_id = await accepted(scene.peer)
        other = scene.another_peer()
        other.send(generate(request_id="mine"))
        await accepted(other)
        scene.door.preview(job_id, TakePreview(1, "/state/previews/x/take2.wav", 0.5))
        scene.door.preview(job_id, TakePreview(1, "/state/previews/x/take2.wav", 1.25))
        for peer in (scene.peer, other):
            for seconds in (0.5, 1.25):
                told = ("/dgx/preview", job_id, 1, "/state/previews/x/take2.wav", seconds)
                assert await peer.receive() == told
        scene.door.progress(job_id, 0.5)
        assert (await scene.peer.receive())[:2] == ("/dgx/progress", job_id)
        other.socket.close()

    run(scenario)


def test_held_back_progress_is_sent_though_nothing_follows_it() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(generate())
        job_id = await accepted(scene.peer)
        scene.door.progress(job_id, 0.25)
        scene.door.progress(job_id, 0.5)
        assert (await scene.peer.receive())[2] == 0.25
        assert (await scene.peer.receive())[2] == 0.5

    run(scenario)


def test_a_failed_job_says_why() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(generate())
        job_id = await accepted(scene.peer)
        scene.door.fail(job_id, "engine", "the model ran out of memory")
        assert await scene.peer.receive() == ("/dgx/failed", job_id, "engine", "the model ran out of memory")

    run(scenario)


def test_answers_go_to_the_reply_port() -> None:
    async def scenario(scene: Scene) -> None:
        other = scene.another_peer()
        scene.peer.send(generate(reply_port=other.port))
        job_id = await accepted(other)
        scene.door.complete(job_id)
        assert (await other.receive())[0] == "/dgx/done"
        scene.peer.send(generate(reply_port=other.port, bars=0))
        assert (await other.receive())[0] == "/dgx/error"
        assert await scene.peer.nothing_more()
        other.socket.close()

    run(scenario)


def test_sent_twice_is_done_once_and_answered_twice() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(generate(request_id="once"))
        scene.peer.send(generate(request_id="once"))
        assert await accepted(scene.peer) == await accepted(scene.peer)
        assert len(scene.door.jobs) == 1

    run(scenario)


def test_a_repeat_after_the_end_brings_the_outcome_again() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(generate(request_id="once"))
        job_id = await accepted(scene.peer)
        scene.door.complete(job_id)
        assert (await scene.peer.receive())[0] == "/dgx/done"
        scene.peer.send(generate(request_id="once"))
        assert await accepted(scene.peer) == job_id
        assert (await scene.peer.receive())[:2] == ("/dgx/done", job_id)

    run(scenario)


def test_a_repeat_from_another_port_brings_the_outcome_to_both() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(generate(request_id="once"))
        job_id = await accepted(scene.peer)
        other = scene.another_peer()
        other.send(generate(request_id="once"))
        assert await accepted(other) == job_id
        scene.door.complete(job_id)
        assert (await scene.peer.receive())[0] == "/dgx/done"
        assert (await other.receive())[0] == "/dgx/done"
        other.socket.close()

    run(scenario)


def test_the_sender_hears_of_its_job_from_a_daemon_that_was_restarted() -> None:
    async def main() -> None:
        door = MemoryDoor()
        async with osc_scene(door) as scene:
            patient = Peer(scene.surface.address)
            patient.send(generate())
            job_id = await accepted(patient)
        assert door.listeners == 0
        async with osc_scene(door):
            door.complete(job_id)
            assert (await patient.receive())[:2] == ("/dgx/done", job_id)
        patient.socket.close()

    asyncio.run(main())


def test_a_sender_that_has_gone_harms_nobody() -> None:
    async def scenario(scene: Scene) -> None:
        gone = scene.another_peer()
        gone.send(generate())
        job_id = await accepted(gone)
        gone.socket.close()
        for step in range(5):
            scene.door.progress(job_id, step / 5)
        scene.door.complete(job_id)
        assert await scene.peer.nothing_more()

    run(scenario)


def test_an_unanswerable_source_is_passed_over() -> None:
    async def scenario(scene: Scene) -> None:
        for ref in ("", "nonsense", "127.0.0.1:0", "127.0.0.1:99999", "host name:7", "::1:9"):
            job = (await scene.door.submit({"prompt": "drums"}, Source("osc", ref))).job_id
            scene.door.complete(job)
        assert await scene.peer.nothing_more()

    run(scenario)


def test_other_surfaces_jobs_are_nobodys_business_here() -> None:
    async def scenario(scene: Scene) -> None:
        job = await scene.door.submit({"prompt": "drums"}, Source("http", f"127.0.0.1:{scene.peer.port}"))
        scene.door.complete(job.job_id)
        assert await scene.peer.nothing_more()

    run(scenario)


def test_refused_requests_name_the_request_and_every_problem() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(generate(request_id="mine", bars=0, bmp=120))
        address, code, said, about = await scene.peer.receive()
        assert (address, code, about) == ("/dgx/error", "bad_request", "mine")
        assert "bars" in said
        assert "did you mean 'bpm'?" in said
        scene.peer.send(message("/dgx/generate", "i", 7))
        assert (await scene.peer.receive())[3] == "/dgx/generate"
        assert scene.surface.counters.refused == 2

    run(scenario)


def test_a_store_that_fails_is_reported_and_the_listener_goes_on() -> None:
    async def scenario(scene: Scene) -> None:
        scene.door.broken = True
        scene.peer.send(generate(request_id="mine"))
        assert await scene.peer.receive() == ("/dgx/error", "store", "the disk is full", "mine")
        scene.door.broken = False
        scene.peer.send(generate(request_id="mine"))
        await accepted(scene.peer)

    run(scenario)


def test_a_surprise_inside_the_daemon_is_reported_and_the_listener_goes_on() -> None:
    class Surprising(MemoryDoor):
        async def queue(self) -> Any:
            raise ZeroDivisionError

    async def main() -> None:
        async with osc_scene(Surprising()) as scene:
            scene.peer.send(message("/dgx/queue"))
            answer = await scene.peer.receive()
            assert (answer[1], answer[3]) == ("internal", "/dgx/queue")
            assert await scene.peer.nothing_more()

    asyncio.run(main())


def test_answers_come_in_the_order_of_the_messages() -> None:
    async def scenario(scene: Scene) -> None:
        for number in range(300):
            scene.peer.send(generate(request_id=f"r{number}", **({"bars": 0} if number % 7 == 3 else {})))
            if number % 50 == 20:
                scene.peer.send(message("/dgx/queue"))
        heard = [await scene.peer.receive() for _ in range(306)]
        names = [a[1] if a[0] == "/dgx/accepted" else a[3] for a in heard if a[0] != "/dgx/queue"]
        assert names == [f"r{number}" for number in range(300)]
        queues = [index for index, answer in enumerate(heard) if answer[0] == "/dgx/queue"]
        assert queues == [21 + 51 * k for k in range(6)]

    run(scenario)


def test_a_bundle_of_requests_is_one_transaction_of_all() -> None:
    async def scenario(scene: Scene) -> None:
        requests = [generate(request_id=f"r{number}") for number in range(5)]
        scene.peer.send(bundle(requests[0], message("/dgx/pause"), *requests[1:]))
        assert [(await scene.peer.receive())[1] for _ in range(5)] == [f"r{number}" for number in range(5)]
        assert (await scene.peer.receive())[:2] == ("/dgx/queue", True)
        assert scene.door.batch_calls == [5]
        assert scene.door.submit_calls == 0

    run(scenario)


@pytest.mark.parametrize(
    "bad", [generate(request_id="bad", bars=0), message("/dgx/generate", "ss", "drums", "bars")]
)
def test_a_bundle_with_one_bad_request_is_refused_as_a_whole(bad: bytes) -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(bundle(generate(request_id="good"), bad))
        first, second = await scene.peer.receive(), await scene.peer.receive()
        assert first[0] == second[0] == "/dgx/error"
        assert first[3] == "good"
        assert "request 2" in first[2]
        assert scene.door.jobs == {}

    run(scenario)


def test_a_bundle_names_one_reply_port() -> None:
    async def scenario(scene: Scene) -> None:
        other = scene.another_peer()
        scene.peer.send(bundle(generate(reply_port=other.port), generate()))
        await accepted(other)
        await accepted(other)
        scene.peer.send(bundle(generate(reply_port=other.port), generate(reply_port=other.port % 60_000 + 1)))
        answer = await scene.peer.receive()
        assert answer[:2] == ("/dgx/error", "bad_request")
        assert "several reply ports" in answer[2]
        assert len(scene.door.jobs) == 2
        other.socket.close()

    run(scenario)


def test_cancel_is_answered_and_harmless_when_sent_again() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(generate())
        job_id = await accepted(scene.peer)
        other = scene.another_peer()
        for _ in range(2):
            other.send(message("/dgx/cancel", "s", job_id))
            assert await other.receive() == ("/dgx/cancelled", job_id)
        assert await scene.peer.receive() == ("/dgx/cancelled", job_id)
        other.send(message("/dgx/cancel", "s", "gen_none"))
        assert (await other.receive())[:2] == ("/dgx/error", "job_not_found")
        scene.peer.send(generate())
        job_id = await accepted(scene.peer)
        scene.door.complete(job_id)
        await scene.peer.receive_until("/dgx/done")
        other.send(message("/dgx/cancel", "s", job_id))
        assert (await other.receive())[:2] == ("/dgx/error", "job_state")
        other.socket.close()

    run(scenario)


def test_status_of_a_job_of_a_finished_job_and_of_everything() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(generate())
        job_id = await accepted(scene.peer)
        scene.door.progress(job_id, 0.25)
        await scene.peer.receive_until("/dgx/progress")
        scene.peer.send(message("/dgx/status", "s", job_id))
        status = ("/dgx/status", job_id, "processing", "generating", 0.25, "sketch", 0)
        assert await scene.peer.receive() == status
        scene.peer.send(message("/dgx/status"))
        assert await scene.peer.receive() == ("/dgx/queue", False, 0, 1, 0, 0, 0, "stopped")
        assert await scene.peer.receive() == status
        scene.door.complete(job_id)
        await scene.peer.receive_until("/dgx/done")
        scene.peer.send(message("/dgx/status", "s", job_id))
        assert (await scene.peer.receive())[2] == "completed"
        assert (await scene.peer.receive())[0] == "/dgx/done"
        scene.peer.send(message("/dgx/status", "s", "gen_none"))
        assert (await scene.peer.receive())[:2] == ("/dgx/error", "job_not_found")

    run(scenario)


def test_pause_and_resume_answer_with_the_queue_and_a_buttons_release_does_nothing() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(message("/dgx/pause", "f", 1.0))
        assert (await scene.peer.receive())[:2] == ("/dgx/queue", True)
        scene.peer.send(message("/dgx/resume", "f", 0.0))
        assert await scene.peer.nothing_more()
        assert scene.door.paused
        scene.peer.send(message("/dgx/resume"))
        assert (await scene.peer.receive())[:2] == ("/dgx/queue", False)

    run(scenario)


def test_the_transport_is_remembered_and_only_known_states_are_taken() -> None:
    async def scenario(scene: Scene) -> None:
        assert scene.surface.transport.state == "stopped"
        scene.peer.send(message("/dgx/transport", "s", "recording"))
        assert await scene.peer.nothing_more()
        assert scene.surface.transport.state == "recording"
        scene.peer.send(message("/dgx/transport", "s", "flying"))
        answer = await scene.peer.receive()
        assert answer[:2] == ("/dgx/error", "bad_request")
        assert "rolling, recording, stopped" in answer[2]

    run(scenario)


@pytest.mark.parametrize(
    ("address", "tags", "values"),
    [
        ("/dgx/cancel", "", ()),
        ("/dgx/cancel", "i", (1,)),
        ("/dgx/cancel", "ss", ("a", "b")),
        ("/dgx/ping", "s", ("x",)),
    ],
)
def test_wrong_arguments_are_refused_with_the_right_usage(
    address: str, tags: str, values: tuple[Any, ...]
) -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(message(address, tags, *values))
        answer = await scene.peer.receive()
        assert (answer[0], answer[1], answer[3]) == ("/dgx/error", "bad_request", address)
        assert f"write {address} " in answer[2]

    run(scenario)


def test_an_unknown_address_is_answered_with_the_nearest_one() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(message("/dgx/generat", "s", "drums"))
        answer = await scene.peer.receive()
        assert (answer[0], answer[1], answer[3]) == ("/dgx/error", "unknown_address", "/dgx/generat")
        assert "did you mean /dgx/generate?" in answer[2]
        assert scene.surface.counters.unknown_address == 1

    run(scenario)


@pytest.mark.parametrize("stray", ["/dgx/error", "/dgx/accepted", "/dgx/pong", "/strip/fader", "/"])
def test_answers_and_feedback_that_end_up_here_start_no_ping_pong(stray: str) -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(message(stray, "sss", "a", "b", "c"))
        assert await scene.peer.nothing_more()
        assert scene.surface.counters.unknown_address == 1

    run(scenario)


def test_texts_that_osc_cannot_carry_are_carried_as_far_as_they_can() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(generate())
        job_id = await accepted(scene.peer)
        scene.door.complete(job_id, final="Gr\udcfc\udcdfe\0x")
        done = await scene.peer.receive()
        assert done[3].startswith("/music/library/Gr??e\ufffdx")
        scene.peer.send(generate())
        job_id = await accepted(scene.peer)
        scene.door.fail(job_id, "engine", "e" * 100_000)
        assert len((await scene.peer.receive())[3]) == 8_000

    run(scenario)
