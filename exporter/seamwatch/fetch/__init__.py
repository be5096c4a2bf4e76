"""HTTP requests that end: bounded in time, size, redirects and connections, whatever answers."""

from __future__ import annotations

from seamwatch.fetch.endpoint import Endpoint
from seamwatch.fetch.faults import Rejected
from seamwatch.fetch.fetcher import Fetched, Fetcher
from seamwatch.fetch.secret_file import SecretFile

__all__ = ["Endpoint", "Fetched", "Fetcher", "Rejected", "SecretFile"]
