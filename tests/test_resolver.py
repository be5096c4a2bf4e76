"""A name server that is silent, gone or forgetful costs only those who need the name."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hostile import Hostile, says
from seamwatch.config.reach import HttpTarget
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Endpoint, Fetcher
from seamwatch.fetch.resolver import Resolver


class NameServer:
    """Stands where getaddrinfo does: names with ``hang`` never come back, others as told."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked: list[str] = []
        self.known = {"model": "127.0.0.1"}

    def __call__(self, host: str, port: int, **options: Any) -> list[Any]:
        self.asked.append(host)
        if "hang" in host:
            self.release.wait(30)
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self.known[host], 0))]


@pytest.fixture
def names() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.release.set()


def endpoint(host: str, port: int = 80) -> Endpoint:
    return Endpoint(HttpTarget(url=f"http://{host}:{port}/"))


async def failure(fetcher: Fetcher, at: Endpoint, *, timeout: float = 5.0) -> ReadError:
    with pytest.raises(ReadError) as caught:
        await fetcher.fetch(at, timeout=timeout)
    return caught.value


async def test_a_name_without_an_address_is_a_dns_failure(names: NameServer) -> None:
    async with Fetcher(resolver=Resolver(lookup=names)) as fetcher:
        error = await failure(fetcher, endpoint("nowhere"))
    assert error.reason is Reason.DNS
    assert str(error) == ("http://nowhere:80/: no address for the host (Name or service not known)")


async def test_a_real_name_that_does_not_exist_is_a_dns_failure() -> None:
    async with Fetcher() as fetcher:
        assert (await failure(fetcher, endpoint("nowhere.invalid"))).reason is Reason.DNS


async def test_a_name_that_cannot_be_asked_for_is_a_dns_failure() -> None:
    async with Fetcher() as fetcher:
        assert (await failure(fetcher, endpoint("a" * 64 + ".example"))).reason is Reason.DNS


async def test_silent_name_servers_hold_up_neither_other_hosts_nor_threads(
    names: NameServer,
) -> None:
    async with (
        Hostile(says({})) as server,
        Fetcher(resolver=Resolver(lookup=names, lookups=32)) as fetcher,
    ):
        hanging = [
            asyncio.create_task(failure(fetcher, endpoint(f"hang-{n}"), timeout=30))
            for n in range(31)
        ]
        while len(names.asked) < 31:  # noqa: ASYNC110 - the threads cannot set an asyncio.Event
            await asyncio.sleep(0.01)
        assert (await fetcher.fetch(endpoint("model", server.port), timeout=5)).status == 200
        # the default executor is what files and compression use elsewhere
        assert await asyncio.to_thread(lambda: "free") == "free"
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_a_silent_name_server_is_asked_once_for_a_name_however_many_wait(
    names: NameServer,
) -> None:
    async with Fetcher(resolver=Resolver(lookup=names)) as fetcher:
        at = endpoint("hang")
        waiting = [failure(fetcher, at, timeout=0.2) for _ in range(20)]
        errors = await asyncio.gather(*waiting)
        errors.append(await failure(fetcher, at, timeout=0.1))
    assert {error.reason for error in errors} == {Reason.TIMEOUT}
    assert names.asked == ["hang"]


async def test_more_hanging_lookups_than_threads_fail_at_once(names: NameServer) -> None:
    async with Fetcher(resolver=Resolver(lookup=names, lookups=2)) as fetcher:
        first = [
            asyncio.create_task(failure(fetcher, endpoint(f"hang-{n}"), timeout=0.5))
            for n in range(2)
        ]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        error = await failure(fetcher, endpoint("hang-3"), timeout=30)
        await asyncio.gather(*first)
    assert error.reason is Reason.DNS
    assert "2 name lookups are hanging already" in str(error)


async def test_an_address_is_remembered(names: NameServer) -> None:
    resolver = Resolver(lookup=names)
    for _ in range(3):
        found = await resolver.resolve("model", 8080)
    assert [(address["host"], address["port"]) for address in found] == [("127.0.0.1", 8080)]
    assert names.asked == ["model"]
    await resolver.close()


async def test_an_old_address_serves_while_the_name_server_is_gone(names: NameServer) -> None:
    resolver = Resolver(lookup=names)
    await resolver.resolve("model", 80)
    resolver.forget("model")
    names.known.clear()
    assert (await resolver.resolve("model", 80))[0]["host"] == "127.0.0.1"
    assert names.asked == ["model", "model"]
    await resolver.close()


async def test_a_host_that_moved_is_looked_up_again_after_one_failure(names: NameServer) -> None:
    async with (
        Hostile(says({})) as server,
        Fetcher(resolver=Resolver(lookup=names)) as fetcher,
    ):
        names.known["model"] = "127.0.0.9"  # nobody listens there
        at = endpoint("model", server.port)
        assert (await failure(fetcher, at)).reason is Reason.UNREACHABLE
        names.known["model"] = "127.0.0.1"
        assert (await fetcher.fetch(at, timeout=5)).status == 200


async def test_closing_leaves_hanging_lookups_behind(names: NameServer) -> None:
    resolver = Resolver(lookup=names)
    waiting = asyncio.create_task(resolver.resolve("hang"))
    await asyncio.sleep(0)
    await resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert all(
        thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()
    )
