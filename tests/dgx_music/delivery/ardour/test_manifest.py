"""What Ardour is told of a delivery."""

from __future__ import annotations

import pytest

from dgx_music.delivery import labels
from dgx_music.delivery.ardour.manifest import manifest_of, offered_files
from dgx_music.request import SessionTarget

SCRIPT_FIELDS = {"path", "name", "channels", "frames", "bytes", "fingerprint"}


def manifest(scene, job, offer=1, **target):
    delivery = scene.deliveries.recent(1)[0]
    if target:
        place = SessionTarget(path=str(scene.ardour.session), **target)
        delivery = scene.deliveries.add(job.id, target=place)
    files = [(entry, f"/spool/{entry.name}", "0" * 16) for entry in offered_files(job, delivery, offer)]
    return manifest_of(job, delivery, offer, files)


def test_a_new_track_with_a_playlist_for_each_take(scene):
    job = scene.complete(takes=3)
    said = manifest(scene, job)
    assert (said["track"], said["new_track"]) == (labels.track_name(job), True)
    assert [take["name"] for take in said["takes"]] == [labels.region_name(take) for take in job.takes]
    assert [take["playlist"] for take in said["takes"]] == [f"{said['track']} {n}" for n in (1, 2, 3)]
    assert all(take.keys() >= SCRIPT_FIELDS for take in said["takes"])
    assert (said["stems"], said["replace"], said["playlists"], said["on_top"]) == ([], None, "new", "take")
    assert said["frames"] == job.takes[0].frames
    assert said["comment"] == labels.comment(job)
    assert said["colour"] == labels.TAKE_COLOUR


def test_a_silent_take_comes_last_and_keeps_its_number(scene):
    said = manifest(scene, scene.complete(takes=4, silent=(0, 2)))
    assert [take["name"] for take in said["takes"]] == [f"[sketch] take {n}" for n in (2, 4, 1, 3)]
    assert [take["playlist"].rsplit(" ", 1)[1] for take in said["takes"]] == ["2", "4", "1", "3"]


def test_stems_come_along_where_they_are_wanted_those_of_the_best_take(scene):
    job = scene.complete(takes=2, stems=("bass", "drums"), silent=(0,))
    assert manifest(scene, job)["stems"] == []
    said = manifest(scene, job, stems=True)
    assert [stem["track"] for stem in said["stems"]] == ["[sketch] bass", "[sketch] drums"]
    assert all(stem.keys() >= SCRIPT_FIELDS and "_t2_" in stem["path"] for stem in said["stems"])
    assert len(said["stem_colours"]) == 2
    assert [stem["comment"].split(";")[0] for stem in said["stems"]] == [
        f"The {name} of take 2 of {job.id}" for name in ("bass", "drums")
    ]


@pytest.mark.parametrize(("takes", "names"), [(1, ["Verse"]), (2, ["Verse 1", "Verse 2"])])
def test_a_playlist_is_named_as_the_request_wants(scene, takes, names):
    job = scene.complete(takes=takes, track="Drums", playlist="Verse", playlists="join", on_top="mine")
    said = manifest(scene, job)
    assert [take["playlist"] for take in said["takes"]] == names
    assert (said["track"], said["new_track"], said["playlists"], said["on_top"]) == (
        "Drums", False, "join", "mine",
    )  # fmt: skip


def test_a_region_that_is_replaced_is_named(scene):
    replaced = {"position": 5, "length": 7, "name": "old"}
    assert manifest(scene, scene.complete(replace=replaced, playlists="copy"))["replace"] == replaced


def test_a_delivery_s_own_place_goes_before_the_request_s(scene):
    said = manifest(scene, scene.complete(position=1000), position=77, track="Mine")
    assert (said["position"], said["track"]) == (77, "Mine")


def test_each_offer_has_file_names_of_its_own_that_tell_the_delivery(scene):
    job = scene.complete(takes=2, stems=("Bass!", "bass?"))
    delivery = scene.deliveries.add(job.id, target=SessionTarget(path="/songs/x", stems=True))
    names = [entry.name for offer in (1, 2) for entry in offered_files(job, delivery, offer)]
    assert len(set(names)) == len(names) == 8
    assert all(delivery.id in name and name.isascii() and "/" not in name for name in names)
    assert max(map(len, names)) < 120
