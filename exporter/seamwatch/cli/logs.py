"""Structured logs on standard error: logfmt as Prometheus writes it, or JSON."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal, TextIO

LEVELS = ("debug", "info", "warn", "error")
FORMATS = ("logfmt", "json")


def set_up(
    *, level: str = "info", format: Literal["logfmt", "json"] = "logfmt", to: TextIO | None = None
) -> None:
    """Send every log record, ours and the libraries', to *to* (default: standard error)."""
    import structlog
    from structlog.typing import EventDict, WrappedLogger

    def shorten(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["msg"] = event.pop("event")
        return event

    before: list[Any] = [
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.format_exc_info,
        shorten,
    ]
    order = ["ts", "level", "logger", "msg"]
    render = (
        structlog.processors.JSONRenderer()
        if format == "json"
        else structlog.processors.LogfmtRenderer(key_order=order, drop_missing=True)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )
    handler = logging.StreamHandler(to or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel({"warn": logging.WARNING}.get(level, level.upper()))
    # asyncio reports each refused accept when file descriptors run out: thousands a second.
    logging.getLogger("asyncio").addFilter(_once_a_burst())


def _once_a_burst() -> logging.Filter:
    """Return a filter that lets the same message through once in ten seconds."""
    last: dict[str, float] = {}

    class OnceABurst(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if len(last) > 100:
                last.clear()
            key = str(record.msg)
            if record.created - last.get(key, 0.0) < 10:
                return False
            last[key] = record.created
            return True

    return OnceABurst()
