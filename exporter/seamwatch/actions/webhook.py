"""A CloudEvent tells any receiver what is wanted, signed as Standard Webhooks has it.

CloudEvents 1.0 in structured mode: https://github.com/cloudevents/spec. The signature is symmetric
(``v1``): https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from seamwatch.actions.target import Memory, Order
from seamwatch.config.actions import WebhookAction
from seamwatch.errors import ReadError, Reason, SeamwatchError
from seamwatch.fetch import Endpoint, Fetcher, SecretFile

MEDIA = "application/cloudevents+json"

_PREFIX = "whsec_"
_TYPES = {"halted": "seamwatch.gate.halted", "running": "seamwatch.gate.running"}


class WebhookTarget:
    """Posts one event for each order; an attempt again has the same ``webhook-id``.

    A 2xx status is the receiver's word that it has the order: nothing can be read back.
    """

    def __init__(self, section: WebhookAction, fetcher: Fetcher, timeout: float) -> None:
        self._endpoint = Endpoint(section)
        self._fetcher = fetcher
        self._timeout = timeout
        self._key = _key_of(section)

    async def look(self, order: Order) -> Memory:
        """Return what *order* remembers: a receiver cannot be asked."""
        return order.memory

    async def apply(self, order: Order) -> None:
        """Post the event."""
        body = event(order)
        headers = {"Content-Type": f"{MEDIA}; charset=utf-8"}
        if self._key is not None:
            headers |= signed(self._key(), order.event_id, int(time.time()), body)
        await self._fetcher.fetch(
            self._endpoint, method="POST", body=body, headers=headers, timeout=self._timeout
        )

    async def stands(self, order: Order) -> None:
        """Return None: a receiver cannot be asked."""

    def render(self, order: Order) -> str:
        """Return the request and its body."""
        return f"POST {self._endpoint.name()} {event(order).decode()}"

    async def close(self) -> None:
        """Do nothing: the connections are the fetcher's."""


def event(order: Order) -> bytes:
    """Return *order* as a CloudEvent in JSON; its ``data`` says all that a receiver needs."""
    at = datetime.fromtimestamp(order.decided_at, UTC).isoformat(timespec="milliseconds")
    document = {
        "specversion": "1.0",
        "id": order.event_id,
        "source": f"/pipelines/{order.pipeline}/gate",
        "type": _TYPES[order.desired],
        "subject": order.pipeline,
        "time": at.replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "pipeline": order.pipeline,
            "action": order.target,
            "desired": order.desired,
            "generation": order.generation,
            "reason": order.reason,
            "audit": {"seq": order.audit_seq, "hash": order.audit_hash},
        },
    }
    return orjson.dumps(document)


def signed(key: bytes, event_id: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks for *body*, sent *at* (epoch, whole seconds)."""
    text = f"{event_id}.{at}.".encode() + body
    digest = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{digest}",
    }


def _key_of(section: WebhookAction) -> Callable[[], bytes] | None:
    if section.secret_file is not None:
        file = SecretFile("secret_file", section.secret_file)

        def read() -> bytes:
            try:
                return _decoded(file())
            except SeamwatchError as error:
                raise ReadError(Reason.UNAUTHORIZED, f"secret_file: {error}") from error

        return read
    if section.secret is None:
        return None
    try:
        key = _decoded(section.secret.get_secret_value().strip())
    except SeamwatchError as error:
        raise SeamwatchError(f"secret: {error}") from error
    return lambda: key


def _decoded(text: str) -> bytes:
    if not text.startswith(_PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        message = f"what follows {_PREFIX} is not base64; copy the key whole, with its = signs"
        raise SeamwatchError(message) from error
