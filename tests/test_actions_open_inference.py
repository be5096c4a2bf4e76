"""Models are unloaded and loaded again; the index says how they are, the server's health does not.

The server holds the contract that was recorded from MLServer 1.7.1.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts_open_inference import ModelServer
from contracts_serving import order, served
from seamwatch.actions import Target, build
from seamwatch.config.actions import ActionSection
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Fetcher, Rejected

BEFORE = {"wine": "READY", "beer": "UNAVAILABLE"}


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


def target(fetcher: Fetcher, url: str, *models: str) -> Target:
    given = {"url": url, "models": list(models or BEFORE)}
    return build(ActionSection.model_validate({"open_inference": given}), fetcher)


async def test_what_was_not_ready_before_the_halt_is_not_loaded_when_it_ends(
    fetcher: Fetcher,
) -> None:
    async with served(server := ModelServer(models=dict(BEFORE))):
        models = target(fetcher, server.url)
        memory = await models.look(order("halted"))
        assert memory == {"unloaded": {"wine": False, "beer": True}}
        halt = order("halted", memory)
        assert await models.stands(halt) is False
        for _ in range(2):  # a second unload would be a 404
            await models.apply(halt)
            assert set(server.models.values()) == {"UNAVAILABLE"}
            assert await models.stands(halt) is True
        server.models["wine"] = "READY"  # somebody loads it
        assert await models.stands(halt) is False
        await models.apply(halt)
        assert await models.look(halt) == memory
        resume = order("running", memory)
        assert await models.stands(resume) is False
        for _ in range(2):
            await models.apply(resume)
            assert server.models == BEFORE
            assert await models.stands(resume) is True
    loads = [request for request in server.asked if request.endswith("/load")]
    assert loads == ["POST /v2/repository/models/wine/load"]  # a second load is a restart


@pytest.mark.parametrize("state", ["READY", "LOADING", "UNLOADING", "UNKNOWN"])
async def test_a_model_may_still_answer_until_every_version_is_unavailable(
    fetcher: Fetcher, state: str
) -> None:
    server = ModelServer(models={"wine": "UNAVAILABLE"})
    server.older = [{"name": "wine", "version": "v0", "state": state, "reason": ""}]
    async with served(server):
        assert await target(fetcher, server.url, "wine").stands(order("halted")) is False
        server.older = [{"name": "wine"}]  # Triton, of a model that was never loaded
        assert await target(fetcher, server.url, "wine").stands(order("halted")) is True


async def test_a_model_that_is_still_loading_does_not_run_yet(fetcher: Fetcher) -> None:
    memory = {"unloaded": {"wine": False}}
    async with served(server := ModelServer(models={"wine": "LOADING"})):
        assert await target(fetcher, server.url, "wine").stands(order("running", memory)) is False


async def test_an_unknown_model_is_named_with_those_that_there_are(fetcher: Fetcher) -> None:
    async with served(server := ModelServer(models=dict(BEFORE))):
        models = target(fetcher, server.url, "wine", "gin")
        for do in (models.look, models.apply, models.stands):
            with pytest.raises(ReadError, match="no model 'gin'; there is beer, wine") as caught:
                await do(order("halted"))
            assert caught.value.reason is Reason.NO_DATA


async def test_a_refused_unload_is_told_and_the_others_are_unloaded(fetcher: Fetcher) -> None:
    server = ModelServer(models={"wine": "READY", "beer": "READY"})
    server.fails["/v2/repository/models/wine/unload"] = (400, {})
    async with served(server):
        with pytest.raises(Rejected, match=r"1 of 2 failed: .*/wine/unload answered 400"):
            await target(fetcher, server.url).apply(order("halted"))
    assert server.models["beer"] == "UNAVAILABLE"


async def test_an_index_that_is_no_list_is_not_taken_for_halted(fetcher: Fetcher) -> None:
    async with served(server := ModelServer()):
        server.older = [1]  # type: ignore[list-item]
        with pytest.raises(ReadError, match="the answer is not a list of models"):
            await target(fetcher, server.url).stands(order("halted"))


async def test_nothing_is_asked_when_nothing_is_to_be_loaded(fetcher: Fetcher) -> None:
    async with served(server := ModelServer(models=dict(BEFORE))):
        models = target(fetcher, server.url)
        resume: Any = order("running")
        await models.apply(resume)
        assert await models.stands(resume) is True
        assert server.asked == []
        assert models.render(resume).startswith("nothing")
        assert models.render(order("halted")).splitlines() == [
            f"POST {server.url}/v2/repository/models/wine/unload {{}}",
            f"POST {server.url}/v2/repository/models/beer/unload {{}}",
        ]
        await models.close()
