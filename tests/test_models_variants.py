"""A variant asks the same question with repairs applied, and nothing else about it changes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hostile import Hostile, Request, says
from seamwatch.config.models import ModelSection
from seamwatch.errors import ReadError, Reason, SeamwatchError
from seamwatch.fetch import Fetcher
from seamwatch.models import build, variant
from seamwatch.pipeline import GoldenItem

ITEM = GoldenItem("q-1", {"question": "Is it in all browsers?", "k": 3}, "limited", slice="css")
V2 = {"inputs": [{"name": "x", "datatype": "BYTES", "value": "{{ input.question }}"}]}


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


def section(url: str, repairs: dict[str, Any], **http: Any) -> ModelSection:
    settings = {"url": url, "json": {"question": "{{ input.question }}", "k": 1}, "answer": "label"}
    named = {name: {"blames": name} | repair for name, repair in repairs.items()}
    return ModelSection.model_validate({"http": settings | http, "repairs": named})


async def sent(fetcher: Fetcher, repairs: dict[str, Any], *applied: str, **http: Any) -> Request:
    """Return what the model was sent with the repairs *applied*."""
    async with Hostile(says({"label": "x"})) as server:
        model = variant(section(server.url, repairs, **http), applied, fetcher)
        answer = await model.ask(ITEM, timeout=5)
        assert answer.failure is None
        return server.requests[0]


async def test_without_repairs_a_variant_asks_what_the_model_is_asked(fetcher: Fetcher) -> None:
    plain = []
    async with Hostile(says({"label": "x"})) as server:
        asked = section(server.url, {"fresh": {"headers": {"Cache-Control": "no-cache"}}})
        for model in (build(asked, fetcher), variant(asked, (), fetcher)):
            await model.ask(ITEM, timeout=5)
        plain = [(r.method, r.target, r.headers, r.body) for r in server.requests]
    assert plain[0] == plain[1]


async def test_headers_replace_those_of_the_same_name_whatever_their_case(
    fetcher: Fetcher,
) -> None:
    request = await sent(
        fetcher,
        {"fresh": {"headers": {"cache-control": "no-cache", "X-Tier": "gold"}}},
        "fresh",
        headers={"Cache-Control": "max-age=60", "X-Tenant": "golden"},
    )
    assert request.headers["cache-control"] == "no-cache"
    assert (request.headers["x-tier"], request.headers["x-tenant"]) == ("gold", "golden")
    assert request.headers["x-seamwatch-probe"] == "1"


async def test_parameters_replace_and_add_fields_at_the_top_of_the_body(fetcher: Fetcher) -> None:
    repairs = {
        "deeper": {"parameters": {"k": 10, "for": "{{ id }}"}},
        "encoder": {"parameters": {"encoder": {"name": "new"}}},
        "unused": {"parameters": {"never": True}},
    }
    request = await sent(fetcher, repairs, "deeper", "encoder")
    assert json.loads(request.body) == {
        "question": "Is it in all browsers?",
        "k": 10,
        "for": "q-1",
        "encoder": {"name": "new"},
    }


async def test_parameters_reach_a_body_that_is_the_whole_input(fetcher: Fetcher) -> None:
    request = await sent(fetcher, {"deep": {"parameters": {"k": 9}}}, "deep", json="{{ input }}")
    assert json.loads(request.body) == {"question": "Is it in all browsers?", "k": 9}


async def test_parameters_for_a_question_that_is_no_mapping_fail_and_name_the_item(
    fetcher: Fetcher,
) -> None:
    async with Hostile(says({"label": "x"})) as server:
        repairs = {"deep": {"parameters": {"k": 9}}}
        asked = section(server.url, repairs, json="{{ input.question }}")
        model = variant(asked, {"deep"}, fetcher)
        with pytest.raises(ReadError, match="'q-1': the question is not a mapping"):
            model.check(ITEM)
        answer = await model.ask(ITEM, timeout=5)
        assert server.requests == []
    assert answer.failure is not None
    assert answer.failure.reason is Reason.BAD_CONTRACT


async def test_parameters_of_a_get_go_into_the_url(fetcher: Fetcher) -> None:
    request = await sent(
        fetcher,
        {"deep": {"parameters": {"k": 9, "fresh": True, "item": "{{ id }}"}}},
        "deep",
        method="GET",
        json=None,
        query={"q": "{{ input.k }}", "k": "1"},
    )
    assert (request.target, request.body) == ("/?q=3&k=9&fresh=true&item=q-1", b"")


async def test_a_post_without_a_body_has_its_parameters_in_the_url(fetcher: Fetcher) -> None:
    repairs = {"deep": {"parameters": {"k": 9}}}
    request = await sent(fetcher, repairs, "deep", json=None, query={"q": "{{ id }}"})
    assert (request.method, request.target, request.body) == ("POST", "/?q=q-1&k=9", b"")


async def test_another_address_is_asked_the_same_and_has_its_own_host(fetcher: Fetcher) -> None:
    async with Hostile(says({"label": "old"})) as live, Hostile(says({"label": "new"})) as shadow:
        repairs = {
            "late": {"url": f"{shadow.url}/shadow"},
            "fresh": {"headers": {"Cache-Control": "no-cache"}},
        }
        asked = section(live.url, repairs, headers={"X-Tenant": "golden"})
        model = variant(asked, {"late", "fresh"}, fetcher)
        answer = await model.ask(ITEM, timeout=5)
        assert live.requests == []
        (request,) = shadow.requests
    assert answer.value == "new"
    assert model.host == shadow.url.removeprefix("http://")
    assert (request.target, request.headers["x-tenant"]) == ("/shadow", "golden")
    assert request.headers["cache-control"] == "no-cache"


async def test_the_best_threshold_changes_nothing_that_is_sent(fetcher: Fetcher) -> None:
    request = await sent(fetcher, {"tuned": {"threshold": "best"}}, "tuned")
    assert json.loads(request.body) == {"question": "Is it in all browsers?", "k": 1}


async def test_a_v2_model_takes_parameters_of_the_request(fetcher: Fetcher) -> None:
    outputs = {"outputs": [{"name": "y", "datatype": "BYTES", "shape": [1], "data": ["new"]}]}
    async with Hostile(says(outputs)) as server:
        model = variant(
            ModelSection.model_validate(
                {
                    "open_inference": V2
                    | {"url": "http://127.0.0.1:9", "model": "m", "answer": "y"}
                    | {"parameters": {"trace": False, "k": 1}},
                    "repairs": {
                        "deep": {"blames": "index", "parameters": {"k": 9}},
                        "late": {"blames": "ingest", "url": server.url, "headers": {"X-Y": "z"}},
                    },
                }
            ),
            {"deep", "late"},
            fetcher,
        )
        answer = await model.ask(ITEM, timeout=5)
        (request,) = server.requests
    assert (answer.value, request.target) == ("new", "/v2/models/m/infer")
    assert json.loads(request.body)["parameters"] == {"trace": False, "k": 9}
    assert request.headers["x-y"] == "z"


async def test_an_unknown_repair_is_named_together_with_the_known_ones(fetcher: Fetcher) -> None:
    asked = section("http://model/", {"fresh": {"headers": {"A": "b"}}})
    with pytest.raises(SeamwatchError, match=r"model\.repairs has no old; it has fresh"):
        variant(asked, {"old"}, fetcher)


async def test_a_header_that_cannot_be_sent_is_found_when_the_variant_is_made(
    fetcher: Fetcher,
) -> None:
    asked = section("http://model/", {"fresh": {"headers": {"A b": "c"}}})
    with pytest.raises(SeamwatchError, match="'A b' is not a header that can be set"):
        variant(asked, {"fresh"}, fetcher)


async def test_a_secret_of_a_repair_is_shown_nowhere(
    fetcher: Fetcher, caplog: pytest.LogCaptureFixture
) -> None:
    async with Hostile(says({"error": "sesame-7 is no key"}, status="401 No")) as server:
        repairs = {"fresh": {"headers": {"X-Api-Key": "sesame-7"}}}
        asked = section(server.url, repairs)
        model = variant(asked, {"fresh"}, fetcher)
        answer = await model.ask(ITEM, timeout=5)
        assert server.requests[0].headers["x-api-key"] == "sesame-7"
    assert answer.failure is not None
    assert "***" in answer.failure.message
    told = f"{answer} {caplog.text} {vars(model)} {asked!r}"
    assert "sesame" not in told


async def test_the_certificate_of_another_host_need_not_carry_the_first_ones_name(
    fetcher: Fetcher,
) -> None:
    repairs = {"late": {"url": "https://other.example/x"}, "near": {"url": "https://here/y"}}
    asked = ModelSection.model_validate(
        {
            "http": {
                "url": "https://here/x",
                "json": "{{ id }}",
                "answer": "a",
                "tls": {"server_name": "inside"},
            },
            "repairs": {name: {"blames": name} | one for name, one in repairs.items()},
        }
    )
    names = [
        variant(asked, {name}, fetcher)._endpoint.server_name  # type: ignore[attr-defined]
        for name in ("late", "near")
    ]
    assert names == [None, "inside"]
