"""What every source is and what all of them share: one HTTP client, threads, database pools."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from seamwatch.fetch import Fetcher
from seamwatch.pipeline import Observation
from seamwatch.sources.postgres import Pools
from seamwatch.sources.threads import Threads


class Source(Protocol):
    """Reads one stage."""

    @property
    def host(self) -> str:
        """What is asked, e.g. ``db:5432``: sources of one host share a limit; "" shares nothing."""

    async def read(self, *, now: float) -> Observation:
        """Return what the stage says of itself; *now* is wall clock, seconds since the epoch.

        Raises:
            ReadError: whatever went wrong, within the source's timeout.
        """

    async def close(self) -> None:
        """Give back what only this source used."""


@dataclass(slots=True)
class Reach:
    """The means of all sources of one event loop. The fetcher belongs to whoever made it."""

    fetcher: Fetcher
    threads: Threads = field(default_factory=Threads)
    pools: Pools = field(default_factory=Pools)

    async def close(self) -> None:
        """Close every database connection."""
        await self.pools.close()
