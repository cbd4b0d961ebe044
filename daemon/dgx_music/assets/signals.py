"""Which of Ardour's signals a hook listens to, as Ardour saves it: a row of bits that differs by version.

Bit n, counted from the right, is the n-th name in Ardour's `luasignal_syms.h`. Read from the tags 6.0 to 9.8: 6 and 7
have 49 signals, 8.0 to 9.7 append one, and 9.8 puts two more in front of those that matter here. Ardour takes a row that
is shorter than its own for the lower bits, and cuts a longer one on the wrong side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgx_music.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["signal_bits"]

# A configuration folder tells the major version only. So a hook of Ardour 9 listens to the bits of 9.0 and of 9.8, and
# is told by Ardour which signal it is called for; 50 bits are enough for both, which is as many as 9.0 takes.
_BITS: dict[int, dict[str, tuple[int, ...]]] = {
    6: {"LuaTimerS": (46,), "LuaTimerDS": (47,)},
    7: {"LuaTimerS": (46,), "LuaTimerDS": (47,)},
    8: {"LuaTimerS": (46,), "LuaTimerDS": (47,)},
    9: {"LuaTimerS": (46, 48), "LuaTimerDS": (47, 49)},
}
_MOST_SIGNALS = {6: 49, 7: 49, 8: 50, 9: 52}


def signal_bits(names: Iterable[str], major: int, seen: Iterable[str] = ()) -> str:
    """Return the bits of signals for one of Ardour's major versions, the highest first.

    Args:
        names: the signals, by Ardour's names.
        major: Ardour's major version.
        seen: the bits of hooks that this very Ardour has saved; they tell how many signals it has.

    Raises:
        AssetError: this version of Ardour, or this signal in it, is not known.
    """
    if major not in _BITS:
        raise AssetError(
            f"the signals of Ardour {major} are not known to this version of DGX Music; "
            "add the scripts in Ardour: Edit > Lua Scripts > Script Manager"
        )
    most = max(map(len, seen), default=0)
    if most > _MOST_SIGNALS[major]:
        raise AssetError(
            f"a hook there has {most} signals, and this version of DGX Music knows no Ardour {major} with more than "
            f"{_MOST_SIGNALS[major]}; add the scripts in Ardour: Edit > Lua Scripts > Script Manager"
        )
    known = _BITS[major]
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise AssetError(f"a hook can be registered for {' and '.join(known)}, not for {', '.join(unknown)}")
    mask = 0
    for name in names:
        for bit in known[name]:
            mask |= 1 << bit
    return f"{mask:b}"
