"""What others wrote, quoted in a message: short, on one line, nothing that moves a terminal."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any


def shown(value: Any, limit: int = 60) -> str:
    """Return *value* as a person would quote it in a message, at most *limit* characters."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, dict):
        return f"a mapping of {len(value)} entries"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number of more than 60 digits"
    text = value.isoformat() if isinstance(value, date | datetime) else str(value)
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    # ascii() of what cannot be printed, so that a message never breaks a log line or a terminal
    short = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short)
    return f'"{short}"' if isinstance(value, str) else short


def problem(error: BaseException) -> str:
    """Return the first line of a driver's text, bounded."""
    lines = str(error).splitlines() or [type(error).__name__]
    return shown(lines[0], 200)[1:-1]
