"""Where a stage's own word about itself is read. A kind is one module and one line in KINDS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from seamwatch.config.sources import SourceSection
from seamwatch.sources.file import file_reader
from seamwatch.sources.http import HttpReader
from seamwatch.sources.prometheus import PrometheusReader
from seamwatch.sources.reach import Reach, Source
from seamwatch.sources.sql import SqlReader
from seamwatch.sources.static import StaticReader

__all__ = ["KINDS", "Reach", "Source", "build"]


class Kind(Protocol):
    """Makes the source of one section; raises SeamwatchError if it could never be read."""

    def __call__(self, section: Any, reach: Reach, *, timeout: float, base_dir: Path) -> Source:
        """Return the source; nothing is connected yet."""


KINDS: Mapping[str, Kind] = {
    "http": HttpReader,
    "prometheus": PrometheusReader,
    "sql": SqlReader,
    "file": file_reader,
    "static": StaticReader,
}
"""The name under ``source:`` and what reads it."""


def build(section: SourceSection, reach: Reach, *, timeout: float, base_dir: Path) -> Source:
    """Return the source that *section* describes.

    Args:
        section: what the configuration says.
        reach: shared by all sources of this event loop.
        timeout: seconds for one whole reading.
        base_dir: the directory that relative paths start from: the configuration file's.

    Raises:
        SeamwatchError: it could never be read.
    """
    return KINDS[section.kind](section.section, reach, timeout=timeout, base_dir=base_dir)
