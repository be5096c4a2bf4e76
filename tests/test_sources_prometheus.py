"""The prometheus source, asked of a real Prometheus and of servers that only look like one."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from conftest import require_tool
from hostile import HANG, Answer, Hostile, page, says, sends
from ports import free_port
from seamwatch.config.sources import SourceSection
from seamwatch.errors import ReadError
from seamwatch.pipeline import Observation
from seamwatch.sources.prometheus import sample
from stages import NOW, failure, read

SAMPLES = """\
# HELP ingest_watermark_seconds Event time.
# TYPE ingest_watermark_seconds gauge
ingest_watermark_seconds{shard="0"} 1795334400 1795337940
ingest_watermark_seconds{shard="1"} 1795334460 1795337940
# TYPE ingest_watermark_milliseconds gauge
ingest_watermark_milliseconds 1795334400000 1795337940
# TYPE ingest_build_info gauge
ingest_build_info{version="7.2",replica="a"} 1 1795337940
ingest_build_info{version="7.2",replica="b"} 1 1795337940
# TYPE rollout_build_info gauge
rollout_build_info{version="7.2",replica="a"} 1 1795337940
rollout_build_info{version="7.3",replica="b"} 1 1795337940
# TYPE ingest_healthy gauge
ingest_healthy 3 1795337940
# TYPE ingest_rows gauge
ingest_rows 12034 1795337940
# TYPE nothing_known gauge
nothing_known NaN 1795337940
# EOF
"""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Prometheus that holds SAMPLES; queries are asked as of their time."""
    home = tmp_path_factory.mktemp("prometheus")
    (home / "samples").write_text(SAMPLES)
    (home / "prometheus.yml").write_text("{}\n")
    subprocess.run(
        [
            require_tool("promtool"),
            *("tsdb", "create-blocks-from", "openmetrics"),
            *(home / "samples", home / "data"),
        ],
        check=True,
        capture_output=True,
    )
    url = f"http://127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [
            require_tool("prometheus"),
            f"--config.file={home}/prometheus.yml",
            f"--storage.tsdb.path={home}/data",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address={urlsplit(url).netloc}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _await_ready(url)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)


def _await_ready(url: str) -> None:
    until = monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"{url}/-/ready") as answer:
                if answer.status == 200:
                    return
        except OSError:
            if monotonic() > until:
                raise


# as of the minute after the samples were taken
AT = " @ 1795338000"


def source(url: str, **queries: Any) -> dict[str, Any]:
    return {"prometheus": {"url": url, **queries}}


WATERMARK = f"min(ingest_watermark_seconds{AT})"


async def test_samples_become_an_observation(prometheus: str) -> None:
    assert await read(
        source(
            prometheus,
            status=f"ingest_healthy{AT}",
            version={"query": f"ingest_build_info{AT}", "label": "version"},
            watermark=WATERMARK,
            updated_at=f"max(ingest_watermark_milliseconds{AT}) / 1000 + 60",
            built_from={
                "crawler": {"query": f"rollout_build_info{{replica='b'}}{AT}", "label": "version"},
                "nobody": {"query": "not_there", "label": "version"},
            },
            rows=f"ingest_rows{AT}",
        )
    ) == Observation(
        healthy=True,
        version="7.2",
        watermark=NOW - 3600,
        updated_at=NOW - 3540,
        built_from={"crawler": "7.3"},
        rows=12034.0,
    )


async def test_milliseconds_are_read_where_declared(prometheus: str) -> None:
    query = f"ingest_watermark_milliseconds{AT}"
    assert (await read(source(prometheus, time="ms", watermark=query))).watermark == NOW - 3600
    reason, message = await failure(source(prometheus, watermark=query))
    assert (reason, message) == (
        "bad_time",
        f"{prometheus}/api/v1/query: watermark is 1795334400000.0, which in seconds is after the"
        " year 9999; it looks like milliseconds: write `time: ms`",
    )


async def test_a_scalar_is_a_number_too(prometheus: str) -> None:
    found = await read(source(prometheus, watermark="scalar(vector(1795334400))"))
    assert found.watermark == NOW - 3600


async def test_status_zero_is_unhealthy_and_nan_is_unknown(prometheus: str) -> None:
    found = await read(source(prometheus, watermark=WATERMARK, status=f"ingest_healthy{AT} * 0"))
    assert found.healthy is False
    found = await read(
        source(
            prometheus, watermark=WATERMARK, status=f"nothing_known{AT}", rows=f"nothing_known{AT}"
        )
    )
    assert (found.healthy, found.rows) == (None, None)


@pytest.mark.parametrize(
    ("queries", "reason", "message"),
    [
        (
            {"watermark": "not_there", "version": {"query": "not_there", "label": "v"}},
            "no_data",
            "no query found a series (version, watermark)",
        ),
        (
            {"watermark": f"ingest_watermark_seconds{AT}"},
            "ambiguous",
            "watermark: the query finds 2 series; aggregate, e.g. min(...)",
        ),
        (
            {"version": {"query": f"rollout_build_info{AT}", "label": "version"}},
            "ambiguous",
            "version: the query finds 2 series with 2 values of version; select one, e.g."
            " topk(1, ...)",
        ),
        (
            {
                "watermark": WATERMARK,
                "built_from": {"crawler": {"query": f"ingest_rows{AT}", "label": "version"}},
            },
            "bad_contract",
            'built_from.crawler: the series has no label version; it has "__name__"',
        ),
        (
            {"watermark": f"ingest_rows[5m]{AT}"},
            "bad_contract",
            'watermark: the query gives "matrix"; write one that gives an instant vector',
        ),
        (
            {"watermark": '"text"'},
            "bad_contract",
            'watermark: the query gives "string"; write one that gives an instant vector',
        ),
        (
            {"watermark": f"ingest_rows{AT} / 0"},
            "bad_time",
            "watermark is inf, not a time; write RFC 3339 with zone, e.g. 2026-11-22T09:00:00Z or"
            " seconds since 1970",
        ),
    ],
)
async def test_a_query_that_gives_no_value_says_why(
    prometheus: str, queries: dict[str, Any], reason: str, message: str
) -> None:
    assert await failure(source(prometheus, **queries)) == (
        reason,
        f"{prometheus}/api/v1/query: {message}",
    )


async def test_a_query_that_is_none_is_refused_in_the_words_of_the_server(prometheus: str) -> None:
    reason, text = await failure(source(prometheus, watermark="min(("))
    assert reason == "query"
    assert text.startswith(f"{prometheus}/api/v1/query: watermark: the server refused the query: ")
    assert "parse error" in text


def answers(result: Any, kind: str = "vector") -> Answer:
    return says({"status": "success", "data": {"resultType": kind, "result": result}})


OTHER = "{url}: watermark: this is no answer of the Prometheus query API; check the url"
NO_VALUE = "{url}: watermark: a series without float value in the answer"


def refuses(status: str, error: str) -> Answer:
    return says({"status": "error", "errorType": "e", "error": error}, status=status)


@pytest.mark.parametrize(
    ("answer", "reason", "message"),
    [
        (sends(then=HANG), "timeout", None),
        (page(b"<html>Sign in</html>"), "not_json", None),
        (says({"status": "ok"}), "bad_contract", OTHER),
        (says([]), "bad_contract", OTHER),
        (says({"status": "error", "data": {}}), "bad_contract", OTHER),
        (answers([{"metric": {}, "value": [1]}]), "bad_contract", NO_VALUE),
        (answers([{"metric": {}, "histogram": [1, {}]}]), "bad_contract", NO_VALUE),
        (answers(None), "bad_contract", NO_VALUE),
        (answers(7), "bad_contract", NO_VALUE),
        (answers([7]), "bad_contract", NO_VALUE),
        (answers(7, "scalar"), "bad_contract", NO_VALUE),
        (
            answers([{"metric": {}, "value": [1, "soon"]}]),
            "bad_contract",
            '{url}: watermark: the sample is "soon", not a number',
        ),
        (
            answers([{"metric": {}, "value": [1, None]}]),
            "bad_contract",
            "{url}: watermark: the sample is null, not a number",
        ),
        (
            answers([], "matrix"),
            "bad_contract",
            '{url}: watermark: the query gives "matrix"; write one that gives an instant vector',
        ),
        (answers([]), "no_data", "{url}: no query found a series (watermark)"),
        (refuses("422 No", "x" * 5000), "query", None),
        (refuses("503 No", "query timed out"), "overloaded", "{url} answered 503: query timed out"),
        (page(b"", status="404 Not Found"), "bad_status", "{url} answered 404"),
        (page(b"", status="401 No"), "unauthorized", "{url} answered 401"),
    ],
)
async def test_a_server_that_only_looks_like_prometheus(
    answer: Answer, reason: str, message: str | None
) -> None:
    timeout = 0.3 if reason == "timeout" else 20.0
    async with Hostile(answer) as server:
        found, text = await failure(source(server.url, watermark="up"), timeout=timeout)
        assert (found, len(text) < 400) == (reason, True)
        if message is not None:
            assert text == message.format(url=f"{server.url}/api/v1/query")


async def test_all_fields_are_asked_at_the_same_time_and_the_server_knows_our_patience() -> None:
    asked = asyncio.Event()
    queries: list[dict[str, list[str]]] = []
    body = answers([{"metric": {"v": "a"}, "value": [1, "1795334400"]}])

    async def answer(writer: asyncio.StreamWriter, request: Any) -> None:
        queries.append(parse_qs(urlsplit(request.target).query))
        if len(queries) == 3:
            asked.set()
        await asked.wait()  # a reader that asks one by one would never get past the first
        await body(writer, request)

    async with Hostile(answer) as server:
        found = await read(
            source(
                f"{server.url}/base",
                watermark="a + b",
                updated_at='{x="&=#"}',
                version={"query": "c", "label": "v"},
            ),
            timeout=4.0,
        )
        assert {request.method for request in server.requests} == {"GET"}
        assert all(r.target.startswith("/base/api/v1/query?") for r in server.requests)
    assert found.version == "a"
    assert sorted(query["query"] for query in queries) == [["a + b"], ["c"], ['{x="&=#"}']]
    assert {query["timeout"][0] for query in queries} == {"4000ms"}


def test_a_source_that_asks_nothing_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        SourceSection.model_validate(source("http://p:9090", rows="up"))
    assert [error["msg"] for error in caught.value.errors()] == [
        "Value error, give a query for at least one of version, watermark, updated_at"
    ]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)
SERIES = JSON | st.fixed_dictionaries(
    {
        "metric": JSON | st.dictionaries(st.just("v") | st.text(max_size=2), JSON, max_size=2),
        "value": JSON | st.tuples(JSON, JSON).map(list),
    }
)
ANSWERS = JSON | st.fixed_dictionaries(
    {
        "status": st.just("success"),
        "data": st.fixed_dictionaries(
            {
                "resultType": st.sampled_from(["vector", "scalar", "matrix"]),
                "result": JSON | st.lists(SERIES, max_size=2),
            }
        ),
    }
)


@settings(max_examples=300, deadline=None)
@given(ANSWERS, st.sampled_from([None, "v"]))
def test_any_json_is_a_value_or_a_reason(document: Any, label: str | None) -> None:
    try:
        found = sample(document, label, where="here")
    except ReadError as error:
        message = str(error)
        assert message.startswith("here: ")
        assert message.isprintable()
    else:
        assert found is None or isinstance(found, float if label is None else str)
