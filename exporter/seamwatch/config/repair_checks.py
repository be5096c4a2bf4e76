"""What types cannot say of ``model.repairs``: each of them, and all of them together, must work."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from seamwatch.config.environment import without_values
from seamwatch.config.fields import shown
from seamwatch.config.placeholders import check as check_template
from seamwatch.config.plain import mapping
from seamwatch.config.problems import Finding, KeyPath
from seamwatch.config.sentences import one_of


def check_repairs(
    at: KeyPath, pipeline: Mapping[str, Any], stages: Collection[str]
) -> Iterator[Finding]:
    """Yield what is wrong with the repairs of *pipeline*, which stands *at*."""
    model = mapping(pipeline, "model")
    at = (*at, "model")
    repairs = {
        name: repair
        for name, repair in mapping(model, "repairs").items()
        if isinstance(repair, dict)
    }
    if not model.get("repairs"):
        if "attribution" in model:
            message = "nothing can be tried without repairs; add repairs: beside it, or remove it"
            yield Finding((*at, "attribution"), message, at_key=True)
        return
    if pipeline.get("golden") is None:
        message = "nothing is asked without a golden set; add golden: to the pipeline"
        yield Finding((*at, "repairs"), message, at_key=True)
    at = (*at, "repairs")
    yield from _check_blame(at, repairs, stages)
    yield from _check_single(at, repairs)
    yield from _check_agreement(at, repairs)
    yield from _check_parameters(at, mapping(model, "http"), repairs)
    for name, repair in repairs.items():
        if repair.get("threshold") == "best" and pipeline.get("threshold") is None:
            message = (
                "no threshold is known; add threshold: {stage: <the one that decides>}"
                " to the pipeline"
            )
            yield Finding((*at, name, "threshold"), message, at_key=True)


def _check_blame(
    at: KeyPath, repairs: Mapping[str, dict[str, Any]], stages: Collection[str]
) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name, repair in repairs.items():
        stage = repair.get("blames")
        if not isinstance(stage, str):
            continue
        path = (*at, name, "blames")
        if stage not in stages:
            yield Finding(path, f"there is no stage {shown(stage)} here; {one_of(stage, stages)}")
        elif (other := first.setdefault(stage, name)) != name:
            message = f"{shown(stage)} is blamed by {other} already; write what both change as one"
            yield Finding(path, f"{message} repair, or blame another stage")


def _check_single(at: KeyPath, repairs: Mapping[str, dict[str, Any]]) -> Iterator[Finding]:
    for key in ("url", "threshold"):
        having = [name for name, repair in repairs.items() if repair.get(key) is not None]
        for name in having[1:]:
            message = f"{having[0]} gives {key} as well, and all repairs must combine; keep one"
            yield Finding((*at, name, key), message, at_key=True)


def _check_agreement(at: KeyPath, repairs: Mapping[str, dict[str, Any]]) -> Iterator[Finding]:
    for key in ("headers", "parameters"):
        first: dict[str, tuple[str, Any]] = {}
        for name, repair in repairs.items():
            for written, value in mapping(repair, key).items():
                one = written.lower() if key == "headers" else written
                other, before = first.setdefault(one, (name, value))
                if other != name and before != value:
                    message = (
                        f"{other} sets it to something else, and all repairs must combine;"
                        " give both the same value, or another way to one of them"
                    )
                    yield Finding((*at, name, key, written), message, at_key=True)


def _check_parameters(
    at: KeyPath, http: Mapping[str, Any], repairs: Mapping[str, dict[str, Any]]
) -> Iterator[Finding]:
    if not http:
        return
    body = http.get("json")
    in_query = body is None
    for name, repair in repairs.items():
        parameters = mapping(repair, "parameters")
        path = (*at, name, "parameters")
        if parameters and not in_query and not isinstance(body, dict):
            message = "the json of the model is no mapping, so nothing can be set in it; "
            message += 'write json as a mapping such as {question: "{{ input }}"}, or use headers'
            yield Finding(path, message, at_key=True)
        for key, value in parameters.items():
            if in_query and isinstance(value, dict | list):
                message = f"{shown(value)} stands here, but this model is asked by URL"
                yield Finding((*path, key), f"{message} parameters alone; write a text")
            try:
                check_template(value, key)
            except ValueError as error:
                yield Finding((*path, key), without_values(str(error), value))
