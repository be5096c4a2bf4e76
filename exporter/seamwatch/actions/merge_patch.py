"""JSON merge patches (RFC 7386), and what takes one off again without undoing others' changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson


class _Absent:
    """Stands for what is not there; null is a value."""


ABSENT = _Absent()

Point = Mapping[str, Any]
"""One place that a patch changes, as JSON: ``at`` its path, ``was`` what was there before, ``set``
what the patch puts there; the key is missing where nothing was or is.
"""


def merged(found: Any, patch: Any) -> Any:
    """Return *found* with *patch* on it, as RFC 7386 section 2 has it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(found) if isinstance(found, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def both(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return one patch that does what the two do one after the other."""
    result = dict(first)
    for key, value in second.items():
        mine = result.get(key)
        result[key] = (
            both(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
        )
    return result


def placed(at: Sequence[str], value: Any) -> dict[str, Any]:
    """Return the patch that puts *value* at the path *at*, which is not empty."""
    for key in reversed(at[1:]):
        value = {key: value}
    return {at[0]: value}


def same(one: Any, other: Any) -> bool:
    """Say whether two JSON values are the same; true is not 1, and 1 is 1.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def points(found: Mapping[str, Any], patch: Mapping[str, Any]) -> list[Point]:
    """Return the places where *patch* would change *found*; none of them lies within another.

    A place is as high as it must be: of ``{}`` patched to ``{a: {b: 1}}`` it is ``a``.
    """
    return _points(found, patch, ())


def _points(found: Any, patch: Mapping[str, Any], at: tuple[str, ...]) -> list[Point]:
    result: list[Point] = []
    for key, value in patch.items():
        was = found.get(key, ABSENT)
        if isinstance(value, dict) and isinstance(was, dict):
            result += _points(was, value, (*at, key))
            continue
        after = ABSENT if value is None else merged(None, value)
        if not same(was, after):
            point: dict[str, Any] = {"at": [*at, key]}
            if was is not ABSENT:
                point["was"] = was
            if after is not ABSENT:
                point["set"] = after
            result.append(point)
    return result


def restoring(found: Mapping[str, Any], changed: Sequence[Point]) -> dict[str, Any]:
    """Return the patch that gives back what was at *changed*; empty when nothing is left to do.

    Only what still is as the patch had set it is given back: somebody's later change stays. Where
    something of somebody else's is in a mapping that the patch had made, only our part leaves it.
    """
    result: dict[str, Any] = {}
    for point in changed:
        *above, last = point["at"]
        holder: Any = found
        for key in above:
            holder = holder.get(key) if isinstance(holder, dict) else None
        if not isinstance(holder, dict):
            continue  # what held it has gone since
        now, ours = holder.get(last, ABSENT), point.get("set", ABSENT)
        if same(now, ours):
            back = point.get("was")
        elif "was" not in point and isinstance(now, dict) and isinstance(ours, dict):
            back = _without(now, ours)
            if not back:
                continue
        else:
            continue
        result = both(result, placed(point["at"], back))
    return result


def _without(now: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patch that takes those leaves of *ours* out of *now* that are there unchanged."""
    result: dict[str, Any] = {}
    for key, value in ours.items():
        there = now.get(key, ABSENT)
        if same(there, value):
            result[key] = None
        elif (
            isinstance(there, dict) and isinstance(value, dict) and (rest := _without(there, value))
        ):
            result[key] = rest
    return result


def written(patch: Any) -> str:
    """Return *patch* as people read it, on one line."""
    return orjson.dumps(patch).decode()
