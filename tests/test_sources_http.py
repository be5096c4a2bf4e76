"""The http source: any JSON becomes an observation, and no answer, however hostile, does harm.

Every message is compared whole: it is what the on-call engineer has to go by.
"""

from __future__ import annotations

import gzip
import logging
import tracemalloc
from typing import Any

import orjson
import pytest

from hostile import (
    CLOSE,
    HANG,
    RESET,
    Answer,
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
from seamwatch.errors import ReadError
from seamwatch.pipeline import Observation
from stages import NOW, failure, read

GOOD = {"status": "ok", "version": "idx-0412", "watermark": "2026-11-22T08:00:00Z"}
OK = b"HTTP/1.1 200 OK\r\n"


def http(server: Hostile, **more: Any) -> dict[str, Any]:
    return {"http": {"url": f"{server.url}/meta", **more}}


async def test_a_stage_page_becomes_an_observation() -> None:
    document = {
        **GOOD,
        "updated_at": 1_795_337_000,
        "built_from": {"ingest": "batch-412", "embedding": 7, "other": None},
        "tuned_on": {"embedding": "minilm-1"},
        "rows": 12034,
        "settings": {"threshold": 0.72},
        "of no interest": [1, 2],
    }
    async with Hostile(says(document)) as server:
        assert await read(http(server)) == Observation(
            healthy=True,
            version="idx-0412",
            watermark=NOW - 3600,
            updated_at=1_795_337_000.0,
            built_from={"ingest": "batch-412", "embedding": "7"},
            tuned_on={"embedding": "minilm-1"},
            rows=12034.0,
            settings={"threshold": 0.72},
        )
        assert server.requests[0].headers["accept"] == "application/json"


async def test_fields_of_a_foreign_page_are_found_by_expressions() -> None:
    document = {
        "state": {"live": "GREEN"},
        "indexes": [{"name": "a", "to": 1}, {"name": "b", "to": 1_795_334_400_000}],
        "parents": [["ingest", "batch-9"]],
    }
    fields = {
        "status": "state.live",
        "version": "indexes[-1].name",
        "watermark": "max(indexes[].to)",
        "rows": "length(indexes)",
    }
    async with Hostile(says(document)) as server:
        assert await read(http(server, fields=fields, time="ms")) == Observation(
            healthy=True, version="b", watermark=NOW - 3600, rows=2.0
        )


async def test_a_byte_order_mark_is_skipped_and_the_last_of_two_equal_keys_counts() -> None:
    async with Hostile(page(b'\xef\xbb\xbf{"version": "a", "version": "b"}')) as server:
        assert (await read(http(server))).version == "b"


async def test_a_gzipped_answer_is_read_within_the_limit() -> None:
    body = gzip.compress(orjson.dumps(GOOD))
    async with Hostile(page(body, headers="Content-Encoding: gzip")) as server:
        assert (await read(http(server))).version == "idx-0412"


def says_version(version: Any) -> Answer:
    return says({"version": version})


HOSTILE_ANSWERS: dict[str, tuple[Answer, str, str]] = {
    "accepts and stays silent": (
        sends(then=HANG),
        "timeout",
        "{url}: no whole answer within 0.3 s, while waiting for the answer",
    ),
    "drips its headers": (
        repeats(OK, b"X-A: b\r\n", every=0.02),
        "timeout",
        "{url}: no whole answer within 0.3 s, while reading the headers",
    ),
    "stops in the body": (
        sends(OK + b"Content-Length: 100\r\n\r\n{", then=HANG),
        "timeout",
        "{url}: no whole answer within 0.3 s, after 1 bytes of the body",
    ),
    "sends an endless body": (
        repeats(OK + b"Transfer-Encoding: chunked\r\n\r\n", chunked(bytes(65536))),
        "too_large",
        "{url}: the body is larger than allowed; max_bytes is 1048576",
    ),
    "sends an endless body without length": (
        repeats(OK + b"Connection: close\r\n\r\n", b" " * 65536),
        "too_large",
        "{url}: the body is larger than allowed; max_bytes is 1048576",
    ),
    "announces a large body": (
        sends(OK + b"Content-Length: 1073741824\r\n\r\n", then=HANG),
        "too_large",
        "{url}: the body has 1073741824 bytes; max_bytes is 1048576",
    ),
    "sends more than 1024 gzip members": (
        page(gzip_members(1100), headers="Content-Encoding: gzip"),
        "bad_encoding",
        "{url}: more than 1024 gzip members",
    ),
    "sends broken gzip": (
        page(b"this is no gzip", headers="Content-Encoding: gzip"),
        "bad_encoding",
        "{url}: the body is not gzip",
    ),
    "cuts gzip short": (
        page(gzip.compress(orjson.dumps(GOOD))[:-9], headers="Content-Encoding: gzip"),
        "bad_encoding",
        "{url}: the gzip data ends half-way",
    ),
    "sends an unknown coding": (
        page(b"{}", headers="Content-Encoding: br"),
        "bad_encoding",
        "{url} answered with Content-Encoding 'br'; serve it uncompressed or with gzip",
    ),
    "closes before the whole body": (
        sends(OK + b'Content-Length: 100\r\n\r\n{"version": "a"}', then=CLOSE),
        "unreachable",
        "{url}: the connection was closed before the body was complete",
    ),
    "gives both a length and chunks": (
        sends(OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
        "bad_protocol",
        "{url}: the answer is not valid HTTP"
        " (Transfer-Encoding can't be present with Content-Length)",
    ),
    "sends broken chunks": (
        sends(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
        "bad_protocol",
        "{url}: the answer is not valid HTTP (Invalid character in chunk size)",
    ),
    "sends endless headers": (
        repeats(OK, b"X-A: " + b"b" * 1000 + b"\r\n"),
        "bad_protocol",
        "{url}: the answer is not valid HTTP (Too many headers received)",
    ),
    "sends one endless header": (
        repeats(OK + b"X-A: ", b"b" * 10000),
        "bad_protocol",
        "{url}: the answer is not valid HTTP (Got more than 8190 bytes when reading)",
    ),
    "sends 100 Continue for ever": (
        repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        "bad_protocol",
        "{url}: 1048576 bytes came before any answer",
    ),
    "speaks another protocol": (
        sends(b"SSH-2.0-OpenSSH_9.2\r\n", then=HANG),
        "bad_protocol",
        "{url}: the answer is not valid HTTP (Bad status line)",
    ),
    "resets the connection": (
        sends(then=RESET),
        "unreachable",
        "{url}: the connection broke (connection reset by peer)",
    ),
    "closes without an answer": (
        sends(then=CLOSE),
        "unreachable",
        "{url}: the connection was closed without an answer",
    ),
    "redirects": (
        redirects("/meta"),
        "redirect",
        "{url} answered 302: redirects are off; write the final address or set redirects",
    ),
    "wants a password": (
        page(b"", status="401 Unauthorized"),
        "unauthorized",
        "{url} answered 401",
    ),
    "refuses us": (page(b"", status="403 Forbidden"), "unauthorized", "{url} answered 403"),
    "knows no such page": (page(b"", status="404 Not Found"), "bad_status", "{url} answered 404"),
    "fails": (
        says({"error": "disk on fire\n\x1b[31m"}, status="500 Oops"),
        "bad_status",
        "{url} answered 500: disk on fire [31m",
    ),
    "is overloaded": (page(b"", status="503 Busy"), "overloaded", "{url} answered 503"),
    "sends nothing": (
        page(b" \n"),
        "no_data",
        "{url}: the answer is empty; it should be JSON",
    ),
    "has no content": (
        sends(b"HTTP/1.1 204 No Content\r\n\r\n"),
        "no_data",
        "{url}: the answer is empty; it should be JSON",
    ),
    "sends a web page": (
        page(b"<!DOCTYPE html><title>Sign in</title>", kind="text/html"),
        "not_json",
        "{url}: the answer is a web page or XML; it should be JSON",
    ),
    "sends text": (
        page(b"OK"),
        "not_json",
        "{url}: the answer is not JSON: unexpected character, expected a JSON value:"
        " line 1 column 1 (char 0)",
    ),
    "sends NaN": (
        page(b'{"version": "a", "rows": NaN}'),
        "not_json",
        "{url}: the answer contains NaN or Infinity; write null instead",
    ),
    "sends Infinity": (
        page(b'{"version": "a", "rows": -Infinity}'),
        "not_json",
        "{url}: the answer contains NaN or Infinity; write null instead",
    ),
    "sends half of the JSON": (
        page(b'{"version": "a'),
        "not_json",
        "{url}: the answer is not JSON: unexpected end of data: line 1 column 15 (char 14)",
    ),
    "nests deeply": (
        page(b"[" * 100_000),
        "not_json",
        "{url}: the answer is not JSON: depth limit exceeded: line 1 column 1026 (char 1025)",
    ),
    "sends UTF-16": (
        page('{"version": "a"}'.encode("utf-16")),
        "bad_encoding",
        "{url}: the answer is UTF-16 or binary; it should be JSON in UTF-8",
    ),
    "sends Latin-1": (
        page('{"version": "Müller"}'.encode("latin-1")),
        "bad_encoding",
        "{url}: the answer is not UTF-8 at byte 14; write UTF-8",
    ),
    "says nothing that we know": (
        says({"commit": "abc", "uptime": 3}),
        "bad_contract",
        "{url}: none of version, watermark, updated_at is known; give at least one"
        ' (the answer has "commit", "uptime"; map them with `fields:`)',
    ),
    "says null only": (
        says({"version": None, "watermark": "", "updated_at": " "}),
        "bad_contract",
        "{url}: none of version, watermark, updated_at is known; give at least one"
        ' (the answer has "version", "watermark", "updated_at"; map them with `fields:`)',
    ),
    "sends a list": (
        says([GOOD]),
        "bad_contract",
        "{url}: none of version, watermark, updated_at is known; give at least one"
        " (the answer is a list of 1; map it with `fields:`)",
    ),
    "writes the version as a number": (
        page(b'{"version": 1.10}'),
        "bad_contract",
        "{url}: version is the number 1.1; write it as text, in quotes:"
        " as a number 1.10 becomes 1.1",
    ),
    "has a version of 201 characters": (
        says_version("v" * 201),
        "bad_contract",
        "{url}: version has 201 characters; write at most 200",
    ),
    "has a line break in its version": (
        says_version("a\nb"),
        "bad_contract",
        '{url}: version is "a\\nb"; write it without control characters',
    ),
    "has a list for version": (
        says_version(["a"]),
        "bad_contract",
        "{url}: version is a list of 1; write text",
    ),
    "has true for version": (
        says_version(True),
        "bad_contract",
        "{url}: version is true; write text",
    ),
    "has an HTTP status for status": (
        says({"version": "a", "status": 500}),
        "bad_contract",
        "{url}: status is 500; write a word, true or false, or 1 or 0",
    ),
    "has text for rows": (
        says({"version": "a", "rows": "12"}),
        "bad_contract",
        '{url}: rows is "12"; write a number, 0 or more',
    ),
    "has fewer than no rows": (
        says({"version": "a", "rows": -1}),
        "bad_contract",
        "{url}: rows is -1; write a number, 0 or more",
    ),
    "has true for rows": (
        says({"version": "a", "rows": True}),
        "bad_contract",
        "{url}: rows is true; write a number, 0 or more",
    ),
    "has text for built_from": (
        says({"version": "a", "built_from": "b"}),
        "bad_contract",
        '{url}: built_from is "b"; write {{"<stage>": "<version>"}}',
    ),
    "has a fraction in built_from": (
        says({"version": "a", "built_from": {"ingest": 1.5}}),
        "bad_contract",
        "{url}: built_from.ingest is the number 1.5; write it as text, in quotes:"
        " as a number 1.10 becomes 1.1",
    ),
    "was built from 101 stages": (
        says({"version": "a", "built_from": {str(n): "v" for n in range(101)}}),
        "bad_contract",
        "{url}: built_from has 101 entries; write at most 100",
    ),
    "has a list for settings": (
        says({"version": "a", "settings": []}),
        "bad_contract",
        '{url}: settings is a list of 0; write a mapping, e.g. {{"threshold": 0.72}}',
    ),
    "has huge settings": (
        says({"version": "a", "settings": {"prompt": "x" * 20000}}),
        "bad_contract",
        "{url}: settings take 20013 bytes; write at most 16384",
    ),
    "writes milliseconds": (
        says({"watermark": 1_795_334_400_000}),
        "bad_time",
        "{url}: watermark is 1795334400000, which in seconds is after the year 9999;"
        " it looks like milliseconds: write `time: ms`",
    ),
    "lives in the future": (
        says({"watermark": "2026-11-22T10:00:00Z"}),
        "bad_time",
        '{url}: watermark is "2026-11-22T10:00:00Z", 60 m after our clock\'s'
        " 2026-11-22T09:00:00Z; correct the stage's clock, unit or zone",
    ),
    "gives no zone": (
        says({"watermark": "2026-11-22T08:00:00"}),
        "bad_time",
        '{url}: watermark is "2026-11-22T08:00:00", without a time zone; write it with one,'
        " e.g. 2026-11-22T09:00:00Z, or declare `zone:`",
    ),
    "has no time yet": (
        says({"version": "a", "watermark": 0}),
        "bad_time",
        "{url}: watermark is 0, which is 1970-01-01T00:00:00Z, no time of any data;"
        " leave the field out while it is unknown",
    ),
}


@pytest.mark.parametrize("fault", HOSTILE_ANSWERS)
async def test_a_stage_that(fault: str) -> None:
    answer, reason, message = HOSTILE_ANSWERS[fault]
    # only where nothing ever ends is there little time, so that a busy machine changes nothing
    timeout = 0.3 if reason == "timeout" else 20.0
    async with Hostile(answer) as server:
        found = await failure(http(server), timeout=timeout)
        assert found == (reason, message.format(url=f"{server.url}/meta"))


async def test_a_gzip_bomb_costs_neither_memory_nor_time() -> None:
    bomb = gzip_bomb(1 << 30)
    assert len(bomb) < 1 << 20  # passes the limit as sent
    async with Hostile(page(bomb, headers="Content-Encoding: gzip")) as server:
        tracemalloc.start()
        try:
            found = await failure(http(server))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert found == (
            "too_large",
            f"{server.url}/meta: the body is larger than allowed once decompressed;"
            " max_bytes is 1048576",
        )
        assert peak < 16 << 20


async def test_a_stage_that_asks_for_patience_says_how_long() -> None:
    answer = page(b"", status="429 Too Many Requests", headers="Retry-After: 17")
    async with Hostile(answer) as server:
        with pytest.raises(ReadError) as caught:
            await read(http(server))
        assert (caught.value.reason, caught.value.retry_after) == ("overloaded", 17.0)
        assert str(caught.value) == f"{server.url}/meta answered 429"


@pytest.mark.parametrize("to", ["other", "file:///etc/passwd", "gopher://127.0.0.1/x"])
async def test_a_redirect_elsewhere_is_refused_and_carries_no_credential_there(to: str) -> None:
    async with Hostile(says(GOOD)) as other:
        target = f"{other.url}/meta" if to == "other" else to
        async with Hostile(redirects(target)) as server:
            reason, message = await failure(
                http(
                    server,
                    redirects=5,
                    bearer_token="s3cret-token",
                    headers={"X-Api-Key": "s3cret-key"},
                )
            )
            assert server.requests[0].headers["x-api-key"] == "s3cret-key"
        assert other.connections == 0
        assert reason == "redirect"
        assert "s3cret" not in message


async def test_a_redirect_loop_ends() -> None:
    async with Hostile(redirects("/meta")) as server:
        assert await failure(http(server, redirects=3)) == (
            "redirect",
            f"{server.url}/meta: more than 3 redirect(s)",
        )
        assert len(server.requests) == 4


async def test_nobody_listens() -> None:
    async with Hostile() as server:
        section = http(server)
    assert await failure(section) == (
        "unreachable",
        f"{section['http']['url']}: cannot connect (connection refused)",
    )


async def test_secrets_stay_out_of_messages_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = ("s3cret-token", "s3cret-key", "s3cret-query")
    async with Hostile(says({"error": "bad key s3cret-key"}, status="403 No")) as server:
        _, message = await failure(
            {
                "http": {
                    "url": f"{server.url}/meta?key=s3cret-query",
                    "bearer_token": "s3cret-token",
                    "headers": {"X-Api-Key": "s3cret-key"},
                }
            }
        )
        assert message == f"{server.url}/meta answered 403: bad key ***"
    assert not any(secret in caplog.text for secret in secrets)


@pytest.mark.parametrize(
    ("status", "healthy"),
    [
        ("ok", True),
        (" Healthy ", True),
        ("GREEN", True),
        (True, True),
        (1, True),
        ("degraded", False),
        ("okay", False),
        (False, False),
        (0, False),
        (None, None),
        ("", None),
    ],
)
async def test_health_is_the_stages_own_claim(status: Any, healthy: bool | None) -> None:
    async with Hostile(says({"version": "a", "status": status})) as server:
        assert (await read(http(server))).healthy is healthy


async def test_words_for_health_can_be_given() -> None:
    async with Hostile(says({"version": "a", "status": "Läuft"})) as server:
        assert (await read(http(server, healthy=["läuft"]))).healthy is True
    for status, healthy in ((200, True), (503, False)):
        async with Hostile(says({"version": "a", "status": status})) as server:
            assert (await read(http(server, healthy="200"))).healthy is healthy


async def test_an_expression_that_fails_on_an_answer_is_named() -> None:
    async with Hostile(says({"version": "a", "items": 3})) as server:
        assert await failure(http(server, fields={"rows": "length(items)"})) == (
            "bad_contract",
            f"{server.url}/meta: the expression for rows failed on this answer: "
            "In function length(), invalid type for value: 3, expected one of:"
            " ['string', 'array', 'object'], received: \"number\"",
        )
