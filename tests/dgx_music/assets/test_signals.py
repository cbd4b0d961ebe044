"""The bits of a hook's signals: right in every version of Ardour that a configuration folder may belong to."""

from __future__ import annotations

import pytest

from dgx_music.assets.signals import signal_bits
from dgx_music.errors import AssetError

# From gtk2_ardour/luasignal_syms.h (luasignal_syms.inc.h from 9.0 on), put through the preprocessor: how many signals,
# and the numbers of these two.
VERSIONS = {
    "6.0 to 7.5": (49, {"LuaTimerS": 46, "LuaTimerDS": 47}),
    "8.0 to 9.7": (50, {"LuaTimerS": 46, "LuaTimerDS": 47}),
    "9.8": (52, {"LuaTimerS": 48, "LuaTimerDS": 49}),
}
OF_MAJOR = {6: ["6.0 to 7.5"], 7: ["6.0 to 7.5"], 8: ["8.0 to 9.7"], 9: ["8.0 to 9.7", "9.8"]}


def as_read(bits: str, count: int) -> set[int]:
    """What `std::bitset<count> (bits)` holds: it takes the first `count` characters, the last of them as bit 0."""
    taken = bits[:count]
    return {number for number, bit in enumerate(reversed(taken)) if bit == "1"}


@pytest.mark.parametrize("signal", ["LuaTimerS", "LuaTimerDS"])
@pytest.mark.parametrize(
    ("major", "version"), [(major, one) for major, all_ in OF_MAJOR.items() for one in all_]
)
def test_a_hook_listens_to_its_signal_in_every_version_of_a_major_one(major, version, signal):
    count, numbers = VERSIONS[version]

    assert numbers[signal] in as_read(signal_bits([signal], major), count)


def test_where_a_major_version_has_one_numbering_nothing_else_is_listened_to():
    for major in (6, 7, 8):
        assert signal_bits(["LuaTimerDS"], major) == "1" + 47 * "0"


@pytest.mark.parametrize("major", [5, 10])
def test_an_unknown_ardour_is_refused_with_what_to_do_instead(major):
    with pytest.raises(AssetError, match=rf"Ardour {major}.*Script Manager"):
        signal_bits(["LuaTimerDS"], major)


@pytest.mark.parametrize(("major", "count"), [(7, 50), (8, 51), (9, 53)])
def test_hooks_that_show_more_signals_than_are_known_are_a_reason_to_refuse(major, count):
    with pytest.raises(AssetError, match=str(count)):
        signal_bits(["LuaTimerDS"], major, seen=[49 * "0", "1" + (count - 1) * "0"])


def test_hooks_of_a_known_version_and_of_the_one_before_are_no_reason():
    assert signal_bits(["LuaTimerDS"], 9, seen=[49 * "0", 50 * "0", 52 * "0"])


def test_a_signal_that_is_not_in_the_table_is_refused():
    with pytest.raises(AssetError, match="SetSession"):
        signal_bits(["LuaTimerDS", "SetSession"], 8)
