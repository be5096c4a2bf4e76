"""Where each value of a YAML file stands: a walk over the parser's events that keeps no values."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from seamwatch.config.problems import KeyPath

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value stands: line and column from 1 of its key and of itself, and its text."""

    key: tuple[int, int]
    value: tuple[int, int]
    text: str | None  # as written, without quotes; None for a mapping or a list


def locate(text: str, wanted: Collection[KeyPath]) -> dict[KeyPath, Spot]:
    """Return where each of the *wanted* paths stands first; paths that are absent are left out."""
    found: dict[KeyPath, Spot] = {}
    missing = set(wanted)
    try:
        for path, spot in _spots(text):
            if path in missing:
                missing.discard(path)
                found[path] = spot
                if not missing:
                    break
    except yaml.YAMLError:
        pass  # what comes before the error is enough
    return found


def events(text: str) -> Iterator[Any]:
    """Yield the parser's events; raise yaml.YAMLError where the text is no YAML."""
    parser = _PARSER(text)
    try:
        while True:
            event = parser.get_event()
            yield event
            if event.__class__ is StreamEndEvent:
                return
    finally:
        parser.dispose()


def _spots(text: str) -> Iterator[tuple[KeyPath, Spot]]:
    """Yield every value's path and place in the order of the file."""
    frames: list[_Frame] = []
    path: list[str | int] = []
    for event in events(text):
        if isinstance(event, MappingEndEvent | SequenceEndEvent):
            frames.pop()
            if frames:
                path.pop()
        elif isinstance(event, ScalarEvent | AliasEvent | MappingStartEvent | SequenceStartEvent):
            start: Any = event.start_mark
            mark = (start.line + 1, start.column + 1)
            opens = not isinstance(event, ScalarEvent | AliasEvent)
            scalar = event.value if isinstance(event, ScalarEvent) else None
            is_key = bool(frames) and frames[-1].wants_key
            at_key = mark
            if frames:
                at_key = frames[-1].step(path, scalar or "", mark)
            if not is_key:
                yield tuple(path), Spot(at_key, mark, scalar)
            if opens:
                frames.append(_Frame(isinstance(event, MappingStartEvent)))
            elif frames:
                path.pop()


class _Frame:
    """A mapping or a list that is being read: where its next value stands."""

    def __init__(self, is_mapping: bool) -> None:
        self.wants_key = self._is_mapping = is_mapping
        self._key = ""
        self._place = (0, 0)
        self._position = 0

    def step(self, path: list[str | int], text: str, mark: tuple[int, int]) -> tuple[int, int]:
        """Append what leads to this event to *path* and return the place of its key."""
        if not self._is_mapping:
            path.append(self._position)
            self._position += 1
            return mark
        if self.wants_key:
            self._key, self._place = text, mark
        path.append(self._key)
        self.wants_key = not self.wants_key
        return self._place
