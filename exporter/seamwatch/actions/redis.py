"""A Redis key says whether work may be taken; workers look at it, or listen on its channel.

A hash with ``state`` (``halted`` or ``running``), ``generation``, ``reason``, ``pipeline`` and
``at`` (epoch, seconds). It is written by one script, so that nobody sees half of it and no older
order comes over a newer one; each change is published on the channel of the key's name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from seamwatch.actions.target import Memory, Order
from seamwatch.config.actions import RedisAction
from seamwatch.errors import ReadError, Reason, SeamwatchError
from seamwatch.fetch import Fetcher

if TYPE_CHECKING:
    from redis.asyncio import Redis

_WRITE = """
local held = tonumber(redis.call('HGET', KEYS[1], 'generation'))
if held and held > tonumber(ARGV[2]) then return string.format('%.0f', held) end
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'generation', ARGV[2], 'reason', ARGV[3],
           'at', ARGV[4], 'pipeline', ARGV[5])
redis.call('PERSIST', KEYS[1])
redis.call('PUBLISH', KEYS[1], ARGV[1])
return false
"""
_READ = """
local held = redis.call('HMGET', KEYS[1], 'state', 'generation')
if held[1] == ARGV[1] and held[2] == ARGV[2] then return 1 end
return 0
"""
_MISSING = "the redis package is missing; run pip install seamwatch[redis]"


class RedisTarget:
    """Writes the key; *fetcher* is not used."""

    def __init__(self, section: RedisAction, fetcher: Fetcher, timeout: float) -> None:
        self._key = section.key
        self._timeout = timeout
        url = section.url.get_secret_value()
        self._where = f"{_named(url)} key {section.key}"
        self._client = _client(url, timeout)

    async def look(self, order: Order) -> Memory:
        """Return what *order* remembers: the key is ours alone, nothing in it is given back."""
        return order.memory

    async def apply(self, order: Order) -> None:
        """Write the state, unless the key holds that of a newer order."""
        at = f"{order.decided_at:.3f}"
        newer = await self._run(
            _WRITE, order.desired, str(order.generation), _plain(order.reason), at, order.pipeline
        )
        if newer is not None:
            raise ReadError(
                Reason.QUERY,
                f"{self._where} holds generation {_text(newer)}, newer than {order.generation}: two"
                " seamwatch share it, or the store is an old one; give each its key, or delete it",
            )

    async def stands(self, order: Order) -> bool:
        """Say whether the key holds this very order."""
        found: int = await self._run(_READ, order.desired, str(order.generation))
        return found == 1

    def render(self, order: Order) -> str:
        """Return what would be written, as commands of redis-cli."""
        return (
            f"{self._where}: HSET state {order.desired} generation {order.generation}"
            f" reason {order.reason!r}; PUBLISH {order.desired}"
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _run(self, script: str, *args: str) -> Any:
        from redis import exceptions

        try:
            async with asyncio.timeout(self._timeout):
                # typed for both kinds of client at once
                asked = cast(Awaitable[Any], self._client.eval(script, 1, self._key, *args))
                return await asked
        except (TimeoutError, exceptions.TimeoutError) as error:
            message = f"{self._where}: no answer within {self._timeout:g} s"
            raise ReadError(Reason.TIMEOUT, message) from error
        except exceptions.RedisError as error:
            raise self._translated(error) from error
        except OSError as error:
            message = f"{self._where}: cannot connect ({error.strerror or 'connection lost'})"
            raise ReadError(Reason.UNREACHABLE, message) from error

    def _translated(self, error: Exception) -> ReadError:
        """Return *error* with its Reason; its text says what Redis said, which holds no secret."""
        from redis import exceptions

        said = " ".join(str(error).split())[:200]
        found: tuple[Reason, str]
        if isinstance(
            error, exceptions.AuthenticationError | exceptions.NoPermissionError
        ) or said.startswith(("NOAUTH", "WRONGPASS")):
            found = Reason.UNAUTHORIZED, said
        elif isinstance(error, exceptions.ReadOnlyError):
            found = Reason.BUSY, f"it is a replica, which cannot be written ({said})"
        elif isinstance(error, exceptions.BusyLoadingError):
            found = Reason.OVERLOADED, said
        elif isinstance(error, exceptions.ConnectionError):
            found = Reason.UNREACHABLE, "cannot connect, or the connection broke"
        elif isinstance(error, exceptions.OutOfMemoryError) or said.startswith("MISCONF"):
            found = Reason.DISK_FULL, said
        else:
            found = Reason.QUERY, said
        return ReadError(found[0], f"{self._where}: {found[1]}")


def _client(url: str, timeout: float) -> Redis:
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise SeamwatchError(_MISSING) from error
    try:
        return Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),  # who orders tries again, and writes it down
            max_connections=4,
            client_name="seamwatch",
        )
    except (ValueError, TypeError) as error:
        message = (
            f"{_named(url)} is no address of Redis; write redis://host:6379/0, rediss://host:6379/0"
            " or unix:///path/of/socket"
        )
        raise SeamwatchError(message) from error


def _named(url: str) -> str:
    """Return *url* without user, password and query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "url"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"{parts.scheme}://{host}{port}{parts.path}" if parts.scheme else "url"


def _plain(text: str) -> str:
    """Return *text* as UTF-8 can have it: half a character from JSON would not be sent."""
    return text.encode("utf-8", "replace").decode()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
