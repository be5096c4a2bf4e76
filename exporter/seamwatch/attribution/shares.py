"""What an inquiry found: each repair's share of the loss, in points of accuracy.

Pure. Ratios: 0.12 means 12 points of accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import sqrt

Z = 1.959964  # of a two-sided 95 % interval


class Phase(StrEnum):
    """How far an inquiry is."""

    COLLECTING = "collecting"  # too few items for any conclusion
    PERMUTATIONS = "permutations"
    FACTORIAL = "factorial"  # every variant of some items, for shares and interactions
    DONE = "done"


class Outcome(StrEnum):
    """What an inquiry concludes."""

    OPEN = "open"
    DECIDED = "decided"
    UNDECIDED = "undecided"  # between `tied`, with the budget spent or every item known
    UNEXPLAINED = "unexplained"  # no repair wins back enough


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the loss with its 95 % interval; points of accuracy as ratios."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Attribution:
    """Whose fault the loss is, as far as the repairs can tell.

    The shares are Shapley values over the discordant items (right when blessed, wrong now). They
    add up to ``explained``, and with ``unexplained`` to ``loss``. They are empty while the loss is
    unknown. What repairs break among items that are right now is not in them but in ``broken``.
    """

    phase: Phase
    outcome: Outcome
    top: str | None = None  # only where decided
    tied: tuple[str, ...] = ()  # only where undecided: nobody of them is ruled out, largest first
    shares: Mapping[str, Share] = field(default_factory=dict)
    unexplained: Share | None = None  # what all repairs together do not win back
    interactions: Mapping[tuple[str, str], Share] = field(default_factory=dict)
    loss: float | None = None  # accuracy when blessed less accuracy now
    explained: float | None = None
    exact: bool = False  # every discordant item was asked in every variant, none changed by chance
    items: int = 0  # factorised: won back by all repairs and shared out
    probes: int = 0  # calls sent to the model, failed ones too
    named_after: int | None = None  # calls sent until somebody was named
    candidates: int = 0  # discordant items offered
    audited: int = 0  # right items that were asked with all repairs
    broken: Mapping[str, float] = field(default_factory=dict)  # audited items that a repair broke
    harm: Share | None = None  # ratio of right items that all repairs break; Wilson's interval


@dataclass(frozen=True, slots=True)
class Found:
    """What one discordant item says."""

    contributions: tuple[float, ...]  # by repair
    lost: float  # when blessed less now; about 0 for an item that was wrong by chance
    interactions: Mapping[tuple[int, int], float] | None  # where every variant is known
    is_exact: bool  # nothing random is left in the contributions
    won_back: bool


def mean_share(values: Sequence[float], *, scale: float, unknown: float, noise: float) -> Share:
    """Return *scale* times the mean with its normal 95 % interval.

    Args:
        values: one an item, in [-1, 1]; one or more.
        scale: points of accuracy that one item's worth stands for.
        unknown: factor on the sampling variance, 0 where nothing is left to sample.
        noise: variance of the mean by answers that change by chance, whatever is sampled.
    """
    n = len(values)
    mean = sum(values) / n
    variance = sum((one - mean) ** 2 for one in values) / max(1, n - 1)
    half = Z * scale * sqrt(max(noise, unknown * (variance + 1 / n) / n))
    value = scale * mean
    return Share(value, max(-1.0, value - half), min(1.0, value + half))


def scale_of(
    found: Sequence[Found], *, loss: float | None, offered: int, asked: int, items: int
) -> float | None:
    """Return how many points of accuracy one item's worth among *found* stands for, or None.

    Where the whole set was asked it is the ratio of discordant items. Else *loss* is shared out in
    the proportions found, so that items that were wrong by chance do not count; and where the
    loss is not known either, the ratio of discordant items among those *asked*, if any.
    """
    lost = sum(one.lost for one in found) / len(found) if found else 0.0
    if lost <= 0:
        return None
    if asked >= items:
        return offered / items
    if loss is not None:
        return loss / lost if loss > 0 else None
    return offered / asked if asked else None


def pairs(
    found: Sequence[Found],
    names: Sequence[str],
    *,
    scale: float,
    unknown: float,
    noise: float,
) -> dict[tuple[str, str], Share]:
    """Return the interactions of repairs, from the items whose every variant is known.

    Empty for fewer than two such items, unless they are all there are.
    """
    whole = [one.interactions for one in found if one.interactions is not None]
    if not whole or (len(whole) < 2 and unknown):
        return {}
    part = sum(one.won_back for one in found) / len(found)
    return {
        (names[one], names[two]): mean_share(
            [table[one, two] for table in whole], scale=scale * part, unknown=unknown, noise=noise
        )
        for one, two in whole[0]
    }


def wilson(count: int, n: int) -> Share:
    """Return *count* out of *n* (1 or more) with Wilson's 95 % interval."""
    ratio = count / n
    centre = (ratio + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(ratio * (1 - ratio) / n + Z * Z / (4 * n * n))
    lower = max(0.0, centre - half) if count else 0.0
    return Share(ratio, lower, min(1.0, centre + half) if count < n else 1.0)
