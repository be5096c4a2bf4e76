"""Gates in a running exporter: real processes, a real model, a real store."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from postgres_server import postgres_server
from running import World, configure, exporter
from stores import new_database

ENFORCED = """\
    gate: {{mode: enforce, on_unknown: allow, floor: 90%, resume: {{mode: {}, min_halt: 100ms}}}}
"""
AUTOMATIC = ENFORCED.format("automatic")
MANUAL = ENFORCED.format("manual")
GATE = "v1/gates/answers"
PATIENCE = 30.0


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World().served() as made:
        yield made


class Asking:
    """Asks a gate over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.base = url

    async def ask(
        self, path: str, method: str = "GET", *, body: Any = None, **headers: str
    ) -> tuple[int, Any, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(
            method, f"{self.base}/{path}", json=body, headers=named
        ) as answer:
            text = await answer.text()
            is_json = "json" in answer.content_type and "nd" not in answer.content_type
            return answer.status, (json.loads(text) if is_json else text), answer.headers

    async def until(self, status: int, path: str = f"{GATE}/check") -> None:
        await self.seen(path, lambda found, _: found == status)

    async def seen(self, path: str, met: Callable[[int, Any], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                found, said, _ = await self.ask(path)
                if met(found, said):
                    return
                await asyncio.sleep(0.02)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def test_proof_halts_callers_a_kill_does_not_lift_it_and_proof_of_recovery_does(
    tmp_path: Path, world: World, session: aiohttp.ClientSession
) -> None:
    config = configure(tmp_path, world, extra=AUTOMATIC)
    async with exporter(config) as running:
        asking = Asking(session, running.url)
        await running.page('seamwatch_gate_state{pipeline="answers",state="running"} 1.0')
        assert (await asking.ask(f"{GATE}/check"))[0] == 200
        world.label = "no"
        await asking.until(403)
        status, text, headers = await asking.ask(f"{GATE}/check", "POST")
        assert (status, headers["X-Seamwatch-State"]) == (403, "halted")
        assert text.startswith("deny: accuracy is proven to be under its floor of 90.0%")
        assert (await asking.ask(f"{GATE}/check?deny=503"))[0] == 503
        _, said, _ = await asking.ask(f"{GATE}/decision")
        assert (said["decision"], said["state"]) == ("deny", "halted")
        assert (await asking.ask(f"{GATE}/ready"))[0] == 503
        assert (await asking.ask(f"{GATE}/analysis"))[1]["data"]["verdict"] == "fail"
        assert (await asking.ask("v1/adapters/flagger/answers/confirm", "POST"))[0] == 403
        assert (await asking.ask("v1/adapters/flagger/answers/rollback", "POST"))[0] == 200
        page = await running.page('seamwatch_gate_denies{pipeline="answers"} 1.0')
        assert 'seamwatch_gate_cause{cause="evidence",pipeline="answers"} 1.0' in page
        await asking.seen(GATE, lambda _, said: said["durable"])
        assert await running.end(signal.SIGKILL) == -signal.SIGKILL
    config.write_text(config.read_text().replace("every: 20ms", "every: 1h"))
    async with exporter(config) as running:
        asking = Asking(session, running.url)
        assert (await asking.ask(f"{GATE}/check"))[0] == 403
        assert await running.end() == 0
    world.label = "yes"
    config.write_text(config.read_text().replace("every: 1h", "every: 20ms"))
    async with exporter(config) as running:
        asking = Asking(session, running.url)
        await asking.until(200)
        status, lines, _ = await asking.ask(f"{GATE}/events")
        events = [json.loads(line)["event"] for line in lines.splitlines()]
        assert events[-1] == "resume"
        assert [one for one in events if one in ("halt", "resume")] == ["halt", "resume"]
        await running.page('seamwatch_evidence_standing{pipeline="answers",standing="running"} 1.0')
        assert await running.end() == 0
    code, said = await verified(tmp_path)
    assert (code, said["problems"], said["cannot_be_told"]) == (0, [], [])
    with sqlite3.connect(tmp_path / "memory.db") as connection:
        connection.execute("UPDATE seamwatch_probes SET x = 1.0, verdict = 'correct'")
    connection.close()
    code, said = await verified(tmp_path)
    assert code == 1
    assert "the halt of answers does not follow from answers" in said["problems"][0]


async def verified(folder: Path) -> tuple[int, Any]:
    """Return exit status and findings of ``seamwatch gate verify``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "seamwatch", "gate", "verify", "--format", "json",
        cwd=folder, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode is not None
    return process.returncode, json.loads(out)


async def test_a_person_halts_and_resumes_and_the_audit_says_who_and_why(
    tmp_path: Path, world: World, session: aiohttp.ClientSession
) -> None:
    config = configure(tmp_path, world, extra=MANUAL)
    async with exporter(config) as running:
        asking = Asking(session, running.url)
        await running.page('seamwatch_gate_state{pipeline="answers",state="running"} 1.0')
        reason = {"reason": "odd answers about tax"}
        status, said, headers = await asking.ask(f"{GATE}/halt", "POST", body=reason)
        assert (status, said["state"], said["durable"]) == (200, "halted", True)
        assert headers["ETag"] == f'"g-{said["generation"]}"'
        assert (await asking.ask(f"{GATE}/check"))[0] == 403
        status, problem, _ = await asking.ask(f"{GATE}/halt", "POST", body=reason)
        assert (status, problem["detail"]) == (
            409,
            "it is halted by local already: odd answers about tax",
        )
        status, said, _ = await asking.ask(
            f"{GATE}/resume", "POST", body={"reason": "they were right"}, Idempotency_Key="k"
        )
        assert (status, said["state"]) == (200, "running")
        status, _, headers = await asking.ask(
            f"{GATE}/resume", "POST", body={"reason": "they were right"}, Idempotency_Key="k"
        )
        assert (status, headers["Idempotency-Replayed"]) == (200, "true")
        _, lines, _ = await asking.ask(f"{GATE}/events?after=1")
        rows = [json.loads(line) for line in lines.splitlines()]
        said = [(row["event"], row["actor"], row["reason"]) for row in rows]
        assert [one for one in said if one[1] == "local"] == [
            ("halt", "local", "odd answers about tax"),
            ("resume", "local", "they were right"),
        ]
        _, head, _ = await asking.ask("v1/audit/head")
        assert head == {"seq": rows[-1]["seq"], "hash": rows[-1]["hash"]}


async def test_an_override_needs_to_know_what_it_replaces_and_ends(
    tmp_path: Path, world: World, session: aiohttp.ClientSession
) -> None:
    config = configure(tmp_path, world, extra=MANUAL)
    async with exporter(config) as running:
        asking = Asking(session, running.url)
        await running.page('seamwatch_gate_state{pipeline="answers",state="running"} 1.0')
        body = {"kind": "force_halt", "reason": "drill", "expires_in_s": 1.5}
        path = f"{GATE}/override"
        assert (await asking.ask(path, "PUT", body=body))[0] == 428
        assert (await asking.ask(path, "PUT", body=body, If_Match='"g-99"'))[0] == 412
        tag = (await asking.ask(GATE))[2]["ETag"]
        assert (await asking.ask(GATE, If_None_Match=tag))[0] == 304
        status, said, _ = await asking.ask(path, "PUT", body=body, If_Match=tag)
        assert (status, said["decision"], said["cause"]) == (200, "deny", "override")
        assert (await asking.ask(f"{GATE}/check"))[0] == 403
        await asking.until(200)
        assert (await asking.ask(path, "DELETE", If_Match="*"))[0] == 409


async def test_an_alert_that_may_halts_and_others_do_not(
    tmp_path: Path, world: World, session: aiohttp.ClientSession
) -> None:
    extra = AUTOMATIC.replace("mode: enforce", "mode: enforce, alerts: [CostTooHigh]")
    config = configure(tmp_path, world, extra=extra)

    def notification(name: str, status: str) -> dict[str, Any]:
        alert = {
            "status": status, "labels": {"alertname": name}, "annotations": {"summary": "dear\n!"},
            "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "f1",
        }  # fmt: skip
        return {"version": "4", "groupKey": "g", "status": status, "alerts": [alert]}

    async with exporter(config) as running:
        asking = Asking(session, running.url)
        await running.page('seamwatch_gate_state{pipeline="answers",state="running"} 1.0')
        hook = "v1/hooks/alertmanager/answers"
        other = notification("Other", "firing")
        assert (await asking.ask(hook, "POST", body=other))[1] == {"taken": 0}
        assert (await asking.ask(f"{GATE}/check"))[0] == 200
        for _ in range(2):
            fires = notification("CostTooHigh", "firing")
            assert (await asking.ask(hook, "POST", body=fires))[1] == {"taken": 1}
        status, _, headers = await asking.ask(f"{GATE}/check")
        assert (status, headers["X-Seamwatch-Reason"]) == (403, "dear !")
        await asking.ask(hook, "POST", body=notification("CostTooHigh", "resolved"))
        await asking.until(200)


async def test_old_data_halts_where_it_is_told_to(
    tmp_path: Path, world: World, session: aiohttp.ClientSession
) -> None:
    extra = AUTOMATIC.replace("mode: enforce", "mode: enforce, max_data_age: 1h")
    config = configure(tmp_path, world, extra=extra)
    async with exporter(config) as running:
        asking = Asking(session, running.url)
        await running.page('seamwatch_gate_state{pipeline="answers",state="running"} 1.0')
        assert (await asking.ask(f"{GATE}/check"))[0] == 200
        world.age = 7200.0
        await asking.until(403)
        assert "allowed" in (await asking.ask(GATE))[1]["reason"]
        world.age = 0.0
        await asking.until(200)


async def test_a_shadow_says_what_it_would_do_and_lets_everybody_through(
    tmp_path: Path, world: World, session: aiohttp.ClientSession
) -> None:
    config = configure(tmp_path, world, extra="    gate: {floor: 90%}\n")
    async with exporter(config) as running:
        asking = Asking(session, running.url)
        world.label = "no"
        await running.page('seamwatch_gate_would_deny{pipeline="answers"} 1.0')
        assert (await asking.ask(f"{GATE}/check"))[0] == 200
        _, said, _ = await asking.ask(GATE)
        assert (said["decision"], said["would_deny"], said["state"]) == ("allow", True, "halted")


async def test_what_is_not_there_or_not_allowed_is_told_so(
    tmp_path: Path, world: World, session: aiohttp.ClientSession
) -> None:
    config = configure(tmp_path, world, extra=MANUAL)
    async with exporter(config) as running:
        asking = Asking(session, running.url)
        for path, method, given, status, word in (
            ("v1/gates/none/check", "GET", {}, 404, "no gate 'none'"),
            (f"{GATE}/halt", "POST", {"body": {}}, 422, "reason is missing"),
            (f"{GATE}/halt", "POST", {"body": {"reason": "x", "who": 1}}, 422, "unknown field"),
            (f"{GATE}/halt", "POST", {}, 415, "application/json"),
            (f"{GATE}/events?after=x", "GET", {}, 400, "number of the last row"),
            (GATE, "GET", {"X_Forwarded_For": "10.0.0.1"}, 403, "seamwatch token create"),
            (GATE, "GET", {"Host": "evil.example"}, 403, "seamwatch token create"),
            (GATE, "GET", {"Authorization": "Bearer sw_no"}, 401, "unknown, revoked"),
            (f"{GATE}/halt", "POST", {"Origin": "http://x", "body": {"reason": "x"}}, 403, "token"),
        ):
            found, problem, headers = await asking.ask(path, method, **given)  # type: ignore[arg-type]
            assert (found, headers["Content-Type"]) == (status, "application/problem+json")
            assert word in problem["detail"]
            assert problem["status"] == status


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs_postgres)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/memory.db"
        return
    with postgres_server() as server:
        yield await new_database(server)


async def test_of_two_on_one_store_one_watches_both_answer_and_a_kill_is_taken_over(
    tmp_path: Path, world: World, session: aiohttp.ClientSession, store: str
) -> None:
    config = configure(tmp_path, world, extra=MANUAL)
    text = config.read_text()
    config.write_text(text.replace("sqlite:///memory.db", store))
    running_ = 'seamwatch_gate_state{pipeline="answers",state="running"} 1.0'
    async with exporter(config) as first:
        await first.page(running_, "seamwatch_leads 1.0")
        async with exporter(config) as second:
            one, two = Asking(session, first.url), Asking(session, second.url)
            assert "seamwatch_stage" not in await second.page("seamwatch_leads 0.0")
            assert (await two.ask(f"{GATE}/check"))[0] == 200
            world.label = "no"
            await one.until(403)
            await two.until(403)
            world.label = "yes"
            status, said, _ = await two.ask(f"{GATE}/resume", "POST", body={"reason": "healed"})
            assert (status, said["decision"]) == (200, "allow")
            await one.until(200)
            standing = 'seamwatch_evidence_standing{pipeline="answers",standing="running"} 1.0'
            await first.page(standing)
            assert (await one.ask(f"{GATE}/halt", "POST", body={"reason": "drill"}))[0] == 200
            assert await first.end(signal.SIGKILL) == -signal.SIGKILL
            await two.until(403)
            await second.page("seamwatch_leads 1.0", standing)
            assert (await two.ask(f"{GATE}/resume", "POST", body={"reason": "done"}))[0] == 200
            world.label = "no"
            await two.until(403)
