"""Receivers get CloudEvents whose signature the reference library of Standard Webhooks accepts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from contracts_serving import Contract, order, served
from seamwatch.actions import Target, build
from seamwatch.config.actions import ActionSection
from seamwatch.errors import ReadError, Reason, SeamwatchError
from seamwatch.fetch import Fetcher

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Receiver(Contract):
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append((headers, body))
        status, more = self.fails.get(request.path, (202, {}))
        return web.Response(status=status, headers=more)


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with served(made := Receiver()):
        yield made


def target(fetcher: Fetcher, url: str, **more: Any) -> Target:
    given = {"url": f"{url}/hooks/gate", **more}
    return build(ActionSection.model_validate({"webhook": given}), fetcher)


async def test_an_order_is_a_cloud_event_that_says_all_that_a_receiver_needs(
    fetcher: Fetcher, receiver: Receiver
) -> None:
    await target(fetcher, receiver.url).apply(order("halted", pipeline="rag.eu"))
    headers, body = receiver.got[0]
    assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    event = from_http_event(HTTPMessage(headers, body), JSONFormat())
    assert event.get_type() == "seamwatch.gate.halted"
    assert event.get_source() == "/pipelines/rag.eu/gate"
    assert event.get_id() == "rag:eu/work/7"
    assert event.get_time().isoformat() == "1970-01-01T00:00:01+00:00"
    assert json.loads(body)["data"] == {
        "pipeline": "rag.eu",
        "action": "work",
        "desired": "halted",
        "generation": 7,
        "reason": "accuracy fell",
        "audit": {"seq": 0, "hash": ""},
    }
    assert "webhook-signature" not in headers  # nothing to sign with


async def test_the_reference_library_accepts_the_signature_and_no_other_body(
    fetcher: Fetcher, receiver: Receiver
) -> None:
    signed = target(fetcher, receiver.url, secret=KEY)
    await signed.apply(order("running"))
    await signed.apply(order("running"))
    headers, body = receiver.got[0]
    assert Webhook(KEY).verify(body, headers)["type"] == "seamwatch.gate.running"
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(body.replace(b"running", b"runninG"), headers)
    assert receiver.got[1][0]["webhook-id"] == headers["webhook-id"] == "rag/work/7"


async def test_a_key_in_a_file_is_read_again_when_it_is_rotated(
    fetcher: Fetcher, receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    signed = target(fetcher, receiver.url, secret_file=str(file))
    await signed.apply(order("halted"))
    file.write_text("whsec_" + "QUJD" * 8)
    await signed.apply(order("halted"))
    for (headers, body), key in zip(receiver.got, (KEY, "whsec_" + "QUJD" * 8), strict=True):
        Webhook(key).verify(body, headers)
    file.write_text("whsec_not*base64")
    with pytest.raises(ReadError, match="whsec_ is not base64; copy the key whole") as caught:
        await signed.apply(order("halted"))
    assert caught.value.reason is Reason.UNAUTHORIZED
    file.unlink()
    with pytest.raises(ReadError, match=r"secret_file .* cannot be read: No such file"):
        await signed.apply(order("halted"))
    assert len(receiver.got) == 2  # nothing goes out unsigned


def test_a_key_that_is_broken_is_told_before_anything_runs() -> None:
    with pytest.raises(SeamwatchError, match="secret: what follows whsec_ is not base64") as caught:
        target(Fetcher(), "http://hook.example", secret="whsec_hunter2*")
    assert "hunter2" not in str(caught.value)


async def test_what_the_receiver_says_decides_when_it_is_tried_again(
    fetcher: Fetcher, receiver: Receiver
) -> None:
    hook = target(fetcher, receiver.url)
    receiver.fails["/hooks/gate"] = (503, {"Retry-After": "7"})
    with pytest.raises(ReadError) as caught:
        await hook.apply(order("halted"))
    assert (caught.value.reason, caught.value.retry_after) == (Reason.OVERLOADED, 7.0)
    receiver.fails["/hooks/gate"] = (302, {"Location": "http://elsewhere.example/"})
    with pytest.raises(ReadError) as caught:
        await hook.apply(order("halted"))
    assert caught.value.reason is Reason.REDIRECT


async def test_nothing_is_read_back_or_given_back(fetcher: Fetcher, receiver: Receiver) -> None:
    hook = target(fetcher, receiver.url, secret=KEY)
    assert await hook.stands(order("halted")) is None
    assert await hook.look(order("halted", {"a": 1})) == {"a": 1}
    said = hook.render(order("halted"))
    assert said.startswith(f"POST {receiver.url}/hooks/gate {{")
    assert KEY[6:] not in said
    assert receiver.got == []
