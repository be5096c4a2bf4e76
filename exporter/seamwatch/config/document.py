"""One YAML file as plain values: bounded, without aliases, tags, duplicate keys or traps.

Values are built from the parser's events and not from nodes: that is four times faster, and the
C composer crashes the process on 50,000 nested brackets while the C parser does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from seamwatch.config.environment import interpolate
from seamwatch.config.locating import Spot, events, locate
from seamwatch.config.problems import KeyPath
from seamwatch.config.scalars import Trap, resolve

__all__ = ["MAX_BYTES", "MAX_DEPTH", "Document", "Fault", "Spot", "decode", "locate", "parse"]

MAX_DEPTH = 100
MAX_BYTES = 16 << 20
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_BROKEN: Any = object()  # stands where a value could not be read; whoever finds it knows why
_NO_KEY: Any = object()


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that cannot be read at *line* and *column*, both from 1."""

    line: int
    column: int
    path: KeyPath
    message: str | Trap
    loses: bool = True  # the value at path is not in the document, so nothing else is said of it


@dataclass(slots=True)
class Document:
    """The values of a file and what could not be read; *value* is None when nothing could."""

    value: Any
    faults: list[Fault] = field(default_factory=list)


class _Stop(Exception):
    """The rest of the file cannot be read."""


def decode(content: bytes) -> str | Fault:
    """Return the text of a file, or why it is none."""
    if len(content) > MAX_BYTES:
        return Fault(1, 1, (), f"larger than {MAX_BYTES >> 20} MiB; split it into several files")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Fault(1, 1, (), "UTF-16 text; save the file as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        found = f"byte 0x{content[error.start]:02x} is not UTF-8 text"
        return Fault(line, column, (), f"{found}; save the file as UTF-8")
    if match := _CONTROL.search(text):
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - (text.rfind("\n", 0, match.start()) + 1) + 1
        found = f"control character U+{ord(match[0]):04X}"
        return Fault(line, column, (), f"{found} is not text; remove it")
    return text


def parse(text: str, environ: Mapping[str, str]) -> Document:
    """Return the values of *text*; what cannot be read is a fault and absent from the value."""
    builder = _Builder(environ)
    try:
        for event in events(text):
            builder.take(event)
    except _Stop:
        pass
    except yaml.YAMLError as error:
        builder.faults.append(_syntax_fault(error, text))
    if builder.duplicates:
        builder.point_at_firsts(locate(text, builder.duplicates))
    if builder.root is _BROKEN:
        builder.root = None
    return Document(builder.root, builder.faults)


class _Builder:
    """Takes events, one at a time, and keeps the containers that are not closed yet."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.root: Any = _BROKEN
        self.faults: list[Fault] = []
        self.duplicates: dict[KeyPath, int] = {}  # path -> position in faults
        self._environ = environ
        self._open: list[Any] = []  # dicts and lists, outermost first
        self._keys: list[Any] = []  # the key that each of them waits with, or _NO_KEY
        self._documents = 0
        self._memo: dict[str, Any] = {}

    def take(self, event: Any) -> None:
        kind = event.__class__
        if kind is ScalarEvent:
            self._place(self._scalar(event), event)
        elif kind is MappingStartEvent:
            self._start({}, event)
        elif kind is SequenceStartEvent:
            self._start([], event)
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            self._keys.pop()
            value = self._open.pop()
            self._place(_BROKEN if isinstance(value, _AsKey) else value, event)
        elif kind is AliasEvent:
            self._fault(event, f"*{event.anchor} is an alias; write the value out")
            self._place(_BROKEN, event)
        elif kind is DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                self._fault(event, "a second document begins here; write one document in a file")
                raise _Stop

    def point_at_firsts(self, spots: Mapping[KeyPath, Spot]) -> None:
        """Say in the faults about duplicate keys where each key stands first."""
        for path, index in self.duplicates.items():
            fault = self.faults[index]
            line = spots[path].key[0]
            message = f"the key is given twice, first in line {line}; keep one of them"
            self.faults[index] = Fault(fault.line, fault.column, path, message, loses=False)

    def _start(self, container: Any, event: Any) -> None:
        if event.tag is not None:
            self._fault(event, _about_tag(event.tag))
        if len(self._open) >= MAX_DEPTH:
            mark = event.start_mark
            message = f"nested deeper than {MAX_DEPTH} levels; no configuration needs that"
            self.faults.append(Fault(mark.line + 1, mark.column + 1, (), message))
            self.root = _BROKEN
            raise _Stop
        if self._open and self._keys[-1] is _NO_KEY and isinstance(self._open[-1], dict):
            hint = 'write a template in quotes: "{{ input }}"'
            what = "mapping" if isinstance(container, dict) else "list"
            self._fault(event, f"a {what} stands where a key is wanted; {hint}")
            container = _AsKey()
        self._open.append(container)
        self._keys.append(_NO_KEY)

    def _place(self, value: Any, event: Any) -> None:
        if not self._open:
            self.root = value
            return
        container = self._open[-1]
        if isinstance(container, list):
            container.append(None if value is _BROKEN else value)  # the positions stay right
            return
        key = self._keys[-1]
        if key is _NO_KEY:
            self._keys[-1] = self._key(value, event, container)
            return
        self._keys[-1] = _NO_KEY
        if value is not _BROKEN and key is not _BROKEN:
            container[key] = value

    def _key(self, value: Any, event: Any, container: dict[str, Any]) -> Any:
        if value.__class__ is not str:
            if value is not _BROKEN:
                message = (
                    f'{event.value} without quotes is no text; write the key as "{event.value}"'
                )
                self._fault(event, message, loses=False)
            return _BROKEN
        if value == "<<":
            self._fault(event, "<< merges mappings in other tools; write the keys out", loses=False)
            return _BROKEN
        if value in container:
            self.duplicates.setdefault((*self._path(), value), len(self.faults))
            self._fault(event, "the key is given twice; keep one of them", loses=False)
            return _BROKEN
        return value

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if event.tag is not None:
            self._fault(event, _about_tag(event.tag))
            return _BROKEN
        is_key = self._open and self._keys[-1] is _NO_KEY and isinstance(self._open[-1], dict)
        if event.implicit[0]:  # plain: neither quoted nor a block
            value = self._memo.get(text, _NO_KEY)
            if value is _NO_KEY:
                value = self._memo[text] = resolve(text)
            if value.__class__ is Trap:
                self._fault(
                    event, value.describe(shown=True) if is_key else value, loses=not is_key
                )
                return _BROKEN
        else:
            value = self._memo_text(text)
        if "${" in text and not is_key and isinstance(value, str):
            try:
                return interpolate(value, self._environ)
            except ValueError as error:
                self._fault(event, str(error))
                return _BROKEN
        return value

    def _memo_text(self, text: str) -> str:
        known = self._memo.get(text)
        return known if known.__class__ is str else text

    def _path(self) -> KeyPath:
        parts: list[str | int] = []
        for container, key in zip(self._open, self._keys, strict=True):
            if isinstance(container, list):
                parts.append(len(container))
            elif isinstance(key, str):
                parts.append(key)
        return tuple(parts)

    def _fault(self, event: Any, message: str | Trap, *, loses: bool = True) -> None:
        mark = event.start_mark
        fault = Fault(mark.line + 1, mark.column + 1, self._path(), message, loses)
        self.faults.append(fault)


class _AsKey(list[Any]):
    """Takes what stands in a mapping or a list where a key is wanted."""


def _about_tag(tag: str) -> str:
    short = tag.replace("tag:yaml.org,2002:", "!!")
    return f"{short} is a tag; leave it out (a text that looks like a number stands in quotes)"


def _syntax_fault(error: yaml.YAMLError, text: str) -> Fault:
    if not isinstance(error, yaml.MarkedYAMLError):  # a character that YAML does not allow
        return Fault(1, 1, (), f"this is not YAML: {getattr(error, 'reason', 'unreadable')}")
    mark: Any = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.splitlines()
    here = lines[line] if line < len(lines) else ""
    problem = error.problem or "it cannot be read"
    if "\t" in here[: column + 1] or "tab" in problem:
        message = "a tab is used to indent; indent with spaces"
    elif "${" in here or "{{" in here:
        message = f'{problem}; write "${{NAME}}" and "{{{{ input }}}}" in quotes'
    elif "mapping values are not allowed" in problem:
        message = "a second colon in one line; write a text with a colon and a space in quotes"
    else:
        message = f"this is not YAML: {problem}; look at this line and the one before it"
    return Fault(line + 1, column + 1, (), message)
