"""Any model that speaks JSON over HTTP: a template for the question, JMESPath for the answer."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from itertools import islice
from time import monotonic
from typing import Any

import orjson

from seamwatch.config.models import HttpModel
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Endpoint, Fetcher
from seamwatch.models.template import as_json, compile_path, compile_template, compile_text
from seamwatch.pipeline import Answer, Failure, GoldenItem

log = logging.getLogger(__name__)

PROBE_HEADERS: Mapping[str, str] = {"X-Seamwatch-Probe": "1"}
"""Lets the model's owners keep probes out of their business metrics."""

JSON_HEADERS: Mapping[str, str] = {**PROBE_HEADERS, "Content-Type": "application/json"}

_VERSION_LENGTH = 128
_NAMES_SHOWN = 12
_NAME_LENGTH = 40


class HttpClient:
    """Asks one model; never caches an answer, repeats only what was never read.

    *parameters* are set at the top of every JSON body, over what the template makes there; they
    may hold placeholders as well.
    """

    def __init__(
        self,
        section: HttpModel,
        fetcher: Fetcher,
        *,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        sends_body = section.json_body is not None
        self._fetcher = fetcher
        self._method = section.method
        self._endpoint = Endpoint(section, headers=JSON_HEADERS if sends_body else PROBE_HEADERS)
        self._body = compile_template(section.json_body) if sends_body else None
        self._parameters = compile_template(parameters) if parameters else None
        self._query = {name: compile_text(value) for name, value in section.query.items()}
        self._value = compile_path(section.answer)
        self._candidate = compile_path(section.candidate) if section.candidate else None
        self._score = compile_path(section.score) if section.score else None
        self._scores = compile_path(section.scores) if section.scores else None
        self._answered_by = compile_path(section.answered_by) if section.answered_by else None
        self._refused = compile_path(section.refused) if section.refused else None
        self._rubbish = Rubbish(self._endpoint, f"at the answer's path {section.answer!r}")
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
            self._rubbish.note_text()
            return Answer(duration=monotonic() - started)
        value = self._value(found)
        refused = self._refused is not None and is_claimed(self._refused(found))
        if value is None and not refused:
            self._rubbish.note(found)
        return Answer(
            value=value,
            score=None if self._score is None else finite(self._score(found)),
            scores=None if self._scores is None else all_finite(self._scores(found)),
            candidate=None if self._candidate is None else self._candidate(found),
            answered_by=None if self._answered_by is None else version(self._answered_by(found)),
            refused=refused,
            duration=monotonic() - started,
        )

    def _question(self, item: GoldenItem) -> tuple[dict[str, str] | None, bytes | None]:
        params = {name: make(item) for name, make in self._query.items()} if self._query else None
        if self._body is None:
            return params, None
        body = self._body(item)
        if self._parameters is not None:
            if not isinstance(body, dict):
                raise ReadError(
                    Reason.BAD_CONTRACT,
                    f"golden item {item.id!r}: the question is not a mapping, so a repair cannot"
                    " set parameters in it; write json as a mapping",
                )
            body = body | self._parameters(item)
        return params, as_json(body, item)


class Rubbish:
    """Tells the log once what the first answer without a value has instead: names, no values."""

    def __init__(self, endpoint: Endpoint, wanted: str) -> None:
        self._endpoint = endpoint
        self._wanted = wanted
        self._told = False

    def note_text(self) -> None:
        """Note an answer that is not JSON."""
        self._tell("is not JSON")

    def note(self, found: Any) -> None:
        """Note an answer that has nothing where the configuration looks."""
        if isinstance(found, dict):
            self._tell(f"has nothing {self._wanted}; it has {names(found)}")
        else:
            kind = "a list" if isinstance(found, list) else "a single value"
            self._tell(f"has nothing {self._wanted}; it is {kind}")

    def _tell(self, what: str) -> None:
        if not self._told:
            self._told = True
            log.warning(
                "%s: the answer %s (further answers like it are counted and not logged)",
                self._endpoint.name(),
                self._endpoint.scrub(what),
            )


def names(found: Iterable[Any]) -> str:
    """Return the first names of *found* for a message: few, short and printable."""
    shown = [ascii(str(name)[:_NAME_LENGTH]) for name in islice(found, _NAMES_SHOWN + 1)]
    if not shown:
        return "no name at all"
    return ", ".join(shown[:_NAMES_SHOWN]) + (", ..." if len(shown) > _NAMES_SHOWN else "")


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
