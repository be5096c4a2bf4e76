"""The ``{{ path }}`` of question templates: found, checked and taken apart when the file is read.

A path is JMESPath over the golden item: ``input``, ``id`` and ``slice``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

ROOTS = ("input", "id", "slice")

# the closing braces are the last two of a run, so that {{ {a: input.x}}} works
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}(?!\})", re.DOTALL)

# the children of these nodes that are evaluated against the item itself and not against a part
_FIRST_CHILD_ONLY = frozenset(
    {"subexpression", "pipe", "projection", "value_projection", "filter_projection", "flatten"}
    | {"index_expression"}
)


class Placeholder(str):
    """The JMESPath expression of one placeholder."""

    __slots__ = ()


def split(text: str) -> list[str]:
    """Return *text* cut into plain parts and Placeholders, in order; raise ValueError.

    Raises:
        ValueError: a placeholder is not closed, is no JMESPath, or starts at an unknown name.
    """
    parts: list[str] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        parts.append(_plain(text[end : match.start()]))
        parts.append(_checked(match[1].strip()))
        end = match.end()
    parts.append(_plain(text[end:]))
    return [part for part in parts if part]


def check(value: Any, path: str) -> int:
    """Return how many placeholders *value* has, at any depth; raise ValueError naming the place."""
    if isinstance(value, str):
        try:
            return sum(isinstance(part, Placeholder) for part in split(value))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    if isinstance(value, dict):
        return sum(check(inner, f"{path}.{key}") for key, inner in value.items())
    if isinstance(value, list):
        return sum(check(inner, f"{path}[{place}]") for place, inner in enumerate(value))
    return 0


def _plain(text: str) -> str:
    if "{{" in text:
        start = text.index("{{")
        raise ValueError(f"{text[start : start + 30]!r} has no closing }}}}; write {{{{ input }}}}")
    return text


def _checked(expression: str) -> Placeholder:
    try:
        tree = jmespath.compile(expression).parsed
    except JMESPathError as error:
        reason = str(error).splitlines()[0].rstrip(":")
        raise ValueError(
            f"{expression!r} is not a JMESPath expression ({reason});"
            " write {{ input.question }}"
        ) from error
    for name in _roots(tree):
        if name not in ROOTS:
            raise ValueError(
                f"{{{{ {expression} }}}} starts at {name!r}, but an item has only"
                f" {', '.join(ROOTS)}; write {{{{ input.{name} }}}}"
            )
    return Placeholder(expression)


def _roots(node: Any) -> Iterator[str]:
    """Yield the names that an expression looks up in the item itself."""
    kind, children = node["type"], node["children"]
    if kind == "field":
        yield node["value"]
    elif kind == "expref":
        return
    else:
        for child in children[:1] if kind in _FIRST_CHILD_ONLY else children:
            if isinstance(child, dict):
                yield from _roots(child)
