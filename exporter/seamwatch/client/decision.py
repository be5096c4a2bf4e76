"""What a gate last said, for how long that holds, and what holds when it says nothing. Pure."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote, urlsplit

log = logging.getLogger("seamwatch.client")

OnUnknown = Literal["allow", "deny"]

MAX_BYTES = 64 * 1024  # of an answer
LAGGING = 10.0  # seconds that one replica may be behind another
LONGEST_PAUSE = 10.0  # times *poll*: between two tries while seamwatch cannot be reached


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to answer, and why."""

    allowed: bool
    state: str  # running, suspect, halted, recovering, starting, stale; unknown: nobody has said
    reason: str
    generation: int | None = None  # grows with every change of the gate
    as_of: float | None = None  # wall clock of seamwatch, seconds since the epoch
    is_current: bool = True  # False: seamwatch does not answer; from before, or on_unknown


class Halted(Exception):
    """The gate denies; *decision* says why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.reason)
        self.decision = decision


@dataclass(slots=True)
class Memory:
    """The last word of one gate. Times are monotonic seconds and passed in."""

    on_unknown: OnUnknown
    poll: float  # seconds after which to ask again
    _last: Decision | None = None
    _heard: float = 0.0
    _ttl: float = 0.0
    _tried: float | None = None
    _failures: int = field(default=0)

    def __post_init__(self) -> None:
        if self.on_unknown not in ("allow", "deny"):
            raise ValueError(f"on_unknown is {self.on_unknown!r}; write 'allow' or 'deny'")
        if self.poll <= 0:
            raise ValueError(f"poll is {self.poll}; write seconds above 0, such as 1.0")

    def is_due(self, now: float) -> bool:
        """Say whether to ask again; more rarely while nobody answers."""
        pause = min(self.poll * 2 ** max(self._failures - 1, 0), LONGEST_PAUSE * self.poll)
        return self._tried is None or now - self._tried >= pause

    def holds(self, now: float) -> bool:
        """Say whether what was heard still holds, so that nobody has to wait for an answer."""
        last = self._last
        return last is not None and (not last.allowed or now - self._heard <= self._ttl)

    def decision(self, now: float) -> Decision:
        """Return what holds now."""
        if self._last is not None and self.holds(now):
            return replace(self._last, is_current=self._failures == 0)
        reason = f"seamwatch cannot be reached; on_unknown says {self.on_unknown}"
        return Decision(self.on_unknown == "allow", "unknown", reason, is_current=False)

    def trying(self, now: float) -> None:
        """Note that it is being asked."""
        self._tried = now

    def heard(self, status: int, body: bytes, now: float) -> None:
        """Take an answer to ``GET /v1/gates/<pipeline>/decision``."""
        found = _parsed(body) if status == 200 else None
        if found is None:
            self.failed(f"it answers with status {status}" if status != 200 else "no decision")
            return
        if self._failures:
            log.warning("the gate can be asked again")
        self._failures = 0
        decision, ttl = found
        if not _is_behind(decision, self._last):
            self._last, self._ttl = decision, ttl
        self._heard = now

    def failed(self, why: str) -> None:
        """Note that there was no answer."""
        self._failures += 1
        if self._failures == 1:
            log.warning("the gate cannot be asked, the last decision stands: %s", why)


def _parsed(body: bytes) -> tuple[Decision, float] | None:
    try:
        said: Any = json.loads(body)
        decision = {"allow": True, "deny": False}[said["decision"]]
        generation, as_of = int(said["generation"]), float(said["as_of"])
        known = Decision(decision, str(said["state"]), str(said["reason"]), generation, as_of)
        return known, float(said["ttl_s"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_behind(new: Decision, last: Decision | None) -> bool:
    """Say whether *new* comes from a replica that has not heard the last change yet."""
    if last is None or new.generation is None or last.generation is None:
        return False
    older = new.generation < last.generation
    return older and (new.as_of or 0.0) <= (last.as_of or 0.0) + LAGGING


def address(url: str, pipeline: str) -> str:
    """Return where the decision of *pipeline* is asked for; raises ValueError for a bad *url*."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no address; write one like http://seamwatch.example:10064")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the address may have no user, query or fragment; the token is separate")
    return f"{url.rstrip('/')}/v1/gates/{quote(pipeline, safe='')}/decision"


def headers(token: str | None) -> dict[str, str]:
    """Return the headers of a question."""
    asked = {"Accept": "application/json", "User-Agent": "seamwatch-client"}
    return asked | ({"Authorization": f"Bearer {token}"} if token else {})
