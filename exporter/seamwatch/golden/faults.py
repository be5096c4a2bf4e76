"""Collect everything that is wrong with a golden file, each with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from seamwatch.errors import GoldenError

MAX_SHOWN = 100
"""Problems that are told one by one; of the rest only the number."""


class Faults:
    """The problems of one golden file."""

    def __init__(self, path: Path, *, word: str = "") -> None:
        self._path = path
        self._word = word  # "row " where the file has no lines
        self._found: list[tuple[int, str]] = []
        self._more = 0

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, line: int, text: str) -> None:
        """Note that *line* (from 1; 0 for the file as a whole) has the problem *text*."""
        if len(self._found) < MAX_SHOWN:
            self._found.append((line, text))
        else:
            self._more += 1

    def fail(self, line: int, text: str) -> NoReturn:
        """Note the problem and raise: nothing after it can be read."""
        self._found.append((line, text))
        raise self._error()

    def raise_any(self) -> None:
        """Raise GoldenError with all that was found, in the order of the lines, if anything was."""
        if self._found:
            raise self._error()

    def _error(self) -> GoldenError:
        places = sorted(self._found, key=lambda found: found[0])
        problems = [
            f"{self._path}{f':{self._word}{line}' if line else ''}: {text}" for line, text in places
        ]
        if self._more:
            problems.append(f"{self._path}: and {self._more:,} more problems")
        return GoldenError(problems)


def shown(value: Any) -> str:
    """Return *value* as a message shows it: short, printable, texts in double quotes."""
    for kind, word in _WORDS:
        if isinstance(value, kind):
            return word
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
    return f'"{text}"' if isinstance(value, str) else text


def kind_of(value: Any) -> str:
    """Return the word for the type of a JSON value."""
    if value is None:
        return "null"
    for kind, word in _KINDS:
        if isinstance(value, kind):
            return word
    return type(value).__name__


_WORDS = ((dict, "a mapping"), (list | tuple, "a list"), (bytes, "bytes"))
_KINDS = (
    (str, "text"),
    (bool, "true/false"),
    (int | float, "a number"),
    (list | tuple, "a list"),
    (dict, "a mapping"),
)
