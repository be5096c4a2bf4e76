"""The fields of a golden item: their names and what each may hold."""

from __future__ import annotations

import math
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from seamwatch.golden.faults import kind_of, shown
from seamwatch.pipeline import Task
from seamwatch.scoring.rules import SHAPES, label_of
from seamwatch.scoring.textmatch import same

FIELDS = (
    "id",
    "input",
    "expected",
    "slice",
    "weight",
    "superseded",
    "valid_from",
    "valid_until",
    "context_ids",
    "label_source",
    "note",
)
LIGHTEST, HEAVIEST = 0.001, 1000.0
MAX_LEVELS = 100
"""Levels of lists and mappings in an input."""
MAX_NAME = 256
"""Characters of an id or a slice."""

_OTHER_NAMES = {
    "question": "input",
    "prompt": "input",
    "query": "input",
    "text": "input",
    "features": "input",
    "answer": "expected",
    "label": "expected",
    "target": "expected",
    "output": "expected",
    "truth": "expected",
    "group": "slice",
    "category": "slice",
    "context": "context_ids",
}
_WANTED = {
    Task.BINARY: "a label: text, a number or true/false",
    Task.MULTICLASS: "a label: text, a number or true/false",
    Task.MULTILABEL: "a list of labels",
    Task.REGRESSION: "a number",
    Task.RANKING: "a list of ids",
    Task.TEXT: "text",
}


def meant(name: str) -> str:
    """Return the advice on an unknown field: the name that was meant, else all there are."""
    lower = name.lower()
    close = _OTHER_NAMES.get(lower) or next(iter(get_close_matches(lower, FIELDS, 1)), None)
    return f'did you mean "{close}"?' if close else f"write one of {', '.join(FIELDS)}"


def name(value: Any) -> str:
    """Return an id or a slice as text; raise ValueError if it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if value.bit_length() <= 64 else None
    if not isinstance(value, str):
        raise ValueError(f"is {kind_of(value)}; write text or a whole number")
    if not value.strip():
        raise ValueError("is empty; write a name")
    if len(value) > MAX_NAME:
        raise ValueError(f"has {len(value)} characters; write at most {MAX_NAME}")
    return value


def answer(value: Any, task: Task) -> Any:
    """Return an expected or superseded answer as it is written; raise ValueError if it cannot be.

    Lists become tuples, numbers floats where the task is regression.
    """
    if task is Task.TEXT and not isinstance(value, str):
        raise ValueError(f"is {kind_of(value)} and the task is text; write text")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"is {value}; write a finite number, or null if the model should refuse")
    shape = SHAPES[task](value)
    if shape is None:
        found = shown(value) if isinstance(value, str) else kind_of(value)
        raise ValueError(f"is {found} and the task is {task}; write {_WANTED[task]}")
    if task is Task.REGRESSION:
        return shape
    if isinstance(value, list | tuple):
        if task is Task.RANKING and not value:
            raise ValueError("lists no id; write one or more, or null if the model should refuse")
        if len(set(shape)) < len(value):
            raise ValueError("lists something twice; write each once")
        return tuple(value)
    if isinstance(value, str) and not value.strip():
        raise ValueError("is empty; write the answer, or null if the model should refuse")
    return value


def equal(one: Any, other: Any, task: Task) -> bool:
    """Say whether two answers are the same one to the task."""
    if task is Task.TEXT:
        return same(one, other)
    shape = SHAPES[task]
    return bool(shape(one) == shape(other))


def weight(value: Any) -> float:
    """Return a weight; raise ValueError outside LIGHTEST to HEAVIEST."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"is {kind_of(value)}; write a number above 0")
    if not value > 0:
        raise ValueError(f"is {value:g}; write a number above 0")
    if not LIGHTEST <= value <= HEAVIEST:
        raise ValueError(f"is {value:g}; write {LIGHTEST} to {HEAVIEST:g}")
    return float(value)


def moment(value: Any) -> float:
    """Return seconds since the epoch, of RFC 3339 text, a number of seconds or a datetime.

    Raises ValueError for anything else, for times without a zone, and for milliseconds.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < 1e11:
            raise ValueError(f"{value:g} is not in seconds; write 2026-01-31T00:00:00Z or seconds")
        return float(value)
    when = value
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(value.strip())
        except ValueError:
            when = None
    if not isinstance(when, datetime):
        raise ValueError(f"{shown(value)} is not a time; write 2026-01-31T00:00:00Z")
    if when.tzinfo is None:
        zoned = f"{when:%Y-%m-%dT%H:%M:%S}Z"
        raise ValueError(f"{shown(value)} has no time zone; write {zoned} or with +02:00")
    return when.timestamp()


def names(value: Any) -> tuple[str, ...]:
    """Return a list of ids as texts, or one id as a list of it; raise ValueError otherwise."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list | tuple) or any(label_of(one) is None for one in value):
        raise ValueError(f"is {kind_of(value)}; write a list of ids")
    return tuple(str(label_of(one)) for one in value)


def prose(value: Any) -> str:
    """Return a text; raise ValueError for anything else."""
    if not isinstance(value, str):
        raise ValueError(f"is {kind_of(value)}; write text")
    return value


def unsendable(value: Any, *, levels: int = MAX_LEVELS) -> str | None:
    """Return why an input cannot be sent to a model as JSON; None if it can."""
    if value is None or isinstance(value, str | bool | int):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else "holds NaN or an infinity; write finite numbers"
    if not isinstance(value, dict | list):
        kind = type(value).__name__
        return f"holds a value of type {kind}; write text, numbers, lists or mappings"
    if levels == 0:
        return f"is nested deeper than {MAX_LEVELS} levels; write it flatter"
    for one in value.values() if isinstance(value, dict) else value:
        if type(one) is not str and (why := unsendable(one, levels=levels - 1)) is not None:
            return why
    return None
