"""Requests that no honest client sends, drawn by a seed, and what a server makes of them."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

ROUTES = (
    ("GET", "/"),
    ("GET", "/metrics"),
    ("GET", "/-/healthy"),
    ("GET", "/-/ready"),
    ("POST", "/-/reload"),
    ("GET", "/v1/openapi.json"),
    ("GET", "/v1/gates"),
    ("GET", "/v1/gates/answers"),
    ("GET", "/v1/gates/answers/check"),
    ("POST", "/v1/gates/answers/check"),
    ("GET", "/v1/gates/answers/decision"),
    ("GET", "/v1/gates/answers/ready"),
    ("GET", "/v1/gates/answers/analysis"),
    ("GET", "/v1/gates/answers/events"),
    ("POST", "/v1/gates/answers/halt"),
    ("POST", "/v1/gates/answers/resume"),
    ("POST", "/v1/gates/answers/rebaseline"),
    ("PUT", "/v1/gates/answers/override"),
    ("DELETE", "/v1/gates/answers/override"),
    ("POST", "/v1/hooks/alertmanager/answers"),
    ("POST", "/v1/adapters/flagger/answers/confirm"),
    ("POST", "/v1/adapters/flagger/answers/rollback"),
    ("GET", "/v1/audit"),
    ("GET", "/v1/audit/head"),
)

PATIENCE = 1.0  # seconds; a request that was cut off is answered much later, or never

_TEXTS: tuple[object, ...] = (
    *("", " ", "\0", "a\0b", "line\nbreak", "\u202e", "é" * 2000, "x" * 5000, "'; DROP TABLE--"),
    *(None, True, -1, 0, 1e400, 1e-400, 10**30, [], {}, [[[[]]]], {"a": {"b": None}}),
)
_FIELDS = ("reason", "kind", "expires_in_s", "expires_at", "alerts", "version", "status", "odd")
_HEADERS = (
    b'If-Match: "g-' + b"9" * 40 + b'"',
    b"If-Match: g-1, *, W/",
    b"If-Match: \xff\xfe",
    b"If-None-Match: " + b"," * 500,
    b"Idempotency-Key: " + b"k" * 5000,
    b"Idempotency-Key: \x01\x02",
    b"Idempotency-Key:",
    b"Last-Event-ID: -5",
    b"Last-Event-ID: " + b"9" * 60,
    b"Authorization: Bearer " + b"s" * 3000,
    b"Authorization: Basic ////",
    b"Authorization: \x80",
    b"Accept: text/event-stream;q=nan",
    b"Accept: */*;q=" + b"0" * 2000,
    b"Accept-Encoding: gzip;q=-1, br, \xff",
    b"Content-Encoding: gzip",
    b"Expect: 200-maybe",
    b"Host: [::1",
    b"Host: a, b",
    b"Origin: null",
    b"X-Forwarded-For: " + b"1," * 900,
    b"Upgrade: websocket\r\nConnection: Upgrade",
    b"Connection: keep-alive, close, \x7f",
    b"Range: bytes=-1-9,9-",
    b"Cookie: " + b"a=b;" * 600,
    b"Transfer-Encoding: identity, chunked",
    b"no colon at all",
    b": no name",
    b" folded: line",
    b"Bad Name: x",
)
_NAMES = ("%00", "..%2f..", "%ff%fe", "a" * 900)
_KINDS = (
    *("application/json", "application/json", "application/json; charset=x"),
    *("text/plain", "multipart/form-data"),
)
_PATHS: tuple[Callable[[random.Random, str], str], ...] = (
    lambda dice, path: path + "?" + "a=b&" * dice.randrange(1, 400),
    lambda dice, path: path + "?after=" + dice.choice(["-1", "9" * 50, "1e3", "%00", "\\", "NaN"]),
    lambda dice, path: path + "?deny=" + dice.choice(["503", "200", "%", "503&deny=1"]),
    lambda dice, path: path.replace("answers", dice.choice(_NAMES)),
    lambda dice, path: path + dice.choice(["/", "//", "/..", "/%2e%2e/", ";x=1", "#frag", "%"]),
    lambda dice, path: "/" + path,
    lambda dice, path: "http://elsewhere.example" + path,
    lambda dice, path: path.replace("/", "\\"),
    lambda dice, path: path.upper(),
    lambda dice, path: "*",
)
_HALT = b"POST /v1/gates/answers/halt HTTP/1.1\r\nHost: a\r\n"
_LINES = (
    b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    b"GET / HTTP/0.9\r\n\r\n",
    b"GET /metrics\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"get / http/1.1\r\nhost: a\r\n\r\n",
    b"G\x00T / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\xff\xfe\xfd\xfc" * 200 + b"\r\n\r\n",
    b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 3000 + b"\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"y" * 70000 + b"\r\n\r\n",
    _HALT + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
    _HALT + b"Content-Length: -5\r\n\r\nhello",
    _HALT + b"Content-Length: 99999999999999\r\n\r\n{",
    _HALT + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    _HALT + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
    _HALT + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\n{}\n\r\n0\r\n\r\n",
)


@dataclass
class Came:
    """What came of requests: status -> how often; 0 is a connection closed without an answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[tuple[int, bytes]] = field(default_factory=list)  # of the server, with the request


def requests(seed: int, count: int) -> Iterator[bytes]:
    """Yield *count* requests; the same for the same *seed*."""
    dice = random.Random(seed)
    for _ in range(count):
        kind = dice.random()
        if kind < 0.1:
            yield dice.choice(_LINES)
        elif kind < 0.2:
            whole = _request(dice)
            yield whole[: dice.randrange(1, len(whole) + 1)]  # and then nothing more
        elif kind < 0.25:
            whole = bytearray(_request(dice))
            for _ in range(dice.randrange(1, 6)):
                whole[dice.randrange(len(whole))] = dice.randrange(256)
            yield bytes(whole)
        else:
            yield _request(dice)


def _request(dice: random.Random) -> bytes:
    method, path = dice.choice(ROUTES)
    if dice.random() < 0.25:
        method = dice.choice(["PATCH", "TRACE", "OPTIONS", "HEAD", "CONNECT", "PUT", "BREW"])
    if dice.random() < 0.4:
        path = dice.choice(_PATHS)(dice, path)
    headers = [b"Host: 127.0.0.1", b"Connection: close"]
    headers += dice.sample(_HEADERS, dice.choice((0, 0, 1, 2, 3)))
    body = b""
    if method in ("POST", "PUT", "DELETE", "PATCH") or dice.random() < 0.1:
        body = _body(dice)
        headers.append(f"Content-Type: {dice.choice(_KINDS)}".encode())
        headers.append(f"Content-Length: {len(body)}".encode())
    line = f"{method} {path} HTTP/1.1".encode("latin-1", "replace")
    return b"\r\n".join((line, *headers, b"", body))


def _body(dice: random.Random) -> bytes:
    kind = dice.randrange(8)
    if kind == 0:
        return b"[" * dice.choice((10, 1000, 60_000))
    if kind == 1:
        return bytes(dice.randrange(256) for _ in range(200))
    if kind == 2:
        return b'{"reason": "\\ud83d", "kind": "\\u0000"}'
    if kind == 3:
        return b'{"reason": "a", "reason": "b"' + b" " * dice.choice((1, 70_000))
    if kind == 4:
        return b"\x1f\x8b\x08\x00" + b"\x00" * 100
    given = {dice.choice(_FIELDS): dice.choice(_TEXTS) for _ in range(dice.randrange(5))}
    if dice.random() < 0.3:
        alert = {"labels": {"alertname": dice.choice(_TEXTS)}, "startsAt": dice.choice(_TEXTS)}
        given["alerts"] = [dice.choice((alert, None, 3, {"labels": 1}))] * dice.choice((1, 300))
    return json.dumps(given).encode()


async def sent(port: int, seed: int, count: int, *, at_once: int = 64) -> Came:
    """Send *count* requests to loopback *port*, a connection each."""
    came, wanted = Came(), requests(seed, count)

    async def worker() -> None:
        for request in wanted:
            status = await _status(port, request)
            came.statuses[status] += 1
            is_asked_for = b"/ready" in request or b"deny=503" in request
            if status >= 500 and not (status == 503 and is_asked_for):
                came.faults.append((status, request[:300]))

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return came


async def _status(port: int, request: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    line = b""
    try:
        writer.write(request)
        async with asyncio.timeout(PATIENCE):
            await writer.drain()
            line = await reader.readline()
    except (ConnectionError, TimeoutError):
        line = b""
    finally:
        writer.transport.abort()
    words = line.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
