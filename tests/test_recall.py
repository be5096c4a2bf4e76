"""What the store kept comes back, as much of it as can be read, and as old as it is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from seamwatch.fetch import Fetcher
from seamwatch.pipeline import Answer, Judged, Verdict
from seamwatch.sources import Reach
from seamwatch.store import Asked, Pass, Store
from seamwatch.watch import PipelineWatch
from seamwatch.watch.answers import Answers
from seamwatch.watch.casework import Taken
from seamwatch.watch.plan import Plan, Remembered, Tools, plan, watched
from seamwatch.watch.recall import recall
from seamwatch.watch.worker import Worker

NOW = 1_700_000_000.0
NAMES = ("first", "second")


def configured(folder: Path) -> Plan:
    items = [{"id": f"q{n}", "input": "?", "expected": "yes"} for n in range(40)]
    (folder / "golden.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    one = """\
    owner: data
    stages:
      ingest: {team: data, kind: source}
      model: {team: data, kind: model, after: ingest}
    model:
      http: {url: "http://127.0.0.1:9/", json: {q: "{{ input }}"}, answer: label}
      budget: {per_day: 100}
    golden: {file: golden.jsonl, task: multiclass, every: 10s, blessing: NAME.json}
    gate: {floor: 90%}
"""
    pipelines = "".join(f"  {name}:\n{one.replace('NAME', name)}" for name in NAMES)
    path = folder / "seamwatch.yaml"
    path.write_text(f"teams: {{data: {{}}}}\npipelines:\n{pipelines}store: sqlite:///s.db\n")
    return plan([str(path)])


def asked(pipeline: str, digest: str, at: float, ordinal: int | None = None) -> Asked:
    verdict = Verdict.CORRECT
    return Asked(pipeline, digest, "q1", verdict, 1.0, None, at, 1, 0, ordinal=ordinal, x=1.0)


@asynccontextmanager
async def watching(wanted: Plan, known: Remembered) -> AsyncIterator[PipelineWatch]:
    async with Fetcher() as fetcher:
        tools = Tools(fetcher, Reach(fetcher), Worker(), lambda: NOW)
        yield watched(
            wanted,
            "first",
            tools,
            known,
            changed=lambda: None,
            answered=lambda *_: None,
            found=lambda _: None,
        )
        await tools.reach.close()


async def test_where_reading_fails_half_way_what_was_spent_is_known_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = configured(tmp_path)
    digest = wanted.judging["first"].golden.digest
    store = await Store.open(f"sqlite:///{tmp_path}/s.db")
    for name in NAMES:
        await store.save([asked(name, digest, NOW - 60), Pass(name, digest, 7, 3)])
    whole = await recall(store, wanted, NAMES, now=NOW)
    assert [len(whole[name].window) for name in NAMES] == [1, 1]
    assert all(whole[name].case is not None for name in NAMES)
    with closing(sqlite3.connect(tmp_path / "s.db")) as database:
        database.execute("DROP TABLE seamwatch_evidence")
        database.execute("DROP TABLE seamwatch_terms")
    found = await recall(store, wanted, NAMES, now=NOW)
    await store.close()
    for name in NAMES:
        assert (found[name].asked_at, found[name].seed, found[name].position) == (
            (NOW - 60,), 7, 3,
        )  # fmt: skip
        assert found[name].case is None
    assert "2 pipelines do not remember their answers" in caplog.text


async def test_an_exporter_that_was_away_for_long_begins_with_stale_evidence(
    tmp_path: Path,
) -> None:
    wanted = configured(tmp_path)
    digest = wanted.judging["first"].golden.digest
    store = await Store.open(f"sqlite:///{tmp_path}/s.db")
    await store.save([Pass("first", digest, 7, 3)])
    for age, is_stale in ((3600.0, True), (5.0, False)):
        await store.save([asked("first", digest, NOW - age, ordinal=int(10_000 - age))])
        known = (await recall(store, wanted, ["first"], now=NOW))["first"]
        async with watching(wanted, known) as one:
            assert one.casework is not None
            assert one.casework.state(now=NOW).is_stale is is_stale
    await store.close()
    async with watching(wanted, Remembered()) as one:  # the first start of all
        assert one.casework is not None
        assert not one.casework.state(now=NOW).is_stale


async def test_an_answer_that_became_evidence_is_written_whatever_fails_after_it(
    tmp_path: Path,
) -> None:
    class Broken:
        def heard(self, _: Judged) -> None:
            raise ValueError("a bug")

    async with watching(configured(tmp_path), Remembered()) as one:
        written: list[Taken] = []
        one._answered = lambda _, taken: written.append(taken)
        one.attributing = Broken()  # type: ignore[assignment]
        assert one.probing is not None
        judged = Judged(one.probing.golden.items[0], Answer("no"), Verdict.WRONG, 0.0, NOW)
        with pytest.raises(ValueError, match="a bug"):
            one._took(one.probing, Taken(judged, 1, 0, False))
        assert len(written) == 1


async def test_a_window_is_examined_again_when_some_of_it_is_new(tmp_path: Path) -> None:
    async with watching(configured(tmp_path), Remembered()) as one:
        assert one.probing is not None
        answers = one.probing.answers = Answers(200, one.probing.rules)
        item = one.probing.golden.items[0]
        try:
            for new, examined in ((100, 100), (1, 100), (2, 103)):
                for _ in range(new):
                    judged = Judged(item, Answer("yes"), Verdict.CORRECT, 1.0, NOW)
                    answers.add(judged, declared=None, sample=True)
                assert await one._examine()
                assert answers.examined.n == examined
        finally:
            one._worker.close()
