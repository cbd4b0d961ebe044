"""The command line's client against a real surface, over a real and sometimes lossy loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from dgx_music.errors import DaemonUnreachableError, JobNotFoundError, JobStateError, RequestError, StoreError
from dgx_music.surfaces.osc.client import OscClient
from support.osc_peer import osc_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.osc_peer import Scene


class RunningScene:
    """A surface in a thread of its own, for a client that blocks."""

    def __init__(self, scene: Scene, loop: asyncio.AbstractEventLoop) -> None:
        self._scene = scene
        self._loop = loop
        self.door = scene.door
        self.address = scene.surface.address

    def client(self) -> OscClient:
        return OscClient(*self.address)

    def do(self, action: Callable[..., Any], *values: Any) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (action(*values), done.set()))
        assert done.wait(10)


@contextmanager
def running_scene() -> Iterator[RunningScene]:
    found: list[RunningScene] = []
    ready = threading.Event()
    end: list[Callable[[], None]] = []

    async def main() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with osc_scene() as scene:
            found.append(RunningScene(scene, loop))
            end.append(lambda: loop.call_soon_threadsafe(stopping.set) and None)
            ready.set()
            await stopping.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield found[0]
    finally:
        end[0]()
        thread.join()


@contextmanager
def lossy(address: tuple[str, int], lose: Callable[[bytes, int], bool]) -> Iterator[tuple[str, int]]:
    """A relay that loses the datagrams for which `lose(data, how many were equal before)` says so."""
    front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    front.bind(("127.0.0.1", 0))
    back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    back.connect(address)
    caller: list[tuple[str, int]] = []
    seen: dict[bytes, int] = {}
    stopping = threading.Event()

    def passes(data: bytes) -> bool:
        seen[data] = seen.get(data, -1) + 1
        return not lose(data, seen[data])

    def forth() -> None:
        while not stopping.is_set():
            data, who = front.recvfrom(65_536)
            caller[:] = [who]
            if data and passes(data):
                back.send(data)

    def answers() -> None:
        back.settimeout(0.05)
        while not stopping.is_set():
            try:
                data = back.recv(65_536)
            except TimeoutError:
                continue
            if passes(data):
                front.sendto(data, caller[0])

    threads = [threading.Thread(target=forth), threading.Thread(target=answers)]
    for thread in threads:
        thread.start()
    try:
        yield front.getsockname()
    finally:
        stopping.set()
        front.sendto(b"", front.getsockname())
        for thread in threads:
            thread.join()
        front.close()
        back.close()


def test_request_events_and_the_takes() -> None:
    with running_scene() as scene, scene.client() as client:
        accepted = client.request({"prompt": "dusty drums", "takes": 2})
        assert (accepted.engine, accepted.place, accepted.eta_s) == ("sketch", 0, 1.5)
        scene.do(scene.door.progress, accepted.job_id, 0.5)
        events = client.events(accepted.job_id)
        first = next(events)
        assert (first.route.address, first.values["fraction"]) == ("/dgx/progress", 0.5)
        scene.do(scene.door.complete, accepted.job_id)
        done = [event for event in events if event.route.address == "/dgx/done"]
        assert [event.values["take"] for event in done] == [0, 1]
        assert done[0].values["path"].startswith("/music/library/")


def test_a_refusal_is_raised_with_its_own_class() -> None:
    with running_scene() as scene, scene.client() as client:
        with pytest.raises(RequestError, match="bars"):
            client.request({"prompt": "drums", "bars": 0})
        with pytest.raises(JobNotFoundError):
            client.status("gen_none")
        scene.door.broken = True
        with pytest.raises(StoreError, match="the disk is full"):
            client.request({"prompt": "drums"})


def test_a_request_too_long_for_a_datagram_is_refused_before_it_is_sent() -> None:
    with running_scene() as scene, scene.client() as client, pytest.raises(RequestError, match="65 kB"):
        client.request({"prompt": "x" * 70_000})


def test_commands() -> None:
    with running_scene() as scene, scene.client() as client:
        assert client.ping().values["version"] == "0.1.0"
        assert client.pause().values["paused"] is True
        assert client.resume().values["paused"] is False
        job_id = client.request({"prompt": "drums"}).job_id
        assert client.queue().values["pending"] == 1
        assert client.status(job_id).values["state"] == "pending"
        assert client.cancel(job_id).route.address == "/dgx/cancelled"
        done = client.request({"prompt": "drums"}).job_id
        scene.do(scene.door.complete, done)
        with pytest.raises(JobStateError):
            client.cancel(done)


def test_a_failed_job_ends_the_events_with_the_reason() -> None:
    with running_scene() as scene, scene.client() as client:
        job_id = client.request({"prompt": "drums"}).job_id
        scene.do(scene.door.fail, job_id)
        (event,) = client.events(job_id)
        assert (event.values["code"], event.values["message"]) == ("engine", "the model ran out of memory")


def test_a_lost_request_and_a_lost_answer_still_make_one_job() -> None:
    with running_scene() as scene:

        def lose(data: bytes, before: int) -> bool:
            return before == 0 and data.startswith((b"/dgx/generate", b"/dgx/accepted"))

        with lossy(scene.address, lose) as address, OscClient(*address) as client:
            job_id = client.request({"prompt": "drums"}).job_id
        assert list(scene.door.jobs) == [job_id]


def test_a_lost_outcome_is_asked_for() -> None:
    with running_scene() as scene:
        lost: list[bytes] = []

        def lose(data: bytes, before: int) -> bool:
            if not lost and data.startswith(b"/dgx/done"):
                lost.append(data)
                return True
            return False

        with lossy(scene.address, lose) as address, OscClient(*address) as client:
            job_id = client.request({"prompt": "drums", "takes": 3}).job_id
            scene.do(scene.door.complete, job_id)
            done = [event for event in client.events(job_id) if event.route.address == "/dgx/done"]
            assert [event.values["take"] for event in done] == [1, 2, 0]


def test_nobody_there_is_said_after_some_tries() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as was_bound:
        was_bound.bind(("127.0.0.1", 0))
        address = was_bound.getsockname()
    with OscClient(*address) as client, pytest.raises(DaemonUnreachableError, match="no daemon answers"):
        client.ping()


def test_a_daemon_that_takes_the_message_and_is_silent_may_still_carry_it_out_and_that_is_said() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))  # as a stopped daemon is
        fields = {"prompt": "drums", "request_id": "mine"}
        with (
            OscClient(*silent.getsockname()) as client,
            pytest.raises(DaemonUnreachableError, match=r"may still carry this out \(sent as mine\)"),
        ):
            client.request(fields)


def test_a_closed_port_is_unreachable_too() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        address = gone.getsockname()
    with OscClient(*address) as client, pytest.raises(DaemonUnreachableError):
        client.request({"prompt": "drums"})


def test_a_host_that_does_not_exist_is_unreachable() -> None:
    with pytest.raises(DaemonUnreachableError):
        OscClient("no.such.host.invalid", 7400)


def test_garbage_from_the_daemons_port_is_passed_over() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as odd:
        odd.bind(("127.0.0.1", 0))

        def answer() -> None:
            _, who = odd.recvfrom(1_000)
            for data in (
                b"",
                b"garbage",
                b"/dgx/pong\0\0\0",
                b"/dgx/pong\0\0\0,si\0" + b"1.0\0" + b"\0\0\0\x07",
            ):
                odd.sendto(data, who)

        thread = threading.Thread(target=answer)
        thread.start()
        with OscClient(*odd.getsockname()) as client:
            begun = time.monotonic()
            assert client.ping().values == {"version": "1.0", "pid": 7}
            assert time.monotonic() - begun < 10
        thread.join()
