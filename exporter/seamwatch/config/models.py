"""The sections under ``model``: one for each protocol, and what bounds all of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from seamwatch.config.fields import Expression, Listed, Name, Period, Section, Texts
from seamwatch.config.placeholders import check
from seamwatch.config.reach import HttpTarget
from seamwatch.config.repairs import AttributionSection, Repairs


class HttpModel(HttpTarget):
    """Any JSON over HTTP: a template for the question, JMESPath for the answer."""

    method: Literal["POST", "PUT", "GET"] = "POST"
    """How the question is sent."""
    json_body: Any = Field(default=None, alias="json")
    """Body of the question: any JSON with `{{ input }}`, `{{ input.FIELD }}` or `{{ id }}`
    in its texts. A text that is one such placeholder keeps the type of the value.
    """
    query: dict[str, str] = Field(default_factory=dict)
    """URL parameters; their texts may hold placeholders as well."""
    answer: Expression
    """Where the answer stands in the response."""
    score: Expression | None = None
    """Where its confidence stands."""
    scores: Expression | None = None
    """Where a mapping of label to score stands."""
    candidate: Expression | None = None
    """Where the answer before the threshold stands, for a pipeline that declines under one."""
    answered_by: Expression | None = None
    """Where the version that really answered stands."""
    refused: Expression | None = None
    """True where the model says that it declines."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.method == "GET" and self.json_body is not None:
            raise ValueError("method GET sends no json; write method: POST, or query instead")
        if not check(self.json_body, "json") + check(self.query, "query"):
            raise ValueError(
                "nothing of the golden item is sent to the model; write for example"
                ' json: {question: "{{ input }}"}'
            )
        return self


class TensorSection(Section):
    """One input tensor of the Open Inference Protocol."""

    name: str
    """Name of the tensor."""
    datatype: Literal[
        "BOOL",
        "UINT8",
        "UINT16",
        "UINT32",
        "UINT64",
        "INT8",
        "INT16",
        "INT32",
        "INT64",
        "FP16",
        "FP32",
        "FP64",
        "BYTES",
    ]
    """Type of its elements."""
    value: Any = "{{ input }}"
    """What is sent; `{{ input.FIELD }}` is a field of the item's input."""
    shape: Annotated[tuple[int, ...], Listed] | None = None
    """Its lengths, one of which may be -1; `[1]` or `[1, n]` by default."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the tensor, e.g. `content_type: str`."""

    @model_validator(mode="after")
    def _can_be_made(self) -> Self:
        if not check(self.value, "value"):
            raise ValueError('value sends nothing of the golden item; write value: "{{ input }}"')
        lengths = self.shape or ()
        if any(length < 1 and length != -1 for length in lengths) or lengths.count(-1) > 1:
            found = list(lengths)
            raise ValueError(f"shape {found} is none; write lengths of 1 or more, at most one -1")
        return self


class OpenInferenceModel(HttpTarget):
    """Open Inference Protocol V2 over REST; *url* is the server's base address."""

    model: str
    """Name of the model on the server."""
    version: str | None = None
    """Version to ask; the server's choice by default."""
    inputs: Annotated[tuple[TensorSection, ...], Listed, Field(min_length=1)]
    """The input tensors."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the request."""
    answer: str
    """Name of the output tensor with the answer."""
    score: str | None = None
    """Name of the output tensor with its confidence."""
    candidate: str | None = None
    """Name of the output tensor with the answer before the threshold, for a pipeline that declines
    under one.
    """
    labels: Texts | None = None
    """The label of each class index, where the answer is an index."""

    @model_validator(mode="after")
    def _base_address(self) -> Self:
        path = urlsplit(self.url).path.rstrip("/")
        if path.endswith("/v2") or "/v2/models/" in path:
            raise ValueError(
                "url is the server's base address; leave out /v2 and what follows, and give model"
            )
        return self


class BudgetSection(Section):
    """Hard limits on probes: one over budget is not sent, and that is visible."""

    per_hour: Annotated[int, Field(gt=0)] | None = None
    """Probes in any hour, at most."""
    per_day: Annotated[int, Field(gt=0)] | None = None
    """Probes in any 24 hours, at most."""


AnyModel = HttpModel | OpenInferenceModel


class ModelSection(Section):
    """How to ask the live model; exactly one protocol."""

    http: HttpModel | None = None
    """Any JSON over HTTP."""
    open_inference: OpenInferenceModel | None = None
    """Open Inference Protocol V2 over REST."""
    stage: Name | None = None
    """The stage that answers; the only one of kind `model` by default."""
    timeout: Period = 10.0
    """Time that one whole answer may take."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Questions under way at the same time, at most; fewer while the model answers 429 or 503."""
    budget: BudgetSection = BudgetSection()
    """Hard limits: a probe over budget is not sent, and that is visible."""
    cost: Annotated[float, Field(ge=0)] = 0.0
    """What one probe costs, in any currency; `seamwatch plan` multiplies it."""
    repairs: Repairs = Field(default_factory=dict)
    """Ways to ask that leave one stage's fault out, by name; 8 at most."""
    attribution: AttributionSection = AttributionSection()
    """How much is asked to name a suspect."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = ("http", "open_inference")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"{found} given; give exactly one protocol: {', '.join(kinds)}")
        return self

    @property
    def kind(self) -> str:
        """The name of the protocol that is given."""
        return "http" if self.http is not None else "open_inference"

    @property
    def section(self) -> AnyModel:
        """The section of that protocol."""
        section: AnyModel = getattr(self, self.kind)
        return section
