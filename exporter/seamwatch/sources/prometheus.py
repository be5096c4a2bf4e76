"""``prometheus``: PromQL for each field; a version is a label of the series that is found."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seamwatch.config.sources import PrometheusSource, PromQuery
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Fetcher
from seamwatch.fetch.endpoint import Endpoint
from seamwatch.fetch.faults import Rejected, error_text
from seamwatch.pipeline import Observation
from seamwatch.sources.body import decode
from seamwatch.sources.contract import contract
from seamwatch.sources.quoting import shown
from seamwatch.sources.reach import Reach

PATH = "/api/v1/query"


@dataclass(frozen=True, slots=True)
class _Question:
    field: str  # a contract field, or built_from.<stage>
    query: str
    label: str | None = None  # the label that is the value; None: the sample's number


class PrometheusReader:
    """Asks a server of the Prometheus HTTP API, all fields at the same time."""

    __slots__ = ("_contract", "_endpoint", "_questions", "_reach", "_timeout", "host")

    def __init__(
        self, section: PrometheusSource, reach: Reach, *, timeout: float, base_dir: Path
    ) -> None:
        self._contract = contract(section.time, section.zone)
        self._endpoint = Endpoint(section)
        self._questions = _questions(section)
        self._reach = reach
        self._timeout = timeout
        self.host = self._endpoint.url.authority

    async def read(self, *, now: float) -> Observation:
        """Return what the samples say; raise ReadError within the timeout.

        A field whose query finds nothing is unknown; when all find nothing there is no data.
        """
        answers = await asyncio.gather(
            *(self._ask(question) for question in self._questions), return_exceptions=True
        )
        values: dict[str, Any] = {}
        where = self._endpoint.name(PATH)
        for question, answer in zip(self._questions, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            field, _, stage = question.field.partition(".")
            if answer is not None and stage:
                values.setdefault(field, {})[stage] = answer
            elif answer is not None:
                values[field] = answer > 0 if field == "status" else answer
        if not values:
            asked = ", ".join(question.field for question in self._questions)
            raise ReadError(Reason.NO_DATA, f"{where}: no query found a series ({asked})")
        return self._contract.observe(values, now=now, where=where)

    async def _ask(self, question: _Question) -> Any:
        return await ask(
            self._reach.fetcher,
            self._endpoint,
            question.query,
            label=question.label,
            what=question.field,
            timeout=self._timeout,
        )

    async def close(self) -> None:
        """Connections belong to the fetcher."""


async def ask(
    fetcher: Fetcher,
    endpoint: Endpoint,
    query: str,
    *,
    what: str,
    timeout: float,
    label: str | None = None,
) -> float | str | None:
    """Return the one value that *query* finds now; None when it finds nothing, or NaN.

    Args:
        fetcher: who asks.
        endpoint: a server of the Prometheus HTTP API.
        query: PromQL.
        what: what the value is, for messages.
        timeout: seconds.
        label: the label that is the value; None for the sample's number.

    Raises:
        ReadError: the server cannot be asked, refuses the query, or answers something else.
    """
    where = f"{endpoint.name(PATH)}: {what}"
    params = {"query": query, "timeout": f"{timeout * 1000:.0f}ms"}
    try:
        fetched = await fetcher.fetch(endpoint, path=PATH, params=params, timeout=timeout)
    except Rejected as error:
        if error.status not in (400, 422):
            raise
        said = endpoint.scrub(error_text(error.body)) or f"status {error.status}"
        raise ReadError(Reason.QUERY, f"{where}: the server refused the query: {said}") from error
    return sample(decode(fetched.body, where=where), label, where=where)


def _questions(section: PrometheusSource) -> tuple[_Question, ...]:
    found = []
    for field in ("status", "version", "watermark", "updated_at", "rows"):
        asked = getattr(section, field)
        if isinstance(asked, PromQuery):
            found.append(_Question(field, asked.query, asked.label))
        elif asked is not None:
            found.append(_Question(field, asked))
    for field in ("built_from", "tuned_on"):
        mapping: Mapping[str, PromQuery] = getattr(section, field)
        found += [_Question(f"{field}.{stage}", q.query, q.label) for stage, q in mapping.items()]
    return tuple(found)


def sample(document: Any, label: str | None, *, where: str) -> float | str | None:
    """Return the one value in an answer of the query API; None when it found nothing, or NaN.

    Args:
        document: the answer, decoded.
        label: the label that is the value; None for the sample's number.
        where: what messages start with.

    Raises:
        ReadError: AMBIGUOUS for several values, BAD_CONTRACT for an answer of another shape.
    """
    series = _series(document, where)
    return _number(series, where) if label is None else _labelled(series, label, where)


def _bad(where: str, what: str) -> ReadError:
    return ReadError(Reason.BAD_CONTRACT, f"{where}: {what}")


def _series(document: Any, where: str) -> list[tuple[dict[str, Any], Any]]:
    """Return (labels, value as text) of each series in an answer of the query API."""
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict) or document.get("status") != "success":
        raise _bad(where, "this is no answer of the Prometheus query API; check the url")
    kind: Any = data.get("resultType")
    result: Any = data.get("result")
    try:
        if kind == "scalar":
            return [({}, result[1])]
        if kind == "vector":
            return [(dict(found["metric"]), found["value"][1]) for found in result]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise _bad(where, "a series without float value in the answer") from error
    raise _bad(where, f"the query gives {shown(kind)}; write one that gives an instant vector")


def _number(series: list[tuple[dict[str, Any], Any]], where: str) -> float | None:
    if len(series) > 1:
        raise ReadError(
            Reason.AMBIGUOUS,
            f"{where}: the query finds {len(series)} series; aggregate, e.g. min(...)",
        )
    if not series:
        return None
    try:
        value = float(series[0][1])
    except (TypeError, ValueError, OverflowError) as error:
        raise _bad(where, f"the sample is {shown(series[0][1])}, not a number") from error
    return None if value != value else value  # NaN says that nothing is known


def _labelled(series: list[tuple[dict[str, Any], Any]], label: str, where: str) -> str | None:
    found = {repr(labels.get(label)): labels.get(label) for labels, _ in series}
    if len(found) > 1:  # replicas that agree are no contradiction
        raise ReadError(
            Reason.AMBIGUOUS,
            f"{where}: the query finds {len(series)} series with {len(found)} values of {label};"
            " select one, e.g. topk(1, ...)",
        )
    if not found:
        return None
    (value,) = found.values()
    if not isinstance(value, str) or not value:
        names = ", ".join(sorted(shown(name) for name in series[0][0])[:8]) or "no label"
        raise _bad(where, f"the series has no label {label}; it has {names}")
    return value
