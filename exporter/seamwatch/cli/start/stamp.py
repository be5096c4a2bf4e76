"""Publish what a stage serves now. Copy this function into the job that builds the stage."""

import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def stamp(path: str, **facts: Any) -> None:
    """Write *facts* and the time of this run to *path*, whole or not at all.

    Call it last, when the new output is being served. Facts are those of the stage contract:
    version, watermark (an aware datetime: up to when the data is complete, not when the job ran),
    built_from and tuned_on (upstream stage: its version), rows, settings, status.
    """
    facts = {"status": "ok", "updated_at": datetime.now(UTC)} | facts
    folder = Path(path).resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".tmp", delete=False) as file:
        json.dump(facts, file, default=lambda time: time.isoformat())
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(0o644)  # seamwatch may run as somebody else
    Path(file.name).replace(path)
