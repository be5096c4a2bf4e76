"""What pydantic found, as findings: a path, what was found, what to write instead.

A value is shown as the file has it, never as the environment filled it in, and not at all where
the schema says that it is a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from seamwatch.config.environment import FromEnv, without_values
from seamwatch.config.fields import shown
from seamwatch.config.keys import Allowed, allowed
from seamwatch.config.problems import WRITTEN, Finding, KeyPath

_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "of at most"),
}
_CONTAINERS = {"dict_type": "a mapping", "model_type": "a mapping", "tuple_type": "a list"}
_NAME = "letters, digits, dot, _ and -, the first one a letter or digit, 128 at most"
_KEY_MARK = "[key]"  # pydantic's own: the error is about the key and not about its value


def findings(error: ValidationError, data: Mapping[str, Any]) -> list[Finding]:
    """Return each of pydantic's errors about *data* as one finding; members of a union as one."""
    found: dict[tuple[KeyPath, bool], Finding] = {}
    for details in error.errors(include_url=False):
        finding = _sentence(details, data)
        found.setdefault((finding.path, finding.at_key), finding)
    return list(found.values())


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean "x"? `` or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"? ' if close else ""


def listed(names: Iterable[str], *, most: int = 12) -> str:
    """Return at most *most* of the names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def one_of(word: str, known: Collection[str], what: str = "stages") -> str:
    """Return what to write in place of the unknown *word*."""
    if not known:
        return f"there are no {what} yet"
    return f"{did_you_mean(word, known)}write one of {listed(known)}"


def _sentence(details: ErrorDetails, data: Mapping[str, Any]) -> Finding:
    kind, context, value = details["type"], details.get("ctx", {}), details["input"]
    is_key = _KEY_MARK in details["loc"]
    path = _real_path(details["loc"], data, is_missing=kind == "missing")
    place = allowed(path)
    if kind == "missing":
        return Finding(path, f"is missing; add {path[-1]}: <{place.wanted}>", at_key=True)
    if kind == "extra_forbidden":
        return Finding(path, _unknown_key(path), at_key=True)
    if is_key:
        return Finding(path, f"{shown(path[-1])} is not a name; write {_NAME}", at_key=True)
    if kind == "value_error":
        return Finding(path, _validator_text(str(context["error"]), value, place))
    return Finding(path, _about_value(kind, context, value, _found(value, place), place))


def _about_value(
    kind: str, context: Mapping[str, Any], value: Any, found: str, place: Allowed
) -> str:
    if kind in _BOUNDS:
        limit, word = _BOUNDS[kind]
        return f"{found} is out of bounds; write a number {word} {context[limit]:g}"
    if kind in ("string_pattern_mismatch", "string_too_long"):
        return f"{found} is not a name; write {_NAME}"
    if kind == "literal_error":
        hint = did_you_mean(str(value), place.words) if isinstance(value, str) else ""
        return f"{found} is not known here; {hint}write one of {', '.join(place.words)}"
    if kind == "too_short":
        return "nothing is written below it; write at least one"
    if kind == "too_long":
        return f"{len(value)} are written below it; write at most {context['max_length']}"
    if value is None:
        return f"nothing is written here; write {place.wanted}, or remove the key"
    if kind in _CONTAINERS:
        instead = _named(value, place) or place.wanted
        return f"{found} stands where {_CONTAINERS[kind]} is wanted; write {instead}"
    return _about_scalar(kind, value, found, place)


def _named(value: Any, place: Allowed) -> str | None:
    """Return how to write a list of names as the mapping of sections that is wanted."""
    below = place.below
    if not isinstance(value, list) or not below:
        return None
    names = [one for one in value if isinstance(one, str) and not isinstance(one, FromEnv)][:2]
    needs_more = any(f.is_required() for section in below for f in section.model_fields.values())
    inner = "{...}" if needs_more else "{}"
    return (
        "each name with what belongs to it: {"
        + ", ".join(f"{shown(name)[1:-1]}: {inner}" for name in names or ["NAME"])
        + "}"
    )


def _about_scalar(kind: str, value: Any, found: str, place: Allowed) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float):
        what = "a switch" if isinstance(value, bool) else "a number"
        quoted = f'"{WRITTEN}"' if place.may_be_shown else "it in quotes"
        return f"{found} without quotes is {what}; write {quoted}"
    if isinstance(value, str) and kind in ("int_type", "float_type", "bool_type"):
        is_plain = place.may_be_shown and not isinstance(value, FromEnv)
        if is_plain and (_is_number(value) or value in ("true", "false")):
            return f"{found} in quotes is a text; write {value} without quotes"
        return f"{found} is not {place.wanted}; write {place.wanted} without quotes"
    return f"{found} stands here; write {place.wanted}"


def _found(value: Any, place: Allowed) -> str:
    if isinstance(value, FromEnv):
        return value.written
    if isinstance(value, dict | list) or value is None:
        return shown(value)
    if place.may_be_shown:
        return shown(value) if isinstance(value, str) else WRITTEN
    return "a text" if isinstance(value, str) and place.sections else "this value"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _validator_text(text: str, value: Any, place: Allowed) -> str:
    """Return a validator's own sentence, without the value where it comes from the environment."""
    if isinstance(value, FromEnv):
        instead = text.rpartition("; ")[2] if "; " in text else f"write {place.wanted}"
        return f"{value.written} has a value that cannot stand here; {instead}"
    return without_values(text, value)


def _unknown_key(path: KeyPath) -> str:
    known = allowed(path[:-1]).keys
    hint = did_you_mean(str(path[-1]), known)
    return f"unknown key; {hint}write one of {listed(known, most=40)}"


def _real_path(loc: tuple[str | int, ...], data: Any, *, is_missing: bool) -> KeyPath:
    """Drop what pydantic adds to a location: names of union members and the mark of a key."""
    path: list[str | int] = []
    here = data
    for index, part in enumerate(loc):
        in_list = isinstance(here, list) and isinstance(part, int) and part < len(here)
        if in_list or (isinstance(here, dict) and part in here):
            here = here[part]
        elif not (is_missing and index == len(loc) - 1):
            continue
        path.append(part)
    return tuple(path)
