"""Measure answers that are one label each, with scikit-learn: confusion, scores, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from seamwatch.pipeline import Task
from seamwatch.scoring.columns import Columns

CALIBRATION_BINS = 10
SUM_TOLERANCE = 0.02
"""How far the scores of one answer may be from a sum of 1 and still be probabilities (rounding)."""

_NONE = -1  # the code of "no usable answer" and of "should refuse"


def weights_of(weights: tuple[float, ...]) -> Any:
    """Return the weights, shape (answers,); None where all are equal, which is quicker."""
    import numpy as np

    return None if weights.count(weights[0]) == len(weights) else np.array(weights)


def classified(columns: Columns) -> dict[str, float]:
    """Return the measures of binary and multiclass answers; what is undefined is absent or NaN."""
    import numpy as np

    weights = np.array(columns.weights)
    found = {"accuracy": float(np.average(columns.correct, weights=weights))}
    codes: dict[str | None, int] = {None: _NONE}
    true = np.array([codes.setdefault(one, len(codes) - 1) for one in columns.true])
    predicted = np.array([codes.setdefault(one, len(codes) - 1) for one in columns.predicted])
    asked = true != _NONE
    if asked.any():
        found |= _confusion(true[asked], predicted[asked], weights[asked], codes, columns)
    found |= _calibration(columns, asked, weights)
    if columns.task is Task.BINARY:
        return found | _binary_scores(columns, asked, weights)
    return found | _multiclass_scores(columns, asked, weights)


def _confusion(
    true: Any, predicted: Any, weights: Any, codes: Mapping[str | None, int], columns: Columns
) -> dict[str, float]:
    import numpy as np
    from sklearn.metrics import precision_recall_fscore_support

    in_truth = np.unique(true).tolist()
    positive = None if columns.positive is None else codes.get(columns.positive)
    extra = [positive] if positive is not None and positive not in in_truth else []
    each = precision_recall_fscore_support(
        true, predicted, labels=in_truth + extra, sample_weight=weights, zero_division=np.nan
    )[:3]
    found = {}
    if len(in_truth) > 1:
        found["balanced_accuracy"] = float(np.mean(each[1][: len(in_truth)]))
    if columns.task is Task.BINARY:
        if positive is None:
            return found
        place = (in_truth + extra).index(positive)
        each = tuple(values[place : place + 1] for values in each)
    for name, values in zip(("precision", "recall", "f1"), each, strict=True):
        if not np.isnan(values).all():
            found[name] = float(np.nanmean(values))
    return found


def _calibration(columns: Columns, asked: Any, weights: Any) -> dict[str, float]:
    """Return the expected calibration error of the answers' own confidence, and who has one.

    Mean gap between confidence and share correct over CALIBRATION_BINS equal bins, weighted by
    what is in them. Source: Naeini, Cooper and Hauskrecht, AAAI (2015), section "Calibration
    metrics", with top-label confidence as in Guo et al., ICML (2017), eq. 3.
    """
    import numpy as np

    confidence = np.array(columns.confidence, dtype=float)  # None becomes NaN
    has = asked & ~np.isnan(confidence)
    if not has.any():
        return {}
    confidence, kept = confidence[has], weights[has]
    gap = kept * (np.array(columns.correct, dtype=float)[has] - confidence)
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    total = np.abs(np.bincount(bins, weights=gap)).sum()
    return {
        "calibration_error": float(total / kept.sum()),
        "scored_ratio": float(kept.sum() / weights[asked].sum()),
    }


def _binary_scores(columns: Columns, asked: Any, weights: Any) -> dict[str, float]:
    import numpy as np

    if not columns.ratings:
        return {}
    ratings = np.array(columns.ratings, dtype=float)
    has = asked & ~np.isnan(ratings)
    if not has.any():
        return {}
    ratings, kept = ratings[has], weights[has]
    is_positive = np.array([one == columns.positive for one in columns.true])[has].astype(int)
    return _of_ratings(is_positive, ratings, kept)


def _of_ratings(is_positive: Any, ratings: Any, weights: Any) -> dict[str, float]:
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    found = {}
    if 0 < is_positive.sum() < len(is_positive):
        found["roc_auc"] = float(roc_auc_score(is_positive, ratings, sample_weight=weights))
    if ratings.min() >= 0 and ratings.max() <= 1:
        found["log_loss"] = float(
            log_loss(is_positive, ratings, labels=[0, 1], sample_weight=weights)
        )
        found["brier"] = float(
            brier_score_loss(is_positive, ratings, pos_label=1, sample_weight=weights)
        )
    return found


def _multiclass_scores(columns: Columns, asked: Any, weights: Any) -> dict[str, float]:
    import numpy as np

    places = [place for place, one in enumerate(columns.scores) if asked[place] and one is not None]
    table = _table([columns.scores[place] or {} for place in places])
    if table is None:
        return {}
    labels, scores = table
    true = np.array([columns.true[place] for place in places])
    kept = weights[places]
    found = _one_against_rest(true, labels, scores, kept)
    sums = scores.sum(axis=1)
    if scores.min() >= 0 and np.abs(sums - 1).max() <= SUM_TOLERANCE:
        found |= _of_probabilities(true, labels, scores / sums[:, None], kept)
    return found


def _table(rows: list[Mapping[str, float]]) -> tuple[list[str], Any] | None:
    """Return the labels and the scores, shape (rows, labels); None unless each row has them all."""
    import numpy as np

    labels = sorted(rows[0]) if rows else []
    if len(labels) < 2 or any(len(one) != len(labels) for one in rows):
        return None  # only some of the labels are scored: no distribution
    pick = itemgetter(*labels)
    try:
        scores = np.array([pick(one) for one in rows], dtype=float)
    except (KeyError, TypeError, ValueError):
        return None
    return (labels, scores) if np.isfinite(scores).all() else None


def _one_against_rest(true: Any, labels: list[str], scores: Any, weights: Any) -> dict[str, float]:
    """Return the mean ROC AUC of each label against the others, over the labels where it exists."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    areas = []
    for place, label in enumerate(labels):
        own = true == label
        if 0 < own.sum() < len(own):
            areas.append(roc_auc_score(own, scores[:, place], sample_weight=weights))
    return {"roc_auc": float(np.mean(areas))} if areas else {}


def _of_probabilities(true: Any, labels: list[str], shares: Any, weights: Any) -> dict[str, float]:
    """Return log loss and Brier score (the sum over labels, in [0, 2])."""
    import numpy as np
    from sklearn.metrics import log_loss

    unknown = sorted(set(true.tolist()) - set(labels))  # the model gives them no chance at all
    if unknown:
        shares = np.hstack([shares, np.zeros((len(shares), len(unknown)))])
    order = {label: place for place, label in enumerate(labels + unknown)}
    codes = np.array([order[label] for label in true.tolist()])
    misses = shares.copy()
    misses[np.arange(len(codes)), codes] -= 1
    return {
        "log_loss": float(
            log_loss(codes, shares, labels=list(range(len(order))), sample_weight=weights)
        ),
        "brier": float(np.average((misses**2).sum(axis=1), weights=weights)),
    }
