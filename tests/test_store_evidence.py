"""Evidence in the store: its state is never ahead of its log, and a replay finds all it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postgres_server import postgres_server
from seamwatch.pipeline import Verdict
from seamwatch.store import (
    Asked,
    Checkpoint,
    Evidence,
    EvidenceRow,
    TermsRow,
)
from stores import new_database, opened


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs_postgres)])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/seamwatch.db"
    return await new_database(request.getfixturevalue("server"))


def probe(n: int | None, *, pipeline: str = "rag", at: float | None = None) -> Asked:
    """Return the n-th probe that evidence took: every seventh an error, every fifth focused."""
    number = n or 0
    x = None if number % 7 == 0 else 1 / (number + 2)
    verdict = Verdict.ERROR if x is None else Verdict.WRONG
    return Asked(
        pipeline,
        "d1",
        f"q{number}",
        verdict,
        x,
        "m-1",
        float(number) if at is None else at,
        1,
        number,
        ordinal=n,
        slice="s1" if number % 2 else "",
        item_class="solid" if number % 3 else "flaky",
        focused=number % 5 == 0,
        x=x,
        purpose="focus" if number % 5 == 0 else "pass",
    )


def terms(since: int = 0, *, digest: str = "t1", pipeline: str = "rag") -> TermsRow:
    return TermsRow(pipeline, digest, '{"limit": 1e6}', since, 0.5)


def state(n: int, *, by: str = "t1", pipeline: str = "rag") -> EvidenceRow:
    return EvidenceRow(pipeline, "d1", by, n, f'{{"r": [{1 / 3 + n!r}]}}', float(n))


def checkpoint(n: int, *, by: str = "t1", pipeline: str = "rag") -> Checkpoint:
    return Checkpoint(pipeline, by, n, f'{{"r": [{n}]}}')


async def test_evidence_comes_back_as_terms_state_and_what_came_after(url: str) -> None:
    async with opened(url) as store:
        assert await store.load_evidence("rag") == Evidence(None, None, [], [])
        await store.save([terms(), *(probe(n) for n in range(1, 10))])
        found = await store.load_evidence("rag")
        assert found == Evidence(terms(), None, [probe(n) for n in range(1, 10)], [])
        await store.save([state(3), terms(pipeline="other"), state(9, pipeline="other")])
        await store.save([state(6)])
        found = await store.load_evidence("rag")
        assert found == Evidence(terms(), state(6), [probe(n) for n in range(7, 10)], [])
        assert (found.ordinal, found.missing) == (9, 0)
