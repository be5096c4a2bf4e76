"""The page that Prometheus scrapes: rendered ahead, joined and compressed off the event loop."""

from __future__ import annotations

from seamwatch.exposition.negotiation import Format, accepted_format, accepts_gzip
from seamwatch.exposition.page import Exposition, Page
from seamwatch.exposition.store import ChunkStore

__all__ = ["ChunkStore", "Exposition", "Format", "Page", "accepted_format", "accepts_gzip"]
