"""Tokens in the store: digests, names, limits, and never a secret."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from postgres_server import postgres_server
from seamwatch.errors import StoreError
from seamwatch.store import Store
from seamwatch.store.tokens import Token
from stores import new_database, opened

TOKEN = Token("id1", "0" * 64, "nginx", frozenset({"check"}), ("rag*",), 100.0, 900.0)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs_postgres)])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return await new_database(request.getfixturevalue("server"))


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with opened(url) as one:
        yield one


async def test_tokens_are_kept_as_digests_and_can_be_revoked(store: Store) -> None:
    token = TOKEN
    await store.gates.add_token(token)
    assert await store.gates.load_tokens() == [token]
    assert token.is_valid(899.0)
    assert not token.is_valid(900.0)
    assert await store.gates.revoke_token("id1", now=200.0)
    assert not await store.gates.revoke_token("id1", now=300.0)
    assert not await store.gates.revoke_token("id2", now=300.0)
    assert not (await store.gates.load_tokens())[0].is_valid(300.0)


async def test_a_token_without_end_is_good_until_revoked(store: Store) -> None:
    await store.gates.add_token(replace(TOKEN, expires=None))
    (token,) = await store.gates.load_tokens()
    assert token.is_valid(1e12)


async def test_two_tokens_never_share_an_id_or_a_secret(store: Store) -> None:
    await store.gates.add_token(TOKEN)
    for clash in (replace(TOKEN, hash="1" * 64), replace(TOKEN, id="id2")):
        with pytest.raises(StoreError):
            await store.gates.add_token(clash)
    assert await store.gates.load_tokens() == [TOKEN]


async def test_every_process_sees_the_tokens_oldest_first(url: str, store: Store) -> None:
    second = replace(TOKEN, id="id0", hash="1" * 64, created=200.0, scopes=frozenset({"a", "b"}))
    for token in (second, TOKEN):
        await store.gates.add_token(token)
    async with opened(url) as other:
        assert await other.gates.load_tokens() == [TOKEN, second]
        assert await other.gates.revoke_token("id1", now=300.0)
    assert [token.revoked for token in await store.gates.load_tokens()] == [300.0, None]
