"""Forbidden patterns in answers, without letting an answer and a pattern stop the exporter.

Python's regular expressions backtrack: some patterns take time that is exponential, or a high
power, in the length of the text. So a pattern is refused when the steps it may take at one place
of the text, estimated from above, exceed a small multiple of the length, and texts are searched
in pieces. At worst a search takes time that is quadratic in a piece.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from seamwatch.quality.steps import most_steps

PIECE = 1_000  # characters searched at once
OVERLAP = 250  # longer matches may be missed in a text longer than a piece
SEARCHED = 20_000  # characters of a text that are searched at all
MOST_STEPS = 6 * PIECE


def too_slow(pattern: str) -> str | None:
    """Return what is wrong with a valid *pattern* that may take too long; None for a good one."""
    steps = most_steps(pattern, PIECE)
    if steps <= MOST_STEPS:
        return None
    return (
        f"{pattern!r:.80} may take very long on some answers, as its repetitions can share out "
        "the same text in many ways; bound them (.{0,50} for .*), or let each end at a character "
        r"that it does not repeat itself (\w+\s for .+\s)"
    )


class Forbidden:
    """Patterns that no answer may match anywhere."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Compile *patterns*; ValueError for one that is none or may take too long."""
        self._compiled = []
        for pattern in patterns:
            try:
                compiled = re.compile(pattern)
            except (re.error, RecursionError, OverflowError) as error:
                raise ValueError(f"{pattern!r:.80} is not a regular expression") from error
            if (wrong := too_slow(pattern)) is not None:
                raise ValueError(wrong)
            self._compiled.append(compiled)

    def found(self, text: str) -> bool | None:
        """Say whether *text* holds one; None when it was too long to search to its end."""
        if any(_matches(pattern, text) for pattern in self._compiled):
            return True
        return None if len(text) > SEARCHED else False


def _matches(pattern: re.Pattern[str], text: str) -> bool:
    for start in range(0, min(len(text), SEARCHED) or 1, PIECE - OVERLAP):
        end = min(start + PIECE, len(text))
        found = pattern.search(text, start, end)
        # what ends where the piece ends may owe it to that: the next piece has it again
        if found is not None and (found.end() < end or end == len(text)):
            return True
        if end == len(text):
            return False
    return False
