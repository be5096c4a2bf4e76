"""What may stand at a path of seamwatch.yaml: found by walking the types of the schema."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator, SecretStr

from seamwatch.config.fields import (
    Section,
    parse_duration,
    parse_limit,
    parse_period,
    parse_ratio,
    parse_share,
    parse_size,
)
from seamwatch.config.problems import KeyPath
from seamwatch.config.schema import Settings
from seamwatch.config.slos import parse_moment

_PLAIN: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    SecretStr: "a text",
}
_READ_BY: dict[Any, str] = {
    parse_duration: "a duration such as 15m",
    parse_period: "a duration such as 15m",
    parse_ratio: "a ratio such as 0.95 or 95%",
    parse_share: "a ratio such as 0.95 or 95%",
    parse_limit: "a number or a percentage such as 95%",
    parse_size: "a size such as 1MiB",
    parse_moment: 'a time in quotes such as "2026-11-29T22:00:00Z"',
}


@dataclass(frozen=True, slots=True)
class Allowed:
    """The types that a place takes; none where the schema knows no such place."""

    types: tuple[Any, ...]
    reader: str | None = None  # what to write, where a reader of ours takes more than the type

    @property
    def sections(self) -> tuple[type[Section], ...]:
        """The sections among them."""
        return tuple(t for t in self.types if isinstance(t, type) and issubclass(t, Section))

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that may be written below, where those are fixed."""
        return tuple(key for section in self.sections for key in keys(section))

    @property
    def below(self) -> tuple[type[Section], ...]:
        """The sections that any name leads to, where names are free."""
        inner = (b for t in self.types if get_origin(t) is dict for b in _flat(get_args(t)[1:]))
        return tuple(t for t in inner if isinstance(t, type) and issubclass(t, Section))

    @property
    def words(self) -> tuple[str, ...]:
        """The words of an enumeration."""
        return tuple(w for t in self.types if get_origin(t) is Literal for w in get_args(t))

    @property
    def may_be_shown(self) -> bool:
        """Say whether a value here can be no secret: a known place of a plain type."""
        return bool(self.types) and all(
            t in (str, int, float, bool, type(None)) or get_origin(t) in (Literal, tuple)
            for t in self.types
        )

    @property
    def wanted(self) -> str:
        """Name what to write, e.g. ``a text or a number``."""
        if self.reader is not None:
            return self.reader
        found = dict.fromkeys(_wanted(self.types))
        return " or ".join(found) or "another value"


def keys(section: type[Section]) -> tuple[str, ...]:
    """Return the keys of *section* as they are written."""
    return tuple(field.alias or name for name, field in section.model_fields.items())


@lru_cache(maxsize=4096)
def allowed(path: KeyPath) -> Allowed:
    """Return what may stand at *path*."""
    here: tuple[Any, ...] = (Settings,)
    for part in path:
        here = tuple(below for annotation in _flat(here) for below in _step(annotation, part))
    reader = next((_READ_BY[read] for read in _readers(here) if read in _READ_BY), None)
    return Allowed(tuple(_flat(here)), reader)


def _step(annotation: Any, part: str | int) -> Iterator[Any]:
    origin = get_origin(annotation)
    if isinstance(part, int):
        if origin in (tuple, list):
            yield get_args(annotation)[0]
    elif origin is dict:
        yield get_args(annotation)[1]
    elif isinstance(annotation, type) and issubclass(annotation, Section):
        for name, field in annotation.model_fields.items():
            if part == (field.alias or name):
                yield field.annotation
                yield from (m for m in field.metadata if isinstance(m, BeforeValidator))


def _flat(annotations: tuple[Any, ...]) -> Iterator[Any]:
    """Yield the members of unions, without what Annotated adds."""
    for annotation in annotations:
        if hasattr(annotation, "__metadata__"):
            yield from _flat((annotation.__origin__,))
        elif get_origin(annotation) in (Union, types.UnionType):
            yield from _flat(get_args(annotation))
        elif not isinstance(annotation, BeforeValidator):
            yield annotation


def _readers(annotations: tuple[Any, ...]) -> Iterator[Any]:
    """Yield the functions that read a value before its type is checked."""
    for annotation in annotations:
        if isinstance(annotation, BeforeValidator):
            yield annotation.func
        elif hasattr(annotation, "__metadata__"):
            yield from _readers(annotation.__metadata__)
        elif get_origin(annotation) in (Union, types.UnionType):
            yield from _readers(get_args(annotation))


def _wanted(members: tuple[Any, ...]) -> Iterator[str]:
    for member in members:
        origin = get_origin(member)
        if member in _PLAIN:
            yield _PLAIN[member]
        elif origin is Literal:
            yield "one of " + ", ".join(map(str, get_args(member)))
        elif origin in (tuple, list):
            yield "a list"
        elif origin is dict:
            yield "a mapping"
        elif isinstance(member, type) and issubclass(member, Section):
            yield "a mapping with " + ", ".join(keys(member))
