"""Ask a model as if some of its suspects were healthy: the same questions with repairs applied."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson

from seamwatch.config.models import HttpModel, ModelSection, OpenInferenceModel
from seamwatch.config.repairs import RepairSection
from seamwatch.errors import SeamwatchError
from seamwatch.fetch import Fetcher
from seamwatch.models.asking import ModelClient
from seamwatch.models.http import HttpClient
from seamwatch.models.open_inference import OpenInferenceClient

Model = TypeVar("Model", HttpModel, OpenInferenceModel)


def variant(section: ModelSection, repairs: Collection[str], fetcher: Fetcher) -> ModelClient:
    """Return a client that asks as if *repairs*, names of ``section.repairs``, were applied.

    Headers are merged by name whatever their case. ``parameters`` replace or add top-level fields
    of the JSON body; where no body is sent (GET) they go into the URL's query; for
    ``open_inference`` they are parameters of the request. ``url`` replaces the address and keeps
    everything else, credentials too. ``threshold: best`` is computed from the score of an answer
    and changes nothing here. Where repairs disagree, the one that the configuration names last
    wins.

    Raises:
        SeamwatchError: a repair is unknown, or what it sets could never be sent.
    """
    unknown = sorted(set(repairs) - set(section.repairs))
    if unknown:
        known = ", ".join(sorted(section.repairs)) or "none"
        raise SeamwatchError(f"model.repairs has no {', '.join(unknown)}; it has {known}")
    chosen = [repair for name, repair in section.repairs.items() if name in repairs]
    parameters: dict[str, Any] = {}
    for repair in chosen:
        parameters |= repair.parameters
    model = section.section
    if isinstance(model, HttpModel):
        if model.json_body is not None:
            return HttpClient(_reached(model, chosen), fetcher, parameters=parameters)
        query = model.query | {name: _text(name, value) for name, value in parameters.items()}
        return HttpClient(_reached(model, chosen).model_copy(update={"query": query}), fetcher)
    merged = {"parameters": model.parameters | parameters}
    return OpenInferenceClient(_reached(model, chosen).model_copy(update=merged), fetcher)


def _reached(model: Model, repairs: list[RepairSection]) -> Model:
    """Return *model* with the headers and the address that *repairs* give it."""
    headers = dict(model.headers)
    url = model.url
    for repair in repairs:
        new = {name.lower() for name in repair.headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in new}
        headers |= repair.headers
        url = repair.url or url
    changed: dict[str, Any] = {"headers": headers, "url": url}
    if model.tls is not None and urlsplit(url).hostname != urlsplit(model.url).hostname:
        # the name was that of another host's certificate
        changed["tls"] = model.tls.model_copy(update={"server_name": None})
    return model.model_copy(update=changed)


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise SeamwatchError(f"repair parameter {name} cannot be sent: {error}") from error
