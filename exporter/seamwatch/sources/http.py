"""``http``: any JSON over HTTP, the fields of the stage contract found by JMESPath."""

from __future__ import annotations

from pathlib import Path

from seamwatch.config.sources import HttpSource
from seamwatch.fetch.endpoint import Endpoint
from seamwatch.pipeline import Observation
from seamwatch.sources.body import decode
from seamwatch.sources.contract import contract
from seamwatch.sources.reach import Reach


class HttpReader:
    """Reads a stage's own page."""

    __slots__ = ("_contract", "_endpoint", "_reach", "_timeout", "host")

    def __init__(
        self, section: HttpSource, reach: Reach, *, timeout: float, base_dir: Path
    ) -> None:
        self._contract = contract(section.time, section.zone, section.healthy, section.fields)
        self._endpoint = Endpoint(section)
        self._reach = reach
        self._timeout = timeout
        self.host = self._endpoint.url.authority

    async def read(self, *, now: float) -> Observation:
        """Return what the page says; raise ReadError within the timeout."""
        fetched = await self._reach.fetcher.fetch(self._endpoint, timeout=self._timeout)
        where = self._endpoint.name()
        return self._contract.read(decode(fetched.body, where=where), now=now, where=where)

    async def close(self) -> None:
        """Connections belong to the fetcher."""
