"""A real MLServer unloads its model and loads it again, as the contract of the tests does."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from real import ENVIRONMENTS, call, program, until

from contracts_open_inference import ModelServer
from contracts_serving import order, served
from ports import free_port
from seamwatch.actions import Target, build
from seamwatch.config.actions import ActionSection
from seamwatch.errors import ReadError
from seamwatch.fetch import Fetcher

TRAIN = """
import joblib, numpy
from sklearn.linear_model import LogisticRegression

model = LogisticRegression().fit(numpy.array([[0.0], [1.0]]), [0, 1])
for name in ("wine", "beer"):
    joblib.dump(model, f"{name}/model.joblib")
"""
QUESTION = {
    "id": "1",
    "inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1.0]}],
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlserver")
    port = free_port()
    for name in ("wine", "beer"):
        (folder / name).mkdir()
        parameters = {"uri": "./model.joblib", "version": "v1"}
        settings = {"name": name, "implementation": "mlserver_sklearn.SKLearnModel"}
        text = json.dumps({**settings, "parameters": parameters})
        (folder / name / "model-settings.json").write_text(text)
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    server = {"debug": False, "host": "127.0.0.1", "parallel_workers": 0, **ports}
    (folder / "settings.json").write_text(json.dumps(server))
    python = ENVIRONMENTS / "mlserver" / "bin" / "python"
    subprocess.run([python, "-c", TRAIN], cwd=folder, check=True)
    address = f"http://127.0.0.1:{port}"
    with program("mlserver", "mlserver", "start", ".", folder=folder) as process:
        both = ("wine", "beer")
        until(lambda: all(answers(address, name) == 200 for name in both), process, folder)
        yield address


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


def answers(url: str, model: str) -> int:
    """Return the status that a question to *model* gets."""
    return call("POST", f"{url}/v2/models/{model}/infer", QUESTION)[0]


def target(fetcher: Fetcher, url: str, *models: str) -> Target:
    given = {"url": url, "models": list(models)}
    section = ActionSection.model_validate({"open_inference": given, "timeout": "60s"})
    return build(section, fetcher)


async def test_a_halted_model_answers_nobody_until_the_halt_ends(
    fetcher: Fetcher, url: str
) -> None:
    models = target(fetcher, url, "wine")
    memory = await models.look(order("halted"))
    halt = order("halted", memory)
    assert await models.stands(halt) is False
    for _ in range(2):
        await models.apply(halt)
        assert await models.stands(halt) is True
        assert answers(url, "wine") == 404
    assert answers(url, "beer") == 200
    assert call("GET", f"{url}/v2/health/ready")[0] == 200  # which says nothing of a model
    resume = order("running", memory, generation=8)
    for _ in range(2):
        await models.apply(resume)
        assert await models.stands(resume) is True
        assert answers(url, "wine") == 200


async def test_a_model_that_was_not_ready_before_is_not_loaded(fetcher: Fetcher, url: str) -> None:
    assert call("POST", f"{url}/v2/repository/models/beer/unload")[0] == 200
    models = target(fetcher, url, "wine", "beer")
    memory = await models.look(order("halted"))
    assert memory == {"unloaded": {"wine": False, "beer": True}}
    await models.apply(order("halted", memory))
    assert [answers(url, "wine"), answers(url, "beer")] == [404, 404]
    await models.apply(order("running", memory, generation=8))
    assert [answers(url, "wine"), answers(url, "beer")] == [200, 404]
    assert call("POST", f"{url}/v2/repository/models/beer/load")[0] == 200


async def test_an_unknown_model_is_named(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(ReadError, match="no model 'gin'; there is beer, wine"):
        await target(fetcher, url, "gin").apply(order("halted"))


REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "/v2/repository/index", None),
    ("POST", "/v2/repository/index", None),
    ("POST", "/v2/repository/index", {}),
    ("GET", "/v2/repository/models/wine/load", None),
    ("POST", "/v2/repository/models/gin/load", {}),
    ("POST", "/v2/repository/models/gin/unload", {}),
    ("POST", "/v2/repository/models/wine/unload", {}),
    ("POST", "/v2/repository/models/wine/unload", None),
    ("GET", "/v2/health/ready", None),
    ("POST", "/v2/repository/index", {"ready": False}),
    ("POST", "/v2/repository/models/wine/load", None),
    ("POST", "/v2/repository/models/wine/load", {}),
    ("POST", "/v2/repository/index", {}),
]


async def test_the_contract_that_the_other_tests_hold_is_the_real_one(url: str) -> None:
    contract = ModelServer(models={"beer": "READY", "wine": "READY"})
    async with served(contract):
        recorded = [await asyncio.to_thread(_answer, contract.url, *asked) for asked in REQUESTS]
    real = [await asyncio.to_thread(_answer, url, *asked) for asked in REQUESTS]
    assert recorded == real


def _answer(url: str, method: str, path: str, document: Any) -> tuple[int, Any]:
    status, found = call(method, f"{url}{path}", document)
    if isinstance(found, list):
        found = sorted(found, key=lambda row: str(row["name"]))
    return status, None if status == 422 else found
