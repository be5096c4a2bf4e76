"""Ask a gate before answering: for gateways, services and jobs written in Python.

    gate = Gate("http://seamwatch.example:10064", "support-answers", token=..., on_unknown="allow")
    if not gate.allows():
        return "we are looking into it"

Fail static: while seamwatch cannot be reached a denial stands until it is contradicted, a
permission for as long as seamwatch said that it lasts, and after that *on_unknown*, which has no
default: whoever builds the service knows whether no answer or a wrong one is worse. Only the
standard library is imported; `AsyncGate` imports aiohttp when it first asks.
"""

from __future__ import annotations

from seamwatch.client.asgi import GateMiddleware
from seamwatch.client.asynchronous import AsyncGate
from seamwatch.client.blocking import Gate
from seamwatch.client.decision import Decision, Halted

__all__ = ["AsyncGate", "Decision", "Gate", "GateMiddleware", "Halted"]
