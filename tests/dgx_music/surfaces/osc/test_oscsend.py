"""liblo, the library that Ardour itself sends OSC with."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from support.osc_peer import Peer, Scene, osc_scene

pytestmark = pytest.mark.skipif(
    shutil.which("oscsend") is None, reason="oscsend (liblo-tools) is not installed"
)


async def oscsend(scene: Scene, *words: str) -> None:
    program = await asyncio.create_subprocess_exec(
        "oscsend", "127.0.0.1", str(scene.surface.address[1]), *words
    )
    assert await program.wait() == 0


async def generate(scene: Scene, answers: Peer, tags: str, *words: str) -> str:
    await oscsend(
        scene, "/dgx/generate", f"ssi{tags}", "dusty lo-fi drums", "reply_port", str(answers.port), *words
    )
    answer = await answers.receive()
    assert answer[0] == "/dgx/accepted", answer
    job_id: str = answer[2]
    return job_id


def test_liblos_types_arrive_with_their_values() -> None:
    async def main() -> None:
        async with osc_scene() as scene:
            job_id = await generate(
                scene,
                scene.peer,
                "sfsisTsFsdshss",
                *("bpm", "93.3"),
                *("bars", "4"),
                "loop",
                "make_session",
                *("temperature", "1.25"),
                *("seed", "1099511627777"),
                *("key", "C# minor"),
            )
            found = scene.door.jobs[job_id].request
            assert (found.bpm, found.bars, found.loop, found.make_session) == (93.3, 4, True, False)
            assert (found.temperature, found.seed, found.key) == (1.25, 2**40 + 1, "C# minor")

    asyncio.run(main())


def test_a_sample_position_as_the_double_that_ardours_lua_sends() -> None:
    async def main() -> None:
        async with osc_scene() as scene:
            job_id = await generate(
                scene, scene.peer, "sssd", "session.path", "/songs/one", "session.position", "4294967296"
            )
            session = scene.door.jobs[job_id].request.session
            assert session is not None
            assert session.position == 2**32

    asyncio.run(main())


def test_json_from_a_shell() -> None:
    async def main() -> None:
        async with osc_scene() as scene:
            json = f'{{"prompt": "drums", "takes": 3, "reply_port": {scene.peer.port}}}'
            await oscsend(scene, "/dgx/generate", "s", json)
            job_id = (await scene.peer.receive())[2]
            assert scene.door.jobs[job_id].request.takes == 3

    asyncio.run(main())


def test_commands_without_arguments() -> None:
    async def main() -> None:
        async with osc_scene() as scene:
            await oscsend(scene, "/dgx/pause")
            assert await scene.peer.nothing_more()
            assert scene.door.paused
            await oscsend(scene, "/dgx/resume", "i", "1")
            assert await scene.peer.nothing_more()
            assert not scene.door.paused

    asyncio.run(main())
