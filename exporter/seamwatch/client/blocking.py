"""The gate for threads; standard library only."""

from __future__ import annotations

import http.client
import logging
import ssl
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from seamwatch.client.decision import (
    MAX_BYTES,
    Decision,
    Halted,
    Memory,
    OnUnknown,
    address,
    headers,
)

log = logging.getLogger("seamwatch.client")

P = ParamSpec("P")
T = TypeVar("T")


class Gate:
    """Asks seamwatch at most once in *poll* seconds; safe to share between threads.

    Args:
        url: of seamwatch, such as ``https://seamwatch.example:10064``.
        pipeline: its name.
        on_unknown: ``allow`` or ``deny``: what holds while seamwatch cannot say.
        token: with the scope ``check``; None where seamwatch asks for none.
        poll: seconds; a halt is noticed at most so much later.
        timeout: seconds that one question may take: the longest that a caller ever waits.
        context: for https, such as one with a client certificate.
        clock: monotonic seconds.

    Raises:
        ValueError: *url*, *poll* or *on_unknown* cannot be used.
    """

    def __init__(
        self,
        url: str,
        pipeline: str,
        *,
        on_unknown: OnUnknown,
        token: str | None = None,
        poll: float = 1.0,
        timeout: float = 0.5,
        context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = urlsplit(address(url, pipeline))
        self._headers = headers(token)
        self._timeout = timeout
        self._context = context
        self._clock = clock
        self._memory = Memory(on_unknown, poll)
        self._lock = threading.Lock()
        self._asking: threading.Event | None = None  # set when the question has ended

    def decision(self) -> Decision:
        """Return what holds now; never raises for what is wrong on the other side."""
        now = self._clock()
        with self._lock:
            if self._memory.is_due(now) and (self._asking is None or self._asking.is_set()):
                self._memory.trying(now)
                self._asking = threading.Event()
                ask = threading.Thread(target=self._ask, args=(self._asking,), daemon=True)
                ask.start()
            asking, holds = self._asking, self._memory.holds(now)
        if asking is not None and not holds:
            asking.wait(self._timeout)
        with self._lock:
            return self._memory.decision(self._clock())

    def allows(self) -> bool:
        """Say whether to answer."""
        return self.decision().allowed

    def check(self) -> Decision:
        """Return what holds now; raises Halted when the gate denies."""
        decision = self.decision()
        if not decision.allowed:
            raise Halted(decision)
        return decision

    def guard(self, function: Callable[P, T]) -> Callable[P, T]:
        """Decorate *function* so that it raises Halted instead of running while the gate denies."""

        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            self.check()
            return function(*args, **kwargs)

        return guarded

    def _ask(self, done: threading.Event) -> None:
        """Ask in a thread of its own: a name server that hangs keeps no caller waiting."""
        connection = self._connection()
        status, body, why = 0, b"", ""
        try:
            connection.request("GET", self._parts.path, headers=self._headers)
            answer = connection.getresponse()
            status, body = answer.status, answer.read(MAX_BYTES)
        except (OSError, http.client.HTTPException) as error:
            why = type(error).__name__
        except Exception:  # a thread that ends without a word would be waited for for ever
            log.exception("asking the gate failed unexpectedly")
            why = "see the log"
        finally:
            connection.close()
            with self._lock:
                if why:
                    self._memory.failed(why)
                else:
                    self._memory.heard(status, body, self._clock())
            done.set()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(
                host, port, timeout=self._timeout, context=self._context
            )
        return http.client.HTTPConnection(host, port, timeout=self._timeout)
