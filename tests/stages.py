"""Reads one stage as the exporter does: from its section, through real sockets and files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from seamwatch.config.sources import SourceSection
from seamwatch.errors import ReadError
from seamwatch.fetch import Fetcher
from seamwatch.pipeline import Observation
from seamwatch.sources import Reach, build

NOW = 1_795_338_000.0  # 2026-11-22T09:00:00Z


async def read(
    section: dict[str, Any], *, timeout: float = 5.0, base: Path = Path("/"), now: float = NOW
) -> Observation:
    """Return what the stage says, or raise what the exporter would report."""
    async with Fetcher() as fetcher:
        reach = Reach(fetcher)
        source = build(SourceSection.model_validate(section), reach, timeout=timeout, base_dir=base)
        try:
            return await source.read(now=now)
        finally:
            await source.close()
            await reach.close()


async def failure(section: dict[str, Any], **options: Any) -> tuple[str, str]:
    """Return reason and whole message of a reading that must fail."""
    try:
        observation = await read(section, **options)
    except ReadError as error:
        return error.reason.value, str(error)
    raise AssertionError(f"read {observation}")


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Return once *condition* gives something true; fail the test after 20 seconds."""
    async with asyncio.timeout(20):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)
