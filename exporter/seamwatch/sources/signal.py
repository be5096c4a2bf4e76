"""A figure about live traffic: one PromQL query, one number."""

from __future__ import annotations

from seamwatch.config.quality import SignalSection
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Endpoint
from seamwatch.sources.prometheus import ask
from seamwatch.sources.reach import Reach


class SignalReader:
    """Asks a server of the Prometheus HTTP API for one signal."""

    def __init__(self, section: SignalSection, reach: Reach) -> None:
        self._endpoint = Endpoint(section)
        self._query = section.promql
        self._timeout = section.timeout
        self._reach = reach
        self.host = self._endpoint.url.authority

    async def read(self) -> float | None:
        """Return the figure now; None when the query finds nothing, or NaN. Raises ReadError."""
        found = await ask(
            self._reach.fetcher,
            self._endpoint,
            self._query,
            what="promql",
            timeout=self._timeout,
        )
        if isinstance(found, str):  # only a label is text, and none is asked for
            raise ReadError(Reason.BAD_CONTRACT, "the query gives text, not a number")
        return found
