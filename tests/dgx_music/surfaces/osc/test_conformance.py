"""Open Sound Control 1.0, and 1.1's type tags, byte by byte over a real socket."""

from __future__ import annotations

import asyncio
import struct
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.surfaces.osc.decode import MalformedPacketError, OscMessage, OscValue, decode_packet
from support.osc_peer import Scene, bundle, message, osc_scene, text, timetag

PING = message("/dgx/ping")


def only_message(data: bytes) -> OscMessage:
    (unit,) = decode_packet(data)
    (found,) = unit.messages
    return found


def run(scenario: Any, **config: Any) -> None:
    async def main() -> None:
        async with osc_scene(**config) as scene:
            await scenario(scene)

    asyncio.run(main())


def test_strings_are_padded_to_four_bytes_with_at_least_one_nul() -> None:
    assert text("OSC") == b"OSC\0"
    assert text("data") == b"data\0\0\0\0"
    found = only_message(b"/dgx/generate\0\0\0" + b",sss\0\0\0\0" + b"OSC\0" + b"data\0\0\0\0" + b"\0\0\0\0")
    assert [value.value for value in found.values] == ["OSC", "data", ""]


def test_numbers_are_big_endian() -> None:
    data = text("/a") + text(",ifhd") + b"\x00\x00\x01\x02" + b"\x3f\x80\x00\x00"
    data += b"\x00\x00\x00\x01\x00\x00\x00\x00" + b"\x40\x09\x21\xfb\x54\x44\x2d\x18"
    assert [v.value for v in only_message(data).values] == [258, 1.0, 2**32, 3.141592653589793]


@pytest.mark.parametrize("size", range(9))
def test_blobs_are_padded_only_up_to_a_multiple_of_four(size: int) -> None:
    blob = bytes(range(1, size + 1))
    found = only_message(message("/a", "bs", blob, "after"))
    assert [v.value for v in found.values] == [blob, "after"]


def test_every_type_tag_of_osc_1_1_is_read_with_its_value() -> None:
    found = only_message(message("/a", "TFNISc[ih]tdrm", "symbol", "x", 1, 2, 3, 0.5, 0x01020304, 0x00903C7F))
    tags = [value.tag for value in found.values]
    assert "".join(tags) == "TFNISc[ih]tdrm"
    assert found.values[0] == OscValue("T", True)
    assert found.values[1] == OscValue("F", False)
    assert found.values[5] == OscValue("c", "x")
    assert found.values[-2].value == 0x01020304
    assert found.values[-1].value == (0, 0x90, 0x3C, 0x7F)


def test_no_arguments_with_and_without_a_type_tag_string() -> None:
    async def scenario(scene: Scene) -> None:
        for data in (message("/dgx/ping", ""), message("/dgx/ping", None)):
            scene.peer.send(data)
            assert (await scene.peer.receive())[:2] == ("/dgx/pong", "0.1.0")
        assert scene.surface.counters.malformed == 0

    run(scenario)


MALFORMED = {
    "nothing at all": b"",
    "not a multiple of four": b"/dgx/ping\0\0\0,\0",
    "one byte too many": message("/dgx/ping") + b"\0",
    "no slash": b"dgx/ping\0\0\0\0,\0\0\0",
    "garbage": bytes(range(128, 160)),
    "address without end": b"/dgx/ping/this/goes/on/and/on/...",
    "address without end, aligned": b"/dgx/pin",
    "address not ASCII": text("/dgx/píng") + text(","),
    "address with a space": text("/dgx /ping") + text(","),
    "address with a control character": text("/dgx/\x07ping") + text(","),
    "text not UTF-8": text("/dgx/generate") + text(",s") + text(b"\xff\xfe\xfd"),
    "type tags without a comma": text("/dgx/generate") + text("s") + text("prompt"),
    "arguments without type tags": text("/dgx/generate") + b"\0\0\0\x07" + b"\0\0\0\x08",
    "unknown type tag": text("/dgx/generate") + text(",sQ") + text("prompt") + b"\0\0\0\0",
    "text missing": text("/dgx/generate") + text(",ss") + text("prompt"),
    "text unterminated": text("/dgx/generate") + text(",s") + b"abcd",
    "int cut short": text("/dgx/generate") + text(",si") + text("prompt"),
    "double cut short": text("/dgx/generate") + text(",sd") + text("prompt") + b"\0\0\0\0",
    "blob of negative length": text("/dgx/generate") + text(",sb") + text("prompt") + struct.pack(">i", -4),
    "blob of most negative length": text("/dgx/generate")
    + text(",b")
    + struct.pack(">i", -(2**31))
    + b"\0" * 8,
    "blob longer than the packet": text("/dgx/generate")
    + text(",sb")
    + text("prompt")
    + struct.pack(">i", 4096),
    "blob of two gigabytes": text("/dgx/generate") + text(",b") + struct.pack(">i", 2**31 - 1),
    "blob without its padding": text("/dgx/generate") + text(",bi") + struct.pack(">i", 1) + b"x\0\0\0",
    "array never closed": message("/dgx/generate", "s[ii", "prompt", 1, 2),
    "array closed twice": message("/dgx/generate", "si]", "prompt", 1),
    "too many arguments": message("/dgx/generate", "T" * 4000),
    "bundle without time tag": b"#bundle\0" + b"\0\0\0\0",
    "bundle element of negative size": b"#bundle\0" + struct.pack(">Qi", 1, -8) + PING,
    "bundle element of no size": b"#bundle\0" + struct.pack(">Qi", 1, 0),
    "bundle element too long": b"#bundle\0" + struct.pack(">Qi", 1, len(PING) + 4) + PING,
    "bundle element not a multiple of four": b"#bundle\0" + struct.pack(">Qi", 1, 6) + PING,
    "bundle cut short": bundle(PING)[:-4],
    "bundle with garbage in it": bundle(PING, b"garbage!"),
    "bundle with one bad message": bundle(PING, text("/dgx/generate") + text(",i")),
    "bundle with an endless size": b"#bundle\0" + struct.pack(">Qi", 1, 2**31 - 1) + PING,
    "too many messages": bundle(*[message("/a")] * 2000),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_packet_is_counted_and_dropped_and_the_next_one_is_served(data: bytes) -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(data)
        assert await scene.peer.nothing_more()
        assert scene.surface.counters.malformed == 1
        assert scene.door.jobs == {}

    run(scenario)


def test_a_bomb_of_nested_bundles_is_dropped() -> None:
    bomb = PING
    while len(bomb) < 60_000:
        bomb = bundle(bomb)
    with pytest.raises(MalformedPacketError, match="nested"):
        decode_packet(bomb)


def test_a_few_nested_bundles_are_served_in_order() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(
            bundle(
                message("/dgx/transport", "s", "rolling"),
                bundle(message("/dgx/queue"), bundle(message("/dgx/transport", "s", "stopped"))),
                message("/dgx/queue"),
            )
        )
        assert (await scene.peer.receive())[-1] == "rolling"
        assert (await scene.peer.receive())[-1] == "stopped"

    run(scenario)


def test_an_empty_bundle_does_nothing() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(bundle())
        assert await scene.peer.nothing_more()
        assert scene.surface.counters.malformed == 0

    run(scenario)


@pytest.mark.parametrize("at", [0, 1, timetag(0), timetag(time.time() - 3600)])
def test_a_bundle_whose_time_has_passed_is_served_at_once(at: int) -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(bundle(PING, at=at))
        assert (await scene.peer.receive())[0] == "/dgx/pong"

    run(scenario)


def test_a_bundle_for_later_waits_for_its_time_and_holds_nobody_else_up() -> None:
    async def scenario(scene: Scene) -> None:
        due = time.time() + 0.5
        scene.peer.send(bundle(message("/dgx/queue"), at=timetag(due)))
        scene.peer.send(PING)
        assert (await scene.peer.receive())[0] == "/dgx/pong"
        assert (await scene.peer.receive())[0] == "/dgx/queue"
        assert time.time() >= due - 0.001
        assert scene.surface.counters.scheduled == 1

    run(scenario)


def test_a_bundle_inside_another_is_never_earlier_than_the_outer_one() -> None:
    later = time.time() + 30
    units = decode_packet(
        bundle(PING, bundle(message("/dgx/queue"), at=timetag(later - 20)), at=timetag(later))
    )
    assert len(units) == 1
    assert [m.address for m in units[0].messages] == ["/dgx/ping", "/dgx/queue"]
    assert units[0].due == pytest.approx(later, abs=0.001)


def test_a_bundle_far_in_the_future_is_refused_and_says_why() -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(bundle(message("/dgx/pause"), at=timetag(time.time() + 86_400)))
        address, code, said, about = await scene.peer.receive()
        assert (address, code, about) == ("/dgx/error", "bad_request", "/dgx/pause")
        assert "clock" in said
        assert not scene.door.paused

    run(scenario)


def test_only_so_many_bundles_wait_for_their_time() -> None:
    async def scenario(scene: Scene) -> None:
        at = timetag(time.time() + 50)
        for _ in range(1_001):
            scene.peer.send(bundle(message("/dgx/pause"), at=at))
            await asyncio.sleep(0)
        address, _, said, _ = await scene.peer.receive()
        assert address == "/dgx/error"
        assert "1000 bundles wait" in said
        assert scene.surface.counters.scheduled == 1_000

    run(scenario)


def test_bundles_that_wait_when_the_surface_stops_do_nothing_afterwards() -> None:
    async def main() -> None:
        async with osc_scene() as scene:
            scene.peer.send(bundle(message("/dgx/pause"), at=timetag(time.time() + 0.3)))
            assert await scene.peer.nothing_more()
        await asyncio.sleep(0.4)
        assert not scene.door.paused

    asyncio.run(main())


@pytest.mark.parametrize(
    ("pattern", "answers"),
    [
        ("/dgx/pi*", ["/dgx/pong"]),
        ("/dgx/p?ng", ["/dgx/pong"]),
        ("/dgx/[a-q]ing", ["/dgx/pong"]),
        ("/dgx/[!a-o]ing", ["/dgx/pong"]),
        ("/dgx/{ping,nothing}", ["/dgx/pong"]),
        ("/*/ping", ["/dgx/pong"]),
        ("/dgx/{pause,resume}", ["/dgx/queue", "/dgx/queue"]),
        ("/dgx/{pi,que}*", ["/dgx/queue", "/dgx/pong"]),
        ("/dgx/*ng", ["/dgx/pong"]),
    ],
)
def test_address_patterns_reach_every_route_that_they_match(pattern: str, answers: list[str]) -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(message(pattern))
        assert [(await scene.peer.receive())[0] for _ in answers] == answers
        assert await scene.peer.nothing_more()

    run(scenario)


@pytest.mark.parametrize(
    "pattern", ["/*", "/dgx*ping", "*", "/dgx?ping", "/dgx/[!p]ing", "/dgx/{ping", "/dgx/[p", "/dgx//ping"]
)
def test_patterns_do_not_cross_a_slash_and_broken_ones_match_nothing(pattern: str) -> None:
    async def scenario(scene: Scene) -> None:
        scene.peer.send(message(pattern))
        scene.peer.send(PING)
        answers = await scene.peer.receive_until("/dgx/pong")
        assert all(answer[:2] == ("/dgx/error", "unknown_address") for answer in answers[:-1])

    run(scenario)


VALID = st.sampled_from(
    [
        PING,
        message("/dgx/generate", "ssfsi", "dusty drums", "bpm", 93.5, "bars", 4),
        message("/dgx/generate", "s", '{"prompt": "dusty drums", "takes": 3}'),
        message("/a", "TFNISc[ih]tdrmb", "symbol", "x", 1, 2, 3, 0.5, 4, 5, b"blob"),
        bundle(PING, bundle(message("/dgx/queue"), at=timetag(2e9)), message("/dgx/cancel", "s", "gen_0")),
    ]
)


@given(
    st.one_of(
        st.binary(max_size=400),
        VALID.flatmap(
            lambda data: st.tuples(
                st.just(data),
                st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=6),
                st.integers(0, len(data)),
            )
        ),
    )
)
@settings(max_examples=1_500, deadline=None)
def test_whatever_comes_is_either_read_or_called_malformed(data: Any) -> None:
    if isinstance(data, tuple):
        original, changes, length = data
        mutated = bytearray(original)
        for place, value in changes:
            mutated[place] = value
        data = bytes(mutated[:length]) if length % 3 else bytes(mutated)
    try:
        units = decode_packet(data)
    except MalformedPacketError as err:
        assert str(err)  # noqa: PT017 (both ways out are right; this one has to say why)
    else:
        assert all(isinstance(m, OscMessage) for unit in units for m in unit.messages)


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=30))
@settings(max_examples=15, deadline=None)
def test_a_burst_of_garbage_leaves_the_listener_alive(packets: list[bytes]) -> None:
    async def scenario(scene: Scene) -> None:
        for packet in packets:
            scene.peer.send(packet)
        scene.peer.send(PING)
        await scene.peer.receive_until("/dgx/pong")
        assert scene.surface.counters.received == len(packets) + 1

    run(scenario)
