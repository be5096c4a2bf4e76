"""When enough is known to name a suspect, or to say that no repair explains the loss.

Pure. Contributions are those of `Dossier.contributions`: one vector an item, each entry in [-1, 1]
in all but contrived cases, and the items are a random sample of the discordant ones.

A leader is named when, against every rival, two things hold:

- *posterior*: with a flat prior the chance that the leader's mean contribution is larger is at
  least the confidence (normal; the variance is enlarged by 1/n, so that a few unanimous items
  settle nothing);
- *lead*: the sum of the differences is at least ``ln(1 / (1 - confidence)) / ln(NEAR_TIE)`` items.
  If in truth the rival won back NEAR_TIE times as much as the leader or more, ``NEAR_TIE ** lead``
  would be a supermartingale (the exponential lies under its chords on [-1, 0] and [0, 1]), so by
  Ville's inequality the chance that the lead is *ever* reached is at most 1 - confidence, however
  often one looks. The posterior alone has no such bound: looked at after every item it names the
  wrong one of two near suspects far more often than its confidence says.

``strict`` is anytime-valid against every rival that wins back as much, however little more: a
mixture of bets (Waudby-Smith and Ramdas 2024) with the error shared out over the rivals.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, log1p, sqrt
from statistics import NormalDist

AT_LEAST = 8
"""Items that must have been shared out before anything is concluded."""

NEAR_TIE = 1.45
"""Suspects of which one wins back less than this many times the other are nearly tied."""

EXPLAINED, UNEXPLAINED = 0.3, 0.1
"""Ratios of discordant items won back: with this much a suspect is worth looking for, with that
little it is not."""

BETS = tuple(0.02 * 24.5 ** (step / 7) for step in range(8))
"""Bets of `strict`, 0.02 to 0.49: below 1/2, so that a difference of -2 leaves some wealth."""


def beats(differences: Sequence[float], *, confidence: float) -> bool:
    """Say whether the leader's contributions exceed a rival's, by posterior and by lead.

    Args:
        differences: leader's less rival's contribution, one an item.
        confidence: in (1/2, 1).
    """
    n = len(differences)
    if n < AT_LEAST:
        return False
    total = sum(differences)
    if total < log(1 / (1 - confidence)) / log(NEAR_TIE):
        return False
    mean = total / n
    variance = sum((one - mean) ** 2 for one in differences) / (n - 1)
    return mean >= NormalDist().inv_cdf(confidence) * sqrt((variance + 1 / n) / n)


def strictly_beats(differences: Sequence[float], *, confidence: float, rivals: int) -> bool:
    """Say whether the wealth of bets on the leader reaches ``rivals / (1 - confidence)``.

    Valid at any time: if the rival wins back as much as the leader or more, the chance that this
    is ever true is at most ``(1 - confidence) / rivals``. *differences* in the order they came.
    """
    if len(differences) < AT_LEAST:
        return False
    limit = log(rivals / (1 - confidence))
    logs = [sum(log1p(bet * one) for one in differences) for bet in BETS]
    top = max(logs)
    return top + log(sum(exp(one - top) for one in logs) / len(logs)) >= limit


def explains_nothing(won_back: int, tried: int, *, confidence: float) -> bool:
    """Say whether the repairs win back no more than a tenth of the discordant items.

    Wald's test of UNEXPLAINED against EXPLAINED: if in truth the repairs win back EXPLAINED or
    more, the chance that this is ever true is at most 1 - confidence.
    """
    if tried < AT_LEAST:
        return False
    evidence = won_back * log(UNEXPLAINED / EXPLAINED)
    evidence += (tried - won_back) * log((1 - UNEXPLAINED) / (1 - EXPLAINED))
    return evidence >= log(1 / (1 - confidence))
