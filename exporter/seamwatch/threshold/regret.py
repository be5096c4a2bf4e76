"""What a better threshold would win, without the luck of having looked for it.

The best threshold on the data at hand always looks better than it is: the plug-in maximum reports
a gain in nine of ten healthy sets of 100 items. So the estimate is corrected for that optimism by
bootstrap, and the bound comes from thresholds that were chosen without the items they are tried on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from seamwatch.threshold.curve import Curve

Objective = Literal["accuracy", "f1", "cost"]

ENOUGH = 30
"""Items with a score, and for F1 items that should be answered, before anything is said."""

REPLICATES = 200  # bootstrap samples


@dataclass(frozen=True, slots=True)
class Regret:
    """What a better threshold would win, in units of the objective (0.03: 3 points of accuracy).

    Cost is counted as a share of the dearest mistake: 0.03 with ``wrong=5`` saves 0.15 an answer.
    """

    estimate: float  # corrected for optimism; a little under 0 where there is nothing to win
    lower: float  # 95 %, one-sided: above 0 the threshold is out of tune
    # (with several answers an item up to half a point too low at 100 items, for the same reason)
    apparent: float  # best minus now on these very items: too high, for people who wonder
    best: float  # the threshold in the middle of the best ones
    n: int  # items
    value: float  # the threshold in force

    @property
    def is_raised(self) -> bool:
        """Say whether the threshold is out of tune beyond doubt."""
        return self.lower > 0


def regret(
    scores: Sequence[float],
    right: Sequence[bool],
    declined_right: Sequence[bool],
    ids: Sequence[str],
    threshold: float,
    *,
    objective: Objective = "accuracy",
    wrong: float = 1.0,
    declined: float = 0.2,
    seed: int,
    weights: Sequence[float] | None = None,
    replicates: int = REPLICATES,
) -> Regret | None:
    """Return what the best threshold would win over *threshold*; None with too few items.

    A score of *threshold* or more gives the candidate answer, a lower one declines. A binary
    decision is the same with "yes" for the candidate and "no" for declining.

    Args:
        scores: of each answer, shape (n,); inf: never declined, -inf: always, at any threshold.
        right: would the candidate be right, shape (n,); binary: is the truth "yes".
        declined_right: would declining be right, shape (n,); binary: is the truth "no".
        ids: the item of each answer, shape (n,); the answers of one item stay together.
        threshold: the one in force.
        objective: ``accuracy``; ``f1`` of the answers given (binary: of "yes"); ``cost``.
        wrong: with ``cost``, what a wrong answer costs, 0 or more (binary: a false "yes").
        declined: the same of declining what has an answer (binary: a false "no").
        seed: for the bootstrap and the folds, 0 or more.
        weights: of the answers, above 0, shape (n,); None: all equal.
        replicates: bootstrap samples.

    Raises:
        ValueError: the lengths differ, a score or the threshold is NaN, a weight is not above 0, or
            the costs are no costs.

    Sources: Efron, JASA 78 (1983) 316-331 for the optimism; Varma and Simon, BMC Bioinformatics 7
    (2006) 91 for choosing and trying on separate folds. Neither depends on the order of the rows.
    """
    curve = _curve(scores, right, declined_right, ids, objective, wrong, declined, weights)
    if math.isnan(threshold):
        raise ValueError("a threshold that is no number declines nothing and answers nothing")
    if curve.bearing < ENOUGH:
        return None
    place = curve.place(threshold)
    apparent, found = curve.apparent(place)
    return Regret(
        estimate=apparent - curve.optimism(place, seed=seed, replicates=replicates),
        lower=curve.lower_bound(place, seed=seed),
        apparent=apparent,
        best=curve.threshold(found),
        n=curve.items,
        value=threshold,
    )


def best(
    scores: Sequence[float],
    right: Sequence[bool],
    declined_right: Sequence[bool],
    *,
    objective: Objective = "accuracy",
    wrong: float = 1.0,
    declined: float = 0.2,
    weights: Sequence[float] | None = None,
) -> float:
    """Return the middle of the thresholds that do best; arguments as for ``regret``.

    It lies halfway between two scores that occur, or outside all of them.

    Raises:
        ValueError: as ``regret``, and when no answer has a finite score, or for F1 none is due.
    """
    ids = [str(n) for n in range(len(scores))]
    curve = _curve(scores, right, declined_right, ids, objective, wrong, declined, weights)
    if not curve.bearing:
        raise ValueError(
            "no answer has a score, or none should be given: no threshold is better than another"
        )
    return curve.threshold(curve.apparent(0)[1])


def _curve(
    scores: Sequence[float],
    right: Sequence[bool],
    declined_right: Sequence[bool],
    ids: Sequence[str],
    objective: Objective,
    wrong: float,
    declined: float,
    weights: Sequence[float] | None,
) -> Curve:
    from seamwatch.threshold.curve import Curve

    if weights is None:
        weights = [1.0] * len(scores)
    lengths = {len(scores), len(right), len(declined_right), len(ids), len(weights)}
    if len(lengths) > 1:
        raise ValueError(f"columns of different lengths: {sorted(lengths)}")
    return Curve(
        scores,
        right,
        declined_right,
        ids,
        weights,
        objective=objective,
        wrong=wrong,
        declined=declined,
    )
