"""Errors promise: they say the same on the other side of a process."""

from __future__ import annotations

import pickle

import pytest

from seamwatch.errors import (
    GoldenError,
    ReadError,
    Reason,
    ScoringError,
    SeamwatchError,
    StoreError,
)


@pytest.mark.parametrize(
    "error",
    [
        SeamwatchError("write something else"),
        ReadError(Reason.OVERLOADED, "asked too often", retry_after=30),
        GoldenError(["golden.jsonl:2: broken JSON", "golden.jsonl:9: no id"]),
        StoreError("no space", reason=Reason.DISK_FULL),
        ScoringError("3 is not 4"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_the_way_from_the_worker_process(error: SeamwatchError) -> None:
    found = pickle.loads(pickle.dumps(error))
    assert (type(found), str(found), vars(found)) == (type(error), str(error), vars(error))
