"""The sections under ``model``: one for each protocol, and what bounds all of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from seamwatch.config.fields import Duration, Expression, Listed, Name, Section, Texts
from seamwatch.config.placeholders import check
from seamwatch.config.reach import HttpTarget


class HttpModel(HttpTarget):
    """Any JSON over HTTP: a template for the question, JMESPath for the answer."""

    method: Literal["POST", "PUT", "GET"] = "POST"
    # a text that is one {{ path }} keeps the value's type; {{ input.question }} inside text is text
    json_body: Any = Field(default=None, alias="json")
    query: dict[str, str] = Field(default_factory=dict)  # URL parameters, also templates
    answer: Expression
    score: Expression | None = None
    scores: Expression | None = None  # a mapping of label to score
    answered_by: Expression | None = None
    refused: Expression | None = None  # true when the model says that it declines

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
    value: Any = "{{ input }}"
    # without a shape: [1] for one value, [1, n] for a list of n
    shape: Annotated[tuple[int, ...], Listed] | None = None  # one length may be -1: what is left
    parameters: dict[str, Any] = Field(default_factory=dict)  # e.g. content_type: str

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
    version: str | None = None
    inputs: Annotated[tuple[TensorSection, ...], Listed, Field(min_length=1)]
    parameters: dict[str, Any] = Field(default_factory=dict)
    answer: str  # name of the output tensor
    score: str | None = None
    labels: Texts | None = None  # label for each class index, where the answer is an index

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
    per_day: Annotated[int, Field(gt=0)] | None = None


AnyModel = HttpModel | OpenInferenceModel


class ModelSection(Section):
    """How to ask the live model; exactly one protocol."""

    http: HttpModel | None = None
    open_inference: OpenInferenceModel | None = None
    stage: Name | None = None  # the stage that answers; default: the only one of kind model
    timeout: Duration = 10.0
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    budget: BudgetSection = BudgetSection()

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
