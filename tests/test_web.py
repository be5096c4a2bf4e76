"""The server: what it answers, to whom, and that no client costs the others anything."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from conftest import require_tool
from seamwatch import web as web_package
from seamwatch.assets import assets
from seamwatch.collectors.own import OwnMetrics
from seamwatch.errors import SeamwatchError
from seamwatch.exposition import ChunkStore, Exposition, Format
from seamwatch.pipeline import Estimate, Pipeline, Stage, StageKind, Task
from seamwatch.snapshot import GoldenState
from seamwatch.watch.gates import Gates
from seamwatch.web import Server
from seamwatch.web.gates import GateRoutes, Rights
from seamwatch.web.landing import PAGES, landing_page
from seamwatch.web.limits import Deadlines, RateLimit
from seamwatch.web.runbooks import Runbooks
from seamwatch.web.server import Address, parse_address
from seamwatch.web.webconfig import HttpSection, RateLimitSection, TlsSection, WebConfig
from test_collectors import full, world

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}


async def no_reload() -> str | None:
    return None


def no_gates() -> GateRoutes:
    """Return what /v1 serves where no pipeline has a gate."""

    def nothing(*_: object) -> None: ...

    gates = Gates(clock=time.time, reset=nothing, joined=nothing, changed=nothing)
    rights = Rights(dict, clock=time.time)
    return GateRoutes(gates, rights, clock=time.time, alerts=lambda _: ())


@asynccontextmanager
async def serving(
    *,
    exposition: Exposition | None = None,
    ready: Callable[[], bool] = lambda: True,
    reload: Callable[[], Awaitable[str | None]] = no_reload,
    web_config: Path | None = None,
    deadlines: Deadlines | None = None,
    drain_timeout: float = 5.0,
) -> AsyncIterator[tuple[Server, str]]:
    """Run a server on a free port of loopback and yield it with its URL."""
    if exposition is None:
        exposition = Exposition(ChunkStore(), OwnMetrics())
        exposition.store.put(full())
    server = Server(
        exposition,
        listen=["127.0.0.1:0"],
        ready=ready,
        reload=reload,
        gates=no_gates(),
        runbooks=Runbooks(assets("runbooks"), {}.get),
        web_config=web_config,
        deadlines=deadlines,
        drain_timeout=drain_timeout,
    )
    await server.start()
    try:
        yield server, server.urls[0].rstrip("/")
    finally:
        await server.stop()
        exposition.close()


@asynccontextmanager
async def ask(method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
    """Ask a server with default settings."""
    async with (
        serving() as (_, url),
        aiohttp.ClientSession() as session,
        session.request(method, url + path, **options) as response,
    ):
        yield response


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop run until something holds; the test's own limit ends it otherwise."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 what is waited for has no event to tell of it
            await asyncio.sleep(0.005)


def large(slices: int = 30_000) -> Exposition:
    """Return an exposition of about 10 MB, more than sockets buffer."""
    made = Exposition(ChunkStore(series_limit=10**7), OwnMetrics())
    ratio = Estimate(0.9, 0.8, 1.0, 10)
    golden = GoldenState(
        "d", Task.TEXT, {}, {}, slices={f"slice-{n}": ratio for n in range(slices)}
    )
    made.store.put(world(golden=golden))
    made.make(Format.TEXT, is_gzip=False)
    return made


async def raw(server: Server, request: bytes) -> bytes:
    """Return all that the server answers to *request* until it closes the connection."""
    address = server.addresses[0]
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


# what there is


async def test_metrics_are_text_unless_openmetrics_is_asked_for() -> None:
    async with serving() as (_, url), aiohttp.ClientSession() as session:
        async with session.get(f"{url}/metrics") as plain:
            assert plain.status == 200
            assert plain.headers["Content-Type"] == Format.TEXT.content_type
            assert plain.headers["Vary"] == "Accept, Accept-Encoding"
            text = await plain.text()
        async with session.get(f"{url}/metrics", headers=OPENMETRICS) as other:
            assert other.headers["Content-Type"] == Format.OPENMETRICS.content_type
            openmetrics = await other.text()
    assert 'seamwatch_pipeline_info{pipeline="rag",team="platform"} 1.0\n' in text
    assert "# EOF" not in text
    assert openmetrics.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("accepted", "is_gzip"), [("gzip", True), ("gzip;q=0", False), ("deflate", False), ("", False)]
)
async def test_the_page_is_compressed_only_for_those_who_accept_it(
    accepted: str, is_gzip: bool
) -> None:
    session = aiohttp.ClientSession(auto_decompress=False)
    async with serving() as (_, url), session:
        headers = {"Accept-Encoding": accepted}
        async with session.get(f"{url}/metrics", headers=headers) as response:
            body = await response.read()
            assert response.headers.get("Content-Encoding") == ("gzip" if is_gzip else None)
            assert int(response.headers["Content-Length"]) == len(body)
    text = gzip.decompress(body) if is_gzip else body
    assert text.startswith(b"# HELP seamwatch_pipeline_info ")


async def test_a_version_that_is_asked_for_is_never_echoed() -> None:
    headers = {"Accept": "application/openmetrics-text;version=99.0, text/plain;version=1.x"}
    async with ask("GET", "/metrics", headers=headers) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == Format.TEXT.content_type


async def test_a_page_of_many_slices_arrives_whole() -> None:
    async with serving(exposition=large()) as (_, url), aiohttp.ClientSession() as session:
        for headers in ({"Accept-Encoding": ""}, {"Accept-Encoding": "gzip"}):
            async with session.get(f"{url}/metrics", headers=headers) as response:
                body = await response.read()
            assert len(body) > 8_000_000
            assert body.count(b'slice="slice-29999"') == 4


async def test_the_duration_of_a_scrape_stands_on_the_next_page() -> None:
    async with serving() as (_, url), aiohttp.ClientSession() as session:
        first = await (await session.get(f"{url}/metrics")).text()
        second = await (await session.get(f"{url}/metrics")).text()
    assert "seamwatch_scrape_duration_seconds" not in first
    assert re.search(r"^seamwatch_scrape_duration_seconds [0-9.e-]+$", second, re.MULTILINE)


async def test_every_page_that_the_landing_page_names_is_there() -> None:
    async with serving() as (_, url), aiohttp.ClientSession() as session:
        for path, method, _purpose in PAGES:
            async with session.request(method, url + path) as response:
                assert response.status == 200, path
                assert path in landing_page() or path == "/"


async def test_the_landing_page_has_no_script_and_a_policy_that_allows_only_its_own_style() -> None:
    async with ask("GET", "/") as response:
        text = await response.text()
        policy = response.headers["Content-Security-Policy"]
        assert response.content_type == "text/html"
    assert "<script" not in text
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "prefers-color-scheme" in text
    assert 'href="metrics"' in text  # relative, so that it works behind a prefix


async def test_a_head_request_gets_the_headers_alone() -> None:
    async with serving() as (server, _):
        answer = await raw(
            server, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b""


async def test_healthy_is_always_and_ready_only_when_the_page_is_whole() -> None:
    ready = False
    async with serving(ready=lambda: ready) as (server, url), aiohttp.ClientSession() as session:
        assert (await session.get(f"{url}/-/healthy")).status == 200
        async with session.get(f"{url}/-/ready") as starting:
            assert starting.status == 503
            assert "starting" in await starting.text()
        ready = True
        assert (await session.get(f"{url}/-/ready")).status == 200
        server.drain()
        async with session.get(f"{url}/-/ready") as draining:
            assert draining.status == 503
            assert "stopping" in await draining.text()
        assert (await session.get(f"{url}/-/healthy")).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_reload_says_what_is_wrong_with_the_configuration(method: str) -> None:
    answers: list[str | None] = [None, "seamwatch.yaml:3:5: pipelines.x: no owner"]

    async def reload() -> str | None:
        return answers.pop(0)

    async with serving(reload=reload) as (_, url), aiohttp.ClientSession() as session:
        async with session.request(method, f"{url}/-/reload") as good:
            assert (good.status, await good.text()) == (200, "reloaded\n")
        async with session.request(method, f"{url}/-/reload") as bad:
            assert bad.status == 500
            assert "seamwatch.yaml:3:5: pipelines.x: no owner" in await bad.text()


async def test_reloads_that_come_together_are_one_and_survive_the_client_that_asked() -> None:
    begun, go = 0, asyncio.Event()
    finished = []

    async def reload() -> str | None:
        nonlocal begun
        begun += 1
        await go.wait()
        finished.append(True)
        return None

    async with serving(reload=reload) as (_, url), aiohttp.ClientSession() as session:
        asking = [asyncio.ensure_future(session.post(f"{url}/-/reload")) for _ in range(3)]
        await until(lambda: begun > 0)
        asking[0].cancel()
        await asyncio.gather(asking[0], return_exceptions=True)
        await (await session.get(f"{url}/-/healthy")).read()  # the others' requests have come too
        go.set()
        assert [(await other).status for other in asking[1:]] == [200, 200]
    assert (begun, finished) == (1, [True])


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/metric", 404, "GET  /metrics"),
        ("GET", "/-/quit", 404, "POST /-/reload"),
        ("GET", "/-/reload", 405, "This page takes POST, PUT"),
        ("POST", "/metrics", 405, "This page takes GET, HEAD"),
        ("DELETE", "/", 405, "This page takes GET, HEAD"),
    ],
)
async def test_a_wrong_request_is_told_what_exists(
    method: str, path: str, status: int, says: str
) -> None:
    async with ask(method, path) as response:
        assert response.status == status
        assert says in await response.text()
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert ("Allow" in response.headers) == (status == 405)


# hostile clients


HOSTILE = {
    "a header of 20 kB": b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    "two hundred headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    "a path of 20 kB": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
    "two lengths": b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
    b"Content-Length: 2\r\n\r\nab",
    "a length and chunks": b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk": b"POST /-/reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
}


@pytest.mark.parametrize("request_text", HOSTILE.values(), ids=HOSTILE)
async def test_what_is_no_request_gets_400_and_the_next_client_its_page(
    request_text: bytes,
) -> None:
    async with serving() as (server, url):
        answer = await raw(server, request_text)
        assert re.match(rb"HTTP/1\.[01] 400 ", answer), answer[:80]
        async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as page:
            assert page.status == 200


async def test_a_body_that_does_not_come_gets_408() -> None:
    async with serving(deadlines=Deadlines(body=0.1)) as (server, _):
        answer = await raw(
            server, b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"
        )
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not come in time" in answer


async def test_a_body_that_is_too_large_gets_413() -> None:
    async with ask("POST", "/-/reload", data=b"x" * 300_000) as response:
        assert response.status == 413


async def test_a_gzip_bomb_as_body_is_not_inflated() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    headers = {"Content-Encoding": "gzip"}
    async with ask("POST", "/-/reload", data=bomb, headers=headers) as response:
        assert response.status == 200  # 49 kB of body that nobody looks at


async def test_what_takes_too_long_gets_503() -> None:
    async def reload() -> str | None:
        await asyncio.Event().wait()
        return None

    deadlines = Deadlines(reload=0.1)
    async with (
        serving(reload=reload, deadlines=deadlines) as (_, url),
        aiohttp.ClientSession() as session,
        session.post(f"{url}/-/reload") as response,
    ):
        assert response.status == 503
        assert "too long" in await response.text()


async def stuck(
    server: Server, extra: bytes = b""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for the page on a connection that takes next to nothing, and read only its head."""
    address = server.addresses[0]
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (address.host, address.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + extra + b"\r\n")
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    return reader, writer


async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """Return how many bytes still come before the connection ends, in whatever way."""
    size = 0
    try:
        while data := await reader.read(1 << 20):
            size += len(data)
    except ConnectionError:
        pass
    writer.close()
    return size


@pytest.mark.parametrize(
    ("deadlines", "extra"),
    [
        (Deadlines(request=0.3), b""),
        (Deadlines(), b"X-Prometheus-Scrape-Timeout-Seconds: 0.3\r\n"),
    ],
    ids=["our deadline", "the deadline of Prometheus"],
)
async def test_a_reader_that_stops_is_cut_off_and_meanwhile_others_read(
    deadlines: Deadlines, extra: bytes
) -> None:
    made = large()
    async with serving(exposition=made, deadlines=deadlines) as (server, url):
        connection = await stuck(server, extra)
        async with aiohttp.ClientSession() as session, session.get(f"{url}/-/healthy") as page:
            assert page.status == 200
        await until(lambda: server.scrapes == 0)
        assert await rest(*connection) < made.own.page.size


async def test_stuck_readers_cannot_pile_up_without_bound() -> None:
    async with serving(exposition=large()) as (server, url):
        readers = [await stuck(server) for _ in range(16)]
        async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as page:
            assert page.status == 503
            assert "16 scrapes" in await page.text()
        for _, writer in readers:
            writer.transport.abort()
        await server.stop()


async def test_a_client_that_half_closes_costs_nothing() -> None:
    async with serving() as (server, url):
        address = server.addresses[0]
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.write_eof()
        await reader.read()  # the page or nothing, but an end
        writer.close()
        async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as page:
            assert page.status == 200


def test_a_rate_limit_gives_a_burst_and_then_one_request_an_interval() -> None:
    limit = RateLimit(interval=10.0, burst=2, now=0.0)
    answers = [limit.allows(now=now) for now in (0.0, 0.0, 0.0, 9.0, 10.5, 11.0, 1000.0, 1000.0)]
    assert answers == [True, True, False, False, True, False, True, True]
    assert not limit.allows(now=1000.0)


# starting and stopping


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":10064", Address("", 10064)),
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("[::1]:9100", Address("::1", 9100)),
        ("[fe80::1%eth0]:9100", Address("fe80::1%eth0", 9100)),
        ("localhost:80", Address("localhost", 80)),
    ],
)
def test_an_address_is_host_and_port(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["10064", "", ":", ":x", ":70000", "::1:9100", "http://x:1", "a b:1"]
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SeamwatchError, match=r"is not an address.*127\.0\.0\.1:10064"):
        parse_address(text)


async def test_it_listens_on_several_addresses_of_both_families() -> None:
    made = Exposition(ChunkStore(), OwnMetrics())
    listen = ["127.0.0.1:0", "[::1]:0"]
    server = Server(made, listen=listen, ready=lambda: True, reload=no_reload)
    await server.start()
    async with aiohttp.ClientSession() as session:
        for url in server.urls:
            async with session.get(f"{url}-/healthy") as response:
                assert response.status == 200
    assert server.urls[1].startswith("http://[::1]:")
    await server.stop()
    made.close()


async def test_an_address_in_use_is_named_and_nothing_is_left_listening() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        made = Exposition(ChunkStore(), OwnMetrics())
        listen = ["127.0.0.1:0", f"127.0.0.1:{port}"]
        server = Server(made, listen=listen, ready=lambda: True, reload=no_reload)
        with pytest.raises(SeamwatchError, match=f"127.0.0.1:{port} is in use by another process"):
            await server.start()
        assert server.addresses == []
        made.close()


async def test_an_address_of_another_machine_is_refused() -> None:
    made = Exposition(ChunkStore(), OwnMetrics())
    server = Server(made, listen=["192.0.2.1:0"], ready=lambda: True, reload=no_reload)
    with pytest.raises(SeamwatchError, match=r"cannot listen on 192\.0\.2\.1:0"):
        await server.start()
    made.close()


async def test_stopping_finishes_a_scrape_that_is_under_way() -> None:
    made = large()
    async with serving(exposition=made) as (server, _):
        connection = await stuck(server)
        stopping = asyncio.ensure_future(server.stop())
        size = await rest(*connection)
        await stopping
        assert size > made.own.page.size  # the head and the whole page


async def test_stopping_does_not_wait_for_a_reader_that_has_stopped() -> None:
    made = large()
    async with serving(exposition=made, drain_timeout=0.2) as (server, _):
        connection = await stuck(server)
        await server.stop()
        assert await rest(*connection) < made.own.page.size


async def test_stopping_twice_or_before_starting_is_no_error() -> None:
    made = Exposition(ChunkStore(), OwnMetrics())
    server = Server(made, listen=["127.0.0.1:0"], ready=lambda: True, reload=no_reload)
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()
    made.close()


# Prometheus itself


async def test_prometheus_scrapes_both_formats_and_finds_every_series(tmp_path: Path) -> None:
    binary = require_tool("prometheus")
    made = Exposition(ChunkStore(), OwnMetrics())
    nasty = 'a\\b"c\nd\0é😀{},=' + "x" * 300 + "\ud800"
    stage = Stage("only", "data", StageKind.SOURCE)
    golden = GoldenState(nasty, Task.TEXT, {}, {}, slices={nasty: Estimate(0.5, 0.1, 0.9, 3)})
    made.store.put(full())
    made.store.put(world(pipeline=Pipeline("other", "platform", (stage,)), golden=golden))

    async def text(_: web.Request) -> web.Response:  # this Prometheus asks for OpenMetrics only
        page = await made.page(Format.TEXT, is_gzip=False)
        headers = {"Content-Type": Format.TEXT.content_type}
        return web.Response(body=b"".join(page.parts), headers=headers)

    app = web.Application()
    app.add_routes([web.get("/metrics", text)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with serving(exposition=made) as (server, _):
        targets = [str(server.addresses[0]), "{}:{}".format(*runner.addresses[0])]
        config = tmp_path / "prometheus.yml"
        config.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                    "scrape_configs": [
                        {
                            "job_name": "seamwatch",
                            "static_configs": [{"targets": targets}],
                            "label_value_length_limit": 200,
                        }
                    ],
                }
            )
        )
        with prometheus(binary, config, tmp_path / "data") as api:
            found = {}
            for _ in range(200):
                await asyncio.sleep(0.05)
                found = await asyncio.to_thread(query, api, "scrape_samples_scraped")
                if len(found) == 2:
                    break
            up = await asyncio.to_thread(query, api, "up")
            kept = await asyncio.to_thread(query, api, "scrape_samples_post_metric_relabeling")
            slices = await asyncio.to_thread(query, api, 'count by (instance) ({slice!=""})')
    await runner.cleanup()
    assert up == dict.fromkeys(targets, 1.0)
    assert min(found.values()) > made.own.page.series
    assert kept == found
    assert slices == dict.fromkeys(targets, 9.0)


@contextmanager
def prometheus(binary: str, config: Path, data: Path) -> Iterator[str]:
    """Run Prometheus on a free port and yield the address of its API."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [binary, f"--config.file={config}", f"--storage.tsdb.path={data}"]
    process = subprocess.Popen(
        [*command, f"--web.listen-address={address}"], stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://{address}/api/v1/query?query="
    finally:
        process.kill()
        process.wait()


def query(api: str, promql: str) -> dict[str, float]:
    """Return the value for each instance that a query gives; nothing while Prometheus starts."""
    try:
        with urllib.request.urlopen(api + urllib.parse.quote(promql), timeout=2) as response:
            result = json.load(response)["data"]["result"]
    except OSError:
        return {}
    return {row["metric"]["instance"]: float(row["value"][1]) for row in result}


# the reference

DOCS = Path(__file__).parents[1] / "docs" / "http.md"


def rows(part: str) -> list[list[str]]:
    """Return the cells of the table rows under the heading of *part*."""
    section = DOCS.read_text().split(part, 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_reference_lists_the_pages_that_the_server_names() -> None:
    assert rows("# HTTP reference") == [
        [f"`{path}`", method, purpose] for path, method, purpose in PAGES
    ]


def test_the_reference_lists_every_key_of_the_web_configuration_file() -> None:
    written = {
        key
        for row in rows("## The web configuration file")
        for key in re.findall(r"`(.*?)`", row[0])
    }
    expected = {"basic_auth_users"}
    for section, model in (
        ("tls_server_config", TlsSection),
        ("http_server_config", HttpSection),
        ("rate_limit", RateLimitSection),
    ):
        expected |= {f"{section}.{key}" for key in model.model_fields}
    assert written == expected
    assert {key.partition(".")[0] for key in written} == set(WebConfig.model_fields)


def test_the_reference_lists_every_status_that_the_code_gives() -> None:
    source = "".join(path.read_text() for path in Path(web_package.__file__).parent.glob("*.py"))
    given = set(re.findall(r"status=(\d{3})", source))
    assert given <= {row[0] for row in rows("## Answers that any path may give")}


def test_the_reference_states_the_deadlines_of_the_code() -> None:
    text = DOCS.read_text()
    default = Deadlines()
    assert f"within {default.request:.0f} s or the `X-Prometheus" in text
    assert f"longer than {default.request:.0f} s (a reload: {default.reload:.0f} s)" in text
    assert f"did not come within {default.body:.0f} s" in text
