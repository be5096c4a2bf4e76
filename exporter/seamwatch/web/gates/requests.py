"""What people and machines send to a gate, checked."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
from aiohttp import web

from seamwatch.gate import Alerted, Kind, SetOverride
from seamwatch.store import IdempotencyKey
from seamwatch.web.limits import Deadlines
from seamwatch.web.problems import Problem

LARGEST = 64 * 1024  # bytes of a body
LARGEST_NOTIFICATION = 4 * 1024 * 1024  # bytes: Alertmanager tells of whole groups at once
LONGEST_REASON = 1000  # characters
DEFAULT_OVERRIDE = 3600.0  # seconds

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_ETAG = re.compile(r'(?:W/)?"g-(\d{1,18})"')


async def body(request: web.Request, largest: int) -> bytes:
    """Return what was sent; raises Problem above *largest* bytes, TimeoutError when it dawdles."""
    if (request.content_length or 0) > largest:
        raise _too_large(largest)
    try:
        async with asyncio.timeout(Deadlines().body):
            return await request.clone(client_max_size=largest).read()
    except web.HTTPRequestEntityTooLarge as error:
        raise _too_large(largest) from error


def parsed(text: bytes) -> Any:
    """Return what JSON says."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is not JSON: {error}") from error


async def fields(request: web.Request, known: Collection[str]) -> dict[str, Any]:
    """Return the JSON object that was sent, with no other fields than *known*."""
    if request.content_type != "application/json":
        raise Problem(415, "send Content-Type: application/json")
    found = parsed(await body(request, LARGEST))
    if not isinstance(found, dict):
        raise Problem(422, f"send an object with {', '.join(known)}")
    strange = sorted(set(found) - set(known))
    if strange:
        raise Problem(422, f"unknown field {strange[0][:60]!r}; known are {', '.join(known)}")
    return found


def reason(given: Mapping[str, Any]) -> str:
    """Return the reason, which is required."""
    found = given.get("reason")
    if not isinstance(found, str) or not found.strip():
        raise Problem(422, "reason is missing: say why, for whoever reads the audit")
    if len(found) > LONGEST_REASON or not found.isprintable():
        raise Problem(422, f"reason: one line of at most {LONGEST_REASON} characters")
    return found.strip()


def override(given: Mapping[str, Any], now: float) -> SetOverride:
    """Return the override that is asked for; it lasts an hour where nothing is said."""
    try:
        kind = Kind(str(given.get("kind")))
    except ValueError as error:
        raise Problem(422, "kind: write force_halt or force_open") from error
    return SetOverride(kind, reason(given), _expires(given, now))


def _expires(given: Mapping[str, Any], now: float) -> float:
    at, within = given.get("expires_at"), given.get("expires_in_s")
    if at is not None and within is not None:
        raise Problem(422, "expires_at and expires_in_s exclude one another; give one of them")
    if at is None and within is None:
        return now + DEFAULT_OVERRIDE
    if within is not None:
        if isinstance(within, bool) or not isinstance(within, int | float):
            raise Problem(422, "expires_in_s: write seconds, such as 3600")
        return now + float(within)
    try:
        found = datetime.fromisoformat(str(at))
    except ValueError as error:
        raise Problem(422, "expires_at: write RFC 3339, such as 2026-01-31T12:00:00Z") from error
    if found.tzinfo is None:
        raise Problem(422, "expires_at has no zone; write ...Z or an offset")
    return found.timestamp()


def expected(request: web.Request, *, required: bool) -> int | None:
    """Return the generation that `If-Match` names; None where any will do."""
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        if required and header is None:
            raise Problem(
                428, 'send If-Match with the ETag of the gate, such as "g-7": see what it replaces'
            )
        return None
    found = _ETAG.fullmatch(header.strip())
    if found is None:
        raise Problem(412, f"If-Match names no generation of a gate: {header[:40]!r}")
    return int(found[1])


def idempotency(request: web.Request, actor: str, body: Mapping[str, Any]) -> IdempotencyKey | None:
    """Return the key of a request that may come twice."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise Problem(400, "Idempotency-Key: up to 255 visible ASCII characters")
    asked = orjson.dumps([request.method, request.path, body], option=orjson.OPT_SORT_KEYS)
    return IdempotencyKey(actor, key, hashlib.sha256(asked).hexdigest())


def alerts(given: Any, wanted: Collection[str]) -> Iterator[Alerted]:
    """Yield the alerts of an Alertmanager notification (version 4) whose names are *wanted*."""
    listed = given.get("alerts") if isinstance(given, dict) else None
    if not isinstance(listed, list):
        raise Problem(422, "send an Alertmanager webhook (version 4), with a list of alerts")
    for one in listed:
        labels = one.get("labels") if isinstance(one, dict) else None
        if not isinstance(labels, dict):
            raise Problem(422, "each alert has labels")
        name = labels.get("alertname")
        if not isinstance(name, str) or name not in wanted:
            continue
        notes = one.get("annotations")
        summary = notes.get("summary") if isinstance(notes, dict) else None
        yield Alerted(
            _line(one.get("fingerprint", name))[:100],
            _line(one.get("startsAt", ""))[:100],
            name,
            _line(summary or "")[:LONGEST_REASON],
            one.get("status") != "resolved",
        )


def matches(request: web.Request, tag: str) -> bool:
    """Say whether `If-None-Match` names *tag*, or whatever there is."""
    header = ",".join(request.headers.getall("If-None-Match", ()))
    named = {one.strip().removeprefix("W/") for one in header.split(",")}
    return tag in named or "*" in named


def _line(value: Any) -> str:
    text = "".join(one if one.isprintable() else " " for one in str(value)[: 4 * LONGEST_REASON])
    return " ".join(text.split())


def _too_large(largest: int) -> Problem:
    return Problem(413, f"the body is too large: {largest // 1024} KiB at the most")
