"""The V2 client makes the tensors that servers take, and labels out of what they give.

The server below answers as MLServer 1.7 was recorded to: ids echoed, 404 with an ``error``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hostile import Hostile, page
from seamwatch.config.models import ModelSection, TensorSection
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Fetcher
from seamwatch.models.open_inference import OpenInferenceClient
from seamwatch.models.tensor import Tensor, flat
from seamwatch.pipeline import Answer, GoldenItem

WINES = ["barolo", "grignolino", "barbera"]
ITEM = GoldenItem("w-1", [14.23, 1.71, 2.43], "barolo")


@dataclass
class V2Server:
    """One model named wine; *outputs* is what it answers."""

    outputs: Any = field(default_factory=list)
    version: str | None = "v1.2.0"
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    async def infer(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        body = orjson.loads(await request.read())
        self.asked.append(body)
        if (refused := self._unknown(request)) is not None:
            return refused
        document = {"model_name": "wine", "id": body["id"], "parameters": {}}
        if self.version is not None:
            document["model_version"] = self.version
        return web.json_response({**document, "outputs": self.outputs})

    async def metadata(self, request: web.Request) -> web.Response:
        if (refused := self._unknown(request)) is not None:
            return refused
        return web.json_response(
            {"name": "wine", "versions": [], "platform": "", "inputs": [], "outputs": []}
        )

    def _unknown(self, request: web.Request) -> web.Response | None:
        name, version = request.match_info["name"], request.match_info.get("version")
        if name != "wine":
            return web.json_response({"error": f"Model {name} not found"}, status=404)
        if version not in (None, self.version):
            error = f"Model {name} with version {version} not found"
            return web.json_response({"error": error}, status=404)
        return None


@asynccontextmanager
async def v2(*outputs: dict[str, Any], version: str | None = "v1.2.0") -> AsyncIterator[V2Server]:
    server = V2Server(list(outputs), version)
    app = web.Application()
    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        app.router.add_post(f"{path}/infer", server.infer)
        app.router.add_get(path, server.metadata)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


def client(fetcher: Fetcher, url: str, **settings: Any) -> OpenInferenceClient:
    given = {
        "url": url,
        "model": "wine",
        "inputs": [{"name": "x", "datatype": "FP64"}],
        "answer": "predict",
    }
    section = ModelSection.model_validate({"open_inference": given | settings}).open_inference
    assert section is not None
    return OpenInferenceClient(section, fetcher)


async def answered(fetcher: Fetcher, *outputs: dict[str, Any], **settings: Any) -> Answer:
    async with v2(*outputs) as server:
        return await client(fetcher, server.url, **settings).ask(ITEM, timeout=5)


def output(name: str, datatype: str, data: Any, shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [1, len(data)], "data": data}


async def test_a_question_has_the_recorded_form(fetcher: Fetcher) -> None:
    async with v2(output("predict", "INT64", [0])) as server:
        model = client(
            fetcher,
            server.url,
            score="predict_proba",
            parameters={"trace": False},
            inputs=[
                {"name": "x", "datatype": "FP64"},
                {
                    "name": "id",
                    "datatype": "BYTES",
                    "value": "wine {{ id }}",
                    "parameters": {"content_type": "str"},
                },
            ],
        )
        answer = await model.ask(ITEM, timeout=5)
        asked = server.asked[0]
        assert server.headers[0]["x-seamwatch-probe"] == "1"
        assert server.paths == ["/v2/models/wine/infer"]
    assert asked.pop("id").startswith("seamwatch-")
    assert asked == {
        "inputs": [
            {"name": "x", "datatype": "FP64", "shape": [1, 3], "data": [14.23, 1.71, 2.43]},
            {
                "name": "id",
                "datatype": "BYTES",
                "shape": [1],
                "data": ["wine w-1"],
                "parameters": {"content_type": "str"},
            },
        ],
        "outputs": [{"name": "predict"}, {"name": "predict_proba"}],
        "parameters": {"trace": False},
    }
    assert (answer.value, answer.answered_by) == (0, "v1.2.0")


async def test_no_two_requests_have_the_same_id(fetcher: Fetcher) -> None:
    async with v2(output("predict", "INT64", [0])) as server:
        for _ in range(2):  # a client of a restarted exporter, too
            model = client(fetcher, server.url)
            for _ in range(3):
                await model.ask(ITEM, timeout=5)
        ids = [asked["id"] for asked in server.asked]
    assert len(set(ids)) == 6


async def test_a_version_is_asked_for_by_its_path(fetcher: Fetcher) -> None:
    async with v2(output("predict", "INT64", [0])) as server:
        model = client(fetcher, server.url, version="v1.2.0")
        assert (await model.ask(ITEM, timeout=5)).failure is None
        other = await client(fetcher, server.url, version="a/b?").ask(ITEM, timeout=5)
        assert server.paths[0] == "/v2/models/wine/versions/v1.2.0/infer"
    assert model.version == "v1.2.0"
    assert other.failure is not None
    assert other.failure.message.endswith(
        "/v2/models/wine/versions/a%2Fb%3F/infer answered 404:"
        " Model wine with version a/b? not found"
    )


@pytest.mark.parametrize(
    ("tensor", "labels", "value"),
    [
        (output("predict", "BYTES", ["Paris"], [1]), None, "Paris"),
        (output("predict", "BYTES", ["a", "b"]), None, ["a", "b"]),
        (output("predict", "BYTES", ["Paris"], [1]), WINES, "Paris"),
        (output("predict", "INT64", [2]), WINES, "barbera"),
        (output("predict", "INT64", [2]), None, 2),
        (output("predict", "INT64", [0, 2], [2]), WINES, ["barolo", "barbera"]),
        (output("predict", "FP32", [1.0]), WINES, "grignolino"),
        (output("predict", "FP32", [0.2, 0.1, 0.7]), WINES, "barbera"),
        (output("predict", "FP64", [[0.2, 0.7, 0.1]]), WINES, "grignolino"),
        (output("predict", "BOOL", [True, False, True]), WINES, ["barolo", "barbera"]),
        (output("predict", "FP64", [17.25]), None, 17.25),
        (output("predict", "FP64", [[1.5, 2.5]]), None, [1.5, 2.5]),
        (output("predict", "BOOL", [False]), None, False),
        (output("predict", "INT64", [3]), WINES, None),
        (output("predict", "INT64", [-1]), WINES, None),
        (output("predict", "FP32", [0.5]), WINES, None),
        (output("predict", "FP32", [0.5, None, 0.5]), WINES, None),
        (output("predict", "INT64", ["2"]), WINES, None),
        (output("predict", "INT64", []), WINES, None),
        (output("predict", "INT64", [[1, 2], [3]]), None, None),
        ({"name": "predict", "data": {"a": 1}}, None, None),
        ({"name": "predict"}, None, None),
        (output("other", "INT64", [1]), None, None),
    ],
)
async def test_the_output_tensor_becomes_the_answer_or_nothing(
    fetcher: Fetcher, tensor: dict[str, Any], labels: list[str] | None, value: Any
) -> None:
    answer = await answered(fetcher, tensor, labels=labels)
    assert answer.failure is None
    assert answer.value == value
    assert type(answer.value) is type(value)


@pytest.mark.parametrize(
    ("data", "labels", "score", "scores"),
    [
        ([0.2, 0.7, 0.1], WINES, 0.7, dict(zip(WINES, [0.2, 0.7, 0.1], strict=True))),
        ([[0.2, 0.7, 0.1]], None, 0.7, None),
        ([0.9], WINES, 0.9, None),
        ([0.2, None, 0.1], WINES, None, None),
        (["0.9"], None, None, None),
        ([], None, None, None),
    ],
)
async def test_the_score_is_the_highest_probability(
    fetcher: Fetcher, data: Any, labels: list[str] | None, score: Any, scores: Any
) -> None:
    predict, probabilities = output("predict", "INT64", [1]), output("proba", "FP64", data)
    answer = await answered(fetcher, predict, probabilities, score="proba", labels=labels)
    assert (answer.score, answer.scores) == (score, scores)


async def test_one_tensor_may_be_both_answer_and_score(fetcher: Fetcher) -> None:
    tensor = output("proba", "FP64", [0.2, 0.7, 0.1])
    async with v2(tensor) as server:
        model = client(fetcher, server.url, answer="proba", score="proba", labels=WINES)
        answer = await model.ask(ITEM, timeout=5)
        assert server.asked[0]["outputs"] == [{"name": "proba"}]
    assert (answer.value, answer.score) == ("grignolino", 0.7)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"outputs": 3}', b'{"outputs": [1, {}]}', b"<html>"]
)
async def test_rubbish_with_a_2xx_is_an_answer_without_a_value(
    fetcher: Fetcher, body: bytes
) -> None:
    async with Hostile(page(body)) as server:
        answer = await client(fetcher, server.url).ask(ITEM, timeout=5)
    assert (answer.value, answer.failure) == (None, None)


async def test_a_model_that_is_not_loaded_is_a_failure_with_the_servers_words(
    fetcher: Fetcher,
) -> None:
    async with v2() as server:
        answer = await client(fetcher, server.url, model="faq").ask(ITEM, timeout=5)
    assert answer.failure is not None
    assert answer.failure.reason is Reason.BAD_STATUS
    assert answer.failure.message == (
        f"{server.url}/v2/models/faq/infer answered 404: Model faq not found"
    )


async def test_metadata_is_what_the_server_says_of_the_model(fetcher: Fetcher) -> None:
    async with v2() as server:
        found = await client(fetcher, server.url).metadata(timeout=5)
        assert found["name"] == "wine"
        with pytest.raises(ReadError, match="answered 404: Model faq not found"):
            await client(fetcher, server.url, model="faq").metadata(timeout=5)
    async with Hostile(page(b"[]")) as rubbish:
        with pytest.raises(ReadError, match="the metadata is not a JSON mapping") as caught:
            await client(fetcher, rubbish.url).metadata(timeout=5)
    assert caught.value.reason is Reason.NOT_JSON


def tensor(datatype: str, shape: list[int] | None = None) -> Tensor:
    section = {"name": "x", "datatype": datatype, "shape": shape}
    return Tensor(TensorSection.model_validate(section))


@pytest.mark.parametrize(
    ("datatype", "shape", "value", "sent", "data"),
    [
        ("FP64", None, 1.5, [1], [1.5]),
        ("FP64", None, [1, 2.5], [1, 2], [1, 2.5]),
        ("FP32", None, [[1, 2], [3, 4], [5, 6]], [3, 2], [1, 2, 3, 4, 5, 6]),
        ("FP32", [2, 3], [1, 2, 3, 4, 5, 6], [2, 3], [1, 2, 3, 4, 5, 6]),
        ("FP32", [-1, 2], [1, 2, 3, 4], [2, 2], [1, 2, 3, 4]),
        ("INT64", [1, 1, 1], 7.0, [1, 1, 1], [7]),
        ("BYTES", None, "text", [1], ["text"]),
        ("BYTES", None, ["a", 1, None], [1, 3], ["a", "1", "null"]),
        ("BOOL", None, [True, False], [1, 2], [True, False]),
        ("UINT8", None, 255, [1], [255]),
    ],
)
def test_values_fill_a_tensor(
    datatype: str, shape: list[int] | None, value: Any, sent: list[int], data: list[Any]
) -> None:
    made = tensor(datatype, shape).filled(GoldenItem("a", value, None))
    assert (made["shape"], made["data"]) == (sent, data)


@pytest.mark.parametrize(
    ("datatype", "shape", "value", "says"),
    [
        ("FP64", None, "abc", "(FP64) has abc, which is not a number"),
        ("FP64", None, [1, None], "has null, which is not a number"),
        ("FP64", None, True, "has true, which is not a number"),
        ("FP64", None, float("nan"), "which is not a number"),
        ("INT64", None, 1.5, "(INT64) has 1.5, which is not a whole number"),
        ("UINT8", None, -1, "has -1, which is below 0"),
        ("BOOL", None, 1, "has 1, which is neither true nor false"),
        ("FP64", None, [], "is empty, ragged or nested too deeply"),
        ("FP64", None, [[1, 2], [3]], "is empty, ragged or nested too deeply"),
        ("FP64", None, [1, [2]], "is empty, ragged or nested too deeply"),
        ("FP64", None, {"a": 1}, "is empty, ragged or nested too deeply"),
        ("FP64", [2, 2], [1, 2, 3], "has 3 element(s), which do not fill shape [2, 2]"),
        ("FP64", [-1, 2], [1, 2, 3], "has 3 element(s), which do not fill shape [-1, 2]"),
    ],
)
def test_a_value_that_does_not_fit_names_the_item_and_the_tensor(
    datatype: str, shape: list[int] | None, value: Any, says: str
) -> None:
    with pytest.raises(ReadError, match=r"^golden item 'a': the value for tensor 'x'") as caught:
        tensor(datatype, shape).filled(GoldenItem("a", value, None))
    assert says in str(caught.value)


@given(
    st.recursive(
        st.floats(-9, 9) | st.none() | st.text(max_size=2),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=12,
    )
)
def test_any_nested_value_makes_a_tensor_that_its_shape_describes_or_is_refused(
    value: Any,
) -> None:
    try:
        made = tensor("FP64").filled(GoldenItem("a", value, None))
    except ReadError:
        return
    size = 1
    for length in made["shape"]:
        size *= length
    assert size == len(made["data"]) > 0
    assert flat(made["data"]) == made["data"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": "http://server/v2"}, "url is the server's base address; leave out /v2"),
        ({"url": "http://server/v2/models/wine/infer"}, "leave out /v2 and what follows"),
        ({"inputs": []}, "at least 1 item"),
        ({"inputs": [{"name": "x", "datatype": "FP64", "value": "?"}]}, "sends nothing of the"),
        ({"inputs": [{"name": "x", "datatype": "FP64", "shape": [0]}]}, "shape [0] is none; write"),
        ({"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, -1]}]}, "at most one -1"),
        ({"inputs": [{"name": "x", "datatype": "FLOAT"}]}, "datatype"),
    ],
)
def test_settings_that_could_never_work_are_refused(settings: Any, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        client(Fetcher(), **({"url": "http://server"} | settings))
    assert says in str(caught.value)


async def test_the_answer_before_the_threshold_is_a_tensor_of_its_own(fetcher: Fetcher) -> None:
    outputs = [output("predict", "BYTES", ["declined"]), output("raw", "INT64", [2])]
    async with v2(*outputs) as server:
        model = client(fetcher, server.url, candidate="raw", labels=WINES)
        answer = await model.ask(ITEM, timeout=5)
        asked = server.asked[0]["outputs"]
    assert (answer.value, answer.candidate) == ("declined", "barbera")
    assert asked == [{"name": "predict"}, {"name": "raw"}]


async def test_a_response_without_the_tensor_is_told_once_with_the_names_it_has(
    fetcher: Fetcher, caplog: pytest.LogCaptureFixture
) -> None:
    async with v2(output("label", "BYTES", ["private"])) as server:
        model = client(fetcher, server.url)
        for _ in range(3):
            await model.ask(ITEM, timeout=5)
    (told,) = caplog.messages
    assert "has nothing in the output tensor 'predict'; it has 'label'" in told
    assert "private" not in told
