"""What one client may cost: time for each request, and requests for each moment."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from seamwatch.web.problems import refusal

RESPONSE = web.RequestKey("response", web.StreamResponse)
"""The response whose headers are on their way: it can no longer be exchanged for another."""

_SCRAPE_TIMEOUT = "X-Prometheus-Scrape-Timeout-Seconds"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds until a request is given up."""

    request: float = 30.0  # all of it: reading the body, the answer, writing it to a slow client
    body: float = 10.0  # until the body of a request has come
    reload: float = 120.0  # reading the configuration of thousands of pipelines


def deadline(limits: Deadlines) -> Middleware:
    """Return a middleware that ends requests which take too long.

    The answer is 408 where the client's own body did not come, else 503; where part of an answer
    is out already, the connection is cut, so that half a page is never taken for a whole one.
    """

    @web.middleware
    async def end_in_time(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            async with asyncio.timeout(_seconds(request, limits)):
                return await handler(request)
        except TimeoutError:
            started: web.StreamResponse | None = request.get(RESPONSE)
            if started is not None:
                if request.transport is not None:
                    request.transport.abort()
                return started
            if not request.content.at_eof():
                text = "the body of the request did not come in time; send it at once\n"
                return refusal(request, text, status=408, headers={"Connection": "close"})
            return refusal(request, "this took too long; try again\n", status=503)

    return end_in_time


async def body(request: web.Request, limits: Deadlines) -> bytes:
    """Return the body of *request*; raise TimeoutError when it does not come in time."""
    async with asyncio.timeout(limits.body):
        return await request.read()


def _seconds(request: web.Request, limits: Deadlines) -> float:
    if request.path == "/-/reload":
        return limits.reload
    try:  # what Prometheus gives up on, nobody waits for
        asked = float(request.headers.get(_SCRAPE_TIMEOUT, "inf"))
    except ValueError:
        asked = math.inf
    return min(asked, limits.request) if asked > 0 else limits.request


class RateLimit:
    """A token bucket: *burst* requests at once, then one each *interval* seconds."""

    def __init__(self, *, interval: float, burst: int, now: float) -> None:
        self._interval = interval
        self._burst = burst
        self._tokens = float(burst)
        self._at = now

    def allows(self, *, now: float) -> bool:
        """Take a token if there is one; *now* is monotonic time."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) / self._interval)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
