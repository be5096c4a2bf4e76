"""``static``: what nobody serves yet, written by hand in the configuration."""

from __future__ import annotations

from pathlib import Path

from seamwatch.config.sources import StaticSource
from seamwatch.pipeline import Observation
from seamwatch.sources.contract import contract
from seamwatch.sources.reach import Reach


class StaticReader:
    """Says what the configuration says."""

    __slots__ = ("_contract", "_values", "host")

    def __init__(
        self, section: StaticSource, reach: Reach, *, timeout: float, base_dir: Path
    ) -> None:
        self._contract = contract(section.time, section.zone)
        self._values = section.model_dump(exclude={"time", "zone"}, exclude_none=True)
        self.host = ""

    async def read(self, *, now: float) -> Observation:
        """Return it; raise ReadError for a timestamp that is none."""
        return self._contract.observe(self._values, now=now, where="static")

    async def close(self) -> None:
        """Nothing is held."""
