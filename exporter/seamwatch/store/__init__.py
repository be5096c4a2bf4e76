"""What survives a restart: publications of stages, the probe log, how far a pass has
come, the evidence and what it led to, how gates stand, and the audit of all that was done to them.

`Store` reads and writes a database (SQLite, or PostgreSQL for several replicas). `Journal` takes
rows without waiting and writes them behind; while the database cannot be written it keeps them.
"""

from __future__ import annotations

from seamwatch.store.database import Store
from seamwatch.store.gatestore import GateStore
from seamwatch.store.journal import Journal, JournalState
from seamwatch.store.restoring import probe_of, restored_case
from seamwatch.store.rows import (
    Asked,
    Checkpoint,
    EventRow,
    Evidence,
    EvidenceRow,
    Finding,
    Forgotten,
    Happened,
    IdempotencyKey,
    Pass,
    Published,
    Row,
    TermsRow,
)

__all__ = [
    "Asked",
    "Checkpoint",
    "EventRow",
    "Evidence",
    "EvidenceRow",
    "Finding",
    "Forgotten",
    "GateStore",
    "Happened",
    "IdempotencyKey",
    "Journal",
    "JournalState",
    "Pass",
    "Published",
    "Row",
    "Store",
    "TermsRow",
    "probe_of",
    "restored_case",
]
