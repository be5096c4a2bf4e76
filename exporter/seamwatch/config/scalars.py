"""What an unquoted YAML text stands for, and the readings that nobody means.

YAML 1.1 readers turn ``no`` into false, ``12:30:45`` into 45045 and ``010`` into 8; YAML 1.2
readers do not. Such a text is a trap: whoever wrote it meant one thing and some tool reads another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_WORDS: dict[str, Any] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_SWITCHES = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_LONGEST_WORD = 5

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LONGEST_SHOWN = 60  # characters
_LONGEST_INT = 18  # digits: beyond them a number is no longer exact everywhere
_VALUELESS = "a number without a value"
_INEXACT = "a number too long to be exact"
_TRAPS = (
    (re.compile(r"[-+]?0[0-9_]+"), "an octal number"),
    (re.compile(r"[-+]?0[xob][0-9a-fA-F_]+"), "a number in another base"),
    (re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?"), "a number with its underscores dropped"),
    (re.compile(r"[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"), "a count of seconds"),
    (
        re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9:.]+.*)?"),
        "a date",
    ),
    (re.compile(r"[-+]?\.(?:inf|Inf|INF|nan|NaN|NAN)"), _VALUELESS),
)
_NUMBERS = (_TRAPS[0][1], _TRAPS[1][1], _TRAPS[2][1], _VALUELESS, _INEXACT)
_NUMERIC = frozenset("-+.0123456789")


@dataclass(frozen=True, slots=True)
class Trap:
    """An unquoted text that YAML readers disagree about; *reading* is what some make of it."""

    text: str
    reading: str

    def describe(self, *, shown: bool) -> str:
        """Say what was found and what to write; the text itself only where it may be *shown*."""
        shown = shown and len(self.text) <= _LONGEST_SHOWN
        found = self.text if shown else "this text"
        if self.reading in ("true", "false"):
            return (
                f"{found} without quotes is read as {self.reading} by some YAML readers;"
                f' write {self.reading} for a switch, or "{self.text}" in quotes for the text'
            )
        instead = f'"{self.text}" in quotes' if shown else "it in quotes"
        if self.reading in _NUMBERS:
            instead = f"a plain decimal number, or {instead} for a text"
        return f"{found} without quotes is read as {self.reading}; write {instead}"


def resolve(text: str) -> Any:
    """Return the None, bool, int, float or str that unquoted *text* stands for, or a Trap."""
    if text and text[0] in _NUMERIC:
        return _number(text)
    if len(text) <= _LONGEST_WORD:
        if text in _WORDS:
            return _WORDS[text]
        lower = text.lower()
        if lower in _SWITCHES and text in (lower, lower.title(), lower.upper()):
            return Trap(text, _SWITCHES[lower])
    return text


def _number(text: str) -> Any:
    if _INT.fullmatch(text):
        if len(text.lstrip("-+")) > _LONGEST_INT:
            return Trap(text, _INEXACT)
        return int(text)
    for pattern, reading in _TRAPS:
        if pattern.fullmatch(text) and not (pattern is _TRAPS[2][0] and "_" not in text):
            return Trap(text, reading)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if value in (float("inf"), float("-inf")):
            return Trap(text, _VALUELESS)
        return value
    return text
