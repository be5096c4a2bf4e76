"""What is wrong with seamwatch.yaml, as sentences with file, line and column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seamwatch.errors import SeamwatchError

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of the file down."""


WRITTEN = "\0written\0"
"""Stands in a message for the text of the value as the file has it: 1.10, where Python says 1.1."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at *path*: what was found; what to write instead."""

    path: KeyPath
    message: str
    at_key: bool = False  # points at the key rather than at its value


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding with its place in a file; lines and columns count from 1."""

    file: str
    line: int
    column: int
    path: KeyPath
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: "
        return f"{where}{dotted(self.path)}: {self.message}" if self.path else where + self.message


class ConfigError(SeamwatchError):
    """The configuration cannot be used; *problems* are all that was found, in file order."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{name}: {count}{lines}")
        self.name = name
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, tuple[Problem, ...]]]:
        return ConfigError, (self.name, self.problems)


def dotted(path: KeyPath) -> str:
    """Return ``pipelines.rag.stages.index.after[1]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
