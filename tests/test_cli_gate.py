"""``seamwatch status``, ``gate`` and ``token`` against a seamwatch that runs."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from running import PATIENCE, Running, World, configure, exporter

GATE = """\
    gate: {mode: enforce, on_unknown: allow, floor: 90%, resume: {mode: manual, min_halt: 100ms}}
"""


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World().served() as made:
        yield made


class Shell:
    """Runs commands as a person does, in the folder of the configuration."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.running, self.folder = running, folder
        self.token: str | None = None

    async def __call__(self, *words: str) -> tuple[int, str, str]:
        environ = {"PATH": "/usr/bin:/bin", "COLUMNS": "160", "SEAMWATCH_URL": self.running.url}
        if self.token is not None:
            environ["SEAMWATCH_TOKEN"] = self.token
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "seamwatch", *words,
            cwd=self.folder, env=environ,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode is not None
        return process.returncode, out.decode(), errors.decode()


async def test_a_person_asks_halts_overrides_resumes_and_reads_the_log(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world, extra=GATE)
    async with exporter(config) as running:
        shell = Shell(running, tmp_path)
        await running.page('seamwatch_gate_state{pipeline="answers",state="running"} 1.0')
        assert await shell("gate", "check", "answers") == (0, "allow (running)\n", "")
        code, out, _ = await shell("gate", "halt", "answers", "--reason", "odd answers")
        assert (code, out) == (0, "answers: halted, callers are told to stop\n")
        assert await shell("gate", "check", "answers") == (1, "deny (halted): odd answers\n", "")
        code, out, _ = await shell("status")
        assert code == 0
        assert "answers   halted  stop" in " ".join(out.split("\n")[1].split(" ")[:40])
        code, out, _ = await shell(
            "gate", "override", "answers", "force-open", "--reason", "nothing better", "--for", "2h"
        )
        assert (code, out) == (0, "answers: halted, callers are told to go on\n")
        assert (await shell("gate", "override", "answers", "clear", "--reason", "better"))[0] == 0
        assert (await shell("gate", "resume", "answers", "--reason", "they were right"))[0] == 0
        code, out, errors = await shell("gate", "resume", "answers", "--reason", "again")
        assert (code, out) == (2, "")
        assert "seamwatch: it is not halted but running: there is nothing to resume" in errors
        code, out, _ = await shell("gate", "log", "answers", "--format", "json")
        rows = [json.loads(line) for line in out.splitlines()]
        assert [row["event"] for row in rows if row["actor"] == "local"] == [
            "halt", "override_set", "override_cleared", "resume",
        ]  # fmt: skip
        code, out, _ = await shell("gate", "log", "answers", "--after", str(rows[-2]["seq"]))
        assert out.rstrip().endswith("halted -> running         local  they were right")
        code, out, _ = await shell("gate", "verify")
        assert (code, out) == (
            0, f"whole: {rows[-1]['seq']} rows, the last one is {rows[-1]['hash']}\n"
        )  # fmt: skip
        code, _, errors = await shell("gate", "check", "none")
        assert (code, errors) == (
            2, "seamwatch: there is no gate 'none'; GET /v1/gates lists them\n"
        )  # fmt: skip
    assert (await shell("gate", "check", "answers"))[0] == 2


async def test_a_token_is_shown_once_allows_what_it_says_and_can_be_revoked(
    tmp_path: Path, world: World
) -> None:
    config = configure(tmp_path, world, extra=GATE)
    async with exporter(config) as running:
        shell = Shell(running, tmp_path)
        assert "only this machine may ask" in (await shell("token", "list"))[1]
        code, out, _ = await shell(
            "token", "create", "nginx", "--scope", "check", "--gate", "ans*", "--expires", "90d"
        )
        secret = out.strip()
        assert (code, secret[:3]) == (0, "sw_")
        assert not on_disk(tmp_path, secret)
        shell.token = secret
        await eventually(shell, 0, "gate", "check", "answers")
        code, _, errors = await shell("gate", "halt", "answers", "--reason", "x")
        assert (code, errors) == (
            2, "seamwatch: nginx lacks the scope halt; use a token that has it\n"
        )  # fmt: skip
        shell.token = None
        await eventually(shell, 2, "gate", "check", "answers")
        listed = json.loads((await shell("token", "list", "--format", "json"))[1])
        assert [(one["name"], one["scopes"], one["gates"]) for one in listed] == [
            ("nginx", ["check"], ["ans*"])
        ]
        assert (await shell("token", "revoke", listed[0]["id"]))[0] == 0
        assert (await shell("token", "revoke", listed[0]["id"]))[0] == 2
        shell.token = secret
        await eventually(shell, 2, "gate", "check", "answers")
        assert secret not in running.log.read_text()


def on_disk(folder: Path, secret: str) -> bool:
    return any(secret.encode() in file.read_bytes() for file in folder.glob("memory.db*"))


async def eventually(shell: Shell, code: int, *words: str) -> None:
    """Wait until tokens were read again, which happens every two seconds."""
    for _ in range(40):
        if (await shell(*words))[0] == code:
            return
    pytest.fail(f"{words} never ended with {code}")


async def test_a_changed_audit_is_found(tmp_path: Path, world: World) -> None:
    config = configure(tmp_path, world, extra=GATE)
    async with exporter(config) as running:
        shell = Shell(running, tmp_path)
        await running.page('seamwatch_gate_state{pipeline="answers",state="running"} 1.0')
        assert (await shell("gate", "halt", "answers", "--reason", "odd"))[0] == 0
    with sqlite3.connect(tmp_path / "memory.db") as connection:
        triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        for (name,) in connection.execute(triggers).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE seamwatch_audit SET actor = 'nobody' WHERE event = 'halt'")
    connection.close()
    code, out, _ = await shell("gate", "verify")
    assert code == 1
    assert "was changed after it was written" in out
