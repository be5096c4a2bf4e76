"""The watch promises: what is applied is watched, what is gone is silent, bugs stay small."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from seamwatch.config.schema import PipelineSection
from seamwatch.pipeline import Observation, Pipeline, Stage, StageKind, Targets
from seamwatch.snapshot import Snapshot
from seamwatch.watch import PipelineWatch, Watch
from seamwatch.watch.signals import Signals
from seamwatch.watch.stages import Change
from seamwatch.watch.worker import Worker

NOW = 1_700_000_000.0
SOURCE = {"static": {"version": "v1", "watermark": "2023-11-14T00:00:00Z"}}


class Shown:
    """What the watch published last of each pipeline."""

    def __init__(self) -> None:
        self.page: dict[str, Snapshot] = {}

    def publish(self, snapshot: Snapshot, changes: Sequence[Change]) -> None:
        self.page[snapshot.pipeline.name] = snapshot

    def withdraw(self, pipeline: str) -> None:
        self.page.pop(pipeline, None)


class Reader:
    """A stage that answers at once, or hangs; its close may hang or fail too."""

    host = ""

    def __init__(
        self, *, hangs: bool = False, closing: Callable[[], Any] = lambda: asyncio.sleep(0)
    ) -> None:
        self.hangs = hangs
        self.closing = closing
        self.reads = 0
        self.closed = False

    async def read(self, *, now: float) -> Observation:
        self.reads += 1
        if self.hangs:
            await asyncio.Event().wait()
        return Observation(healthy=True, version="v1", watermark=NOW - 60, updated_at=NOW)

    async def close(self) -> None:
        self.closed = True
        await self.closing()


def section(stages: Sequence[str]) -> PipelineSection:
    text: dict[str, Any] = {
        "owner": "data",
        "stages": {
            name: {"team": "data", "kind": "source", "source": SOURCE, "every": "10ms"}
            for name in stages
        },
    }
    return PipelineSection.model_validate(text)


class NoSignals(Signals):
    def __init__(self) -> None:
        self._sections = {}


NO_SIGNALS = NoSignals()


def watched(watch: Watch, name: str, readers: Mapping[str, Reader]) -> PipelineWatch:
    return PipelineWatch(
        Pipeline(
            name, "data", tuple(Stage(s, "data", StageKind.SOURCE) for s in readers), Targets()
        ),
        section(list(readers)),
        base_dir=Path("/"),
        readers=readers,
        judging=None,
        probing=None,
        attributing=None,
        signals=NO_SIGNALS,
        history={},
        worker=Worker(),
        clock=lambda: NOW,
        changed=watch.changed(name),
        answered=lambda probing, taken: None,
    )


@contextlib.asynccontextmanager
async def running(watch: Watch) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(watch.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(met: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not met():  # noqa: ASYNC110 what is waited for has no event to tell of it
            await asyncio.sleep(0.01)


async def test_nothing_is_ready_before_it_is_said_what_to_watch() -> None:
    watch = Watch(Shown())
    assert not watch.is_ready
    await watch.apply({})
    assert watch.is_ready


async def test_it_is_ready_when_each_pipeline_was_judged_also_with_a_hung_stage() -> None:
    watch = Watch(shown := Shown())
    await watch.apply({"a": watched(watch, "a", {"s": Reader(hangs=True)})})
    assert not watch.is_ready
    async with running(watch):
        await until(lambda: watch.is_ready)
    assert shown.page["a"].stages == {}


async def test_a_reader_that_cannot_be_closed_holds_up_neither_the_new_nor_the_other_old(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails() -> Any:
        raise RuntimeError("a bug")

    watch, last, new = Watch(Shown()), Reader(), Reader()
    old = {
        "a": watched(watch, "a", {"s": Reader(closing=fails), "t": last}),
        "b": watched(watch, "b", {"s": (other := Reader())}),
    }
    await watch.apply(old)
    async with running(watch):
        await watch.apply({"c": watched(watch, "c", {"s": new})})
        await until(lambda: new.reads)
    assert last.closed
    assert other.closed
    assert "RuntimeError: a bug" in caplog.text


async def test_a_close_that_hangs_does_not_keep_new_pipelines_from_being_read() -> None:
    gate = asyncio.Event()
    watch, new = Watch(Shown()), Reader()
    await watch.apply({"a": watched(watch, "a", {"s": Reader(closing=gate.wait)})})
    async with running(watch):
        applying = asyncio.create_task(watch.apply({"b": watched(watch, "b", {"s": new})}))
        await until(lambda: new.reads)
        assert not applying.done()
        gate.set()
        await applying


async def test_a_pipeline_that_is_gone_is_not_shown_again_by_what_still_ran() -> None:
    watch = Watch(shown := Shown())
    old = watched(watch, "a", {"s": Reader()})
    await watch.apply({"a": old, "b": watched(watch, "b", {"s": Reader()})})
    async with running(watch):
        await until(lambda: "a" in shown.page)
        await watch.apply({"b": watch.pipelines["b"]})
        watch.changed("a")()  # a reading that ended at the last moment
        before = shown.page["b"]
        watch.changed("b")()
        await until(lambda: shown.page["b"] is not before)
    assert shown.page.keys() == {"b"}


async def test_a_pipeline_that_cannot_be_judged_costs_only_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = Watch(shown := Shown())
    broken = watched(watch, "a", {"s": Reader()})
    broken.stages.history = None  # type: ignore[assignment]
    await watch.apply({"a": broken, "b": watched(watch, "b", {"s": Reader()})})
    async with running(watch):
        await until(lambda: "b" in shown.page and shown.page["b"].stages)
    assert "a" not in shown.page
    assert "cannot judge a pipeline" in caplog.text


async def test_a_renamed_stage_leaves_what_the_other_stages_published() -> None:
    watch = Watch(Shown())
    before = watched(watch, "a", {"ingest": Reader(), "index": Reader()})
    await watch.apply({"a": before})
    async with running(watch):
        await until(lambda: len(before.stages.history) == 2)
        after = watched(watch, "a", {"load": Reader(hangs=True), "index": Reader()})
        after.take_over(before)
        assert after.stages.history.keys() == {"index"}
        assert after.stages.states.keys() == {"index"}
        await watch.apply({"a": after})
        after.judge()
