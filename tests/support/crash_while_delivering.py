"""Ends a courier at the first, second, third … thing that it does to the spool or the store, then starts it again.

On its way: two deliveries of which one is offered, landed and reported, among nonsense. Whatever dies where, each
delivery lands once. Prints how many different crashes there were.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from pathlib import Path

from support.delivery_scene import DeliveryScene, until

CRASHED = 77


def crash_at(step, spool):
    """End this process instead of the so-manieth thing that it does below the spool."""
    left = step

    def hook(event, arguments):
        nonlocal left
        if (event == "open" or event.startswith(("os.", "shutil."))) and any(
            str(spool) in str(value) for value in arguments
        ):
            left -= 1
            if left == 0:
                os._exit(CRASHED)

    sys.addaudithook(hook)


def in_child(folder, part, step=None):
    """Do a part of the story in a process of its own; return its exit status."""
    child = os.fork()
    if child == 0:
        try:
            scene = DeliveryScene(folder)
            if step is not None:
                crash_at(step, scene.spool_root)
            asyncio.run(part(scene))
            os._exit(0)
        finally:  # whatever it was, this process must not go on as if it were its parent
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


async def offering(scene):
    """A courier that offers; nobody else is there."""
    async with scene.courier():
        await until(scene.ardour.next.exists)
        await until(lambda: "offered" in scene.states())


async def reading(scene):
    """A courier that finds a report and offers what comes next."""
    async with scene.courier():
        await until(lambda: scene.states()[0] == "landed")
        await until(scene.ardour.next.exists)
        await until(lambda: not list(scene.ardour.folder.glob("report.*")))


async def ending(scene):
    """Both sides alive, to the end."""
    async with scene.courier() as courier:
        while scene.states() != ["landed", "landed"]:
            courier.look(str(scene.ardour.session))
            manifest = scene.ardour.claim()
            if manifest is not None:
                landed(scene, manifest)
            await asyncio.sleep(0.01)
        await until(lambda: not list(scene.ardour.folder.glob("report.*")))


def landed(scene, manifest):
    """Note in a file what lands, since it happens in several processes."""
    scene.ardour.place(manifest)
    if scene.ardour.regions:
        with (scene.ardour.session / "regions").open("a") as file:
            file.write(f"{scene.ardour.regions.pop()}\n")
    scene.ardour.report("landed", manifest)
    scene.ardour.done()


def story(folder, part, step):
    """Let a part of the story be cut off, then go on to the end; return whether it was."""
    scene = DeliveryScene(folder)
    jobs = [scene.complete(takes=2, stems=("bass",)) for _ in range(2)]
    if part is reading:
        scene.close()
        assert in_child(folder, offering) == 0
        scene = DeliveryScene(folder)
        (scene.ardour.folder / "report.0").write_text("nonsense")
        landed(scene, scene.ardour.claim())
    scene.close()
    status = in_child(folder, part, step)
    assert status in (0, CRASHED), status
    assert in_child(folder, ending) == 0
    scene = DeliveryScene(folder)
    regions = (scene.ardour.session / "regions").read_text().split()
    assert sorted(regions) == sorted(f"{job.id}-1" for job in jobs), regions
    assert scene.states() == ["landed", "landed"]
    assert [delivery.offers for delivery in scene.deliveries.recent(2)] == [1, 1]
    left = {path.name for path in scene.ardour.folder.iterdir() if not path.name.startswith("landed.")}
    assert left <= {"audio", "session.json", "problems"} | {
        path.name for path in scene.ardour.folder.glob("part.*")
    }, left
    scene.close()
    return status == CRASHED


def main():
    crashes = []
    for part in (offering, reading):
        step = 1
        while story(Path(sys.argv[1]) / f"{part.__name__}{step}", part, step):
            step += 1
        crashes.append(step - 1)
    print(*crashes)


if __name__ == "__main__":
    main()
