"""Sources in general: the table of kinds, what is written by hand, threads that hang."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from seamwatch.config.sources import SourceSection
from seamwatch.errors import ReadError
from seamwatch.fetch import Fetcher
from seamwatch.pipeline import Observation
from seamwatch.sources import KINDS, Reach, build
from seamwatch.sources.threads import Threads
from stages import NOW, failure, read, until

SECTIONS: dict[str, dict[str, Any]] = {
    "http": {"url": "http://stage:8080/meta"},
    "prometheus": {"url": "https://prometheus.example/base", "watermark": "w"},
    "sql": {"url": "postgresql://reader@db:6432/features", "query": "SELECT 1 AS version"},
    "file": {"path": "/data/lake/index/manifest.json"},
    "static": {"version": "v1"},
}


def test_every_kind_of_the_configuration_has_a_reader() -> None:
    assert list(KINDS) == list(SourceSection.model_fields) == list(SECTIONS)


async def test_sources_of_one_host_are_known_as_such() -> None:
    async with Fetcher() as fetcher:
        reach = Reach(fetcher)
        hosts = {
            kind: build(
                SourceSection.model_validate({kind: section}),
                reach,
                timeout=1.0,
                base_dir=Path("/"),
            ).host
            for kind, section in SECTIONS.items()
        }
    assert hosts == {
        "http": "stage:8080",
        "prometheus": "prometheus.example:443",
        "sql": "postgresql://db:6432/features",
        "file": "file:/data/lake",
        "static": "",
    }


async def test_what_is_written_by_hand_is_said() -> None:
    section = {
        "status": "ok",
        "version": "v1",
        "watermark": "2026-11-22T08:00:00",
        "updated_at": NOW - 60,
        "built_from": {"ingest": "b-1"},
        "rows": 3,
        "zone": "UTC",
    }
    assert await read({"static": section}) == Observation(
        healthy=True,
        version="v1",
        watermark=NOW - 3600,
        updated_at=NOW - 60,
        built_from={"ingest": "b-1"},
        rows=3.0,
    )


async def test_what_is_written_by_hand_is_held_to_the_contract_too() -> None:
    assert await failure({"static": {"watermark": "tomorrow"}}) == (
        "bad_time",
        'static: watermark is "tomorrow", not a time; write RFC 3339 with zone,'
        " e.g. 2026-11-22T09:00:00Z or seconds since 1970",
    )


# --- threads


async def refusal(threads: Threads, **options: Any) -> tuple[str, str]:
    call = options.pop("call", lambda: None)
    with pytest.raises(ReadError) as caught:
        await threads.run(
            call, **{"key": "k", "host": "h", "timeout": 0.05, "where": "it", **options}
        )
    return caught.value.reason.value, str(caught.value)


async def test_a_thread_gives_its_result_or_its_error() -> None:
    threads = Threads()
    options = {"key": 1, "host": "h", "timeout": 20.0, "where": "it"}
    assert await threads.run(lambda: 7, **options) == 7  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0, **options)  # type: ignore[arg-type]


async def test_hung_calls_are_refused_rather_than_piled_up_and_counted_until_they_end() -> None:
    threads = Threads()
    release = threading.Event()
    late = ("timeout", "it: no answer within 0.05 s")
    try:
        assert await refusal(threads, call=release.wait, key=1) == late
        assert await refusal(threads, call=release.wait, key=1) == (
            "busy",
            "it: the previous reading still hangs",
        )
        assert await refusal(threads, call=release.wait, key=2) == late
        assert await refusal(threads, call=release.wait, key=3) == (
            "busy",
            "it: 2 readings of h still hang",
        )
        # others are not disturbed
        assert await threads.run(lambda: 7, key=4, host="g", timeout=20.0, where="it") == 7
    finally:
        release.set()

    async def answers() -> bool:
        try:
            return await threads.run(lambda: True, key=1, host="h", timeout=20.0, where="it")
        except ReadError:
            return False

    await until(answers)


async def test_when_every_thread_hangs_the_next_reading_is_busy_in_time() -> None:
    threads = Threads(slots=2)
    release = threading.Event()
    try:
        for host in ("a", "b"):
            assert (await refusal(threads, call=release.wait, key=host, host=host))[0] == "timeout"
        assert await refusal(threads, key="c", host="c") == (
            "busy",
            "it: no thread was free within 0.05 s",
        )
    finally:
        release.set()

    async def answers() -> bool:
        try:
            return await threads.run(lambda: True, key="c", host="c", timeout=20.0, where="it")
        except ReadError:
            return False

    await until(answers)


def test_a_hung_thread_does_not_keep_the_process_from_ending() -> None:
    """Neither the loop's end nor the interpreter's may wait for a dead network mount."""

    async def hangs() -> None:
        with pytest.raises(ReadError):
            await Threads().run(threading.Event().wait, key=1, host="h", timeout=0.05, where="it")

    asyncio.run(hangs())
    assert all(thread.daemon for thread in threading.enumerate() if "seamwatch" in thread.name)
    assert any("seamwatch" in thread.name for thread in threading.enumerate())


async def test_forty_thousand_sources_are_cheap() -> None:
    import tracemalloc

    section = SourceSection.model_validate({"http": SECTIONS["http"]})
    async with Fetcher() as fetcher:
        reach = Reach(fetcher)
        build(section, reach, timeout=1.0, base_dir=Path("/"))
        tracemalloc.start()
        kept = [build(section, reach, timeout=1.0, base_dir=Path("/")) for _ in range(1000)]
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert size / len(kept) < 6000
