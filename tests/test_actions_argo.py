"""CronWorkflows are suspended and resumed through the Argo server, as its swagger has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts_argo import Argo
from contracts_serving import order, served
from seamwatch.actions import Target, build
from seamwatch.config.actions import ActionSection
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Fetcher, Rejected

CRONS: dict[str, dict[str, Any]] = {
    "ml/index": {"schedule": "0 * * * *"},
    "ml/report": {"schedule": "0 0 * * *", "suspend": True},
}


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


def target(fetcher: Fetcher, url: str, names: tuple[str, ...] = ("index", "report")) -> Target:
    given = {
        "url": url,
        "namespace": "ml",
        "cron_workflows": list(names),
        "bearer_token": "sa-token-of-argo",
    }
    return build(ActionSection.model_validate({"argo_workflows": given}), fetcher)


def argo() -> Argo:
    return Argo(crons={name: dict(spec) for name, spec in CRONS.items()})


def suspended(server: Argo) -> list[bool]:
    return [spec.get("suspend", False) for spec in server.crons.values()]


async def test_what_was_suspended_before_the_halt_stays_so_when_it_ends(fetcher: Fetcher) -> None:
    async with served(server := argo()):
        workflows = target(fetcher, server.url)
        memory = await workflows.look(order("halted"))
        assert memory == {"suspended": {"index": False, "report": True}}
        halt = order("halted", memory)
        assert await workflows.stands(halt) is False
        for _ in range(2):
            await workflows.apply(halt)
            assert suspended(server) == [True, True]
            assert await workflows.stands(halt) is True
        server.crons["ml/index"]["suspend"] = False  # somebody resumes it
        assert await workflows.stands(halt) is False
        await workflows.apply(halt)
        assert await workflows.look(halt) == memory
        resume = order("running", memory)
        assert await workflows.stands(resume) is False
        for _ in range(2):
            await workflows.apply(resume)
            assert suspended(server) == [False, True]
            assert await workflows.stands(resume) is True


async def test_an_unknown_one_is_named_and_the_others_are_suspended(fetcher: Fetcher) -> None:
    async with served(server := argo()):
        workflows = target(fetcher, server.url, ("gone", "index"))
        said = "1 of 2 failed: there is no CronWorkflow 'gone' in namespace 'ml'"
        with pytest.raises(Rejected, match=said) as caught:
            await workflows.apply(order("halted"))
        assert caught.value.status == 404
    assert suspended(server) == [True, True]


async def test_a_token_that_is_refused_is_named_and_never_shown(fetcher: Fetcher) -> None:
    async with served(server := argo()):
        server.token = "another"
        with pytest.raises(Rejected, match="answered 401: token not valid") as caught:
            await target(fetcher, server.url).look(order("halted"))
    assert caught.value.reason is Reason.UNAUTHORIZED
    assert "sa-token-of-argo" not in str(caught.value)
    assert server.crons == CRONS


async def test_an_answer_without_a_spec_is_not_taken_for_running(fetcher: Fetcher) -> None:
    async with served(server := argo()):
        server.crons["ml/index"] = None  # type: ignore[assignment]
        with pytest.raises(ReadError, match="the answer is no CronWorkflow"):
            await target(fetcher, server.url).look(order("halted"))
        server.crons["ml/index"] = {"suspend": "yes"}
        with pytest.raises(ReadError, match="the answer has no suspend: true or false"):
            await target(fetcher, server.url).look(order("halted"))


async def test_the_requests_are_rendered_without_being_sent(fetcher: Fetcher) -> None:
    workflows = target(fetcher, "https://argo.example:2746")
    assert workflows.render(order("halted")).splitlines() == [
        "PUT https://argo.example:2746/api/v1/cron-workflows/ml/index/suspend"
        ' {"name":"index","namespace":"ml"}',
        "PUT https://argo.example:2746/api/v1/cron-workflows/ml/report/suspend"
        ' {"name":"report","namespace":"ml"}',
    ]
    resumed = workflows.render(order("running", {"suspended": {"index": False, "report": True}}))
    assert resumed == (
        "PUT https://argo.example:2746/api/v1/cron-workflows/ml/index/resume"
        ' {"name":"index","namespace":"ml"}'
    )
    assert workflows.render(order("running")).startswith("nothing")
    await workflows.close()
