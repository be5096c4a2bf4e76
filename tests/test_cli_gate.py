"""``seamwatch status``, ``gate`` and ``token`` against a seamwatch that runs."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from certificates import Authority
from running import PATIENCE, World, configure, exporter
from seamwatch.cli import main
from seamwatch.cli.token import SCOPES
from seamwatch.web.gates import rights

Capture = pytest.CaptureFixture[str]

GATE = """\
    gate: {mode: enforce, on_unknown: allow, floor: 90%, resume: {mode: manual, min_halt: 100ms}}
"""


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World().served() as made:
        yield made


class Shell:
    """Runs commands in this process, in the folder of the configuration."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capture: Capture) -> None:
        patch.chdir(folder)
        for name in ("SEAMWATCH_TOKEN", "SEAMWATCH_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("COLUMNS", "200")
        self.patch, self.capture = patch, capture

    async def __call__(self, *words: str) -> tuple[int, str, str]:
        self.capture.readouterr()
        code = await asyncio.wait_for(asyncio.to_thread(main, words), PATIENCE)
        return code, *self.capture.readouterr()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


async def test_a_person_asks_halts_overrides_resumes_and_reads_the_log(
    tmp_path: Path, world: World, shell: Shell
) -> None:
    config = configure(tmp_path, world, extra=GATE)
    async with exporter(config) as running:
        shell.patch.setenv("SEAMWATCH_URL", running.url)
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
        last = f"{rows[-1]['seq']}:{rows[-1]['hash']}"
        code, out, _ = await shell("gate", "verify", "--anchor", last)
        assert (code, out) == (
            0, f"whole: {rows[-1]['seq']} rows, the last one is {rows[-1]['hash']}\n"
        )  # fmt: skip
        code, _, errors = await shell("gate", "check", "none")
        assert (code, errors) == (
            2, "seamwatch: there is no gate 'none'; GET /v1/gates lists them\n"
        )  # fmt: skip
        anchor = f"{rows[-1]['seq']}:{'0' * 64}"
        code, out, _ = await shell("gate", "verify", "--anchor", anchor)
        assert (code, out) == (1, f"row {rows[-1]['seq']} is not the one that was anchored\n")
    assert (await shell("gate", "check", "answers"))[0] == 2


async def test_a_token_is_shown_once_allows_what_it_says_and_can_be_revoked(
    tmp_path: Path, world: World, shell: Shell
) -> None:
    config = configure(tmp_path, world, extra=GATE)
    async with exporter(config) as running:
        shell.patch.setenv("SEAMWATCH_URL", running.url)
        assert "only this machine may ask" in (await shell("token", "list"))[1]
        code, out, notes = await shell(
            "token", "create", "nginx", "--scope", "check", "--gate", "ans*", "--expires", "90d"
        )
        secret = out.strip()
        assert (code, secret[:3]) == (0, "sw_")
        assert notes == "it is the first: from now on everybody needs one, here too\n"
        assert not on_disk(tmp_path, secret)
        shell.patch.setenv("SEAMWATCH_TOKEN", secret)
        await eventually(shell, 0, "gate", "check", "answers")
        code, _, errors = await shell("gate", "halt", "answers", "--reason", "x")
        assert (code, errors) == (
            2, "seamwatch: nginx lacks the scope halt; use a token that has it\n"
        )  # fmt: skip
        shell.patch.delenv("SEAMWATCH_TOKEN")
        await eventually(shell, 2, "gate", "check", "answers")
        listed = json.loads((await shell("token", "list", "--format", "json"))[1])
        assert [(one["name"], one["scopes"], one["gates"]) for one in listed] == [
            ("nginx", ["check"], ["ans*"])
        ]
        assert (await shell("token", "revoke", listed[0]["id"]))[0] == 0
        assert (await shell("token", "revoke", listed[0]["id"]))[0] == 2
        shell.patch.setenv("SEAMWATCH_TOKEN", secret)
        await eventually(shell, 2, "gate", "check", "answers")
        assert secret not in running.log.read_text()


def on_disk(folder: Path, secret: str) -> bool:
    return any(secret.encode() in file.read_bytes() for file in folder.glob("memory.db*"))


async def eventually(shell: Shell, code: int, *words: str) -> None:
    """Wait until tokens were read again, which happens every two seconds."""
    for _ in range(int(PATIENCE / 0.1)):
        if (await shell(*words))[0] == code:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{words} never ended with {code}")


async def test_a_changed_audit_is_found(tmp_path: Path, world: World, shell: Shell) -> None:
    config = configure(tmp_path, world, extra=GATE)
    async with exporter(config) as running:
        shell.patch.setenv("SEAMWATCH_URL", running.url)
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


def gate(pipeline: str, state: str = "running", **more: Any) -> dict[str, Any]:
    """Return a gate as /v1 describes it, an hour and a bit in its state."""
    at = (datetime.now(UTC) - timedelta(seconds=3700)).isoformat()
    known = {"pipeline": pipeline, "state": state, "decision": "allow", "would_deny": False}
    rest = {"reason": "", "mode": "enforce", "since": at, "as_of": at, "stale": False}
    return known | rest | {"suspects": [], "override": None, "actions": []} | more


@asynccontextmanager
async def answering(
    text: str, *, status: int = 200, context: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve *text* whatever is asked; yield the address."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_status_shows_the_worst_first_and_what_is_not_done(shell: Shell) -> None:
    by = {"by": "ann", "reason": "x", "since": "2026-01-31T11:00:00.000+00:00"}
    forced = {"kind": "force_halt", "expires_at": "2026-01-31T12:00:00.000+00:00", **by}
    late = {"target": "dag", "desired": "halted", "status": "pending"}
    suspects = [{"suspect": "index", "is_top": True}, {"suspect": "model", "is_top": False}]
    gates = [
        gate("fine"),
        gate("fresh", stale=True),
        gate("odd", "suspect", mode="shadow", would_deny=True),
        gate("forced", decision="deny", override=forced),
        gate("ill", "halted", decision="deny", reason="wrong", suspects=suspects, actions=[late]),
        gate("new", "a state of tomorrow"),
    ]
    async with answering(json.dumps({"gates": gates})) as url:
        code, out, _ = await shell("status", "--url", url)
        lines = [" ".join(line.split()) for line in out.splitlines()]
        assert (code, lines) == (0, [
            "pipeline gate callers since known suspects reason",
            "new a state of tomorrow go on 1h 1h ago - -",
            "ill halted stop 1h 1h ago index wrong; dag is not halted yet (pending)",
            "forced running stop 1h 1h ago - force_halt by ann until 2026-01-31 12:00:00Z",
            "fresh stale go on 1h 1h ago - -",
            "odd suspect (shadow) go on (would stop) 1h 1h ago - -",
            "fine running go on 1h 1h ago - -",
        ])  # fmt: skip
        code, out, _ = await shell("status", "--url", url, "--format", "json")
    names = [one["pipeline"] for one in json.loads(out)]
    assert names == ["new", "ill", "forced", "fresh", "odd", "fine"]


async def test_what_others_wrote_neither_steers_the_terminal_nor_is_markup(shell: Shell) -> None:
    reason = "a \x1b[2J\r b [red]c[/nothing]"
    gates = [gate("ill", "halted", decision="deny", reason=reason)]
    async with answering(json.dumps({"gates": gates})) as url:
        code, out, _ = await shell("status", "--url", url)
    assert code == 0
    assert "a  [2J  b [red]c[/nothing]" in out
    said = {"decision": "deny", "state": "halted", "reason": reason, "would_deny": True}
    async with answering(json.dumps(said)) as url:
        code, out, _ = await shell("gate", "check", "ill", "--url", url)
    assert (code, out) == (1, "deny (halted): a  [2J  b [red]c[/nothing]\n")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, "<html>welcome</html>"),
        (200, "[]"),
        (200, "null"),
        (200, "{}"),
        (200, '{"decision": "maybe", "state": "x", "reason": "", "would_deny": false}'),
        (200, "[" * 100_000),
        (302, ""),
        (403, "forbidden by a proxy"),
        (500, ""),
    ],
)
async def test_whoever_else_answers_neither_allows_nor_denies(
    shell: Shell, status: int, text: str
) -> None:
    async with answering(text, status=status) as url:
        for words in (("gate", "check", "answers"), ("status",), ("gate", "log", "answers")):
            code, out, errors = await shell(*words, "--url", url)
            if words[1:2] == ("log",) and not text and status == 200:
                continue
            assert (code, out) == (2, ""), words
            assert errors.startswith("seamwatch: ")
            assert len(errors) < 400


async def test_in_shadow_check_allows_and_says_that_it_is_not_enforced(shell: Shell) -> None:
    said = {"decision": "allow", "state": "halted", "reason": "odd", "would_deny": True}
    async with answering(json.dumps(said)) as url:
        assert await shell("gate", "check", "answers", "--url", url) == (
            0, "allow (halted, not enforced): odd\n", ""
        )  # fmt: skip


async def test_mutual_tls_needs_the_authority_and_our_certificate(
    tmp_path: Path, shell: Shell
) -> None:
    authority = Authority(tmp_path)
    context = authority.signs("127.0.0.1").server_context(clients_of=authority.ca)
    ours = authority.signs("ci.example")
    async with answering('{"gates": []}', context=context) as url:
        trusted = ("status", "--url", url, "--ca-file", authority.ca)
        assert (await shell("status", "--url", url))[0] == 2
        assert (await shell(*trusted))[0] == 2
        code, out, _ = await shell(*trusted, "--cert-file", ours.cert, "--key-file", ours.key)
        assert (code, out) == (0, "no pipeline has a gate\n")


async def test_a_token_that_cannot_be_sent_is_told_and_not_shown(
    tmp_path: Path, shell: Shell
) -> None:
    file = tmp_path / "token"
    for text in ("", "\n", "sw_secret\nX-Other: 1"):
        file.write_text(text)
        code, out, errors = await shell("status", "--token-file", str(file))
        assert (code, out) == (2, "")
        assert "secret" not in errors
    code, _, errors = await shell("status", "--token-file", str(tmp_path / "none"))
    assert (code, "it cannot be read" in errors) == (2, True)
    code, _, errors = await shell("status", "--url", "http://me:secret@127.0.0.1")
    assert (code, "secret" not in errors) == (2, True)


async def test_a_process_ends_with_the_exit_status_that_its_help_promises() -> None:
    for words, promise in (
        (("status",), "0 shown, 2"),
        (("gate", "check"), "0 go on, 1 stop, 2 nobody can tell"),
        (("gate", "halt"), "0 done, 2"),
        (("gate", "verify"), "0 whole, 1 broken, 2"),
        (("token", "create"), "0 done, 2"),
    ):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "seamwatch", *words, "--help", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert f"exit status: {promise}" in " ".join(out.decode().split())
        assert process.returncode == 0
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "seamwatch", "gate", "check", "x", "--url", "http://127.0.0.1:9",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 2
    assert b"Traceback" not in errors


def test_tokens_can_be_given_every_scope_that_is_asked_for() -> None:
    assert SCOPES == rights.SCOPES


async def test_a_token_for_no_pipeline_is_made_and_told_and_a_nameless_one_is_not(
    tmp_path: Path, world: World, shell: Shell
) -> None:
    configure(tmp_path, world, extra=GATE)
    code, out, errors = await shell("token", "create", "ci", "--scope", "check", "--gate", "nix*")
    assert (code, out[:3]) == (0, "sw_")
    assert "--gate nix*: no pipeline is called like this now" in errors
    for name in ("", "  ", "two\nlines", "x" * 101):
        code, out, errors = await shell("token", "create", name, "--scope", "check")
        assert (code, out) == (2, "")
    code, out, errors = await shell("token", "create", "ci", "--scope", "check", "--expires", "x")
    assert (code, out, "--expires x" in errors) == (2, "", True)
    listed = (await shell("token", "list"))[1].splitlines()
    assert len(listed) == 2
