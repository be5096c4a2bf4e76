"""What actions over HTTP share: JSON within one deadline, and all of several things are tried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import Any, TypeVar

import orjson

from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Endpoint, Fetcher, Rejected

T = TypeVar("T")

JSON = "application/json"

_AT_ONCE = 16  # requests of one action under way; more would be an attack on a small server
_SHOWN = 5


class Turn:
    """The requests of one method of a target, which end together within *timeout* seconds."""

    def __init__(self, fetcher: Fetcher, timeout: float) -> None:
        self.started = monotonic()
        self._fetcher = fetcher
        self._until = self.started + timeout

    async def ask(
        self,
        endpoint: Endpoint,
        path: str,
        *,
        method: str = "GET",
        params: Mapping[str, str] | None = None,
        document: Any = None,
        media: str = JSON,
    ) -> Any:
        """Return the JSON of a 2xx answer, None where it has no body.

        Args:
            endpoint: whom to ask.
            path: percent-encoded, from ``/``.
            method: in capitals.
            params: the query.
            document: sent as JSON unless None.
            media: the Content-Type of *document*.

        Raises:
            Rejected: the status is not 2xx.
            ReadError: no whole answer came in what is left of the time, or it is not JSON.
        """
        fetched = await self._fetcher.fetch(
            endpoint,
            method=method,
            path=path,
            params=params,
            body=None if document is None else orjson.dumps(document),
            headers=None if document is None else {"Content-Type": media},
            timeout=max(self._until - monotonic(), 0.001),
        )
        if not fetched.body.strip():
            return None
        try:
            return orjson.loads(fetched.body)
        except orjson.JSONDecodeError as error:
            where = endpoint.name(path)
            raise ReadError(Reason.NOT_JSON, f"{where}: the answer is not JSON") from error


def explained(error: ReadError, before: str, after: str = "") -> ReadError:
    """Return *error*, whose text now says more; reason, status and Retry-After stay."""
    error.args = (f"{before}: {error}" + (f"; {after}" if after else ""),)
    return error


def truth(found: Any, name: str, where: str, *, absent: bool | None = None) -> bool:
    """Return the boolean *name* of the JSON *found*, *absent* where there is none.

    Raises:
        ReadError: something else is there, or nothing and *absent* is None.
    """
    value = found.get(name) if isinstance(found, dict) else None
    if value is None and absent is not None:
        return absent
    if not isinstance(value, bool):
        raise ReadError(Reason.BAD_CONTRACT, f"{where}: the answer has no {name}: true or false")
    return value


def was_running(memory: Mapping[str, Any], names: Sequence[str], key: str) -> list[str]:
    """Return those of *names* that *memory* has under *key* as not halted before."""
    before = memory.get(key)
    if not isinstance(before, Mapping):
        return []
    return [name for name in names if before.get(name) is False]


async def each(names: Sequence[str], do: Callable[[str], Awaitable[T]]) -> dict[str, T]:
    """Return *do* of each of *names*; all are tried, whatever becomes of the others.

    Raises:
        ReadError: one failed or several did; the text names all of them. It is the one that
            will pass soonest: a server that is overloaded or away before one that refuses.
    """
    results: dict[str, T] = {}
    failed: dict[str, ReadError] = {}
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> None:
        async with room:
            try:
                results[name] = await do(name)
            except ReadError as error:
                failed[name] = error

    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(one(name))
    if failed:
        raise _together([failed[name] for name in names if name in failed], len(names))
    return {name: results[name] for name in names}


def _together(errors: Sequence[ReadError], asked: int) -> ReadError:
    first = min(errors, key=_patience)
    if asked > 1:
        texts = [str(error) for error in errors[:_SHOWN]]
        if len(errors) > _SHOWN:
            texts.append(f"and {len(errors) - _SHOWN} more")
        first.args = (f"{len(errors)} of {asked} failed: {'; '.join(texts)}",)
    return first


def _patience(error: ReadError) -> tuple[int, float]:
    if error.reason is Reason.OVERLOADED:
        return 0, -(error.retry_after or 0.0)  # the longest wait that was asked for
    return (2 if isinstance(error, Rejected) else 1), 0.0
