"""Questions from templates and answers by paths, both compiled once.

``{{ path }}`` is JMESPath over the golden item (``input``, ``id``, ``slice``). A text that is one
placeholder keeps the type of what it finds; inside other text, values are written as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import jmespath
import orjson
from jmespath.exceptions import JMESPathError

from seamwatch.config.placeholders import Placeholder, split
from seamwatch.errors import ReadError, Reason
from seamwatch.pipeline import GoldenItem

Render = Callable[[GoldenItem], Any]
"""Make a value from an item; raises ReadError when the item lacks what the template names."""

_KEYS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_MISSING = object()


def compile_path(expression: str) -> Callable[[Any], Any]:
    """Return a function that finds *expression* (JMESPath) in JSON; None where nothing is."""
    if _KEYS.fullmatch(expression) and "." not in expression:  # the usual case
        return lambda found: found.get(expression) if isinstance(found, dict) else None
    search = _walker(expression)
    return lambda found: None if (value := search(found)) is _MISSING else value


def compile_template(value: Any) -> Render:
    """Return a function that makes *value* (JSON with placeholders) for an item.

    Raises:
        ValueError: a placeholder cannot be used; the text says what to write instead.
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return _mapping({key: compile_template(inner) for key, inner in value.items()})
    if isinstance(value, list | tuple):
        made = [compile_template(inner) for inner in value]
        return lambda item: [render(item) for render in made]
    return lambda item: value


def compile_text(value: str) -> Callable[[GoldenItem], str]:
    """Return a function that makes *value* for an item, always as text (URL parameters)."""
    parts = split(value)
    if not any(isinstance(part, Placeholder) for part in parts):
        return lambda item: value
    made = [_inside(part) if isinstance(part, Placeholder) else part for part in parts]
    return lambda item: "".join(part if isinstance(part, str) else part(item) for part in made)


def as_json(value: Any, item: GoldenItem) -> bytes:
    """Return the question for *item* as JSON; raise ReadError when JSON has no such value."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise ReadError(
            Reason.BAD_CONTRACT, f"golden item {item.id!r} cannot be written as JSON: {error}"
        ) from error


def as_text(value: Any) -> str:
    """Return a text as it is and everything else as JSON; ValueError when JSON cannot say it."""
    try:
        return value if isinstance(value, str) else orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise ValueError(f"cannot be written as JSON: {error}") from error


def _mapping(made: dict[str, Render]) -> Render:
    members = tuple(made.items())
    return lambda item: {key: render(item) for key, render in members}


def _text(value: str) -> Render:
    parts = split(value)
    if len(parts) == 1 and isinstance(parts[0], Placeholder):
        return _placeholder(parts[0])
    return compile_text(value)


def _placeholder(expression: Placeholder) -> Render:
    if expression == "input":
        return lambda item: item.input
    if expression == "id":
        return lambda item: item.id
    if expression == "slice":
        return lambda item: item.slice
    search = _walker(expression)

    def render(item: GoldenItem) -> Any:
        found = search({"input": item.input, "id": item.id, "slice": item.slice})
        if found is _MISSING:
            raise _lacks(item, expression)
        return found

    return render


def _inside(expression: Placeholder) -> Callable[[GoldenItem], str]:
    render = _placeholder(expression)

    def text(item: GoldenItem) -> str:
        found = render(item)
        if found is None:  # "null" in the middle of a question is never what was meant
            raise _lacks(item, expression)
        try:
            return as_text(found)
        except ValueError as error:
            raise ReadError(Reason.BAD_CONTRACT, f"golden item {item.id!r} {error}") from error

    return text


def _lacks(item: GoldenItem, expression: str) -> ReadError:
    return ReadError(
        Reason.BAD_CONTRACT,
        f"golden item {item.id!r} has nothing at {{{{ {expression} }}}} of the model's template",
    )


def _walker(expression: str) -> Callable[[Any], Any]:
    """Return a search that is quick for plain keys; only that one can tell missing from null."""
    if _KEYS.fullmatch(expression):
        keys = tuple(expression.split("."))

        def walk(found: Any) -> Any:
            for key in keys:
                if not isinstance(found, dict) or key not in found:
                    return _MISSING
                found = found[key]
            return found

        return walk
    compiled = jmespath.compile(expression)

    def search(found: Any) -> Any:
        try:
            return compiled.search(found)
        except (JMESPathError, TypeError, ValueError, ArithmeticError):
            return _MISSING  # a function that got another type than it takes

    return search
