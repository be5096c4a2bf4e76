"""Open Inference Protocol V2 over REST: what MLServer, KServe, Triton and OpenVINO speak."""

from __future__ import annotations

import itertools
import math
import secrets
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any
from urllib.parse import quote

import orjson

from seamwatch.config.models import OpenInferenceModel
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Endpoint, Fetcher
from seamwatch.models.http import JSON_HEADERS, Rubbish, failed, finite, host_of, version
from seamwatch.models.template import as_json
from seamwatch.models.tensor import Tensor, flat
from seamwatch.pipeline import Answer, GoldenItem


class OpenInferenceClient:
    """Asks one model of a V2 server.

    Every request carries an id that was never used before: servers that cache answers take the id
    into the key, and some fail without one.
    """

    def __init__(self, section: OpenInferenceModel, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._endpoint = Endpoint(section, headers=JSON_HEADERS)
        self._model = f"/v2/models/{quote(section.model, safe='')}"
        if section.version is not None:
            self._model += f"/versions/{quote(section.version, safe='')}"
        self._infer = f"{self._model}/infer"
        self._inputs = [Tensor(tensor) for tensor in section.inputs]
        named = (section.answer, section.score, section.candidate)
        names = [name for name in dict.fromkeys(named) if name is not None]
        self._fixed: dict[str, Any] = {"outputs": [{"name": name} for name in names]}
        if section.parameters:
            self._fixed["parameters"] = section.parameters
        self._answer, self._score, self._labels = section.answer, section.score, section.labels
        self._candidate = section.candidate
        self._rubbish = Rubbish(self._endpoint, f"in the output tensor {section.answer!r}")
        self._ids = (f"seamwatch-{secrets.token_hex(8)}-{number}" for number in itertools.count())
        self.host = host_of(self._endpoint)
        self.version = section.version

    def check(self, item: GoldenItem) -> None:
        """Raise ReadError when the tensors cannot be made from *item*."""
        self._question(item)

    async def ask(self, item: GoldenItem, *, timeout: float) -> Answer:
        """Return the model's answer within *timeout* seconds; expected failures are values.

        A 2xx without the declared output has the value None: the model answered, with rubbish.
        """
        started = monotonic()
        try:
            fetched = await self._fetcher.fetch(
                self._endpoint,
                method="POST",
                path=self._infer,
                body=self._question(item),
                timeout=timeout,
            )
        except ReadError as error:
            return failed(error, monotonic() - started)
        try:
            found = orjson.loads(fetched.body)
        except orjson.JSONDecodeError:
            found = None
        return self._parsed(found if isinstance(found, dict) else {}, started)

    async def metadata(self, *, timeout: float) -> Mapping[str, Any]:
        """Return what the server says of the model: name, versions, platform, parameters.

        Raises:
            ReadError: the model is unknown or does not answer, or the answer is no JSON mapping.
        """
        fetched = await self._fetcher.fetch(self._endpoint, path=self._model, timeout=timeout)
        try:
            found = orjson.loads(fetched.body)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            where = self._endpoint.name(self._model)
            raise ReadError(Reason.NOT_JSON, f"{where}: the metadata is not a JSON mapping")
        return found

    def _question(self, item: GoldenItem) -> bytes:
        inputs = [tensor.filled(item) for tensor in self._inputs]
        return as_json({"id": next(self._ids), "inputs": inputs, **self._fixed}, item)

    def _parsed(self, found: Mapping[str, Any], started: float) -> Answer:
        outputs = found.get("outputs")
        tensors = {
            tensor["name"]: tensor
            for tensor in (outputs if isinstance(outputs, list) else ())
            if isinstance(tensor, dict) and isinstance(tensor.get("name"), str)
        }
        score, scores = self._scored(tensors.get(self._score or ""))
        value = self._value(tensors.get(self._answer))
        if value is None:
            self._rubbish.note(tensors or found)
        return Answer(
            value=value,
            candidate=self._value(tensors.get(self._candidate or "")),
            score=score,
            scores=scores,
            answered_by=version(found.get("model_version")),
            duration=monotonic() - started,
        )

    def _value(self, tensor: Mapping[str, Any] | None) -> Any:
        data = flat(tensor.get("data")) if tensor else None
        if not data:
            return None
        if self._labels is not None:
            return _labelled(data, str(tensor and tensor.get("datatype")), self._labels)
        return data[0] if len(data) == 1 else data

    def _scored(
        self, tensor: Mapping[str, Any] | None
    ) -> tuple[float | None, Mapping[str, float] | None]:
        data = flat(tensor.get("data")) if tensor else None
        if not data:
            return None, None
        known = [score for score in map(finite, data) if score is not None]
        if len(known) < len(data):
            return None, None
        labels = self._labels
        scores = (
            dict(zip(labels, known, strict=True)) if labels and len(labels) == len(known) else None
        )
        return max(known), scores


def _labelled(data: Sequence[Any], datatype: str, labels: Sequence[str]) -> Any:
    """Return the label(s) that *data* stands for; None where it stands for none.

    BYTES are labels themselves, BOOL and FP of the labels' length are one value for each label
    (chosen, or its probability), numbers are indices.
    """
    if datatype == "BYTES":
        return data[0] if len(data) == 1 else list(data)
    if len(data) == len(labels) > 1:
        if datatype == "BOOL":
            return [label for label, chosen in zip(labels, data, strict=True) if chosen is True]
        if datatype.startswith("FP"):
            scores = [finite(value) for value in data]
            if None in scores:
                return None
            return labels[max(range(len(scores)), key=lambda place: scores[place] or -math.inf)]
    chosen = [_label(value, labels) for value in data]
    if None in chosen:
        return None
    return chosen[0] if len(chosen) == 1 else chosen


def _label(value: Any, labels: Sequence[str]) -> str | None:
    number = finite(value)
    if number is None or not number.is_integer() or not 0 <= number < len(labels):
        return None
    return labels[int(number)]
