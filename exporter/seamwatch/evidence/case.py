"""One pipeline's case: what its probes prove so far, from running to halted and back.

Pure and small: a probe costs O(K) for K bets, plus one addition for each slice. The state is a few
dozen numbers; restored from JSON it goes on bit for bit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass
from math import fsum, log
from typing import Any, Self

from seamwatch.evidence.blessing import FLAKY, SOLID
from seamwatch.evidence.esr import MIRROR_RHOS, WEIGHTS, Detector, Mirror
from seamwatch.evidence.probe import Event, Probe, Standing
from seamwatch.evidence.terms import Terms

STATE_VERSION = 1
_CLASSES = (SOLID, FLAKY, "")
_RECOVERING_AT = 0.5  # share of the way, on a log scale, of the recovery's own limit
_RELAPSE_AT = 0.4
# A slice is focused on while its evidence is at least this share of the pooled one: where all of
# the set broke, half of the probes in one slice would only delay the halt (103 probes, not 96).
_OWN_SHARE = 0.1
_DAY = 86400.0
_MOST_DOUBLINGS = 20  # a millionfold; more would soon be beyond what a float can hold


@dataclass(frozen=True, slots=True)
class _Halt:
    """What there was to say at the last halt; the detectors themselves start over."""

    severity: float | None
    worst_slice: str | None
    doublings: int = 0  # of the evidence that is asked for before it counts as recovered


class Case:
    """The evidence on one pipeline under fixed *terms*; one writer, not safe between threads.

    S = (1 - w) S_pooled + w sum_s S_s. A probe moves S_pooled and at most one S_s, and each of
    them gains at most 1 in expectation while its null holds, so S gains at most 1 a probe and
    the bound N / A is that of a single detector. (A mean over the slices keeps the bound too, but
    wastes the logarithm of their number: 96 instead of 75 probes for one dead slice of ten.)
    """

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.standing = Standing.RUNNING
        self.ordinal = 0  # probes taken, errors too
        self.errors = 0
        self.recovered = False  # the mirror reached its limit; a resume is waited for
        self.ticketed = False  # the fall that the last ticket told of goes on
        self._proofs: tuple[float, ...] = ()  # when recoveries were proven that were resumed on
        self._halt: _Halt | None = None
        self._nulls = {kind: (terms.null(kind), terms.ticket_null(kind)) for kind in _CLASSES}
        self._bounds = {kind: terms.recovery_bound(kind) for kind in _CLASSES}
        self._slice_nulls = {
            (name, kind): null
            for name in terms.slice_floors
            for kind in _CLASSES
            if (null := terms.slice_null(name, kind)) is not None
        }
        self._suspect_at = terms.limit**terms.suspect_from
        self._calm_at = terms.limit**terms.calm_at
        self._focus_at = terms.limit**terms.focus_at
        self._ticket = Detector()
        self._start_over()

    def _start_over(self) -> None:
        self._reset_halting()
        if not self.ticketed:
            self._ticket = Detector()
        self._mirror = self._new_mirror()

    def _reset_halting(self) -> None:
        self._pooled = Detector()
        named = sorted({name for name, _ in self._slice_nulls})
        self._slices = {name: Detector(weights=WEIGHTS) for name in named}
        self._s = 0.0

    def _new_mirror(self, r: Collection[float] = ()) -> Mirror:
        return Mirror(tuple(r), ceiling=self.resume_limit * len(MIRROR_RHOS))

    # Taking probes

    def take(self, probe: Probe) -> tuple[Event, ...]:
        """Take the next probe and return what it changed, in order.

        Raises:
            ValueError: x is not in [0, 1], or there is no such class; the case is as before.
        """
        x = probe.x
        if probe.item_class not in self._nulls:
            raise ValueError(f"an item is solid, flaky or unknown (''), not {probe.item_class!r}")
        if x is None:
            self.ordinal += 1
            self.errors += 1
            return ()
        if not 0.0 <= x <= 1.0:
            raise ValueError(f"an outcome must lie in [0, 1], not {x}")
        self.ordinal += 1
        if self.standing in (Standing.HALTED, Standing.RECOVERING):
            return self._recover(x, probe)
        return self._accuse(x, probe)

    def _accuse(self, x: float, probe: Probe) -> tuple[Event, ...]:
        kind = probe.item_class
        null, ticket_null = self._nulls[kind]
        moved = self._slices and self._take_slice(x, probe)
        ticket = False
        if not probe.focused:
            if null is not None:
                self._pooled.take(x, null)
                moved = True
            if ticket_null is not None and self.terms.ticket_limit is not None:
                ticket = self._take_ticket(x, ticket_null, self.terms.ticket_limit)
        events = (Event.TICKET,) if ticket else ()
        return events + self._judge(probe.at) if moved else events

    def _take_ticket(self, x: float, null: float, limit: float) -> bool:
        """Say whether this probe proves a fall under the baseline that no ticket tells of yet.

        While a fall goes on, the sums stay near the limit, and rise no further so that its end
        shows soon. When they have calmed, the detector starts over with nothing: what it did in
        the meantime raised nothing, so tickets are no more than N / A as those of any detector.
        """
        detector = self._ticket
        proven = detector.take(x, null) >= limit and not self.ticketed
        self.ticketed = self.ticketed or proven
        most = limit * len(detector.r)  # of one sum: it alone would keep their mean at the limit
        if self.ticketed and max(detector.r) > most:
            self._ticket = Detector([min(r, most) for r in detector.r])
        elif self.ticketed and detector.suspicion() < limit**self.terms.calm_at:
            self.ticketed = False
            self._ticket = Detector()
        return proven

    def _take_slice(self, x: float, probe: Probe) -> bool:
        null = self._slice_nulls.get((probe.slice, probe.item_class))
        if null is None:
            return False
        self._slices[probe.slice].take(x, null)
        return True

    def _judge(self, at: float) -> tuple[Event, ...]:
        self._s = s = self._combined()
        if s >= self.terms.limit:
            self._proofs = tuple(one for one in self._proofs if abs(at - one) < _DAY)
            self._halt = _Halt(self._pooled.severity(), self._worst(), len(self._proofs))
            self._reset_halting()
            self._mirror = self._new_mirror()
            self.recovered = False
            self.standing = Standing.HALTED
            return (Event.HALT,)
        suspicion = self._suspicion()
        if self.standing is Standing.RUNNING and suspicion >= self._suspect_at:
            self.standing = Standing.SUSPECT
            return (Event.SUSPECT,)
        if self.standing is Standing.SUSPECT and suspicion < self._calm_at:
            self.standing = Standing.RUNNING
            return (Event.CALM,)
        return ()

    def _combined(self) -> float:
        if not self._slices:
            return self._pooled.s
        weight = self.terms.slice_weight
        return (1.0 - weight) * self._pooled.s + weight * fsum(self._by_slice())

    def _suspicion(self) -> float:
        """Return the pooled evidence or that of the worst slice, whichever is more.

        Not their sum: many healthy slices would add up to a suspicion that never ends.
        """
        pooled = self._pooled.suspicion()
        if not self._slices:
            return pooled
        weight = self.terms.slice_weight
        return max((1.0 - weight) * pooled, weight * max(self._by_slice()))

    def _by_slice(self) -> list[float]:
        return [detector.s for detector in self._slices.values()]

    def _recover(self, x: float, probe: Probe) -> tuple[Event, ...]:
        bound = self._bounds[probe.item_class]
        if probe.focused or bound is None:
            return ()
        s = self._mirror.take(x, bound, worst=self.terms.recovery_worst)
        limit = self.resume_limit
        events: list[Event] = []
        if self.standing is Standing.HALTED and s >= limit**_RECOVERING_AT:
            self.standing = Standing.RECOVERING
            events.append(Event.RECOVERING)
        elif self.standing is Standing.RECOVERING and s < limit**_RELAPSE_AT:
            self.standing = Standing.HALTED
            if self.recovered:  # nobody resumed on it
                self._proofs = self._proofs[:-1]
            self.recovered = False
            events.append(Event.RELAPSE)
        if not self.recovered and s >= limit:
            self.recovered = True
            self._proofs = (*self._proofs, probe.at)[-_MOST_DOUBLINGS:]
            events.append(Event.RECOVERED)
        return tuple(events)

    def resume(self) -> tuple[Event, ...]:
        """Run again, with all evidence forgotten; nothing happens unless the case is halted.

        An open ticket stays open: a halt that is over says nothing of the baseline.
        """
        if self.standing not in (Standing.HALTED, Standing.RECOVERING):
            return ()
        self._start_over()
        self._halt = None
        self.recovered = False
        self.standing = Standing.RUNNING
        return (Event.RESUME,)

    # Reading it

    @property
    def halted(self) -> bool:
        """Say whether it is halted, recovering or not."""
        return self.standing in (Standing.HALTED, Standing.RECOVERING)

    @property
    def resume_limit(self) -> float:
        """What the evidence of recovery is compared with.

        It doubles with each recovery proven within 24 hours before this halt that was resumed on:
        it did not last, so the next one has to be proven better. It stays as it is while halted,
        so that what one halt promises holds for a limit that does not move.
        """
        return self.terms.resume_limit * 2.0 ** (self._halt.doublings if self._halt else 0)

    @property
    def s(self) -> float:
        """The evidence S that is compared with the limit; 0 while halted."""
        return self._s

    @property
    def ratio(self) -> float:
        """How far on the way to a halt: log S / log A in [0, 1]; 1 while halted."""
        return 1.0 if self.halted else _way(self._s, self.terms.limit)

    @property
    def suspicion_ratio(self) -> float:
        """What is compared with ``suspect_from`` and ``calm_at``, in [0, 1]; 1 while halted."""
        return 1.0 if self.halted else _way(self._suspicion(), self.terms.limit)

    @property
    def baseline_ratio(self) -> float | None:
        """How far on the way to a ticket; None without a baseline. It rests while halted."""
        if self.terms.ticket_limit is None or self.terms.ticket_floor is None:
            return None
        return _way(self._ticket.s, self.terms.ticket_limit)

    @property
    def recovery_ratio(self) -> float | None:
        """How far on the way to recovered; None unless halted."""
        return _way(self._mirror.s, self.resume_limit) if self.halted else None

    @property
    def slice_ratios(self) -> Mapping[str, float]:
        """How far each slice that has a detector is on the way by itself; empty while halted."""
        if self.halted:
            return {}
        return {name: _way(d.s, self.terms.limit) for name, d in self._slices.items()}

    @property
    def worst_slice(self) -> str | None:
        """The slice with the most evidence against it (while halted: at the halt), if any."""
        return self._halt.worst_slice if self._halt else self._worst()

    @property
    def focus_slice(self) -> str | None:
        """The slice that half of the probes should go to; None: ask round-robin."""
        if not self.terms.focus or self.halted:
            return None
        worst = self._worst()
        if worst is None:
            return None
        enough = max(self._focus_at, _OWN_SHARE * self._pooled.s)
        return worst if self._slices[worst].s >= enough else None

    @property
    def severity(self) -> float | None:
        """The relative loss that the evidence speaks for (0.25: a quarter); None while running."""
        if self._halt:
            return self._halt.severity
        return self._pooled.severity() if self.standing is Standing.SUSPECT else None

    def _worst(self) -> str | None:
        most = max(self._slices.values(), key=lambda detector: detector.s, default=None)
        if most is None or most.s <= 0.0:
            return None
        return next(name for name, detector in self._slices.items() if detector is most)

    # Keeping it

    def state(self) -> dict[str, Any]:
        """Return all of the case but its terms, as values that JSON keeps bit for bit."""
        return {
            "version": STATE_VERSION,
            "terms": self.terms.digest,
            "standing": self.standing.value,
            "ordinal": self.ordinal,
            "errors": self.errors,
            "recovered": self.recovered,
            "halt": list(astuple(self._halt)) if self._halt else None,
            "proofs": list(self._proofs),
            "pooled": list(self._pooled.r),
            "slices": {name: list(d.r) for name, d in self._slices.items() if d.s > 0.0},
            "ticket": list(self._ticket.r),
            "ticketed": self.ticketed,
            "mirror": list(self._mirror.r),
        }

    @classmethod
    def restored(cls, terms: Terms, state: Mapping[str, Any]) -> Self:
        """Return the case as it was when ``state`` was taken.

        Raises:
            ValueError: the state is of other terms, or of another version of seamwatch.
        """
        if state.get("version") != STATE_VERSION:
            raise ValueError(
                f"evidence of version {state.get('version')} was found, not {STATE_VERSION}"
            )
        if state["terms"] != terms.digest:
            raise ValueError("the evidence was gathered on other terms")
        case = cls(terms)
        case.standing = Standing(state["standing"])
        case.ordinal = state["ordinal"]
        case.errors = state["errors"]
        case.recovered = state["recovered"]
        case._halt = _Halt(*state["halt"]) if state["halt"] else None
        case._proofs = tuple(state.get("proofs", ()))
        case._pooled = Detector(state["pooled"])
        for name, r in state["slices"].items():
            case._slices[name] = Detector(r, weights=WEIGHTS)
        case._ticket = Detector(state["ticket"])
        case.ticketed = state.get("ticketed", False)
        case._mirror = case._new_mirror(state["mirror"])
        case._s = case._combined()
        return case


def replay(
    terms: Terms,
    probes: Iterable[Probe],
    state: Mapping[str, Any] | None = None,
    *,
    resumes: Collection[int] = (),
) -> tuple[Case, list[tuple[int, Event]]]:
    """Take *probes* again, from *state* on, and return the case with its (ordinal, event) pairs.

    *resumes* are the ordinals after which a person, or automatic resumption, resumed; one that
    the state has seen already changes nothing.
    """
    case = Case(terms) if state is None else Case.restored(terms, state)
    events: list[tuple[int, Event]] = []
    if case.ordinal in resumes:
        events += [(case.ordinal, event) for event in case.resume()]
    for probe in probes:
        events += [(case.ordinal, event) for event in case.take(probe)]
        if case.ordinal in resumes:
            events += [(case.ordinal, event) for event in case.resume()]
    return case, events


def _way(s: float, limit: float) -> float:
    """Return log s / log limit in [0, 1]."""
    return min(log(s) / log(limit), 1.0) if s > 1.0 else 0.0
