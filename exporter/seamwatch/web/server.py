"""Listening, draining, stopping."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from seamwatch.config.addresses import parse_listen
from seamwatch.errors import SeamwatchError
from seamwatch.exposition import Exposition
from seamwatch.web.app import Reload, Routes, application
from seamwatch.web.gates import GateRoutes
from seamwatch.web.gates.checks import Plain
from seamwatch.web.limits import Deadlines
from seamwatch.web.runbooks import Runbooks
from seamwatch.web.tls import RotatingContext
from seamwatch.web.webconfig import WebConfigFile

_IDLE = 75.0  # seconds that a connection may be idle or dribble its headers
_LINGER = 1.0  # seconds that the rest of a request is read after its answer
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; an empty host stands for all of them."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return the address that *text* names: ``:10064``, ``[::1]:9100``, ``localhost:10064``.

    Raises:
        SeamwatchError: it is not one.
    """
    try:
        host, port = parse_listen(text)
    except ValueError as error:
        raise SeamwatchError(str(error)) from error
    return Address(host or "", port)


class Server:
    """Serves an exposition on any number of addresses.

    The caller owns the exposition and closes it after `stop`. *ready* says whether the page is
    whole; *reload* reads the configuration again; *gates* are what ``/v1`` serves,
    *runbooks* what ``/runbooks/`` does. *drain_timeout*
    is how long, in seconds, `stop` waits for requests that are under way.

    Raises:
        SeamwatchError: an address or the web configuration file cannot be used.
    """

    def __init__(
        self,
        exposition: Exposition,
        *,
        listen: Sequence[str],
        ready: Callable[[], bool],
        reload: Reload,
        gates: GateRoutes | None = None,
        runbooks: Runbooks | None = None,
        web_config: Path | None = None,
        deadlines: Deadlines | None = None,
        drain_timeout: float = 20.0,
    ) -> None:
        self._listen = [parse_address(text) for text in listen]
        self._file = WebConfigFile(web_config)
        self._tls = RotatingContext.of(self._file) if self._file.has_tls else None
        self._routes = Routes(exposition, ready, reload, deadlines or Deadlines(), gates, runbooks)
        self._drain_timeout = drain_timeout
        self._runner: web.AppRunner | None = None

    @property
    def addresses(self) -> list[Address]:
        """Where the server really listens; a port that was 0 has its number here."""
        found = self._runner.addresses if self._runner is not None else []
        return [Address(address[0], address[1]) for address in found]

    @property
    def urls(self) -> list[str]:
        """The same as web addresses, for logs."""
        scheme = "http" if self._tls is None else "https"
        return [f"{scheme}://{address}/" for address in self.addresses]

    @property
    def scrapes(self) -> int:
        """How many scrapes are under way."""
        return self._routes.scrapes

    async def start(self) -> None:
        """Listen on all addresses, or on none.

        Raises:
            SeamwatchError: an address is in use, or is not one of this machine.
        """
        runner = web.AppRunner(
            application(self._routes, self._file),
            access_log=None,  # it doubles the cost of a request
            logger=_logger(),
            keepalive_timeout=_IDLE,
            lingering_time=_LINGER,
            auto_decompress=False,  # a body that is a bomb is not inflated while it is thrown away
            handler_cancellation=True,
            shutdown_timeout=self._drain_timeout,
        )
        await runner.setup()
        self._answer_checks_first(runner)
        try:
            for address in self._listen:
                site = web.TCPSite(
                    runner,
                    address.host or None,
                    address.port,
                    ssl_context=self._tls,
                    backlog=_BACKLOG,
                )
                await _start(site, address)
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner

    def _answer_checks_first(self, runner: web.AppRunner) -> None:
        """Answer plain checks of gates before the application, which costs twice as much."""
        server, gates = runner.server, self._routes.gates
        if server is None:
            return
        to_application, is_plain = server.request_handler, Plain(self._file)

        async def first(request: web.BaseRequest) -> web.StreamResponse:
            if gates is not None and is_plain() and (ready := gates.quick(request)) is not None:
                return ready
            if not request.headers.get("Expect", "").isascii():
                return web.Response(status=417, text="Expect: 100-continue is all there is\n")
            return await to_application(request)

        server.request_handler = first

    def drain(self) -> None:
        """Answer 503 to `/-/ready` from now on, so that nobody new is sent here."""
        self._routes.is_draining = True
        if self._routes.gates is not None:
            self._routes.gates.end_streams()

    async def stop(self) -> None:
        """Take no new connection, finish what is under way, close the rest."""
        self.drain()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


def _logger() -> logging.Logger:
    """Return the log of the server, in which what no server can read is no fault of ours.

    Anybody who can connect could fill it with tracebacks: the client hears of it by its 400.
    """
    logger = logging.getLogger("seamwatch.web")
    logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    kind = record.exc_info[0] if record.exc_info else None
    return not (kind is not None and issubclass(kind, HttpProcessingError))


async def _start(site: web.TCPSite, address: Address) -> None:
    try:
        await site.start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SeamwatchError(
                f"{address} is in use by another process; stop it,"
                " or choose another address with --web.listen-address"
            ) from error
        raise SeamwatchError(
            f"cannot listen on {address}: {error.strerror or error};"
            " choose another address with --web.listen-address"
        ) from error
    except asyncio.CancelledError:
        await site.stop()
        raise
