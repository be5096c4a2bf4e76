"""`seamwatch run` as its users meet it: a real process, real stages, signals and restarts."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import resource
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from disks import fill, small_disk
from ports import free_port
from running import PATIENCE, World, configure, exporter
from seamwatch.exporter import Exporter


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World().served() as world:
        yield world


def sample(page: str, name: str) -> float:
    for line in page.splitlines():
        if line.startswith(name + " "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"no {name} in:\n{page}")


ACCURACY = 'seamwatch_golden_accuracy_ratio{bound="estimate",pipeline="answers"}'
SILENT = 'seamwatch_pipeline_silent_failure{pipeline="answers"}'
WINDOW = 'seamwatch_golden_window_answers{pipeline="answers"}'


async def test_wrong_answers_behind_green_stages_show_as_a_silent_failure(
    tmp_path: Path, world: World
) -> None:
    async with exporter(configure(tmp_path, world)) as running:
        page = await running.page(f"{ACCURACY} 1.0", f"{SILENT} 0.0")
        assert 'seamwatch_stage_healthy{pipeline="answers",pipeline_stage="model"} 1.0' in page
        world.label = "used to be"
        page = await running.page(f"{ACCURACY} 0.0", f"{SILENT} 1.0")
        assert 'seamwatch_stage_healthy{pipeline="answers",pipeline_stage="model"} 1.0' in page
        stale = 'seamwatch_golden_answers_total{pipeline="answers",verdict="stale"}'
        assert sample(page, stale) > 0
        world.label = "yes"
        await running.page(f"{ACCURACY} 1.0", f"{SILENT} 0.0")


async def test_old_data_shows_as_a_silent_failure_although_the_job_is_young(
    tmp_path: Path, world: World
) -> None:
    async with exporter(configure(tmp_path, world)) as running:
        await running.page(f"{SILENT} 0.0")
        world.age = 12 * 3600.0
        await running.page(f"{SILENT} 1.0")
        where = '{pipeline="answers",pipeline_stage="ingest"}'

        def is_young_job_on_old_data(_: int, page: str) -> bool:
            job = sample(page, f"seamwatch_stage_updated_timestamp_seconds{where}")
            event = sample(page, f"seamwatch_stage_watermark_timestamp_seconds{where}")
            return job - event == pytest.approx(12 * 3600, abs=1)

        await running.until("/metrics", is_young_job_on_old_data)


async def test_a_hung_stage_delays_neither_the_page_nor_the_other_stages(
    tmp_path: Path, world: World
) -> None:
    hung = "".join(
        f"      slow{n}: {{team: data, kind: source, every: 100ms, timeout: 60s,"
        f" source: {{http: {{url: http://127.0.0.1:{world.port}/hang}}}}}}\n"
        for n in range(8)
    )
    config = configure(tmp_path, world, extra=hung)
    after = ", ".join(f"slow{n}" for n in range(8))
    config.write_text(config.read_text().replace("after: ingest", f"after: [ingest, {after}]"))
    async with exporter(config) as running:
        page = await running.page(
            f"{ACCURACY} 1.0",
            'seamwatch_stage_read_success{pipeline="answers",pipeline_stage="ingest"} 1.0',
        )
        assert 'stage_read_success{pipeline="answers",pipeline_stage="slow0"}' not in page
        assert await running.end() == 0


async def test_reload_takes_up_what_changed_and_keeps_what_was_learned(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world)
    async with exporter(config) as running:
        before = await running.page(f"{ACCURACY} 1.0", f"{WINDOW} 40.0")
        config.write_text(config.read_text().replace("at_least: 90%", "at_least: 95%"))
        assert await running.get("/-/reload", method="POST") == (200, "reloaded\n")
        page = await running.page('seamwatch_golden_accuracy_target_ratio{pipeline="answers"} 0.95')
        assert sample(page, WINDOW) == 40
        correct = 'seamwatch_golden_answers_total{pipeline="answers",verdict="correct"}'
        assert sample(page, correct) >= sample(before, correct)


async def test_a_bad_configuration_is_refused_and_the_old_one_goes_on(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world)
    async with exporter(config) as running:
        await running.page("seamwatch_config_last_reload_successful 1.0")
        good = config.read_text()
        config.write_text(good.replace("objective: 99%", "objektive: 99%"))
        status, text = await running.get("/-/reload", method="POST")
        assert status == 500
        assert 'unknown key; did you mean "objective"?' in text
        await running.page("seamwatch_config_last_reload_successful 0.0", f"{ACCURACY} 1.0")
        config.write_text(good)
        running.process.send_signal(signal.SIGHUP)
        await running.page("seamwatch_config_last_reload_successful 1.0")


async def test_a_bad_golden_set_is_refused_line_by_line_and_the_old_one_goes_on(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world)
    async with exporter(config) as running:
        golden = tmp_path / "golden.jsonl"
        golden.write_text(golden.read_text() + '{"id": "q1"\n{"id": "q2"}\n')
        status, text = await running.get("/-/reload", method="POST")
        first, *problems = text.splitlines()
        assert (status, first) == (500, "the configuration was not changed:")
        places = {line.partition(": ")[0] for line in problems}
        assert places == {f"{golden}:41", f"{golden}:42"}
        await running.page("seamwatch_config_last_reload_successful 0.0", f"{ACCURACY} 1.0")


async def test_a_pipeline_that_leaves_the_configuration_leaves_the_page(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world)
    async with exporter(config) as running:
        await running.page(f"{SILENT} 0.0")
        config.write_text(config.read_text().replace("  answers:", "  other:"))
        assert await running.get("/-/reload", method="POST") == (200, "reloaded\n")
        page = await running.page('seamwatch_pipeline_silent_failure{pipeline="other"} 0.0')
        assert 'pipeline="answers"' not in page


async def test_a_restart_remembers_the_window_and_goes_on_with_the_pass(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world)
    async with exporter(config) as running:
        await running.page(f"{ACCURACY} 1.0", f"{WINDOW} 40.0")
        assert await running.end() == 0
    config.write_text(config.read_text().replace("every: 20ms", "every: 1h"))
    async with exporter(config) as running:
        await running.page(f"{ACCURACY} 1.0", f"{WINDOW} 40.0")


async def test_an_interrupted_pass_asks_every_item_once_over_a_restart(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world, golden_every="100ms")
    async with exporter(config) as running:
        await running.until("/metrics", lambda *_: len(world.asked) >= 10)
        assert await running.end() == 0
    first = len(world.asked)
    async with exporter(config) as running:
        await running.until("/metrics", lambda *_: len(world.asked) >= 40)
    assert first < 40, "the restart came too late to interrupt the pass"
    assert sorted(world.asked[:40]) == sorted(f"question {n}" for n in range(40))


async def test_a_kill_loses_no_version_that_was_on_disk(tmp_path: Path, world: World) -> None:
    config = configure(tmp_path, world)
    async with exporter(config) as running:
        await running.until(
            "/metrics",
            lambda _, text: "\nseamwatch_store_last_success_timestamp_seconds" in text,
        )
        await running.page(f"{WINDOW} 40.0")
        assert await running.end(signal.SIGKILL) == -signal.SIGKILL
    config.write_text(config.read_text().replace("every: 20ms", "every: 1h"))
    async with exporter(config) as running:
        page = await running.page(WINDOW)
        assert sample(page, WINDOW) > 0


STANDING = 'seamwatch_evidence_standing{pipeline="answers",standing='
GATE = "    gate: {floor: 90%, resume: {min_halt: 100ms}}\n"


async def test_wrong_answers_halt_it_and_a_kill_does_not_lift_the_halt_but_recovery_does(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world, extra=GATE)
    async with exporter(config) as running:
        await running.page(f'{STANDING}"running"}} 1.0', f"{WINDOW} 40.0")
        world.label = "no"
        page = await running.page(f'{STANDING}"halted"}} 1.0')
        assert sample(page, 'seamwatch_evidence_ratio{detector="floor",pipeline="answers"}') == 1.0
        await asyncio.sleep(0.5)  # the journal writes behind
        assert await running.end(signal.SIGKILL) == -signal.SIGKILL
    config.write_text(config.read_text().replace("every: 20ms", "every: 1h"))
    async with exporter(config) as running:
        await running.page(f'{STANDING}"halted"}} 1.0')
        assert await running.end() == 0
    world.label = "yes"
    config.write_text(config.read_text().replace("every: 1h", "every: 20ms"))
    async with exporter(config) as running:
        await running.page(f'{STANDING}"running"}} 1.0')
        assert "above the floor again" in running.log.read_text()


async def test_a_gate_whose_floor_cannot_be_told_is_refused_at_the_start(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world, extra="    gate: {}\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "seamwatch", "run", "--config", str(config),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 2
    assert "pipelines.answers: gate.floor is not set" in errors.decode()


async def test_a_signal_from_live_traffic_is_a_quality_check_and_unknown_when_it_is_silent(
    tmp_path: Path, world: World
) -> None:
    base = f"http://127.0.0.1:{world.port}"
    signal_ = f"{{promql: clicks, url: {base}, at_least: 0.9, every: 100ms}}"
    config = configure(tmp_path, world, extra=f"    quality: {{signals: {{clicks: {signal_}}}}}\n")
    met = 'seamwatch_quality_met{check="clicks",pipeline="answers"}'
    async with exporter(config) as running:
        await running.page(f"{met} 1.0")
        world.clicks = "0.5"
        target = 'seamwatch_pipeline_target_met{pipeline="answers",slo="quality"}'
        await running.page(f"{met} 0.0", f"{target} 0.0")
        world.clicks = "NaN"
        await running.until("/metrics", lambda _, text: met not in text)


@pytest.mark.parametrize("fault", ["rubbish", "directory", "locked"])
async def test_a_store_that_cannot_be_used_stops_nothing_else(
    tmp_path: Path, world: World, fault: str
) -> None:
    config = configure(tmp_path, world)
    store = tmp_path / "memory.db"
    if fault == "rubbish":
        store.write_bytes(os.urandom(8192))
    elif fault == "directory":
        store.mkdir()
    else:
        holder = sqlite3.connect(store, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
    async with exporter(config) as running:
        await running.page(f"{ACCURACY} 1.0", "seamwatch_store_failures_total{")
        assert await running.end() == 0
        assert "nothing is remembered from before" in running.log.read_text()
    if fault == "locked":
        holder.close()


async def test_a_full_disk_costs_no_row_and_nobody_else_notices(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world)
    store = tmp_path / "disk" / "memory.db"
    config.write_text(config.read_text().replace("sqlite:///memory.db", f"sqlite:///{store}"))
    with small_disk(store.parent) as space_again:
        async with exporter(config) as running:
            await running.page(f"{ACCURACY} 1.0", "seamwatch_store_pending_writes 0.0")
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            if limits[0] != resource.RLIM_INFINITY:  # no disk of its own: files end here now
                size = (max(16 << 10, store.stat().st_size), limits[1])
                resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, size)
            fill(store.parent / "ballast")
            await running.page("seamwatch_store_failures_total{")
            world.label = "used to be"
            page = await running.page(f"{ACCURACY} 0.0", f"{SILENT} 1.0")
            assert sample(page, "seamwatch_store_pending_writes") > 40
            assert sample(page, "seamwatch_store_dropped_writes_total") == 0
            (store.parent / "ballast").unlink()
            space_again()
            no_limit = (resource.RLIM_INFINITY, limits[1])
            resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, no_limit)
            written = await running.until(
                "/metrics", lambda _, text: sample(text, "seamwatch_store_pending_writes") < 20
            )
            assert await running.end() == 0
            log = running.log.read_text()
        with contextlib.closing(sqlite3.connect(store)) as connection:
            rows = connection.execute("SELECT verdict, count(*) FROM seamwatch_probes GROUP BY 1")
            found = dict(rows.fetchall())
    for verdict in ("correct", "stale"):
        asked = f'seamwatch_golden_answers_total{{pipeline="answers",verdict="{verdict}"}}'
        assert found[verdict] >= sample(written, asked) > 0
    assert "Traceback" not in log


async def test_a_store_that_is_removed_while_running_is_made_again_with_what_is_known(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world)
    async with exporter(config) as running:
        await running.page(f"{WINDOW} 40.0", "seamwatch_store_last_success_timestamp_seconds")
        (tmp_path / "memory.db").unlink()
        gone = 'seamwatch_store_failures_total{reason="unreachable"}'
        await running.page(f"{gone} 1.0")
        await running.until("/metrics", lambda *_: (tmp_path / "memory.db").exists())
        assert await running.end() == 0
        assert "Traceback" not in running.log.read_text()
    with contextlib.closing(sqlite3.connect(tmp_path / "memory.db")) as connection:
        stages = connection.execute("SELECT DISTINCT stage FROM seamwatch_publications").fetchall()
    assert sorted(stages) == [("ingest",), ("model",)]


async def test_a_pipeline_that_was_away_for_a_while_gets_no_second_budget(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world)
    config.write_text(
        config.read_text().replace("answered_by: by}", "answered_by: by}, budget: {per_hour: 15}")
    )
    unsent = 'seamwatch_probe_over_budget_total{pipeline="answers"}'
    good = config.read_text()
    async with exporter(config) as running:
        for _ in range(2):
            config.write_text(good)
            assert await running.get("/-/reload", method="POST") == (200, "reloaded\n")
            await running.until(
                "/metrics", lambda _, text: unsent in text and sample(text, unsent) > 0
            )
            other = good.replace("  answers:", "  other:").replace("every: 20ms", "every: 1h")
            config.write_text(other)
            assert await running.get("/-/reload", method="POST") == (200, "reloaded\n")
            await running.until("/metrics", lambda _, text: unsent not in text)
    assert len(world.asked) <= 15 + 2  # each time, the other pipeline asks once at the most


async def test_a_golden_set_that_was_away_for_a_while_gets_no_second_budget(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world, extra=GATE)
    config.write_text(
        config.read_text().replace("answered_by: by}", "answered_by: by}, budget: {per_hour: 15}")
    )
    unsent = 'seamwatch_probe_over_budget_total{pipeline="answers"}'
    good = config.read_text()
    gate, golden, target = GATE, "    golden: {", "      accuracy: {"
    lines = good.replace(gate, "").splitlines(keepends=True)
    without = "".join(line for line in lines if not line.startswith((golden, target)))
    async with exporter(config) as running:
        for _ in range(3):
            await running.until(
                "/metrics", lambda _, text: unsent in text and sample(text, unsent) > 0
            )
            config.write_text(without)
            assert await running.get("/-/reload", method="POST") == (200, "reloaded\n")
            await running.until("/metrics", lambda _, text: unsent not in text)
            config.write_text(good)
            assert await running.get("/-/reload", method="POST") == (200, "reloaded\n")
    assert len(world.asked) <= 15


async def test_a_reload_that_is_refused_late_changes_nothing_of_the_evidence(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world, extra=GATE)
    good = config.read_text()
    async with exporter(config) as running:
        await running.page(f"{WINDOW} 40.0")
        stage = 's: {team: data, kind: source, source: {http: {url: "http://127.0.0.1/", %s}}}'
        other = "  other:\n    owner: data\n    stages:\n      " + stage % 'headers: {"a b": c}'
        changed = good.replace("floor: 90%", "floor: 80%")
        config.write_text(changed.replace("store:", f"{other}\nstore:"))
        status, text = await running.get("/-/reload", method="POST")
        assert (status, "can be set" in text) == (500, True), text
        await asyncio.sleep(0.5)  # the journal writes behind
        assert await running.end() == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "memory.db")) as database:
        assert database.execute("SELECT count(*) FROM seamwatch_terms").fetchone() == (1,)


async def test_a_changed_answer_schema_is_taken_up_by_a_reload(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world)
    schema = tmp_path / "answer.json"
    schema.write_text('{"type": "string"}')
    config.write_text(
        config.read_text().replace(
            "    slos:\n", "    quality: {json_schema: answer.json}\n    slos:\n"
        )
    )
    invalid = 'seamwatch_golden_answers_total{pipeline="answers",verdict="invalid"}'
    async with exporter(config) as running:
        await running.page(f"{ACCURACY} 1.0", f"{invalid} 0.0")
        schema.write_text('{"enum": ["no"]}')
        assert await running.get("/-/reload", method="POST") == (200, "reloaded\n")
        await running.until("/metrics", lambda _, text: sample(text, invalid) > 0)


async def test_what_only_a_start_can_change_is_told_by_the_log(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world)
    async with exporter(config) as running:
        config.write_text(config.read_text().replace("memory.db", "other.db"))
        assert await running.get("/-/reload", method="POST") == (200, "reloaded\n")
        assert "takes effect at the next start only" in running.log.read_text()


async def test_sigterm_during_a_reload_ends_at_once_and_blames_nobody(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world)
    async with exporter(config) as running:
        await running.page(f"{SILENT} 0.0")
        running.process.send_signal(signal.SIGHUP)
        asked = asyncio.create_task(running.get("/-/reload", method="POST"))
        await asyncio.sleep(0.1)
        assert await running.end() == 0
        with contextlib.suppress(aiohttp.ClientError):
            await asked
        log = running.log.read_text()
    assert "refused" not in log
    assert "Traceback" not in log
    assert "never retrieved" not in log


async def test_a_hang_up_while_starting_is_a_reload_and_not_the_end(
    tmp_path: Path, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    listen = [f"127.0.0.1:{free_port()}"]
    running = asyncio.create_task(Exporter([str(configure(tmp_path, world))], listen=listen).run())
    try:
        await asyncio.sleep(0)  # it begins
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(PATIENCE):
            while "was read again" not in caplog.text:
                assert not running.done()
                await asyncio.sleep(0.05)
        order = [record.getMessage() for record in caplog.records]
        assert order.index(f"serving on http://{listen[0]}/") < len(order) - 1
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        gc.unfreeze()


async def test_the_budget_is_hard_over_a_restart_and_an_unsent_probe_is_counted(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world)
    config.write_text(
        config.read_text().replace("answered_by: by}", "answered_by: by}, budget: {per_hour: 15}")
    )
    unsent = 'seamwatch_probe_over_budget_total{pipeline="answers"}'
    for _ in range(2):
        async with exporter(config) as running:
            await running.until(
                "/metrics", lambda _, text: unsent in text and sample(text, unsent) > 0
            )
            assert await running.end() == 0
    assert len(world.asked) == 15


async def test_start_refuses_a_golden_set_it_cannot_use_and_says_where(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world)
    (tmp_path / "golden.jsonl").write_text('{"id": "a", "input": 1, "expected": "x"}\n{"id": "a"\n')
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "seamwatch", "run", "--config", str(config),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 2
    assert "golden.jsonl:2: " in errors.decode()
    assert "Traceback" not in errors.decode()


async def test_start_refuses_an_address_in_use(tmp_path: Path, world: World) -> None:
    config = configure(tmp_path, world)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "seamwatch", "run", "--config", str(config),
        "--web.listen-address", f"127.0.0.1:{world.port}",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 2
    assert f"127.0.0.1:{world.port} is in use by another process" in errors.decode()


async def test_logs_are_one_line_of_json_each_when_asked(tmp_path: Path, world: World) -> None:
    async with exporter(configure(tmp_path, world), "--log.format", "json") as running:
        await running.page(f"{SILENT} 0.0")
        assert await running.end() == 0
        lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    assert [line["msg"] for line in lines][-1] == "stopping"
    assert {"ts", "level", "logger", "msg"} <= set(lines[0])
