"""What makes an answer right: the rules of one golden set, and the text of a label."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

from seamwatch.pipeline import Task
from seamwatch.scoring.textmatch import tokens

TextMeasure = Literal["exact", "token_f1", "rouge_l"]
RankingMeasure = Literal["recall_at_k", "ndcg", "mrr"]
ScoreOf = Literal["answer", "positive"]

_YES = frozenset(("1", "true", "yes", "positive", "pos"))


@dataclass(frozen=True)
class Rules:
    """How the answers to one golden set are judged."""

    task: Task
    refusals: tuple[str, ...] = ()  # answers that mean the model declines
    labels: tuple[str, ...] | None = None  # all labels that are valid; None: any
    positive: str | None = None  # binary: the label that counts as positive
    tolerance: float = 0.0  # regression: absolute error that is still correct
    relative_tolerance: float = 0.0  # the same as a share of the truth
    k: int = 10  # ranking: cut-off rank
    at_least: float | None = None  # ranking and text: credit from which it is correct; None: 1
    text_measure: TextMeasure = "exact"
    ranking_measure: RankingMeasure = "recall_at_k"
    score_of: ScoreOf = "answer"  # binary: what the model's single score is the confidence in
    json_schema: Mapping[str, Any] | None = None  # what every answer must look like

    @cached_property
    def known_labels(self) -> frozenset[str] | None:
        """The valid labels, None when any will do."""
        return None if self.labels is None else frozenset(self.labels)

    @cached_property
    def known_refusals(self) -> frozenset[tuple[str, ...]]:
        """The tokens of each refusal, so that case and punctuation do not matter."""
        return frozenset(tuple(tokens(text)) for text in self.refusals)

    @cached_property
    def validator(self) -> Any:
        """The compiled JSON Schema, None without one; it never fetches a reference."""
        if self.json_schema is None:
            return None
        import jsonschema
        import referencing

        kind = jsonschema.validators.validator_for(self.json_schema)
        return kind(dict(self.json_schema), registry=referencing.Registry())

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def label_of(value: Any) -> str | None:
    """Return the text of a label; None when *value* is no label.

    Booleans are ``true`` and ``false``; a number without a fraction has none in its text either,
    as JSON does not tell 1 from 1.0.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 1 << 64 else None
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return None


def labels_of(value: Any) -> tuple[str, ...] | None:
    """Return the texts of a list of labels in its order; None when *value* is no such list."""
    if not isinstance(value, list | tuple):
        return None
    texts = tuple(label_of(one) for one in value)
    return None if None in texts else texts  # type: ignore[return-value]


def label_set_of(value: Any) -> frozenset[str] | None:
    """Return a list of labels as a set of texts; None when *value* is no such list."""
    texts = labels_of(value)
    return None if texts is None else frozenset(texts)


def number_of(value: Any) -> float | None:
    """Return a finite number; None for anything else, also for numbers written as text."""
    if type(value) is float:  # the most common by far
        return value if math.isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def positive_among(labels: frozenset[str] | set[str]) -> str | None:
    """Return the one label that says yes (1, true, yes, positive); None unless just one does."""
    found = [label for label in labels if label.casefold() in _YES]
    return found[0] if len(found) == 1 else None


SHAPES: Mapping[Task, Callable[[Any], Any]] = {
    Task.BINARY: label_of,
    Task.MULTICLASS: label_of,
    Task.MULTILABEL: label_set_of,
    Task.REGRESSION: number_of,
    Task.RANKING: labels_of,
    Task.TEXT: label_of,
}
"""How each task reads a value, the answer's as well as the truth's; None: it has another shape."""
