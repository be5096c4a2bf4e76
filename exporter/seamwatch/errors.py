"""The errors that people and machines are meant to read."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Any


class Reason(StrEnum):
    """Why a stage, a model or a file could not be read; the only values of a ``reason`` label."""

    TIMEOUT = "timeout"  # no whole answer within the time that the configuration allows
    UNREACHABLE = "unreachable"  # refused, reset, no route, closed half-way
    DNS = "dns"  # the host name has no address
    TLS = "tls"  # the certificate or the handshake was refused
    UNAUTHORIZED = "unauthorized"  # 401, 403, or a database that refuses the login
    OVERLOADED = "overloaded"  # 429 or 503: the other side asks for fewer requests
    BAD_STATUS = "bad_status"  # any other status than 2xx
    REDIRECT = "redirect"  # a redirect that the configuration does not allow, or a loop of them
    TOO_LARGE = "too_large"  # larger than the limit, as sent or once decompressed
    BAD_ENCODING = "bad_encoding"  # broken compression, or text that is not UTF-8
    BAD_PROTOCOL = "bad_protocol"  # not HTTP, endless headers, broken chunks
    NOT_JSON = "not_json"  # the body is not JSON (or not the declared format)
    BAD_CONTRACT = "bad_contract"  # readable, but not a stage contract or not an answer
    BAD_TIME = "bad_time"  # a timestamp in another unit, without a zone, or in the future
    NO_DATA = "no_data"  # an empty result where one row, sample or object was expected
    AMBIGUOUS = "ambiguous"  # several results where one was expected
    QUERY = "query"  # the other side refused the query
    LOCKED = "locked"  # a database or file that somebody else holds
    DISK_FULL = "disk_full"  # no space, or a quota, where something must be written
    CORRUPT = "corrupt"  # a file or database that is damaged, or is none at all
    MISSING_DRIVER = "missing_driver"  # an optional extra is not installed
    NOT_LEADER = "not_leader"  # another replica watches now, and only that one may write
    BUSY = "busy"  # the previous reading of the same thing has not ended yet
    INTERNAL = "internal"  # our own mistake: counted, logged with its traceback


class SeamwatchError(Exception):
    """Something a person must react to: where, what was found, what to write instead."""


class ReadError(SeamwatchError):
    """A stage or a model could not be read; *reason* is for machines, the text for people."""

    def __init__(self, reason: Reason, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after  # seconds that the other side asked us to wait

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way from another process, which by itself would lose the reason."""
        return partial(type(self), retry_after=self.retry_after), (self.reason, str(self))


class GoldenError(SeamwatchError):
    """A golden set cannot be used; *problems* are all that was found, each with file:line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way from another process, which by itself would take the text for a list."""
        return type(self), (self.problems,)


class ScoringError(SeamwatchError, ValueError):
    """Measures were asked of arrays that do not fit one another."""


class StoreError(SeamwatchError):
    """The store could not be read or written; what was to be written is kept for the next try."""

    def __init__(self, message: str, *, reason: Reason = Reason.INTERNAL) -> None:
        super().__init__(message)
        self.reason = reason
