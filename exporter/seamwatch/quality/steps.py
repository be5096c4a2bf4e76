"""How many steps a regular expression may take at one place of a text, estimated from above.

It reads the tree that the standard library makes of a pattern; its module has a leading
underscore, so tests hold this against known good and bad patterns on each version of Python.

The steps of a part are ``cost + ways * (steps of what follows)``: *ways* is how often it can hand
over to what follows. A repetition of single characters hands over once when what follows cannot
begin with one of them (only its longest run will do), and once for each length otherwise. A
repeated group that can match the same text in two ways can match n of them in 2 ** n ways.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

_SINGLE = ("LITERAL", "NOT_LITERAL", "ANY", "IN")
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_ANYTHING: tuple[Any, ...] = (("ANY", None),)

_Atoms = tuple[Any, ...]  # parts that match one character each: what a part may begin with
_Node = tuple[Any, Any]


class _Steps(NamedTuple):
    cost: float
    ways: float


def most_steps(pattern: str, length: int) -> float:
    """Return how many steps *pattern* may take at one place of a text of *length* characters.

    The pattern must be valid. The estimate is inf where the number is exponential in the length.
    """
    try:
        found = _sequence(list(_parser.parse(pattern)), None, length)
    except RecursionError:
        return math.inf
    return found.cost + found.ways


def _sequence(nodes: Sequence[_Node], follows: _Atoms | None, length: int) -> _Steps:
    """Return the steps of *nodes*; *follows* None: then the match is complete."""
    total = _Steps(0.0, 1.0)
    for node in reversed(nodes):
        own = _steps(node, follows, length)
        rest = own.ways * total.cost if total.cost else 0.0  # inf times nothing is nothing
        total = _Steps(own.cost + rest, own.ways * total.ways)
        begins, can_be_empty = _begins(node)
        follows = begins + (follows or ()) if can_be_empty else begins
    return total


def _steps(node: _Node, follows: _Atoms | None, length: int) -> _Steps:
    kind, value = str(node[0]), node[1]
    if kind in _REPEATS:
        return _repeat(value, kind == "POSSESSIVE_REPEAT", follows, length)
    if kind == "SUBPATTERN":
        return _sequence(value[-1], follows, length)
    if kind == "ATOMIC_GROUP":
        return _Steps(sum(_sequence(value, _ANYTHING, length)), 1.0)
    if kind in ("ASSERT", "ASSERT_NOT"):
        return _Steps(sum(_sequence(value[1], _ANYTHING, length)), 1.0)
    if kind == "BRANCH":
        return _branch(value[1], follows, length)
    if kind == "GROUPREF":
        return _Steps(length, 1.0)
    if kind in _SINGLE or kind == "AT":
        return _Steps(0.0, 1.0)
    return _Steps(math.inf, math.inf)


def _branch(branches: Sequence[Any], follows: _Atoms | None, length: int) -> _Steps:
    each = [_sequence(one, follows, length) for one in branches]
    begins = [_begins_all(one) for one in branches]
    apart = not any(empty for _, empty in begins) and not any(
        _overlap(atoms, other)
        for place, (atoms, _) in enumerate(begins)
        for other, _ in begins[:place]
    )
    if apart:  # the first character says which one it is
        return _Steps(len(each) + max(one.cost for one in each), max(one.ways for one in each))
    return _Steps(sum(one.cost for one in each), sum(one.ways for one in each))


def _repeat(
    value: tuple[Any, Any, Any], possessive: bool, follows: _Atoms | None, length: int
) -> _Steps:
    low, high = min(int(value[0]), length), min(int(value[1]), length)
    body = list(value[2])
    begins, can_be_empty = _begins_all(body)
    ends_itself = follows is None or not _overlap(begins, follows)
    lengths = 1.0 if possessive or (ends_itself and not can_be_empty) else high - low + 1.0
    if len(body) == 1 and str(body[0][0]) in _SINGLE:
        # what completes the match is read to its end only once, when there is a match
        return _Steps(float(low if follows is None else high), lengths)
    inside = _sequence(body, begins + (follows or ()) if high > 1 else follows, length)
    if inside.ways > 1 and high > 1:
        shared = high * math.log(inside.ways)  # ways ** high, without overflow
        ways = math.exp(shared) if shared < 50 else math.inf
        return _Steps(ways * max(1.0, inside.cost), ways)
    # all rounds together read the text once, there and back; only the last one reads in vain
    cost = min(high * max(1.0, inside.cost), 2 * length + inside.cost)
    return _Steps(cost, lengths * max(1.0, inside.ways))


def _begins_all(nodes: Sequence[_Node]) -> tuple[_Atoms, bool]:
    """Return what *nodes* may begin with, and whether they may match nothing at all."""
    found: _Atoms = ()
    for node in nodes:
        atoms, can_be_empty = _begins(node)
        found += atoms
        if not can_be_empty:
            return found, False
    return found, True


def _begins(node: _Node) -> tuple[_Atoms, bool]:
    kind, value = str(node[0]), node[1]
    if kind in _SINGLE:
        return (node,), False
    if kind in _REPEATS:
        atoms, can_be_empty = _begins_all(list(value[2]))
        return atoms, can_be_empty or value[0] == 0
    if kind == "SUBPATTERN":
        return _begins_all(list(value[-1]))
    if kind == "ATOMIC_GROUP":
        return _begins_all(list(value))
    if kind == "BRANCH":
        each = [_begins_all(list(one)) for one in value[1]]
        return tuple(a for atoms, _ in each for a in atoms), any(empty for _, empty in each)
    return _ANYTHING, False  # a place or a look-around may fail after any character


def _overlap(some: _Atoms, others: _Atoms) -> bool:
    """Say whether a character fits one of *some* and one of *others*, whatever its case."""
    sample = {chr(code) for code in range(0x250)}
    sample |= {chr(code) for atom in (*some, *others) for code in _codes(atom)}
    return any(
        any(_is_one(one, atom) for one in cases for atom in some)
        and any(_is_one(one, atom) for one in cases for atom in others)
        for cases in map(_cases, sample)
    )


def _codes(atom: _Node) -> list[int]:
    """Return the characters that *atom* names, and the ends of its ranges."""
    kind, value = str(atom[0]), atom[1]
    if kind in ("LITERAL", "NOT_LITERAL"):
        return [value]
    if kind == "RANGE":
        return list(value)
    return [code for one in value for code in _codes(one)] if kind == "IN" else []


@lru_cache(maxsize=2048)
def _cases(character: str) -> frozenset[str]:
    """Return *character* and what it is the same as when case is ignored."""
    upper = {character, character.upper(), character.lower().upper()}
    return frozenset(one for case in upper for one in (case, case.lower()) if len(one) == 1)


def _is_one(character: str, atom: _Node) -> bool:
    kind, value = str(atom[0]), atom[1]
    if kind == "LITERAL":
        return bool(ord(character) == value)
    if kind == "NOT_LITERAL":
        return bool(ord(character) != value)
    if kind == "RANGE":
        return bool(value[0] <= ord(character) <= value[1])
    if kind == "CATEGORY":
        return _in_category(character, str(value))
    if kind == "IN":
        negated = str(value[0][0]) == "NEGATE"
        return any(_is_one(character, one) for one in value[negated:]) is not negated
    return True


def _in_category(character: str, category: str) -> bool:
    name = category.removeprefix("CATEGORY_")
    kind = name.removeprefix("NOT_")
    fits = {
        "DIGIT": character.isdecimal(),
        "SPACE": character.isspace(),
        "WORD": character.isalnum() or character == "_",
    }.get(kind, True)
    return fits is (name == kind)
