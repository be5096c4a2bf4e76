"""fetch promises an end: in time, in size, with a Reason, and without a secret in its text.

All against real servers on loopback; the hostile ones send exactly the bytes that they are told to.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
import socket
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile import (
    CLOSE,
    HANG,
    KEEP,
    MIB,
    RESET,
    Hostile,
    chunked,
    gzip_bomb,
    gzip_members,
    page,
    redirects,
    repeats,
    says,
    sends,
)
from seamwatch.config.reach import HttpTarget
from seamwatch.errors import ReadError, Reason, SeamwatchError
from seamwatch.fetch import Endpoint, Fetcher, Rejected
from seamwatch.fetch.inflate import STEP, Inflater

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


def endpoint(url: str, **settings: Any) -> Endpoint:
    return Endpoint(HttpTarget.model_validate({"url": url, **settings}))


async def failure(
    fetcher: Fetcher, at: Endpoint, *, timeout: float = 5.0, **options: Any
) -> ReadError:
    with pytest.raises(ReadError) as caught:
        await fetcher.fetch(at, timeout=timeout, **options)
    return caught.value


async def reason_of(
    fetcher: Fetcher, answer: Any, *, timeout: float = 5.0, **settings: Any
) -> ReadError:
    async with Hostile(answer) as server:
        return await failure(fetcher, endpoint(server.url, **settings), timeout=timeout)


# what comes when all is well


async def test_a_whole_answer_comes_with_status_headers_and_duration(fetcher: Fetcher) -> None:
    async with Hostile(says({"version": "7"}, headers="X-Kind: index")) as server:
        fetched = await fetcher.fetch(endpoint(server.url), timeout=5)
    assert (fetched.status, fetched.body) == (200, b'{"version": "7"}')
    assert fetched.headers["x-kind"] == "index"
    assert fetched.duration > 0


async def test_a_request_says_who_asks_and_wants_no_compression(fetcher: Fetcher) -> None:
    async with Hostile(says({})) as server:
        await fetcher.fetch(
            endpoint(f"{server.url}/base?tenant=a", headers={"X-Team": "data"}),
            path="/v1/%2Fx",
            params={"q": "a b&c"},
            timeout=5,
        )
        asked = server.requests[0]
    assert asked.target == "/base/v1/%2Fx?tenant=a&q=a+b%26c"
    assert asked.headers["user-agent"].startswith("seamwatch/")
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["x-team"] == "data"
    assert "cookie" not in asked.headers


async def test_cookies_are_never_kept(fetcher: Fetcher) -> None:
    async with Hostile(says({}, headers="Set-Cookie: session=1")) as server:
        for _ in range(2):
            await fetcher.fetch(endpoint(server.url), timeout=5)
        assert "cookie" not in server.requests[1].headers


async def test_a_large_body_is_sent_whole(fetcher: Fetcher) -> None:
    body = os.urandom(3 * MIB)
    async with Hostile(says({})) as server:
        await fetcher.fetch(endpoint(server.url), method="POST", body=body, timeout=20)
        assert server.requests[0].body == body


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "raw deflate", "identity"])
async def test_an_answer_that_is_compressed_all_the_same_is_read(
    fetcher: Fetcher, coding: str
) -> None:
    text = b'{"watermark": 1}' * 1000
    body = {
        "gzip": gzip.compress(text[:3000]) + gzip.compress(text[3000:]),
        "x-gzip": gzip.compress(text) + bytes(16),
        "deflate": zlib.compress(text),
        "raw deflate": zlib.compress(text, wbits=-15),
        "identity": text,
    }[coding]
    answer = page(body, headers=f"Content-Encoding: {coding.removeprefix('raw ')}")
    async with Hostile(answer) as server:
        fetched = await fetcher.fetch(endpoint(server.url), timeout=5)
    assert fetched.body == text


@given(st.binary(max_size=3 * STEP), st.lists(st.integers(1, 5000), max_size=20))
def test_pieces_of_compressed_data_give_back_the_text_however_they_are_cut(
    text: bytes, cuts: list[int]
) -> None:
    packed = gzip.compress(text, 1) + gzip.compress(text[:10])
    inflater = Inflater("gzip", where="here")
    found = b""
    for cut in [*cuts, len(packed)]:
        part, packed = packed[:cut], packed[cut:]
        for piece in inflater.feed(part):
            assert len(piece) <= STEP
            found += piece
    inflater.finish()
    assert found == text + text[:10]


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_either_inflate_or_are_refused(rubbish: bytes, coding: str) -> None:
    inflater = Inflater(coding, where="here")

    def read() -> Reason | None:
        try:
            list(inflater.feed(rubbish))
            inflater.finish()
        except ReadError as error:
            return error.reason
        return None

    assert read() in (None, Reason.BAD_ENCODING)


# time


@pytest.mark.parametrize(
    ("answer", "phase"),
    [
        (sends(then=HANG), "while waiting for the answer"),
        (repeats(b"HTTP/1.1 200 OK\r\nX-A: ", b"a", every=0.02), "while reading the headers"),
        (repeats(HEAD + b"Content-Length: 99\r\n\r\n", b" ", every=0.02), "bytes of the body"),
        (sends(HEAD + b"Content-Length: 9\r\n\r\n{", then=HANG), "after 1 bytes of the body"),
    ],
    ids=["hung", "header drip", "body drip", "half a body"],
)
async def test_silence_and_dripping_end_at_the_timeout(
    fetcher: Fetcher, answer: Any, phase: str
) -> None:
    error = await reason_of(fetcher, answer, timeout=0.3)
    assert error.reason is Reason.TIMEOUT
    assert "no whole answer within 0.3 s" in str(error)
    assert phase in str(error)


async def test_waiting_for_a_free_connection_counts_towards_the_timeout() -> None:
    async with Hostile(sends(then=HANG)) as server, Fetcher(per_host=1) as fetcher:
        at = endpoint(server.url)
        first = asyncio.create_task(failure(fetcher, at, timeout=1.0))
        await asyncio.sleep(0)
        second = await failure(fetcher, at, timeout=0.2)
        assert (second.reason, server.connections) == (Reason.TIMEOUT, 1)
        assert "while connecting" in str(second)
        assert (await first).reason is Reason.TIMEOUT


async def test_a_hung_host_holds_up_no_other(fetcher: Fetcher) -> None:
    all_hang = asyncio.Event()

    async def hangs(writer: asyncio.StreamWriter, request: Any) -> None:
        if len(hung.requests) == 64:
            all_hang.set()
        await sends(then=HANG)(writer, request)

    async with Hostile(hangs) as hung, Hostile(says({})) as well:
        waiting = [
            asyncio.create_task(failure(fetcher, endpoint(hung.url), timeout=30)) for _ in range(64)
        ]
        await all_hang.wait()
        assert (await fetcher.fetch(endpoint(well.url), timeout=5)).status == 200
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_interim_answers_without_end_are_cut_off(fetcher: Fetcher) -> None:
    flood = repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500)
    error = await reason_of(fetcher, flood, timeout=30)
    assert error.reason is Reason.BAD_PROTOCOL
    assert "came before any answer" in str(error)


async def test_a_few_interim_answers_do_no_harm(fetcher: Fetcher) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3
    answer = sends(hints, HEAD + b"Content-Length: 2\r\n\r\n{}", then=KEEP)
    async with Hostile(answer) as server:
        assert (await fetcher.fetch(endpoint(server.url), timeout=5)).body == b"{}"


# size


async def test_a_declared_length_over_the_limit_is_not_even_read(fetcher: Fetcher) -> None:
    answer = sends(HEAD + b"Content-Length: 1073741824\r\n\r\n", then=HANG)
    error = await reason_of(fetcher, answer, max_bytes="1MiB")
    assert error.reason is Reason.TOO_LARGE
    assert "has 1073741824 bytes; max_bytes is 1048576" in str(error)


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Connection: close"])
async def test_an_endless_body_is_cut_at_the_limit(fetcher: Fetcher, framing: str) -> None:
    part = chunked(b" " * 60000) if "chunked" in framing else b" " * 60000
    answer = repeats(HEAD + framing.encode() + b"\r\n\r\n", part)
    error = await reason_of(fetcher, answer, max_bytes="256KiB")
    assert error.reason is Reason.TOO_LARGE


async def test_a_body_of_exactly_the_limit_is_read(fetcher: Fetcher) -> None:
    async with Hostile(page(b"x" * 65536)) as server:
        fetched = await fetcher.fetch(endpoint(server.url, max_bytes="64KiB"), timeout=5)
        assert len(fetched.body) == 65536
        error = await failure(fetcher, endpoint(server.url, max_bytes="65535B"))
        assert error.reason is Reason.TOO_LARGE


async def test_a_gzip_bomb_costs_no_memory(fetcher: Fetcher) -> None:
    bomb = gzip_bomb(1 << 28)
    async with Hostile(page(bomb, headers="Content-Encoding: gzip")) as server:
        tracemalloc.start()
        error = await failure(fetcher, endpoint(server.url), timeout=30)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert error.reason is Reason.TOO_LARGE
    assert "once decompressed" in str(error)
    assert peak < 8 * MIB


async def test_decompressing_a_large_body_lets_others_run(fetcher: Fetcher) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    packed = gzip.compress(bytes(32 * MIB), 1)
    async with Hostile(page(packed, headers="Content-Encoding: gzip")) as server:
        running = asyncio.create_task(others())
        fetched = await fetcher.fetch(endpoint(server.url, max_bytes="32MiB"), timeout=30)
        running.cancel()
    assert len(fetched.body) == 32 * MIB
    assert turns > 32 * MIB / STEP


@pytest.mark.parametrize(
    ("body", "coding", "says"),
    [
        (gzip_members(1025), "gzip", "more than 1024 gzip members"),
        (b"\x1f\x8b\x08 not gzip at all", "gzip", "the body is not gzip"),
        (gzip.compress(b"{}" * 500)[:-9], "gzip", "the gzip data ends half-way"),
        (gzip.compress(b"{}") + b"rubbish", "gzip", "the body is not gzip"),
        (b"{}", "br", "Content-Encoding 'br'; serve it uncompressed or with gzip"),
        (b"{}", "gzip, gzip", "Content-Encoding 'gzip, gzip'"),
    ],
    ids=["members", "invalid", "cut off", "rubbish behind", "unknown", "twice"],
)
async def test_broken_compression_is_bad_encoding(
    fetcher: Fetcher, body: bytes, coding: str, says: str
) -> None:
    error = await reason_of(fetcher, page(body, headers=f"Content-Encoding: {coding}"))
    assert error.reason is Reason.BAD_ENCODING
    assert says in str(error)


async def test_as_many_gzip_members_as_allowed_are_read(fetcher: Fetcher) -> None:
    answer = page(gzip_members(1024), headers="Content-Encoding: gzip")
    async with Hostile(answer) as server:
        assert (await fetcher.fetch(endpoint(server.url), timeout=5)).body == b" " * 1024


# protocol


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (sends(HEAD + b"Content-Length: 50\r\n\r\n{}"), Reason.UNREACHABLE),
        (sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"{}")), Reason.UNREACHABLE),
        (sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}"), Reason.BAD_PROTOCOL),
        (
            sends(HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            Reason.BAD_PROTOCOL,
        ),
        (sends(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), Reason.BAD_PROTOCOL),
        (sends(HEAD + b"X-Big: " + b"a" * 100_000 + b"\r\n\r\n"), Reason.BAD_PROTOCOL),
        (repeats(b"HTTP/1.1 200 OK\r\n", b"X-Again: and again\r\n" * 100), Reason.BAD_PROTOCOL),
        (repeats(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 4096), Reason.BAD_PROTOCOL),
        (sends(b"SSH-2.0-OpenSSH_9.2p1\r\n"), Reason.BAD_PROTOCOL),
        (sends(b"\x15\x03\x01\x00\x02\x02\x46"), Reason.BAD_PROTOCOL),
        (sends(then=CLOSE), Reason.UNREACHABLE),
        (sends(b"HTTP/1.1 2", then=CLOSE), Reason.UNREACHABLE),
        (sends(then=RESET), Reason.UNREACHABLE),
        (sends(HEAD + b"Content-Length: 50\r\n\r\n{}", then=RESET), Reason.UNREACHABLE),
        (sends(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), Reason.BAD_STATUS),
    ],
    ids=[
        "short body",
        "short chunks",
        "broken chunk",
        "length and chunks",
        "two lengths",
        "huge header",
        "endless headers",
        "endless header",
        "ssh",
        "tls alert",
        "closed",
        "closed in the status line",
        "reset",
        "reset in the body",
        "upgrade",
    ],
)
async def test_each_fault_of_the_protocol_has_its_reason(
    fetcher: Fetcher, answer: Any, reason: Reason
) -> None:
    error = await reason_of(fetcher, answer)
    assert error.reason is reason, error
    assert str(error).startswith("http://127.0.0.1:")
    assert "\n" not in str(error)


async def test_a_fault_costs_the_server_one_request_and_not_two(fetcher: Fetcher) -> None:
    async with Hostile(sends(then=RESET)) as server:
        await failure(fetcher, endpoint(server.url))
        assert len(server.requests) == 1


async def test_a_port_where_nobody_listens_is_unreachable(fetcher: Fetcher) -> None:
    async with Hostile() as server:
        url = server.url
    error = await failure(fetcher, endpoint(f"{url}/meta?token=s3cret"))
    assert error.reason is Reason.UNREACHABLE
    assert str(error) == f"{url}/meta: cannot connect (connection refused)"


# status


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, Reason.UNAUTHORIZED),
        (403, Reason.UNAUTHORIZED),
        (404, Reason.BAD_STATUS),
        (429, Reason.OVERLOADED),
        (500, Reason.BAD_STATUS),
        (503, Reason.OVERLOADED),
        (304, Reason.BAD_STATUS),
    ],
)
async def test_a_status_other_than_2xx_has_its_reason(
    fetcher: Fetcher, status: int, reason: Reason
) -> None:
    async with Hostile(page(b"", status=f"{status} Whatever")) as server:
        error = await failure(fetcher, endpoint(f"{server.url}/meta"))
    assert isinstance(error, Rejected)
    assert (error.reason, error.status) == (reason, status)
    assert str(error) == f"{server.url}/meta answered {status}"


async def test_what_an_error_says_is_shown_in_one_short_line(fetcher: Fetcher) -> None:
    document = {"error": {"message": "model\nwine \x1b[31mis not loaded " + "x" * 500}}
    error = await reason_of(fetcher, says(document, status="404 Not Found"))
    assert "answered 404: model wine [31mis not loaded xxx" in str(error)
    assert len(str(error)) < 300
    assert str(error).isprintable()


async def test_an_endless_error_body_still_gives_its_status(fetcher: Fetcher) -> None:
    answer = repeats(
        b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n", chunked(b"x" * 999)
    )
    error = await reason_of(fetcher, answer)
    assert error.reason is Reason.OVERLOADED


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("99999999999999", 3600.0),
        (formatdate(1_000_000_030, usegmt=True), 30.0),
        (formatdate(999_999_000, usegmt=True), 0.0),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("٣", None),
    ],
)
async def test_retry_after_is_understood_and_bounded(
    fetcher: Fetcher, value: str, seconds: float | None
) -> None:
    date = formatdate(1_000_000_000, usegmt=True)  # their clock, not ours
    head = f"HTTP/1.1 429 Slow\r\nDate: {date}\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
    error = await reason_of(fetcher, sends(head.encode()))
    assert error.retry_after == seconds


# redirects


async def test_redirects_are_off_unless_allowed(fetcher: Fetcher) -> None:
    error = await reason_of(fetcher, redirects("/other"))
    assert error.reason is Reason.REDIRECT
    assert "redirects are off; write the final address or set redirects" in str(error)


async def test_a_redirect_on_the_same_server_is_followed(fetcher: Fetcher) -> None:
    async def answer(writer: asyncio.StreamWriter, request: Any) -> None:
        here = request.target == "/there"
        await (says({"here": True}) if here else redirects("/there"))(writer, request)

    async with Hostile(answer) as server:
        at = endpoint(server.url, redirects=1, headers={"X-Api-Key": "k3y-k3y"})
        assert (await fetcher.fetch(at, timeout=5)).body == b'{"here": true}'
        assert server.requests[1].headers["x-api-key"] == "k3y-k3y"


async def test_a_redirect_loop_ends_after_as_many_as_allowed(fetcher: Fetcher) -> None:
    async with Hostile(redirects("/again")) as server:
        error = await failure(fetcher, endpoint(server.url, redirects=3))
        assert (error.reason, len(server.requests)) == (Reason.REDIRECT, 4)
    assert "more than 3 redirect(s)" in str(error)


async def test_a_redirect_to_another_server_gets_neither_request_nor_key(fetcher: Fetcher) -> None:
    async with Hostile(says({})) as other, Hostile(redirects(f"{other.url}/x?a=b")) as server:
        at = endpoint(server.url, redirects=5, headers={"X-Api-Key": "k3y-k3y"})
        error = await failure(fetcher, at)
        assert error.reason is Reason.REDIRECT
        assert f"answered 302 to {other.url}/x: only redirects to the same" in str(error)
        assert other.requests == []


@pytest.mark.parametrize("to", ["file:///etc/passwd", "gopher://x/1", "", "http://[", "//"])
async def test_a_redirect_to_nowhere_is_refused(fetcher: Fetcher, to: str) -> None:
    error = await reason_of(fetcher, redirects(to), redirects=2)
    assert error.reason is Reason.REDIRECT


async def test_a_redirect_never_turns_a_question_into_a_get(fetcher: Fetcher) -> None:
    async with Hostile(redirects("/other")) as server:
        at = endpoint(server.url, redirects=2)
        error = await failure(fetcher, at, method="POST", body=b"{}")
        assert "would turn POST into GET" in str(error)
        assert len(server.requests) == 1


async def test_a_redirect_that_keeps_the_method_keeps_the_body(fetcher: Fetcher) -> None:
    async def answer(writer: asyncio.StreamWriter, request: Any) -> None:
        moved = redirects("/b", "308 Permanent Redirect")
        await (says({}) if request.target == "/b" else moved)(writer, request)

    async with Hostile(answer) as server:
        at = endpoint(f"{server.url}/a", redirects=1)
        await fetcher.fetch(at, method="POST", body=b"question", timeout=5)
        assert [(asked.method, asked.body) for asked in server.requests] == [
            ("POST", b"question")
        ] * 2


# kept connections


async def test_connections_are_kept_and_used_again(fetcher: Fetcher) -> None:
    async with Hostile(says({})) as server:
        for _ in range(5):
            await fetcher.fetch(endpoint(server.url), timeout=5)
        assert server.connections == 1


async def test_an_error_with_a_small_body_keeps_the_connection(fetcher: Fetcher) -> None:
    async with Hostile(page(b"busy", status="429 Slow down")) as server:
        for _ in range(3):
            await failure(fetcher, endpoint(server.url))
        assert server.connections == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_kept_connection_that_the_server_closed_is_tried_once_more(
    fetcher: Fetcher, method: str
) -> None:
    async def closes_the_second_time(writer: asyncio.StreamWriter, request: Any) -> None:
        await (sends(then=CLOSE) if len(server.requests) == 2 else says({}))(writer, request)

    async with Hostile(closes_the_second_time) as server:
        for _ in range(2):
            await fetcher.fetch(endpoint(server.url), method=method, timeout=5)
        assert (len(server.requests), server.connections) == (3, 2)


@pytest.mark.parametrize("said", [b"H", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_nothing_is_asked_twice_once_a_byte_of_the_answer_came(
    fetcher: Fetcher, said: bytes
) -> None:
    async def breaks_the_second_time(writer: asyncio.StreamWriter, request: Any) -> None:
        await (sends(said, then=CLOSE) if len(server.requests) == 2 else says({}))(writer, request)

    async with Hostile(breaks_the_second_time) as server:
        await fetcher.fetch(endpoint(server.url), method="POST", timeout=5)
        error = await failure(fetcher, endpoint(server.url), method="POST")
        assert (error.reason, len(server.requests)) == (Reason.UNREACHABLE, 2)


async def test_a_question_is_repeated_once_and_not_again(fetcher: Fetcher) -> None:
    async def closes_from_the_second_on(writer: asyncio.StreamWriter, request: Any) -> None:
        await (says({}) if len(server.requests) == 1 else sends(then=CLOSE))(writer, request)

    async with Hostile(closes_from_the_second_on) as server:
        await fetcher.fetch(endpoint(server.url), timeout=5)
        error = await failure(fetcher, endpoint(server.url))
        assert (error.reason, len(server.requests)) == (Reason.UNREACHABLE, 3)


async def test_a_cancelled_fetch_leaves_the_fetcher_usable(fetcher: Fetcher) -> None:
    asked = asyncio.Event()

    async def hangs_once(writer: asyncio.StreamWriter, request: Any) -> None:
        asked.set()
        await (sends(then=HANG) if len(server.requests) == 1 else says({}))(writer, request)

    async with Hostile(hangs_once) as server, asyncio.timeout(10):
        task = asyncio.create_task(fetcher.fetch(endpoint(server.url), timeout=30))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await fetcher.fetch(endpoint(server.url), timeout=5)).status == 200


async def test_a_cancellation_that_meets_the_deadline_stays_a_cancellation(
    fetcher: Fetcher,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # never accepts
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        task = asyncio.create_task(fetcher.fetch(endpoint(url), timeout=0))
        await asyncio.sleep(0)  # the fetch begins
        await asyncio.sleep(0)  # its deadline is due in the very turn that cancels
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# secrets

SECRETS: list[dict[str, Any]] = [
    {"headers": {"X-Api-Key": "hunter2-hunter2"}},
    {"bearer_token": "hunter2-hunter2"},
    {"basic_auth": {"username": "u", "password": "hunter2-hunter2"}},
]


def secret_target(settings: dict[str, Any], url: str) -> HttpTarget:
    return HttpTarget.model_validate({"url": url, **settings}, strict=False)


@pytest.mark.parametrize("settings", SECRETS, ids=["header", "bearer", "basic"])
async def test_no_error_or_repr_shows_a_secret_even_when_the_server_echoes_it(
    fetcher: Fetcher, settings: dict[str, Any]
) -> None:
    async def echoes(writer: asyncio.StreamWriter, request: Any) -> None:
        said = " ".join(request.headers.values())
        await says({"error": f"{said} hunter2-hunter2"}, status="401 No")(writer, request)

    async with Hostile(echoes) as server:
        at = Endpoint(secret_target(settings, f"{server.url}/a?token=hunter2-hunter2"))
        error = await failure(fetcher, at)
        sent = server.requests[0].headers
    assert any(
        "hunter2" in value or "aHVudGVy" in value or "dTpodW50" in value for value in sent.values()
    )
    assert error.reason is Reason.UNAUTHORIZED
    encoded = base64.b64encode(b"u:hunter2-hunter2").decode()
    for text in (str(error), repr(error), repr(at), repr(error.__cause__)):
        assert "hunter2" not in text
        assert encoded not in text


async def test_a_token_file_is_read_again_when_it_changes(fetcher: Fetcher, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first-token\n")
    async with Hostile(says({})) as server:
        at = endpoint(server.url, bearer_token_file=str(file))
        await fetcher.fetch(at, timeout=5)
        replacement = tmp_path / "new"
        replacement.write_text("second-token\n")
        replacement.replace(file)
        await fetcher.fetch(at, timeout=5)
        sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer first-token", "Bearer second-token"]


async def test_a_password_file_makes_basic_authentication(fetcher: Fetcher, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("pass word\n")
    async with Hostile(says({})) as server:
        auth = {"username": "scraper", "password_file": str(file)}
        await fetcher.fetch(endpoint(server.url, basic_auth=auth), timeout=5)
        sent = server.requests[0].headers["authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"scraper:pass word"


@pytest.mark.parametrize("kind", ["missing", "pipe", "empty", "two lines", "binary"])
async def test_a_credential_file_that_cannot_be_used_is_named(
    fetcher: Fetcher, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "token"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind != "missing":
        file.write_bytes({"empty": b"", "two lines": b"a\nb", "binary": b"\xff\xfe"}[kind])
    async with Hostile(says({})) as server:
        error = await failure(fetcher, endpoint(server.url, bearer_token_file=str(file)))
        assert server.requests == []
    assert error.reason is Reason.UNAUTHORIZED
    assert f"bearer_token_file {file}" in str(error)


@pytest.mark.parametrize(
    "headers", [{"X-Key": "a\r\nX-Other: b"}, {"Bad Name": "x"}, {"Content-Length": "5"}]
)
def test_a_header_that_could_never_be_sent_is_refused_without_its_value(
    headers: dict[str, str],
) -> None:
    with pytest.raises(SeamwatchError, match=r"^http://host:80/: headers: ") as caught:
        endpoint("http://host", headers=headers)
    assert "X-Other" not in str(caught.value)
