"""Name lookups that can hang without holding up anything else.

``getaddrinfo`` has no timeout: with a silent name server it blocks its thread for tens of seconds.
Lookups therefore run in daemon threads of their own, at most one for each name, and an address
that was once known is served stale when it cannot be looked up again (RFC 8767).
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

TTL = 60.0
"""Seconds for which an address is used without asking again."""

STALE_AFTER = 1.0
"""Seconds that a repeated lookup may take before the old address is used."""

_Key = tuple[str, int]
_Addresses = tuple[tuple[str, int, int], ...]  # address, family, protocol


class Resolver(AbstractResolver):
    """Resolve names for one event loop; *lookups* bounds the threads that may hang at once."""

    def __init__(
        self, *, lookups: int = 32, lookup: Callable[..., list[Any]] = socket.getaddrinfo
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._lookups = lookups
        self._lookup = lookup
        self._known: dict[_Key, tuple[float, _Addresses]] = {}  # until when, addresses
        self._pending: dict[_Key, asyncio.Future[_Addresses]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of *host*; raise OSError where there are none."""
        key = (host, int(family))
        known = self._known.get(key)
        if known is not None and self._loop.time() < known[0]:
            return _results(host, port, known[1])
        try:
            pending = self._pending.get(key) or self._start(key)
            # wait() and not await: a caller that gives up leaves the lookup to the others
            await asyncio.wait({pending}, timeout=None if known is None else STALE_AFTER)
            if known is not None and not pending.done():
                return _results(host, port, known[1])
            return _results(host, port, pending.result())
        except OSError:
            if known is None:
                raise
            return _results(host, port, known[1])

    def forget(self, host: str) -> None:
        """Look *host* up again next time: its address could not be reached."""
        for key in [key for key in self._known if key[0] == host]:
            _, addresses = self._known[key]
            self._known[key] = (0.0, addresses)

    async def close(self) -> None:
        """Let go of lookups under way; their threads end by themselves."""
        for pending in self._pending.values():
            pending.cancel()
        self._pending.clear()

    def _start(self, key: _Key) -> asyncio.Future[_Addresses]:
        if len(self._pending) >= self._lookups:
            raise socket.gaierror(
                socket.EAI_AGAIN, f"{self._lookups} name lookups are hanging already"
            )
        pending: asyncio.Future[_Addresses] = self._loop.create_future()
        self._pending[key] = pending
        # daemon: a lookup that hangs must not hold up the end of the process either
        threading.Thread(target=self._run, args=(key, pending), daemon=True).start()
        return pending

    def _run(self, key: _Key, pending: asyncio.Future[_Addresses]) -> None:
        host, family = key
        found: _Addresses | OSError
        try:
            infos = self._lookup(
                host, 0, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
            )
            found = tuple(map(_address, infos)) or socket.gaierror(
                socket.EAI_NONAME, "the name has no address"
            )
        except OSError as error:
            found = error
        except UnicodeError:
            found = socket.gaierror(socket.EAI_NONAME, "not a name that can be looked up")
        try:
            self._loop.call_soon_threadsafe(self._finish, key, pending, found)
        except RuntimeError:  # the loop was closed meanwhile: nobody waits any more
            return

    def _finish(
        self, key: _Key, pending: asyncio.Future[_Addresses], found: _Addresses | OSError
    ) -> None:
        if self._pending.get(key) is pending:
            del self._pending[key]
        if not isinstance(found, OSError):
            self._known[key] = (self._loop.time() + TTL, found)
        if pending.done():
            return
        if isinstance(found, OSError):
            pending.set_exception(found)
            pending.exception()  # seen: every caller may have given up
        else:
            pending.set_result(found)


def _address(info: Any) -> tuple[str, int, int]:
    family, _, protocol, _, address = info
    host = address[0]
    if family == socket.AF_INET6 and address[3] and "%" not in host:
        host = f"{host}%{address[3]}"  # link-local: meaningless without its interface
    return host, family, protocol


def _results(host: str, port: int, addresses: _Addresses) -> list[ResolveResult]:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return [
        ResolveResult(
            hostname=host, host=address, port=port, family=family, proto=protocol, flags=flags
        )
        for address, family, protocol in addresses
    ]
