"""The http client asks as the template says, and tells rubbish answers from failures."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from typing import Any, get_args

import pytest

from hostile import HANG, RESET, Hostile, gzip_bomb, page, says, sends
from seamwatch.config.models import ModelSection
from seamwatch.config.reach import HttpTarget
from seamwatch.errors import ReadError, Reason, SeamwatchError
from seamwatch.fetch import Fetcher
from seamwatch.models import PROTOCOLS, ModelClient, build
from seamwatch.pipeline import Answer, GoldenItem

ITEM = GoldenItem("q-1", {"question": "Is it in all browsers?", "k": 3}, "limited", slice="css")


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


def client(fetcher: Fetcher, url: str, **http: Any) -> ModelClient:
    settings = {"url": url, "json": {"question": "{{ input.question }}"}, "answer": "label"}
    return build(ModelSection.model_validate({"http": settings | http}), fetcher)


async def asked(fetcher: Fetcher, told: Any, /, *, timeout: float = 5.0, **http: Any) -> Answer:
    async with Hostile(told) as server:
        return await client(fetcher, server.url, **http).ask(ITEM, timeout=timeout)


def test_every_protocol_of_the_configuration_has_a_client() -> None:
    kinds = {
        name
        for name, field in ModelSection.model_fields.items()
        if any(
            isinstance(kind, type) and issubclass(kind, HttpTarget)
            for kind in get_args(field.annotation)
        )
    }
    assert set(PROTOCOLS) == kinds


async def test_the_question_is_what_the_template_makes_of_the_item(fetcher: Fetcher) -> None:
    async with Hostile(says({"label": "limited"})) as server:
        model = client(
            fetcher,
            f"{server.url}/answer",
            json={"q": "{{ input.question }}", "k": "{{ input.k }}", "for": "{{ slice }}/{{ id }}"},
            query={"mode": "eval", "item": "{{ id }}"},
            headers={"X-Tenant": "golden"},
        )
        answer = await model.ask(ITEM, timeout=5)
        sent = server.requests[0]
    assert (sent.method, sent.target) == ("POST", "/answer?mode=eval&item=q-1")
    assert json.loads(sent.body) == {"q": "Is it in all browsers?", "k": 3, "for": "css/q-1"}
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["x-tenant"] == "golden"
    assert (answer.value, answer.failure) == ("limited", None)
    assert answer.duration > 0
    assert model.host == server.url.removeprefix("http://")


async def test_a_probe_says_that_it_is_one(fetcher: Fetcher) -> None:
    async with Hostile(says({"label": "x"})) as server:
        await client(fetcher, server.url).ask(ITEM, timeout=5)
        headers = server.requests[0].headers
    assert headers["x-seamwatch-probe"] == "1"
    assert headers["user-agent"].startswith("seamwatch/")


async def test_a_configured_header_wins_over_ours(fetcher: Fetcher) -> None:
    async with Hostile(says({"label": "x"})) as server:
        own = {"user-agent": "golden/1", "Content-Type": "application/vnd.model+json"}
        await client(fetcher, server.url, headers=own).ask(ITEM, timeout=5)
        headers = server.requests[0].headers
    assert headers["user-agent"] == "golden/1"
    assert headers["content-type"] == "application/vnd.model+json"


async def test_a_get_asks_by_its_query(fetcher: Fetcher) -> None:
    async with Hostile(says({"label": "x"})) as server:
        model = client(
            fetcher, server.url, method="GET", json=None, query={"q": "{{ input.question }}&"}
        )
        await model.ask(ITEM, timeout=5)
        sent = server.requests[0]
    assert (sent.method, sent.target, sent.body) == ("GET", "/?q=Is+it+in+all+browsers?%26", b"")


async def test_everything_that_an_answer_may_tell_is_read(fetcher: Fetcher) -> None:
    document = {
        "result": {"label": ["a", "b"], "confidence": 0.75},
        "all": {"a": 0.75, "b": 1},
        "before": {"threshold": "c"},
        "meta": {"version": 3},
        "declined": True,
    }
    answer = await asked(
        fetcher,
        says(document),
        answer="result.label",
        score="result.confidence",
        scores="all",
        candidate="before.threshold",
        answered_by="meta.version",
        refused="declined",
    )
    assert answer.value == ["a", "b"]
    assert (answer.score, answer.scores) == (0.75, {"a": 0.75, "b": 1.0})
    assert (answer.answered_by, answer.refused) == ("3", True)
    assert answer.candidate == "c"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b'{"other": 1}',
        b'{"label": null}',
        b'{"label": NaN}',
        b'{"label": "cut',
        b"[]",
        b"42",
        b"\xff\xfe{}",
        b"[" * 100_000,
    ],
)
async def test_rubbish_with_a_2xx_is_an_answer_without_a_value(
    fetcher: Fetcher, body: bytes
) -> None:
    answer = await asked(fetcher, page(body))
    assert (answer.value, answer.failure, answer.refused) == (None, None, False)


@pytest.mark.parametrize("score", ["0.9", True, None, [0.9], {"a": 1}])
async def test_a_score_that_is_no_finite_number_is_unknown(fetcher: Fetcher, score: Any) -> None:
    document = {"label": "x", "score": score, "all": {"a": 0.5, "b": score}}
    answer = await asked(fetcher, says(document), score="score", scores="all")
    assert (answer.value, answer.score, answer.scores) == ("x", None, None)


async def test_an_infinite_score_is_unknown(fetcher: Fetcher) -> None:
    answer = await asked(fetcher, page(b'{"label": "x", "score": 1e999}'), score="score")
    assert answer.score is None or math.isfinite(answer.score)


@pytest.mark.parametrize(
    ("claim", "refused"),
    [
        (True, True),
        (False, False),
        (None, False),
        ("I cannot help", True),
        ("", False),
        ("false", False),
        (0, False),
        (1, True),
    ],
)
async def test_a_refusal_is_a_claim_of_the_model(
    fetcher: Fetcher, claim: Any, refused: bool
) -> None:
    answer = await asked(fetcher, says({"label": None, "declined": claim}), refused="declined")
    assert answer.refused is refused


@pytest.mark.parametrize(
    ("version", "known"),
    [("m-1", "m-1"), (7, "7"), (1.5, "1.5"), (True, None), ([], None), ("", None)],
)
async def test_who_answered_is_text_or_unknown(
    fetcher: Fetcher, version: Any, known: str | None
) -> None:
    answer = await asked(fetcher, says({"label": "x", "by": version}), answered_by="by")
    assert answer.answered_by == known


async def test_a_version_as_long_as_a_book_is_cut(fetcher: Fetcher) -> None:
    answer = await asked(fetcher, says({"label": "x", "by": "v" * 9999}), answered_by="by")
    assert len(answer.answered_by or "") == 128


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (says({"error": "no"}, status="500 Oh"), Reason.BAD_STATUS),
        (says({"error": "slow"}, status="429 Slow", headers="Retry-After: 9"), Reason.OVERLOADED),
        (page(b"", status="503 Busy"), Reason.OVERLOADED),
        (page(b"", status="401 No"), Reason.UNAUTHORIZED),
        (sends(then=RESET), Reason.UNREACHABLE),
        (sends(b"rubbish\r\n\r\n"), Reason.BAD_PROTOCOL),
        (page(gzip_bomb(1 << 25), headers="Content-Encoding: gzip"), Reason.TOO_LARGE),
    ],
)
async def test_a_failure_of_transport_is_no_answer(
    fetcher: Fetcher, answer: Any, reason: Reason
) -> None:
    got = await asked(fetcher, answer)
    assert got.value is None
    assert got.failure is not None
    assert got.failure.reason is reason
    assert got.failure.retry_after == (9.0 if "answered 429" in got.failure.message else None)


async def test_a_model_that_hangs_is_a_timeout(fetcher: Fetcher) -> None:
    got = await asked(fetcher, sends(then=HANG), timeout=0.2)
    assert got.failure is not None
    assert got.failure.reason is Reason.TIMEOUT
    assert got.duration > 0


async def test_every_question_is_asked_anew(fetcher: Fetcher) -> None:
    async def counts(writer: Any, request: Any) -> None:
        await says({"label": len(server.requests)}, headers="Cache-Control: max-age=9999")(
            writer, request
        )

    async with Hostile(counts) as server:
        model = client(fetcher, server.url)
        values = [(await model.ask(ITEM, timeout=5)).value for _ in range(3)]
    assert values == [1, 2, 3]


@pytest.mark.parametrize(
    ("question", "says_what"),
    [
        ({"k": 3}, "golden item 'q-2' has nothing at {{ input.question }}"),
        ({"question": 1 << 70}, "golden item 'q-2' cannot be written as JSON"),
        ({"question": "\ud800"}, "golden item 'q-2' cannot be written as JSON"),
    ],
)
async def test_an_item_that_does_not_fit_is_a_failure_that_names_it_and_costs_no_call(
    fetcher: Fetcher, question: Any, says_what: str
) -> None:
    item = GoldenItem("q-2", question, "x")
    async with Hostile(says({})) as server:
        model = client(fetcher, server.url)
        with pytest.raises(ReadError, match="golden item 'q-2'"):
            model.check(item)
        got = await model.ask(item, timeout=5)
        assert server.requests == []
    assert got.failure is not None
    assert says_what in got.failure.message
    model.check(ITEM)


def test_a_header_that_cannot_be_sent_is_found_when_the_client_is_built() -> None:
    with pytest.raises(SeamwatchError, match="headers: "):
        client(Fetcher(), "http://model/", headers={"X": "a\nb"})


async def test_the_first_answer_without_a_value_is_told_once_with_its_names_and_no_value(
    fetcher: Fetcher, caplog: pytest.LogCaptureFixture
) -> None:
    document = {"result": {"label": "private words"}, "meta": 1, "line\nbreak": 2}
    async with Hostile(says(document)) as server:
        model = client(fetcher, server.url, headers={"X-Key": "sesame"})
        for _ in range(3):
            await model.ask(ITEM, timeout=5)
    (told,) = caplog.messages
    assert "has nothing at the answer's path 'label'; it has 'result', 'meta', 'line" in told
    assert "private words" not in told
    assert "\n" not in told


async def test_names_in_the_log_are_few_and_short_and_hold_no_secret(
    fetcher: Fetcher, caplog: pytest.LogCaptureFixture
) -> None:
    document = {"sesame": 1} | {f"{n}{'x' * 999}": n for n in range(999)}
    await asked(fetcher, says(document), headers={"X-Key": "sesame"})
    (told,) = caplog.messages
    assert "sesame" not in told
    assert len(told) < 900


@pytest.mark.parametrize(
    ("body", "says_what"),
    [
        (b"<html>busy</html>", "the answer is not JSON"),
        (b"[]", "it is a list"),
        (b"42", "it is a single value"),
        (b"{}", "it has no name at all"),
    ],
)
async def test_other_rubbish_is_told_as_well(
    fetcher: Fetcher, body: bytes, says_what: str, caplog: pytest.LogCaptureFixture
) -> None:
    await asked(fetcher, page(body))
    assert says_what in caplog.text
    assert "busy" not in caplog.text.replace("the answer", "")


async def test_an_answer_that_declines_needs_no_value_and_is_not_told(
    fetcher: Fetcher, caplog: pytest.LogCaptureFixture
) -> None:
    await asked(fetcher, says({"label": None, "declined": True}), refused="declined")
    assert caplog.messages == []
