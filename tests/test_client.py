"""`seamwatch.client`: what a service does with the gate's word, and without it."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ports import free_port
from seamwatch.client import AsyncGate, Decision, Gate, GateMiddleware, Halted
from seamwatch.client.decision import Memory

ALLOW = {"decision": "allow", "state": "running", "reason": "", "generation": 3, "ttl_s": 5.0,
         "as_of": 100.0}  # fmt: skip
DENY = ALLOW | {"decision": "deny", "state": "halted", "reason": "under the floor", "generation": 4}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Seamwatch:
    """Answers questions for decisions over real HTTP with what the test says."""

    def __init__(self) -> None:
        outer = self
        self.says: Any = ALLOW
        self.status = 200
        self.asked: list[tuple[str, str | None]] = []
        self.hangs = threading.Event()
        self.hangs.set()  # set: it answers at once

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["Authorization"]))
                outer.hangs.wait(5.0)
                content = outer.says if isinstance(outer.says, bytes) else None
                content = json.dumps(outer.says).encode() if content is None else content
                self.send_response(outer.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                pass  # a client that left

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self.hangs.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def seamwatch() -> Iterator[Seamwatch]:
    server = Seamwatch()
    yield server
    server.close()


def settled(gate: Gate) -> Decision:
    """Return the decision once the question that is under way, if any, has ended."""
    gate.decision()
    asking = gate._asking
    assert asking is not None
    assert asking.wait(5.0)
    return gate.decision()


def test_a_gate_says_what_seamwatch_says_and_asks_with_its_token(seamwatch: Seamwatch) -> None:
    gate = Gate(seamwatch.url, "answers/a b", on_unknown="deny", token="sw_1_secret")
    assert gate.allows()
    assert gate.decision() == Decision(True, "running", "", 3, 100.0)
    assert seamwatch.asked == [("/v1/gates/answers%2Fa%20b/decision", "Bearer sw_1_secret")]


def test_a_denial_raises_where_a_function_is_guarded_and_names_the_reason(
    seamwatch: Seamwatch,
) -> None:
    seamwatch.says = DENY
    gate = Gate(seamwatch.url, "answers", on_unknown="allow")

    @gate.guard
    def answer(question: str) -> str:
        raise AssertionError(question)

    with pytest.raises(Halted, match="under the floor") as caught:
        answer("?")
    assert caught.value.decision.state == "halted"


def test_it_asks_once_in_poll_seconds_however_often_it_is_asked(seamwatch: Seamwatch) -> None:
    clock = Clock()
    gate = Gate(seamwatch.url, "answers", on_unknown="deny", poll=1.0, clock=clock)
    for _ in range(50):
        assert gate.allows()
    assert len(seamwatch.asked) == 1
    seamwatch.says = DENY
    clock.now += 1.0
    assert not settled(gate).allowed
    assert len(seamwatch.asked) == 2


def test_a_denial_stands_while_nobody_answers_and_a_permission_for_its_ttl(
    seamwatch: Seamwatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    allowed = Gate(seamwatch.url, "answers", on_unknown="deny", clock=clock)
    assert allowed.allows()
    seamwatch.says = DENY
    denied = Gate(seamwatch.url, "answers", on_unknown="allow", clock=clock)
    assert not denied.allows()
    seamwatch.status = 500
    clock.now += 4.0
    assert settled(allowed) == Decision(True, "running", "", 3, 100.0, is_current=False)
    clock.now += 2.0
    assert not allowed.decision().allowed
    assert allowed.decision().reason == "seamwatch cannot be reached; on_unknown says deny"
    clock.now += 1e6
    assert not settled(denied).allowed
    assert denied.decision().state == "halted"
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 2  # one for each gate, however often they try


@pytest.mark.parametrize("on_unknown", ["allow", "deny"])
def test_one_that_never_reached_seamwatch_does_what_it_was_told(on_unknown: Any) -> None:
    gate = Gate(f"http://127.0.0.1:{free_port()}", "answers", on_unknown=on_unknown)
    assert gate.allows() is (on_unknown == "allow")
    assert gate.decision().state == "unknown"
    assert not gate.decision().is_current


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (403, DENY),
        (302, ALLOW),
        (200, b"<html>a proxy</html>"),
        (200, b"[" * 60000),
        (200, {"decision": "perhaps"}),
        (200, ALLOW | {"ttl_s": None}),
        (200, b"x" * 1_000_000),
    ],
)
def test_what_is_no_decision_is_none(seamwatch: Seamwatch, status: int, says: Any) -> None:
    seamwatch.status, seamwatch.says = status, says
    gate = Gate(seamwatch.url, "answers", on_unknown="deny")
    assert gate.decision().state == "unknown"
    assert len(seamwatch.asked) == 1  # no redirect was followed


def test_nobody_waits_longer_than_the_timeout_and_with_a_decision_nobody_waits(
    seamwatch: Seamwatch,
) -> None:
    clock = Clock()
    gate = Gate(seamwatch.url, "answers", on_unknown="deny", timeout=0.05, clock=clock)
    seamwatch.hangs.clear()
    assert gate.decision().state == "unknown"  # whoever waited for the answer would know more
    seamwatch.hangs.set()
    clock.now += 60.0
    settled(gate)
    clock.now += 60.0
    assert settled(gate).allowed
    seamwatch.hangs.clear()
    clock.now += 2.0
    assert gate.decision().allowed  # the answer to the new question is not waited for


def test_threads_share_one_question(seamwatch: Seamwatch) -> None:
    gate = Gate(seamwatch.url, "answers", on_unknown="deny", timeout=5.0)
    said: list[bool] = []
    threads = [threading.Thread(target=lambda: said.append(gate.allows())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [True] * 20
    assert len(seamwatch.asked) == 1


async def test_an_async_gate_does_the_same(seamwatch: Seamwatch) -> None:
    clock = Clock()
    async with AsyncGate(seamwatch.url, "answers", on_unknown="deny", clock=clock) as gate:
        assert await asyncio.gather(*(gate.allows() for _ in range(20))) == [True] * 20
        assert len(seamwatch.asked) == 1
        seamwatch.says = DENY
        clock.now += 60.0

        @gate.guard
        async def answer() -> str:
            return "never"

        with pytest.raises(Halted, match="under the floor"):
            await answer()
        seamwatch.says = b"x" * 1_000_000
        clock.now += 60.0
        assert not await gate.allows()
        clock.now += 60.0
        seamwatch.hangs.clear()
        assert not await gate.allows()  # a denial is not waited for either


async def test_middleware_refuses_while_halted_and_leaves_other_paths_alone(
    seamwatch: Seamwatch,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"an answer"})

    clock = Clock()
    async with AsyncGate(seamwatch.url, "answers", on_unknown="deny", clock=clock) as gate:
        served = GateMiddleware(app, gate, paths=["/answer"])
        transport = httpx.ASGITransport(app=served)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            assert (await client.get("/answer")).text == "an answer"
            seamwatch.says = DENY
            clock.now += 60.0
            refused = await client.get("/answer")
            assert (await client.get("/health")).text == "an answer"
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "30"
    assert refused.json()["detail"] == "under the floor"


async def test_middleware_closes_a_websocket_before_it_is_accepted(seamwatch: Seamwatch) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError(scope)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    seamwatch.says = DENY
    async with AsyncGate(seamwatch.url, "answers", on_unknown="allow") as gate:
        await GateMiddleware(app, gate)({"type": "websocket", "path": "/"}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1013, "reason": "under the floor"}]


def test_a_replica_that_lags_behind_does_not_open_a_gate_again(seamwatch: Seamwatch) -> None:
    clock = Clock()
    seamwatch.says = DENY
    gate = Gate(seamwatch.url, "answers", on_unknown="allow", clock=clock)
    assert not gate.allows()
    seamwatch.says = ALLOW  # an older generation, said at the same time
    clock.now += 2.0
    assert not settled(gate).allowed
    seamwatch.says = ALLOW | {"as_of": 500.0}  # a store that was lost begins at 0 again
    clock.now += 2.0
    assert settled(gate).allowed


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("seamwatch:10064", {}, "is no address; write one like http://seamwatch.example:10064"),
        ("http://me:pw@host", {}, "may have no user"),
        ("http://host", {"poll": 0}, "poll is 0; write seconds above 0"),
        ("http://host", {"on_unknown": "maybe"}, "on_unknown is 'maybe'; write 'allow' or 'deny'"),
    ],
)
def test_what_cannot_work_is_said_at_once(url: str, options: Any, said: str) -> None:
    for kind in (Gate, AsyncGate):
        with pytest.raises(ValueError, match=said) as caught:
            kind(url, "answers", **({"on_unknown": "deny"} | options))
        assert "pw" not in str(caught.value)


@given(
    st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["allow", "deny", "fail"])), max_size=30)
)
def test_only_an_answer_lifts_a_denial_and_only_time_or_an_answer_a_permission(
    steps: list[tuple[float, str]],
) -> None:
    memory, now, generation = Memory("deny", 1.0), 0.0, 0
    last: str | None = None
    heard = 0.0
    for pause, what in steps:
        now += pause
        if what == "fail":
            memory.failed("refused")
        else:
            generation += 1
            said = {**ALLOW, "decision": what, "generation": generation}
            memory.heard(200, json.dumps(said).encode(), now)
            last, heard = what, now
        assert memory.decision(now).allowed == (last == "allow" and now - heard <= 5.0)


def test_importing_it_imports_nothing_heavy() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import seamwatch.client, sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert "seamwatch.client" in said
    assert {one.partition(".")[0] for one in said}.isdisjoint(
        {"aiohttp", "numpy", "sklearn", "pydantic", "sqlalchemy", "yaml", "prometheus_client"}
    )
