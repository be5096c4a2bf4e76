"""An inquiry: which of the repairs wins back what was lost, with as few calls as will do.

Pure: the caller asks what `Inquiry.next` wants, or several at once what `Inquiry.ahead` does, and
hands in the results in that order; randomness comes from the seed. Discordant items (right when
blessed, wrong now) are asked once with all repairs; those won back are shared out along one random
order of the repairs each, until `stopping` names somebody. Then every variant of some items is
asked, to publish shares and interactions. Items count in the order in which they were begun,
however soon each is known: a name must not depend on which answers need few calls. The module is
long because the order of asking, which must survive a restart to the letter, is one piece of state.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from seamwatch.attribution.docket import Docket
from seamwatch.attribution.dossier import Dossier, Suspects, Variant
from seamwatch.attribution.findings import Tally, attribution
from seamwatch.attribution.shapley import MOST_REPAIRS
from seamwatch.attribution.shares import Attribution
from seamwatch.attribution.stopping import explains_nothing

FACTORISE = 30
"""Items of which every variant is asked once somebody is named."""

MOST_PAID = 4
"""Repairs that cost a call, up to which every variant is asked: 16 calls an item at most."""

AUDIT_EVERY = 10
"""One right item is audited for so many discordant ones that were tried."""

FRESH, CHANCE = 8, 0.1
"""So many items won back are asked once more without repairs, in case they were wrong by chance; as
long as a larger ratio than CHANCE of them was, all are, and with all repairs once more too."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A result that is wanted: item *item_id* with exactly these *repairs* applied.

    ``sends`` is False where no call is needed: the answer under the paid ones of the repairs was
    sent for before (for none: the answer that the item was offered for), and the free ones are
    recomputed from it.
    """

    item_id: str
    repairs: frozenset[str]
    sends: bool = True


@dataclass(frozen=True, slots=True)
class _Job:
    """An ask and where its result goes."""

    item_id: str
    audit: bool
    variant: Variant


class Inquiry:
    """Shares a loss out over *repairs*; one inquiry a halt, driven by one caller.

    Args:
        repairs: 1 to 8 names.
        items: number of items in the golden set.
        confidence: in (1/2, 1), of naming the right suspect.
        strict: name nobody but by an anytime-valid test; needs several times the calls.
        max_probes: calls at most, failed ones too.
        seed: of the orders in which repairs are added.
        free: repairs that are recomputed from an answer and cost no call.
        baseline: accuracy when blessed, a ratio; None if unknown.

    Raises:
        ValueError: an argument is out of its range; the text says which.
    """

    def __init__(
        self,
        repairs: Sequence[str],
        *,
        items: int,
        confidence: float = 0.95,
        strict: bool = False,
        max_probes: int = 800,
        seed: int = 0,
        free: Collection[str] = (),
        baseline: float | None = None,
    ) -> None:
        if not 1 <= len(repairs) <= MOST_REPAIRS or len(set(repairs)) != len(repairs):
            raise ValueError(f"an inquiry needs 1 to {MOST_REPAIRS} different repairs")
        if not set(free) <= set(repairs):
            raise ValueError(f"free repairs that are none: {sorted(set(free) - set(repairs))}")
        if not 0.5 < confidence < 1:
            raise ValueError(f"confidence {confidence} is not between 0.5 and 1")
        if items < 1 or max_probes < 0:
            raise ValueError("an inquiry needs an item and no negative number of probes")
        bits = range(len(repairs))
        self.suspects = Suspects(
            tuple(repairs),
            tuple(bit for bit in bits if repairs[bit] in free),
            tuple(bit for bit in bits if repairs[bit] not in free),
        )
        self.items = items
        self.confidence = confidence
        self.strict = strict
        self.max_probes = max_probes
        self.seed = seed
        self.baseline = baseline
        self.probes = 0
        self._now: float | None = None
        self._asked = 0
        self._docket = Docket(self.suspects, seed=seed)
        self._jobs: list[_Job] = []  # asked for and not taken yet, the oldest first
        self._top: str | None = None
        self._named_after: int | None = None  # calls
        self._nothing = False  # the repairs explain nothing
        self._tally = Tally(self.suspects, confidence=confidence, strict=strict)

    def offer(self, item_id: str, *, now: float = 0.0, blessed: float = 1.0) -> None:
        """Offer a discordant item: right when blessed, wrong now. One known already is ignored.

        Args:
            item_id: of the golden set.
            now: its result without repairs, a ratio; 0 for a wrong answer.
            blessed: its result when blessed, a ratio above *now*.
        """
        if not 0 <= now < blessed <= 1:
            raise ValueError(
                f"{item_id}: {now} now and {blessed} when blessed is no loss in [0, 1]"
            )
        self._docket.offer(item_id, now=now, blessed=blessed)

    def concordant(self, item_id: str) -> None:
        """Say that an item is right now; a tenth as many of them as of the others are audited."""
        self._docket.concordant(item_id)

    def observed(self, now: float, *, asked: int = 0) -> None:
        """Say how accurate the set is now.

        Args:
            now: accuracy over the window, a ratio.
            asked: how many different items were asked since the loss. From *items* on all that
                are discordant are known to be offered, and the shares become exact once each of
                them is factorised.
        """
        self._now = now
        self._asked = max(self._asked, asked)
        self._conclude()

    def next(self) -> Ask | None:
        """Return what to ask, the same until it is taken; None when there is nothing to ask now.

        After None there may be more once items are offered, unless ``result().phase`` is done.
        """
        return next(iter(self.ahead(1)), None)

    def ahead(self, most: int) -> list[Ask]:
        """Return up to *most* asks that need not wait for one another, the first to take first.

        Each stays the same until it is taken.
        """
        while len(self._jobs) < most:
            job = self._within_budget(self._choose())
            if job is None:
                break
            if job.audit:
                self._docket.begin(job.item_id)
            else:
                self._docket.open(job.item_id)
            self._jobs.append(job)
        return [self._ask(job) for job in self._jobs[:most]]

    def take(self, ask: Ask, x: float | None) -> None:
        """Take the result of what was asked for first of what was not taken yet.

        Args:
            ask: as `next` returned it, and `ahead` at its first place.
            x: the result, a ratio (1 for a right answer); None for an error or timeout: it is
                asked once more, then the item is given up.

        Raises:
            ValueError: *ask* is not what is to be taken now, or *x* is no ratio.
        """
        job = self._jobs[0] if self._jobs else None
        if job is None or ask != self._ask(job):
            raise ValueError(f"{ask.item_id} with {sorted(ask.repairs)} was not asked for")
        if x is not None and not 0 <= x <= 1:
            raise ValueError(f"{ask.item_id}: result {x} is not in [0, 1]")
        del self._jobs[0]
        self.probes += job.variant.sends
        dossier = self._docket.find(job.item_id, audit=job.audit)
        if x is not None:
            dossier.take(job.variant, x)
        else:
            dossier.errors += 1
            dossier.dropped = dossier.errors > 1
        if not job.audit:
            self._file(dossier)

    def spent(self) -> None:
        """Count a call that was sent beside what `ahead` wants: it is one of *max_probes*."""
        self.probes += 1

    @property
    def left(self) -> int:
        """How many calls may still be sent beside those that were asked for."""
        return self.max_probes - self.probes - sum(job.variant.sends for job in self._jobs)

    @property
    def is_short(self) -> bool:
        """Say whether it would ask about more items than it was offered."""
        if self._nothing or self.left < 1 or self._docket.newest is not None:
            return False
        return self._top is None or self._factorised < FACTORISE

    @property
    def done(self) -> bool:
        """Say whether nothing more will be asked, as far as is known; cheaper than `result`.

        An inquiry into a set that was asked as a whole goes on if further items are offered.
        """
        finished = self._is_enough or self._nothing or self._is_surveyed or self._is_spent
        return finished and not self._jobs and self._within_budget(self._choose()) is None

    def result(self) -> Attribution:
        """Return what is known so far; ``top`` is set only once it is decided."""
        return attribution(
            self._tally,
            tuple(self._docket.settled.values()),
            tuple(self._docket.audits.values()),
            top=self._top,
            nothing=self._nothing,
            done=self.done,
            exact=self._is_exact,
            items=self.items,
            asked=self._asked,
            offered=self._docket.offered,
            loss=None if self.baseline is None or self._now is None else self.baseline - self._now,
            probes=self.probes,
            named_after=self._named_after,
        )

    def state(self) -> dict[str, Any]:
        """Return everything as plain values for JSON; as long as the discordant items are many."""
        return {
            "repairs": list(self.suspects.names),
            "free": [self.suspects.names[bit] for bit in self.suspects.free],
            "items": self.items,
            "confidence": self.confidence,
            "strict": self.strict,
            "max_probes": self.max_probes,
            "seed": self.seed,
            "baseline": self.baseline,
            "probes": self.probes,
            "now": self._now,
            "asked": self._asked,
            "docket": self._docket.state(),
            "jobs": [[job.item_id, job.audit, asdict(job.variant)] for job in self._jobs],
            "top": self._top,
            "named_after": self._named_after,
            "nothing": self._nothing,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Inquiry:
        """Return the inquiry that `state` was taken from: it asks and concludes the same.

        Raises:
            KeyError, TypeError, ValueError: *state* is none.
        """
        settings = ("items", "confidence", "strict", "max_probes", "seed", "free", "baseline")
        inquiry = cls(state["repairs"], **{name: state[name] for name in settings})
        inquiry.probes = state["probes"]
        inquiry._now, inquiry._asked = state["now"], state["asked"]
        inquiry._docket.restore(state["docket"])
        for item_id, audit, variant in state["jobs"]:
            inquiry._jobs.append(_Job(item_id, audit, Variant(**variant)))
        for dossier in inquiry._docket.settled.values():
            inquiry._tally.note(dossier)
        inquiry._top, inquiry._named_after = state["top"], state["named_after"]
        inquiry._nothing = state["nothing"]
        return inquiry

    @property
    def _is_surveyed(self) -> bool:
        """Say whether all items of the set were asked, and all discordant ones were tried."""
        return self._asked >= self.items and not self._docket.waiting

    @property
    def _is_exact(self) -> bool:
        """Say whether every variant of every discordant item is known."""
        return self._is_surveyed and self._docket.is_complete

    @property
    def _is_spent(self) -> bool:
        return self.probes >= self.max_probes

    def _ask(self, job: _Job) -> Ask:
        return Ask(job.item_id, self.suspects.applied(job.variant.mask), job.variant.sends)

    def _is_busy(self, item_id: str) -> bool:
        return any(job.item_id == item_id for job in self._jobs)

    def _file(self, dossier: Dossier) -> None:
        """Draw the conclusions from a new result of a discordant item."""
        if dossier.item_id in self._docket.settled:
            self._tally.note(dossier)
            if dossier.is_complete:
                self._conclude()
        while self._docket.opened and not self._is_busy(self._docket.opened[0]):
            first = self._docket.waiting[self._docket.opened[0]]
            if not first.dropped and self._on_the_way(first) is not None:
                break
            self._docket.settle(first)
            if not first.dropped:
                self._tally.note(first)
            self._conclude()

    def _conclude(self) -> None:
        """Name a suspect or say that nothing is explained, where that can be said now."""
        if self._top is not None or self._nothing:
            return
        self._top = self._tally.exact_top() if self._is_exact else self._tally.top()
        self._named_after = None if self._top is None else self.probes
        if self._top is None and not self._is_exact:
            tried, won_back = self._tally.tried, self._tally.won_back
            self._nothing = explains_nothing(won_back, tried, confidence=self.confidence)

    def _within_budget(self, job: _Job | None) -> _Job | None:
        return None if job is not None and job.variant.sends and self.left < 1 else job

    def _choose(self) -> _Job | None:
        """Return the next thing to ask, whatever it costs."""
        if self._nothing:
            return None
        on = self._go_on() or self._audit()
        if on is not None:
            return on
        if self._top is None:
            return self._begin() or self._complete_all()
        return self._factorise()

    def _go_on(self) -> _Job | None:
        """Return the next ask about an item that was begun; None while all that is asked for."""
        for item_id in self._docket.opened:
            dossier = self._docket.waiting[item_id]
            if not dossier.dropped and not self._is_busy(item_id):
                variant = self._on_the_way(dossier)
                if variant is not None:
                    return _Job(item_id, False, variant)
        return None

    def _begin(self) -> _Job | None:
        """Return the first ask about one more waiting item; None without one."""
        dossier = self._docket.newest
        variant = None if dossier is None else self._on_the_way(dossier)
        return None if dossier is None or variant is None else _Job(dossier.item_id, False, variant)

    def _on_the_way(self, dossier: Dossier) -> Variant | None:
        """Return what a waiting item lacks to be shared out."""
        return dossier.wanted(
            doubts=self._tally.doubts(enough=FRESH, chance=CHANCE),
            whole=self.strict,
            weights=self._tally.weights,
        )

    def _audit(self) -> _Job | None:
        """Return the next ask of the audit of right items, None while none is due.

        They wait until somebody is named, or there is nothing else to ask, or the rest of the
        budget is just enough for them.
        """
        weights = self._tally.weights
        for dossier in self._docket.audits.values():
            idle = not dossier.dropped and not self._is_busy(dossier.item_id)
            variant = dossier.audited(weights) if idle else None
            if variant is not None:
                return _Job(dossier.item_id, True, variant)
        due = len(self._docket.settled) // AUDIT_EVERY - len(self._docket.audits)
        pressed = self.left <= due
        item_id = self._docket.candidate
        if due < 1 or item_id is None or not (self._top or pressed or not self._docket.waiting):
            return None
        variant = self._docket.audit(item_id).audited(weights)
        return None if variant is None else _Job(item_id, True, variant)

    def _complete_all(self) -> _Job | None:
        """Return the next ask on the way to exact shares, while they may settle what is open.

        Only where every item of the set was asked, nobody is named yet and the budget will do.
        """
        if not self._is_surveyed or len(self.suspects.paid) > MOST_PAID:
            return None
        unknown = [one for one in self._docket.won_back if not one.is_complete]
        cost = sum(one.calls_missing() for one in unknown)
        given_up = any(one.dropped for one in unknown)
        if not unknown or given_up or self.probes + cost > self.max_probes:
            return None
        return self._complete(unknown)

    def _factorise(self) -> _Job | None:
        """Return the next ask for the shares that are published once somebody is named."""
        if self._factorised >= FACTORISE:
            return None
        if len(self.suspects.paid) <= MOST_PAID:
            unknown = [one for one in self._docket.won_back if not one.is_complete]
            job = self._complete([one for one in unknown if not one.dropped])
            if job is not None:
                return job
        return self._begin()

    def _complete(self, dossiers: Sequence[Dossier]) -> _Job | None:
        """Return the next ask on the way to all variants of *dossiers*, which are settled."""
        for one in dossiers:
            variant = one.missing(self._under_way(one))
            if variant is not None:
                return _Job(one.item_id, False, variant)
        return None

    def _under_way(self, dossier: Dossier) -> set[int]:
        """Return the paid repairs of what was asked for and not taken yet of an item."""
        mine = [job for job in self._jobs if job.item_id == dossier.item_id]
        return {job.variant.mask & self.suspects.paid_mask for job in mine}

    @property
    def _factorised(self) -> int:
        """How many items are factorised for what is published, or will be with what was asked."""
        won_back = self._docket.won_back
        if len(self.suspects.paid) > MOST_PAID:
            return len(won_back)
        return sum(
            one.is_complete
            or (self._is_busy(one.item_id) and one.missing(self._under_way(one)) is None)
            for one in won_back
        )

    @property
    def _is_enough(self) -> bool:
        """Say whether enough items were factorised for what is published."""
        return self._top is not None and self._factorised >= FACTORISE
