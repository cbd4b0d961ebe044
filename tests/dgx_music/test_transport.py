"""A DAW that dies while it records must not hold the queue for ever."""

from __future__ import annotations

import asyncio

from dgx_music.transport import Transport


def test_a_state_that_is_not_repeated_is_forgotten():
    async def main():
        transport = Transport(believed_s=0.05)
        changed = asyncio.Event()
        transport.subscribe(changed.set)
        transport.tell("recording")
        assert (transport.state, transport.is_recording) == ("recording", True)
        changed.clear()
        await asyncio.wait_for(changed.wait(), 10)
        assert (transport.state, transport.is_recording) == ("stopped", False)

    asyncio.run(main())


def test_a_state_that_is_repeated_is_believed_on():
    async def main():
        loop = asyncio.get_running_loop()
        transport = Transport(believed_s=1000.0)
        transport.tell("rolling")
        first = transport._expiry
        transport.tell("rolling")
        assert first.cancelled()
        assert transport._expiry.when() > loop.time() + 999
        transport.close()

    asyncio.run(main())


def test_listeners_hear_of_changes_alone_and_stopped_needs_no_repeating():
    async def main():
        transport = Transport()
        heard = []
        transport.subscribe(lambda: heard.append(transport.state))
        for state in ("stopped", "rolling", "rolling", "recording", "stopped", "stopped"):
            transport.tell(state)
        assert heard == ["rolling", "recording", "stopped"]
        assert transport._expiry is None

    asyncio.run(main())
