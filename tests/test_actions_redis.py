"""A real Redis holds what is wanted; no older order comes over a newer one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts_serving import order
from redis_server import Server, redis_server
from seamwatch.actions import Target, build
from seamwatch.config.actions import ActionSection
from seamwatch.errors import ReadError, Reason, SeamwatchError
from seamwatch.fetch import Fetcher


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with redis_server(tmp_path) as made:
        yield made


def target(url: str, key: str = "gate:rag", timeout: str = "5s") -> Target:
    given = {"redis": {"url": url, "key": key}, "timeout": timeout}
    return build(ActionSection.model_validate(given), Fetcher())


async def test_workers_read_the_state_in_one_hash_and_hear_of_each_change(server: Server) -> None:
    gate = target(server.url)
    listening = await asyncio.create_subprocess_exec(
        "redis-cli", "-p", str(server.port), "-a", "correct horse", "--no-auth-warning",
        "SUBSCRIBE", "gate:rag", stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert listening.stdout is not None
    heard = [(await listening.stdout.readline()).decode().strip() for _ in range(3)]
    assert heard[0] == "subscribe"
    for desired, generation in (("halted", 7), ("halted", 7), ("running", 8)):
        wanted = order(desired, generation=generation)
        assert await gate.stands(order("halted", generation=9)) is False
        await gate.apply(wanted)
        assert await gate.stands(wanted) is True
        message = [(await listening.stdout.readline()).decode().strip() for _ in range(3)]
        assert message == ["message", "gate:rag", desired]
        said = (await server.said("HGETALL", "gate:rag")).split("\n")
        assert dict(zip(said[::2], said[1::2], strict=True)) == {
            "state": desired,
            "generation": str(generation),
            "reason": "accuracy fell",
            "at": "1.000",
            "pipeline": "rag",
        }
    listening.terminate()
    await listening.wait()
    await gate.close()
    await gate.close()


async def test_an_older_order_is_refused_and_what_is_newer_stays(server: Server) -> None:
    gate = target(server.url)
    await gate.apply(order("running", generation=10_000_000_001))
    with pytest.raises(ReadError, match="holds generation 10000000001, newer than 7") as caught:
        await gate.apply(order("halted", generation=7))
    assert caught.value.reason is Reason.QUERY
    assert await server.said("HGET", "gate:rag", "state") == "running"
    await gate.close()


async def test_a_key_that_somebody_takes_away_or_turns_does_not_stand(server: Server) -> None:
    gate, halt = target(server.url), order("halted")
    await gate.apply(halt)
    for command in (("HSET", "gate:rag", "state", "running"), ("DEL", "gate:rag")):
        await server.said(*command)
        assert await gate.stands(halt) is False
        await gate.apply(halt)
        assert await gate.stands(halt) is True
    await server.said("EXPIRE", "gate:rag", "100")
    await gate.apply(halt)
    assert await server.said("TTL", "gate:rag") == "-1"  # a halt does not lapse
    await gate.close()


async def test_a_redis_that_went_away_is_found_again(server: Server) -> None:
    gate, halt = target(server.url), order("halted")
    await gate.apply(halt)
    await server.stop()
    with pytest.raises(ReadError, match=r"redis://127\.0\.0\.1:\d+/0 key gate:rag: ") as caught:
        await gate.apply(halt)
    assert caught.value.reason is Reason.UNREACHABLE
    assert "horse" not in str(caught.value)
    await server.start()
    await gate.apply(halt)
    assert await gate.stands(halt) is True
    await gate.close()


async def test_a_redis_that_hangs_is_given_up_within_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        gate = target(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout="50ms")
        with pytest.raises(ReadError, match=r"no answer within 0\.05 s") as caught:
            await gate.apply(order("halted"))
        assert caught.value.reason is Reason.TIMEOUT
        await gate.close()


async def test_what_redis_refuses_is_told_in_its_words_without_the_password(
    server: Server,
) -> None:
    halt = order("halted")
    for url, said in (
        (server.url.replace("correct", "wrong"), "WRONGPASS|invalid username-password"),
        (server.url.replace(":correct%20horse@", ""), "NOAUTH|Authentication required"),
    ):
        gate = target(url)
        with pytest.raises(ReadError, match=said) as caught:
            await gate.apply(halt)
        assert caught.value.reason is Reason.UNAUTHORIZED
        assert "horse" not in str(caught.value)
        await gate.close()
    await server.said("SET", "other", "a text")
    gate = target(server.url, key="other")
    with pytest.raises(ReadError, match="WRONGTYPE") as caught:
        await gate.apply(halt)
    assert caught.value.reason is Reason.QUERY
    await gate.close()


async def test_a_replica_cannot_be_written_and_is_tried_again(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "replica").mkdir()
    async with redis_server(tmp_path / "replica") as replica:
        await replica.said("CONFIG", "SET", "masterauth", "correct horse")
        await replica.said("REPLICAOF", "127.0.0.1", str(server.port))
        gate = target(replica.url)
        with pytest.raises(ReadError) as caught:
            await gate.apply(order("halted"))
        assert caught.value.reason in (Reason.BUSY, Reason.OVERLOADED)
        await gate.close()


@pytest.mark.parametrize(
    "url", ["http://redis.example/0", "redis.example:6379", "redis://h:port/0"]
)
def test_an_address_of_something_else_is_told_before_anything_runs(url: str) -> None:
    with pytest.raises(SeamwatchError, match="is no address of Redis; write redis://host:6379/0"):
        target(url)


async def test_a_reason_with_half_a_character_is_written_all_the_same(server: Server) -> None:
    gate = target(server.url)
    odd = order("halted")
    object.__setattr__(odd, "reason", "half \ud83d of it")
    await gate.apply(odd)
    assert await server.said("HGET", "gate:rag", "reason") == "half ? of it"
    assert gate.render(order("halted")).endswith("reason 'accuracy fell'; PUBLISH halted")
    assert "horse" not in gate.render(order("halted"))
    await gate.close()
