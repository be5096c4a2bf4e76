"""How well a ranked list finds the relevant ids: recall, nDCG and reciprocal rank, all at k."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence


def ranked(answer: Sequence[str], relevant: Collection[str], *, k: int) -> dict[str, float]:
    """Return ``recall_at_k``, ``ndcg`` and ``mrr`` of one ranked list, each in [0, 1].

    Args:
        answer: ids in rank order; of an id that comes twice only the first place counts.
        relevant: the ids that should be found, at least one; all are equally relevant.
        k: cut-off rank, 1 or more; nothing after it counts.

    Sources: Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), ch. 8.4;
    Järvelin and Kekäläinen (2002) for nDCG with the discount log2(1 + rank).
    """
    wanted = frozenset(relevant)
    top = list(dict.fromkeys(answer))[:k]
    hits = [rank for rank, found in enumerate(top, start=1) if found in wanted]
    ideal = sum(1 / math.log2(1 + rank) for rank in range(1, min(len(wanted), k) + 1))
    return {
        "recall_at_k": len(hits) / len(wanted),
        "ndcg": min(1.0, sum(1 / math.log2(1 + rank) for rank in hits) / ideal),
        "mrr": 1 / hits[0] if hits else 0.0,
    }
