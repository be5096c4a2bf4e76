"""The HTTP server: the page for Prometheus, life-cycle routes, a landing page."""

from __future__ import annotations

from seamwatch.web.server import Server

__all__ = ["Server"]
