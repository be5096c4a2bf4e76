"""Any model that speaks JSON over HTTP: a template for the question, JMESPath for the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from time import monotonic
from typing import Any

import orjson

from seamwatch.config.models import HttpModel
from seamwatch.errors import ReadError
from seamwatch.fetch import Endpoint, Fetcher
from seamwatch.models.template import as_json, compile_path, compile_template, compile_text
from seamwatch.pipeline import Answer, Failure, GoldenItem

PROBE_HEADERS: Mapping[str, str] = {"X-Seamwatch-Probe": "1"}
"""Lets the model's owners keep probes out of their business metrics."""

JSON_HEADERS: Mapping[str, str] = {**PROBE_HEADERS, "Content-Type": "application/json"}

_VERSION_LENGTH = 128


class HttpClient:
    """Asks one model; never caches an answer, repeats only what was never read."""

    def __init__(self, section: HttpModel, fetcher: Fetcher) -> None:
        sends_body = section.json_body is not None
        self._fetcher = fetcher
        self._method = section.method
        self._endpoint = Endpoint(section, headers=JSON_HEADERS if sends_body else PROBE_HEADERS)
        self._body = compile_template(section.json_body) if sends_body else None
        self._query = {name: compile_text(value) for name, value in section.query.items()}
        self._value = compile_path(section.answer)
        self._score = compile_path(section.score) if section.score else None
        self._scores = compile_path(section.scores) if section.scores else None
        self._answered_by = compile_path(section.answered_by) if section.answered_by else None
        self._refused = compile_path(section.refused) if section.refused else None
        self.host = host_of(self._endpoint)
        self.version: str | None = None

    def check(self, item: GoldenItem) -> None:
        """Raise ReadError when the template cannot be filled from *item*."""
        self._question(item)

    async def ask(self, item: GoldenItem, *, timeout: float) -> Answer:
        """Return the model's answer within *timeout* seconds; expected failures are values.

        A 2xx that is not JSON, or has nothing at the answer's path, has the value None: the model
        answered, but with rubbish.
        """
        started = monotonic()
        try:
            params, body = self._question(item)
            fetched = await self._fetcher.fetch(
                self._endpoint, method=self._method, params=params, body=body, timeout=timeout
            )
        except ReadError as error:
            return failed(error, monotonic() - started)
        try:
            found = orjson.loads(fetched.body)
        except orjson.JSONDecodeError:
            return Answer(duration=monotonic() - started)
        return Answer(
            value=self._value(found),
            score=None if self._score is None else finite(self._score(found)),
            scores=None if self._scores is None else all_finite(self._scores(found)),
            answered_by=None if self._answered_by is None else version(self._answered_by(found)),
            refused=self._refused is not None and is_claimed(self._refused(found)),
            duration=monotonic() - started,
        )

    def _question(self, item: GoldenItem) -> tuple[dict[str, str] | None, bytes | None]:
        params = {name: make(item) for name, make in self._query.items()} if self._query else None
        return params, None if self._body is None else as_json(self._body(item), item)


def host_of(endpoint: Endpoint) -> str:
    """Return ``host:port``, the thing that adaptive concurrency is about."""
    return f"{endpoint.url.raw_host}:{endpoint.url.port}"


def failed(error: ReadError, duration: float) -> Answer:
    """Return the answer that stands for a failure."""
    failure = Failure(error.reason, str(error), error.retry_after)
    return Answer(duration=duration, failure=failure)


def finite(value: Any) -> float | None:
    """Return a finite number as float; None for everything else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def all_finite(value: Any) -> Mapping[str, float] | None:
    """Return a mapping of label to finite number; None for everything else."""
    if not isinstance(value, dict):
        return None
    scores = {label: finite(score) for label, score in value.items()}
    known = {label: score for label, score in scores.items() if score is not None}
    return known if known and len(known) == len(scores) else None


def version(value: Any) -> str | None:
    """Return the text of a version, which becomes a label value; None when there is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)[:_VERSION_LENGTH] or None


def is_claimed(value: Any) -> bool:
    """Say whether a refusal is claimed: true, or a text that says more than "false"."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "false", "no", "none", "null", "0")
    return bool(value)
