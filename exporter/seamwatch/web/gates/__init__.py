"""``/v1``: how gateways, orchestrators and people ask the gates, and tell them."""

from __future__ import annotations

from seamwatch.web.gates.rights import Client, Rights
from seamwatch.web.gates.routes import GateRoutes

__all__ = ["Client", "GateRoutes", "Rights"]
