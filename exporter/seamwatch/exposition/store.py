"""The chunk store: for each pipeline and family the bytes of its lines, replaced whole."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields
from threading import Lock

from seamwatch import catalogue
from seamwatch.catalogue import Family
from seamwatch.collectors import samples
from seamwatch.exposition.text import Rendered, Renderer
from seamwatch.snapshot import Snapshot

log = logging.getLogger(__name__)

SERIES_LIMIT = 10_000
"""Series of one pipeline; a golden set with thousands of slices is cut here, and counted."""

_BREATH = 4  # pipelines: about 2 ms of work
_DROPPED = "seamwatch_pipeline_dropped_series"
_SAID = tuple(field.name for field in fields(Snapshot) if field.name != "at")


class ChunkStore:
    """Holds every pipeline's lines as bytes.

    ``put`` and ``remove`` only note what changed: they are for the event loop and cost nothing.
    ``freshen`` renders it, once for each pipeline however often it changed in between; that and
    ``blocks`` are for one thread, the one that makes the page, so a page never shows half of a
    change.
    """

    def __init__(
        self,
        families: Sequence[Family] = catalogue.PIPELINES,
        *,
        series_limit: int = SERIES_LIMIT,
    ) -> None:
        self._families = tuple(families)
        self._renderer = Renderer(self._families)
        self._limit = series_limit
        self._lock = Lock()
        self._changed: dict[str, Snapshot | None] = {}  # None: removed
        self._shown: dict[str, Snapshot] = {}
        self._rendered: dict[str, Rendered] = {}
        self.generation = 0
        self.series = 0
        self.size = 0  # bytes of all lines
        self.failures = 0

    def __len__(self) -> int:
        """Return the number of pipelines on the page as last freshened."""
        return len(self._rendered)

    def put(self, snapshot: Snapshot) -> None:
        """Replace all that is shown of the snapshot's pipeline."""
        with self._lock:
            self._changed[snapshot.pipeline.name] = snapshot

    def remove(self, pipeline: str) -> None:
        """Show nothing of *pipeline* any more; Prometheus marks its series as stale."""
        with self._lock:
            self._changed[pipeline] = None

    def freshen(self) -> int:
        """Render what changed since the last call and return the generation of the page."""
        with self._lock:
            changed, self._changed = self._changed, {}
        added = replaced = False
        for count, (name, snapshot) in enumerate(changed.items(), 1):
            if count % _BREATH == 0:
                time.sleep(1e-5)  # the event loop would get the interpreter every 5 ms only
            if snapshot is None:
                replaced |= self._shown.pop(name, None) is not None
                self._replace(name, None)
            elif not _says_the_same(snapshot, self._shown.get(name)):
                replaced = True
                self._shown[name] = snapshot
                added |= self._replace(name, self._render(snapshot))
        if added:
            self._rendered = dict(sorted(self._rendered.items()))
        self.generation += replaced
        return self.generation

    def blocks(self) -> Iterator[tuple[Family, bytes]]:
        """Yield each family that has samples and all of its lines."""
        columns = zip(*(rendered.chunks for rendered in self._rendered.values()), strict=True)
        for family, column in zip(self._families, columns, strict=False):
            block = b"".join(column)
            if block:
                yield family, block

    def _replace(self, name: str, new: Rendered | None) -> bool:
        """Put *new* in place and say whether the order of the pipelines must be set again."""
        old = self._rendered.pop(name, None) if new is None else self._rendered.get(name)
        if old is not None:
            self.series -= old.series
            self.size -= old.size
        if new is not None:
            self._rendered[name] = new
            self.series += new.series
            self.size += new.size
        return old is None and new is not None

    def _render(self, snapshot: Snapshot) -> Rendered | None:
        name = snapshot.pipeline.name
        try:
            rendered = self._renderer.render(samples(snapshot), limit=self._limit)
            dropped = self._renderer.render([(_DROPPED, (name,), rendered.dropped)], limit=1)
        except Exception:  # one pipeline that trips over a defect must not cost all the others
            log.exception("pipeline %s cannot be rendered and is left out of the page", name)
            self.failures += 1
            return None
        chunks = tuple(a or b for a, b in zip(rendered.chunks, dropped.chunks, strict=True))
        return Rendered(chunks, rendered.series + dropped.series, rendered.dropped)


def _says_the_same(new: Snapshot, old: Snapshot | None) -> bool:
    """Compare all but the time of the judgement: pipelines are judged again when nothing came."""
    return old is not None and all(getattr(new, name) == getattr(old, name) for name in _SAID)
