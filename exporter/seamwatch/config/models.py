"""The sections under ``model``: one for each protocol, and what bounds all of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from seamwatch.config.fields import Duration, Expression, Listed, Name, Section, Texts
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
    shape: Annotated[tuple[int, ...], Listed] | None = None


class OpenInferenceModel(HttpTarget):
    """Open Inference Protocol V2 over REST; *url* is the server's base address."""

    model: str
    version: str | None = None
    inputs: Annotated[tuple[TensorSection, ...], Listed]
    parameters: dict[str, Any] = Field(default_factory=dict)
    answer: str  # name of the output tensor
    score: str | None = None
    labels: Texts | None = None  # label for each class index, where the answer is an index


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
