"""What can go wrong with an HTTP request, translated at the edge: one Reason for each."""

from __future__ import annotations

import errno
import os
import ssl
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

import aiohttp
import orjson
from aiohttp.http_exceptions import ContentLengthError, HttpProcessingError, TransferEncodingError

from seamwatch.errors import ReadError, Reason

LONGEST_WAIT = 3600.0
"""Seconds of Retry-After that are honoured; nobody may switch us off for a year."""

_MESSAGE_KEYS = ("error", "message", "detail", "title", "error_msg")
_MESSAGE_LENGTH = 200


class Rejected(ReadError):
    """The other side answered, with another status than 2xx; *body* is at most 16 KiB of it."""

    def __init__(
        self,
        reason: Reason,
        where: str,
        *,
        status: int,
        body: bytes,
        retry_after: float | None,
        scrub: Callable[[str], str],
    ) -> None:
        said = scrub(error_text(body))
        super().__init__(
            reason,
            f"{where} answered {status}" + (f": {said}" if said else ""),
            retry_after=retry_after,
        )
        self.status = status
        self.body = body


def error_text(body: bytes) -> str:
    """Return what a JSON error body says, as one short line; empty when it says nothing."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    for _ in range(2):  # {"error": {"message": "..."}}
        if isinstance(found, dict):
            found = next((found[key] for key in _MESSAGE_KEYS if found.get(key)), None)
    if not isinstance(found, str):
        return ""
    line = " ".join("".join(c if c.isprintable() else " " for c in found[:2000]).split())
    return line if len(line) <= _MESSAGE_LENGTH else line[: _MESSAGE_LENGTH - 1] + "…"


def status_reason(status: int) -> Reason:
    """Return the reason that a status stands for."""
    if status in (401, 403, 407):
        return Reason.UNAUTHORIZED
    if status in (429, 503):
        return Reason.OVERLOADED
    return Reason.BAD_STATUS


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After asks for, in [0, LONGEST_WAIT]; None without one.

    A date is compared with the other side's own Date, so that its clock need not agree with ours.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    try:
        now = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (ValueError, OverflowError):
        now = time.time()
    return min(max(until - now, 0.0), LONGEST_WAIT)


def translated(error: Exception, where: str) -> ReadError:
    """Return the ReadError for an *error* of the HTTP client; its text holds no header."""
    cause = error.__cause__
    found: tuple[Reason, str]
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        found = Reason.DNS, f"no address for the host ({_why(error.os_error)})"
    elif isinstance(error, ssl.SSLError | aiohttp.ClientSSLError) or isinstance(
        cause, ssl.SSLError
    ):
        found = Reason.TLS, f"TLS failed ({_tls_why(error, cause)})"
    elif isinstance(error, aiohttp.ClientConnectorError):
        found = _unreachable(error.os_error, "cannot connect")
    elif isinstance(error, aiohttp.ClientPayloadError):
        found = _broken_body(error)
    elif isinstance(error, aiohttp.ClientResponseError):
        found = Reason.BAD_PROTOCOL, f"the answer is not valid HTTP{_parser_says(cause)}"
    elif isinstance(error, aiohttp.ServerDisconnectedError):
        found = Reason.UNREACHABLE, "the connection was closed without an answer"
        if where.startswith("https:"):  # TLS 1.3 tells of it after the handshake, asyncio does not
            found = found[0], f"{found[1]}, as servers do that want a client certificate"
    elif isinstance(error, OSError):
        found = _unreachable(error, "the connection broke")
    else:
        found = Reason.UNREACHABLE, "the request cannot be sent"
    reason, why = found
    return ReadError(reason, f"{where}: {why}")


def _unreachable(error: OSError, what: str) -> tuple[Reason, str]:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Reason.INTERNAL, "seamwatch has too many open files; raise its limit (ulimit -n)"
    return Reason.UNREACHABLE, f"{what} ({_why(error)})"


def _broken_body(error: Exception) -> tuple[Reason, str]:
    cause = error.__cause__
    if cause is None:
        return Reason.BAD_PROTOCOL, str(error)
    cut_off = isinstance(cause, ContentLengthError) or (
        isinstance(cause, TransferEncodingError) and "Not enough data" in str(cause)
    )
    if cut_off or isinstance(cause, OSError):
        return Reason.UNREACHABLE, "the connection was closed before the body was complete"
    return Reason.BAD_PROTOCOL, "the body is broken"


def _parser_says(cause: BaseException | None) -> str:
    """Return the parser's complaint without the bytes that it complains about."""
    if not isinstance(cause, HttpProcessingError) or not cause.message:
        return ""
    line = cause.message.splitlines()[0].partition(":")[0].strip()
    return f" ({line[:80]})" if line.isprintable() else ""


def _why(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        # asyncio's text names every address that was tried
        text = os.strerror(error.errno).lower()
    return " ".join(text.split())[:160] or type(error).__name__


def _tls_why(error: BaseException, cause: BaseException | None) -> str:
    for candidate in (
        getattr(error, "certificate_error", None),
        getattr(error, "os_error", None),
        cause,
        error,
    ):
        if isinstance(candidate, ssl.SSLCertVerificationError):
            return candidate.verify_message
        if isinstance(candidate, ssl.SSLError) and candidate.reason:
            return candidate.reason.lower().replace("_", " ")
    return "handshake refused"
