"""Measure a batch of answers; scikit-learn where it has the measure.

A measure that is not defined on the batch (one class only, no scores, nothing predicted) is
absent: never 0, never NaN. A refused or invalid answer counts as a miss of the right label.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seamwatch.pipeline import Task
from seamwatch.scoring.classification import classified, weights_of
from seamwatch.scoring.columns import Columns


def measures(columns: Columns) -> dict[str, float]:
    """Return the measures of the task, name to value, over the answers in *columns*.

    - binary: accuracy, balanced_accuracy, precision, recall, f1; with scores roc_auc, log_loss,
      brier, calibration_error, and scored_ratio, the share of the answers that have a score;
    - multiclass: the same, averaged over the labels that occur in the truth (macro);
    - multilabel: subset_accuracy, f1_micro, f1_macro, f1_samples, hamming_loss;
    - regression: mae, rmse, r2;
    - ranking: recall_at_k, ndcg, mrr; text: exact_match, token_f1, rouge_l.

    All are weighted by the items' weights. Items that the model should refuse count for accuracy
    and subset_accuracy only: they have no label to be measured against.
    """
    if len(columns) == 0:
        return {}
    found = _TASKS[columns.task](columns)
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _means(columns: Columns) -> dict[str, float]:
    """Average what ranking and text answers scored one by one."""
    means = {}
    for name, values in columns.measures.items():
        pairs = [
            (value, weight)
            for value, weight in zip(values, columns.weights, strict=True)
            if value is not None
        ]
        total = math.fsum(weight for _, weight in pairs)
        means[name] = math.fsum(value * weight for value, weight in pairs) / total
    return means


def _multilabel(columns: Columns) -> dict[str, float]:
    import numpy as np
    from sklearn.metrics import f1_score, multilabel_confusion_matrix

    weights = weights_of(columns.weights)
    found = {"subset_accuracy": float(np.average(columns.correct, weights=weights))}
    asked = [place for place, one in enumerate(columns.true) if one is not None]
    true = [columns.true[place] for place in asked]
    predicted = [columns.predicted[place] for place in asked]
    in_truth = sorted(set().union(*true))
    others = sorted(set().union(*(one for one in predicted if one is not None)) - set(in_truth))
    places = {label: place for place, label in enumerate(in_truth + others)}
    if not places:
        return found
    kept = None if weights is None else weights[asked]
    # one more label, which no truth has, stands for "no usable answer": a refusal where no label
    # is right is a mistake too. It also keeps scikit-learn from reading one label as binary
    truth = _indicators(true, places)
    answers = _indicators(predicted, places)
    each = multilabel_confusion_matrix(truth, answers, sample_weight=kept)
    hits, misses = each[:, 1, 1], each[:, 0, 1] + each[:, 1, 0]
    found["hamming_loss"] = misses[:-1].sum() / each[:-1].sum()
    if in_truth:
        of_truth = slice(len(in_truth))
        found["f1_macro"] = np.mean(2 * hits[of_truth] / (2 * hits + misses)[of_truth])
    if hits.sum() + misses.sum() > 0:
        found["f1_micro"] = 2 * hits.sum() / (2 * hits.sum() + misses.sum())
    # zero_division: no label expected and none answered is right
    found["f1_samples"] = f1_score(
        truth, answers, average="samples", sample_weight=kept, zero_division=1.0
    )
    return found


def _indicators(rows: Sequence[Any], places: Mapping[str, int]) -> Any:
    """Return a sparse 0/1 matrix, shape (rows, labels + 1); the last column is for None."""
    import numpy as np
    from scipy.sparse import csr_matrix

    starts, cells = [0], []
    for one in rows:
        if one is None:
            cells.append(len(places))
        else:
            cells += [places[label] for label in one]
        starts.append(len(cells))
    ones = np.ones(len(cells), dtype=np.int8)
    matrix = csr_matrix((ones, cells, starts), shape=(len(rows), len(places) + 1))
    matrix.sort_indices()
    return matrix


def _regression(columns: Columns) -> dict[str, float]:
    import numpy as np
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    weights = weights_of(columns.weights)
    true = np.array(columns.true, dtype=float)  # None becomes NaN
    predicted = np.array(columns.predicted, dtype=float)
    usable = ~(np.isnan(true) | np.isnan(predicted))
    if not usable.any():
        return {}
    if not usable.all():
        true, predicted = true[usable], predicted[usable]
        weights = None if weights is None else weights[usable]
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not finite: absent
        found = {
            "mae": mean_absolute_error(true, predicted, sample_weight=weights),
            "rmse": root_mean_squared_error(true, predicted, sample_weight=weights),
        }
        if np.ptp(true) > 0:
            found["r2"] = r2_score(true, predicted, sample_weight=weights)
    return found


_TASKS: Mapping[Task, Callable[[Columns], dict[str, float]]] = {
    Task.BINARY: classified,
    Task.MULTICLASS: classified,
    Task.MULTILABEL: _multilabel,
    Task.REGRESSION: _regression,
    Task.RANKING: _means,
    Task.TEXT: _means,
}
