"""Gives the installed scripts their slots in Ardour, and takes them away; what is the user's there stays as it is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from dgx_music.assets.destinations import Destinations
from dgx_music.assets.install import Outcome, Result
from dgx_music.assets.running import running_ardours
from dgx_music.assets.signals import signal_bits
from dgx_music.assets.stubs import AUTHOR, Header, header_of, short_name
from dgx_music.assets.ui_scripts import Script, UiScripts
from dgx_music.assets.write import keep_copy, replace_file
from dgx_music.errors import AssetError
from dgx_music.resources import shipped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dgx_music.assets.destinations import ArdourFolder
    from dgx_music.assets.plan import Asset

__all__ = ["Registration", "register", "registered_slot", "registration_of", "unregister"]

_FILE = "ui_scripts"
_STUB = re.compile(rb"^[ \t]*local MODULES = ", re.MULTILINE)
# From 8.12 on, Ardour reads an action anew from the file of this argument, unless the user has switched that off.
_ORIGIN = b"x-script-origin"
_BY_HAND = "Edit > Lua Scripts > Script Manager"


@dataclass(frozen=True)
class Registration:
    """How scripts stand in one Ardour's `ui_scripts`."""

    slots: dict[str, int]
    """Name to slot, of the actions that are registered as they are now."""
    hooks: tuple[str, ...]
    """The hooks that are."""
    outdated: tuple[str, ...]
    """Registered by another version, or in another way."""
    missing: tuple[str, ...]
    missing_hooks: tuple[str, ...]


def register(
    folders: Sequence[ArdourFolder], scripts: Sequence[Asset], yours: Sequence[Asset] = ()
) -> list[Result]:
    """Register scripts with every Ardour: actions in free slots, or where they are already; hooks beside the user's.

    An action gets the same slot everywhere, as far as the user's own scripts leave it.

    Args:
        folders: the configuration folders.
        scripts: those that are installed in these folders, in the order in which they get slots.
        yours: those that the user has changed there; where they are registered, they stay as they are.

    Returns:
        What became of each file; a script without a place is a failure of its own.
    """
    results = []
    for folder in folders:
        own = [one for one in scripts if one.target.is_relative_to(folder.path)]
        elsewhere = [other for other in folders if other is not folder]
        kept = _names(yours, folder)
        results += _changed(folder, partial(_register_in, folder, own, kept, elsewhere))
    return results


def unregister(folders: Sequence[ArdourFolder], yours: Sequence[Asset] = ()) -> list[Result]:
    """Take our scripts out of every Ardour's slots and hooks; nothing is said where there are none.

    Args:
        folders: the configuration folders.
        yours: the scripts that the user has changed there; where they are registered, they stay as they are.
    """
    results = []
    for folder in folders:
        results += _changed(folder, partial(_unregister_in, _names(yours, folder)))
    return results


def registration_of(folder: ArdourFolder, scripts: Sequence[Asset]) -> Registration:
    """Say how scripts are registered with one Ardour.

    Raises:
        AssetError: the file is damaged, or the version of Ardour is not known.
        OSError: it cannot be read.
    """
    found = _read(folder)
    slots, hooks = _our_actions(found), _our_hooks(found)
    current_slots: dict[str, int] = {}
    current_hooks: list[str] = []
    outdated: list[str] = []
    missing: list[str] = []
    missing_hooks: list[str] = []
    for asset in scripts:
        header = _header(asset)
        name = header.name
        if name not in (hooks if header.is_hook else slots):
            (missing_hooks if header.is_hook else missing).append(name)
        elif header.is_hook:
            wanted = _script(asset, _bits(found, header, folder.major))
            is_current = [_is_same(found.hooks[one], wanted) for one in hooks[name]] == [True]
            (current_hooks if is_current else outdated).append(name)
        elif _is_same(found.actions[slots[name][0]], _script(asset)):
            current_slots[name] = slots[name][0]
        else:
            outdated.append(name)
    return Registration(
        current_slots, tuple(current_hooks), tuple(outdated), tuple(missing), tuple(missing_hooks)
    )


def registered_slot(script: str, folders: Sequence[ArdourFolder] | None = None) -> int | None:
    """Return the slot of one of our actions, as Ardour's own files say now.

    Args:
        script: the name of the action's file, without its ending: `dgx_fetch_now`.
        folders: the configuration folders of all Ardours that may run; this user's by default.

    Returns:
        The slot, from 1. `None` where the action has none, or not the same one in every Ardour with scripts of ours:
        another script would be run there.

    Raises:
        AssetError: there is no such action.
    """
    source = shipped("lua") / "actions" / f"{script}.lua"
    header = header_of(source.read_bytes()) if source.is_file() else None
    if header is None or header.is_hook:
        raise AssetError(f"{source} is no action of ours")
    name = header.name
    found = set()
    for folder in Destinations.find().ardour if folders is None else folders:
        try:
            slots = _our_actions(_read(folder))
        except (AssetError, OSError):
            continue
        if slots:
            found.add(slots[name][0] if name in slots else None)
    return found.pop() if len(found) == 1 else None


def _names(scripts: Sequence[Asset], folder: ArdourFolder) -> set[str]:
    return {_header(one).name for one in scripts if one.target.is_relative_to(folder.path)}


def _register_in(
    folder: ArdourFolder,
    scripts: Sequence[Asset],
    kept: set[str],
    elsewhere: Sequence[ArdourFolder],
    found: UiScripts,
) -> tuple[str, list[str]]:
    _drop_stale(found, shipped={_header(asset).name for asset in scripts} | kept)
    refused = []
    others = [other for other in map(_read_or_none, elsewhere) if other]
    for asset in scripts:
        header = _header(asset)
        if header.is_hook:
            _set_hook(found, header, _script(asset, _bits(found, header, folder.major)))
            continue
        chosen = _slot_for(header.name, found, others)
        if chosen is None:
            refused.append(
                f"{short_name(header.name)} got no slot: all are taken; free one in Ardour ({_BY_HAND})"
            )
        else:
            _set_action(found, chosen, _script(asset))
    return _listed(found), refused


def _drop_stale(found: UiScripts, shipped: set[str]) -> None:
    """Take away what an earlier version registered and this one has no more, and hooks that are there twice."""
    for name, slots in _our_actions(found).items():
        for slot in slots:
            if name not in shipped and _STUB.search(found.actions[slot].source):
                found.drop_action(slot)
    for name, identifiers in _our_hooks(found).items():
        for identifier in identifiers[1:] if name in shipped else identifiers:
            if _STUB.search(found.hooks[identifier].source):
                found.drop_hook(identifier)


def _unregister_in(kept: set[str], found: UiScripts) -> tuple[str, list[str]]:
    for name, slots in _our_actions(found).items():
        for slot in slots if name not in kept else ():
            found.drop_action(slot)
    for name, identifiers in _our_hooks(found).items():
        for identifier in identifiers if name not in kept else ():
            found.drop_hook(identifier)
    return "", []


def _slot_for(name: str, found: UiScripts, others: Sequence[UiScripts]) -> int | None:
    """Choose a slot: the one it has, else the one it has in another Ardour, else one that is free everywhere."""
    if slots := _our_actions(found).get(name):
        return slots[0]
    free = found.free_slots()
    there = [slot for other in others for slot in _our_actions(other).get(name, []) if slot in free]
    everywhere = [slot for slot in free if all(slot in other.free_slots() for other in others)]
    return next(iter([*there, *everywhere, *free]), None)


def _set_action(found: UiScripts, slot: int, wanted: Script) -> None:
    there = found.actions.get(slot)
    if there is None:
        found.set_action(slot, wanted)
    elif not _is_same(there, wanted):
        found.set_action(slot, replace(wanted, name=there.name))  # the user may have given it a name


def _set_hook(found: UiScripts, header: Header, wanted: Script) -> None:
    identifier = next(iter(_our_hooks(found).get(header.name, [])), "")
    there = found.hooks.get(identifier)
    if there is None:
        found.set_hook(wanted, header.signals)
    elif not _is_same(there, wanted):
        found.set_hook(replace(wanted, name=there.name), header.signals, identifier)


def _changed(folder: ArdourFolder, change: Callable[[UiScripts], tuple[str, list[str]]]) -> list[Result]:
    """Change one Ardour's file, if that changes anything; a copy of the old one is kept."""
    path = folder.path / _FILE
    try:
        found = _read(folder)
        before, had_ours = found.to_bytes(), bool(_our_actions(found) or _our_hooks(found))
        told, refused = change(found)
        failures = [Result(path, Outcome.FAILED, one) for one in refused]
        if found.to_bytes() == before:
            return [Result(path, Outcome.CURRENT, told), *failures] if told else failures
        _refuse_while_ardour_runs(folder)
        kept = _replaced(path, found)
    except (AssetError, OSError) as err:
        why = f"{err.filename or path}: {err.strerror or err}" if isinstance(err, OSError) else str(err)
        return [Result(path, Outcome.FAILED, f"left as it is: {why}")]
    outcome = (Outcome.UPDATED if had_ours else Outcome.INSTALLED) if told else Outcome.REMOVED
    remarks = [told or "our scripts, out of Ardour's slots and hooks"]
    if kept:
        remarks.append(f"as it was: {kept.name}")
    return [Result(path, outcome, "; ".join(remarks)), *failures]


def _refuse_while_ardour_runs(folder: ArdourFolder) -> None:
    if pids := running_ardours(folder.path):
        who = ", ".join(f"pid {pid}" for pid in pids)
        raise AssetError(f"Ardour runs ({who}) and would write its own back; quit it, then do this again")


def _replaced(path: Path, found: UiScripts) -> Path | None:
    """Write the file, and return the copy of the old one, if there was one worth keeping."""
    target = path.resolve()  # a link that the user made stays one
    backup = target.with_name(f"{_FILE}.before-dgx-music")
    if found.is_empty and not backup.exists():
        target.unlink()  # it was ours alone: what was there before would have been kept
        return None
    kept = keep_copy(target, backup) if target.exists() else None
    replace_file(target, found.to_bytes())
    return kept


def _read(folder: ArdourFolder) -> UiScripts:
    path = folder.path / _FILE
    if path.is_symlink() and not path.exists():
        raise AssetError(f"it is a link to {path.readlink()}, which does not exist")
    return UiScripts(path.read_bytes() if path.exists() else None)


def _read_or_none(folder: ArdourFolder) -> UiScripts | None:
    try:
        return _read(folder)
    except (AssetError, OSError):
        return None


def _our_actions(found: UiScripts) -> dict[str, list[int]]:
    """Return the slots of our actions by their own names, whatever name the user gave them in Ardour."""
    slots: dict[str, list[int]] = {}
    for slot, script in sorted(found.actions.items()):
        header = header_of(script.source)
        if header and header.author == AUTHOR and not header.is_hook:
            slots.setdefault(header.name, []).append(slot)
    return slots


def _our_hooks(found: UiScripts) -> dict[str, list[str]]:
    identifiers: dict[str, list[str]] = {}
    for identifier, script in found.hooks.items():
        header = header_of(script.source)
        if header and header.author == AUTHOR and header.is_hook:
            identifiers.setdefault(header.name, []).append(identifier)
    return identifiers


def _header(asset: Asset) -> Header:
    header = header_of(asset.content)
    if header is None or header.author != AUTHOR:
        raise AssetError(
            f'{asset.source}: no script of ours ("type", name and author = "{AUTHOR}" are needed)'
        )
    return header


def _script(asset: Asset, signals: str = "") -> Script:
    return Script(_header(asset).name, asset.content, {_ORIGIN: os.fsencode(asset.target)}, signals)


def _bits(found: UiScripts, header: Header, major: int) -> str:
    theirs = [one.signals for one in found.hooks.values()]
    return signal_bits(header.signals, major, seen=theirs)


def _is_same(found: Script, wanted: Script) -> bool:
    """Whether a script does what it should; Ardour writes the bits of a hook with zeros in front."""
    return found.source == wanted.source and found.signals.lstrip("0") == wanted.signals


def _listed(found: UiScripts) -> str:
    places = {slots[0]: short_name(name) for name, slots in _our_actions(found).items()}
    actions = ", ".join(f"{slot} {name}" for slot, name in sorted(places.items()))
    hooks = ", ".join(map(short_name, _our_hooks(found)))
    return "; ".join([*([f"slots: {actions}"] if actions else []), *([f"hook: {hooks}"] if hooks else [])])
