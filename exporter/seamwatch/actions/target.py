"""What every kind of action can do, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Memory = Mapping[str, Any]
"""What was there before a halt, as JSON values; empty: nothing is to be given back."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a target is to bring about: a state, not a change; times are wall clock, epoch s."""

    pipeline: str
    target: str  # name of the action
    desired: Literal["halted", "running"]
    generation: int  # of the gate's change that ordered it; grows, never two orders with one
    reason: str
    decided_at: float
    memory: Memory  # what `look` returned before the halt; also given with the order to resume
    audit_seq: int = 0  # last row of the audit when it was sent, for receivers to hold as an anchor
    audit_hash: str = ""

    @property
    def event_id(self) -> str:
        """One name for all attempts at it; without full stops, at which signatures split."""
        return f"{self.pipeline}/{self.target}/{self.generation}".replace(".", ":")


class Target(Protocol):
    """Where work is halted. Doing anything of this twice does no more than doing it once.

    For each attempt to halt: `look`, whose memory is written down before anything is changed, then
    `apply`, then `stands`. For each order to run: `apply` with that memory, then `stands`. All
    methods end within the action's timeout, leave nothing behind when cancelled, change nothing
    but what is configured, and raise ReadError: OVERLOADED with retry_after, a `Rejected` with
    the status, or any other reason; texts are for people, and never show a secret.
    """

    async def look(self, order: Order) -> Memory:
        """Return what must be given back after the halt. Changes nothing.

        What *order* remembers already stays: an earlier attempt may have changed things since.
        """

    async def apply(self, order: Order) -> None:
        """Bring about what is desired; of what is to run again only what the halt had changed.

        A target that can compare generations refuses one older than the last that it obeyed.
        """

    async def stands(self, order: Order) -> bool | None:
        """Say whether it is as desired; None where that cannot be asked."""

    def render(self, order: Order) -> str:
        """Return what `apply` would do, for people, in one line or more, without secrets."""

    async def close(self) -> None:
        """Let go of connections; safe to call twice."""
