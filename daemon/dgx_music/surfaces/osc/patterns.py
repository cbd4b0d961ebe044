"""OSC 1.0 address patterns: `?`, `*`, `[a-z]`, `[!a]`, `{foo,bar}`; none of them crosses a `/`.

The match walks the address with the set of all positions reached so far, so that no pattern, however it was
put together, takes longer than pattern length times address length.
"""

from __future__ import annotations

__all__ = ["is_pattern", "matches"]

_SPECIAL = frozenset("?*[{")


def is_pattern(address: str) -> bool:
    """Whether the address holds a wildcard."""
    return not _SPECIAL.isdisjoint(address)


def matches(pattern: str, address: str) -> bool:
    """Whether the pattern names this address; a bracket that is never closed matches nothing."""
    reached = {0}
    at = 0
    while at < len(pattern) and reached:
        char = pattern[at]
        if char in "[{":
            end = pattern.find("]" if char == "[" else "}", at)
            if end < 0:
                return False
            inside = pattern[at + 1 : end]
            reached = (
                _one_of(reached, address, inside) if char == "[" else _any_word(reached, address, inside)
            )
            at = end + 1
            continue
        if char == "*":
            reached = _run(reached, address)
        elif char == "?":
            reached = {i + 1 for i in reached if i < len(address) and address[i] != "/"}
        else:
            reached = {i + 1 for i in reached if address[i : i + 1] == char}
        at += 1
    return len(address) in reached


def _run(reached: set[int], address: str) -> set[int]:
    found = set()
    for start in reached:
        i = start
        while i not in found:
            found.add(i)
            if i == len(address) or address[i] == "/":
                break
            i += 1
    return found


def _one_of(reached: set[int], address: str, inside: str) -> set[int]:
    negated = inside.startswith("!")
    inside = inside[1:] if negated else inside
    allowed: set[str] = set()
    i = 0
    while i < len(inside):
        if inside[i + 1 : i + 2] == "-" and i + 2 < len(inside):
            low, high = inside[i], inside[i + 2]
            allowed.update(char for char in set(address) if low <= char <= high)
            i += 3
        else:
            allowed.add(inside[i])
            i += 1
    return {
        i + 1
        for i in reached
        if i < len(address) and address[i] != "/" and (address[i] in allowed) is not negated
    }


def _any_word(reached: set[int], address: str, inside: str) -> set[int]:
    words = {word for word in inside.split(",") if "/" not in word}
    return {i + len(word) for word in words for i in reached if address.startswith(word, i)}
