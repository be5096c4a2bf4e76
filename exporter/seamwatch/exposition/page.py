"""The page as a whole: made in a thread of its own, once for all who ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry
from prometheus_client import exposition as text
from prometheus_client.openmetrics import exposition as openmetrics

from seamwatch.catalogue import Family
from seamwatch.collectors.own import OwnMetrics
from seamwatch.exposition.compression import Compressed, compressed, finished
from seamwatch.exposition.negotiation import Format
from seamwatch.exposition.store import ChunkStore
from seamwatch.exposition.text import header

_OWN: dict[Format, Callable[[CollectorRegistry], bytes]] = {
    Format.TEXT: text.generate_latest,
    Format.OPENMETRICS: openmetrics.generate_latest,  # ends in # EOF
}


@dataclass(frozen=True, slots=True)
class Page:
    """What goes over the wire, in parts that many clients may share."""

    format: Format
    is_gzip: bool
    parts: tuple[bytes, ...]
    length: int  # bytes in all parts


class Exposition:
    """Makes pages from the pipelines' *store* and the exporter's *own* metrics.

    The pipelines' part of a page is kept until a pipeline changes, in each form that was asked
    for; the exporter's own few kilobytes are new in every page.
    """

    def __init__(self, store: ChunkStore, own: OwnMetrics) -> None:
        self.store = store
        self.own = own
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="exposition")
        self._making: dict[tuple[Format, bool], asyncio.Future[Page]] = {}
        self._generation = -1
        self._plain: tuple[tuple[Family, bytes], ...] | None = None  # serves both formats
        self._compressed: dict[Format, Compressed] = {}

    async def page(self, form: Format, *, is_gzip: bool) -> Page:
        """Return the page; whoever asks while one is being made gets that one."""
        key = (form, is_gzip)
        making = self._making.get(key)
        if making is None:
            loop = asyncio.get_running_loop()
            making = loop.run_in_executor(self._thread, partial(self.make, form, is_gzip=is_gzip))
            self._making[key] = making
            making.add_done_callback(lambda _: self._making.pop(key))
        return await asyncio.shield(making)  # a client that leaves takes nobody else's page away

    def make(self, form: Format, *, is_gzip: bool) -> Page:
        """Return the page now, in the calling thread; one thread at a time may do so."""
        if self.store.freshen() != self._generation:
            self._generation = self.store.generation
            self._plain = None
            self._compressed.clear()
        facts = self.own.page
        facts.pipelines = len(self.store)
        facts.series = self.store.series
        facts.failures = self.store.failures
        facts.size = self.store.size
        end = _OWN[form](self.own.registry)
        parts = self._gzip(form, end) if is_gzip else (*self._lines(form), end)
        return Page(form, is_gzip, parts, sum(map(len, parts)))

    def close(self) -> None:
        """End the thread; a page that is being made is finished first."""
        self._thread.shutdown(wait=True)

    def _gzip(self, form: Format, end: bytes) -> tuple[bytes, ...]:
        kept = self._compressed.get(form)
        if kept is None:
            blocks = self._plain or self.store.blocks()
            kept = self._compressed[form] = compressed(_introduced(blocks, form))
        return finished(kept, end)

    def _lines(self, form: Format) -> Iterator[bytes]:
        if self._plain is None:
            self._plain = tuple(self.store.blocks())
        return _introduced(self._plain, form)


def _introduced(blocks: Iterable[tuple[Family, bytes]], form: Format) -> Iterator[bytes]:
    for family, block in blocks:
        yield header(family, form)
        yield block
