"""From what is known of the items to a name, or to the honest lack of one.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seamwatch.attribution.dossier import Dossier, Suspects
from seamwatch.attribution.shapley import interactions
from seamwatch.attribution.shares import (
    Attribution,
    Found,
    Outcome,
    Phase,
    Share,
    mean_share,
    pairs,
    scale_of,
    wilson,
)
from seamwatch.attribution.stopping import AT_LEAST, EXPLAINED, beats, strictly_beats


class Tally:
    """The contributions of the items so far, and who leads by them.

    An item counts once it is noted; noting it again replaces what was known of it.
    """

    def __init__(self, suspects: Suspects, *, confidence: float, strict: bool) -> None:
        self.suspects = suspects
        self.confidence = confidence
        self.strict = strict
        self._contributions: dict[str, tuple[float, ...]] = {}  # of the items won back
        self._tried: set[str] = set()
        self._fresh: set[str] = set()  # asked again unrepaired
        self._chance: set[str] = set()  # of these, right again
        self._contradictions: set[str] = set()

    @property
    def tried(self) -> int:
        """Items asked with all repairs."""
        return len(self._tried)

    @property
    def won_back(self) -> int:
        """Items that all repairs together win back."""
        return len(self._contributions)

    @property
    def weights(self) -> tuple[float, ...]:
        """How much each repair is suspected, by bit; positive."""
        return tuple(1.0 + max(0.0, one) for one in self._sums())

    @property
    def doubtful(self) -> int:
        """Items that may be as they are by chance; 0 where no answer was seen to change."""
        return len(self._contradictions) if self._chance else 0

    def note(self, dossier: Dossier) -> None:
        """Take in what *dossier* says now."""
        name = dossier.item_id
        for known in (self._tried, self._fresh, self._chance, self._contradictions):
            known.discard(name)
        contributions = dossier.contributions()
        if contributions is None:
            return
        self._tried.add(name)
        if dossier.was_chance is not None:
            self._fresh.add(name)
        if dossier.was_chance:
            self._chance.add(name)
        if dossier.contradicts_itself:
            self._contradictions.add(name)
        if dossier.is_won_back or name in self._contributions:
            self._contributions[name] = contributions
        if not dossier.is_won_back:
            self._contributions.pop(name, None)

    def doubts(self, *, enough: int, chance: float) -> tuple[int, ...]:
        """Return the variants that items won back should be asked for once more.

        Without repairs, until *enough* were. As long as a ratio of more than *chance* of them turns
        out right all the same, with all repairs too: that they were won back may be chance as well.
        """
        fresh = len(self._fresh)
        if len(self._chance) > chance * fresh:
            return (0, self.suspects.all)
        return (0,) if fresh < enough else ()

    def top(self) -> str | None:
        """Return the name of the leader if it beats every rival, and nothing at all; else None."""
        leader = self._leader()
        return None if self._unbeaten(leader) else self.suspects.names[leader]

    def exact_top(self) -> str | None:
        """Return the name of the largest sum, where the contributions are no sample but all.

        Where answers change by chance the leader must be ahead by more items than are doubtful.
        """
        sums = self._sums()
        leader = self._leader()
        rivals = [one for bit, one in enumerate(sums) if bit != leader]
        ahead = sums[leader] - max([0.0, *rivals])
        return self.suspects.names[leader] if ahead > self.doubtful + 1e-9 else None

    def tied(self, *, exact: bool) -> tuple[str, ...]:
        """Return the leader and all whom it does not beat, those with most won back first."""
        sums, leader = self._sums(), self._leader()
        if exact:
            least = sums[leader] - self.doubtful - 1e-9
            among = [bit for bit, one in enumerate(sums) if one >= least]
        else:
            among = [leader, *(bit for bit in self._unbeaten(leader) if bit is not None)]
        return tuple(self.suspects.names[bit] for bit in sorted(among, key=lambda bit: -sums[bit]))

    def leads_by_nothing(self, *, exact: bool) -> bool:
        """Say whether even the leader may have won back nothing."""
        if exact:
            return self._sums()[self._leader()] <= self.doubtful + 1e-9
        return None in self._unbeaten(self._leader())

    def _sums(self) -> list[float]:
        """Return what each repair won back in all, by bit."""
        if not self._contributions:
            return [0.0] * len(self.suspects.names)
        return [sum(column) for column in zip(*self._contributions.values(), strict=True)]

    def _leader(self) -> int:
        sums = self._sums()
        return sums.index(max(sums))

    def _unbeaten(self, leader: int) -> list[int | None]:
        """Return the rivals that the leader does not beat; None stands for nothing at all."""
        rows = self._contributions.values()
        found: list[int | None] = []
        for rival in (None, *range(len(self.suspects.names))):
            if rival == leader:
                continue
            ahead = [row[leader] - (0.0 if rival is None else row[rival]) for row in rows]
            if not self._beats(ahead):
                found.append(rival)
        return found

    def _beats(self, differences: Sequence[float]) -> bool:
        if self.strict:
            rivals = len(self.suspects.names)
            return strictly_beats(differences, confidence=self.confidence, rivals=rivals)
        return beats(differences, confidence=self.confidence)


def attribution(
    tally: Tally,
    dossiers: Sequence[Dossier],
    audits: Sequence[Dossier],
    *,
    top: str | None,
    nothing: bool,
    done: bool,
    exact: bool,
    items: int,
    asked: int,
    offered: int,
    loss: float | None,
    probes: int,
    named_after: int | None,
) -> Attribution:
    """Return what is known.

    Args:
        tally: what the *dossiers* say.
        dossiers: of the discordant items that were tried.
        audits: of items that are right now.
        top: who was named; withdrawn where it has not the largest share, or none above zero.
        nothing: the repairs were found to explain nothing.
        done: nothing more will be asked.
        exact: the dossiers are all there are, and every variant is known.
        items: size of the set.
        asked: different items asked since the loss.
        offered: discordant items.
        loss: accuracy when blessed less now, None if unknown.
        probes: calls sent.
        named_after: calls sent when somebody was named.
    """
    names = tally.suspects.names
    found = [one for one in map(_found, dossiers) if one is not None]
    scale = scale_of(found, loss=loss, offered=offered, asked=asked, items=items)
    shares: dict[str, Share] = {}
    rest, between = None, {}
    if scale is not None:
        known = sum(one.is_exact for one in found)
        unknown = 1 - known / offered if asked >= items else 1.0
        noise = tally.doubtful / len(found) ** 2
        for bit, name in enumerate(names):
            won = [one.contributions[bit] for one in found]
            shares[name] = mean_share(won, scale=scale, unknown=unknown, noise=noise)
        left = [one.lost - sum(one.contributions) for one in found]
        rest = mean_share(left, scale=scale, unknown=unknown, noise=noise)
        between = pairs(found, names, scale=scale, unknown=unknown, noise=noise)
    outcome = _outcome(tally, shares, top=top, nothing=nothing, done=done, exact=exact)
    sure = [one for one in audits if _is_audited(one)]
    return Attribution(
        phase=_phase(tally, top=top, done=done),
        outcome=outcome,
        top=top if outcome is Outcome.DECIDED else None,
        tied=tally.tied(exact=exact) if outcome is Outcome.UNDECIDED else (),
        shares=shares,
        unexplained=rest,
        interactions=between,
        loss=loss,
        explained=sum(one.value for one in shares.values()) if shares else None,
        exact=exact and not tally.doubtful,
        items=tally.won_back,
        probes=probes,
        named_after=named_after if outcome is Outcome.DECIDED else None,
        candidates=offered,
        audited=len(sure),
        broken=_broken(sure, names),
        harm=wilson(sum(one.is_broken for one in sure), len(sure)) if sure else None,
    )


def _found(dossier: Dossier) -> Found | None:
    """Return what a discordant item says, None if it says nothing yet."""
    contributions = dossier.contributions()
    if contributions is None:
        return None
    players = len(dossier.suspects.names)
    whole = dossier.is_complete and dossier.is_won_back
    return Found(
        contributions,
        max(0.0, dossier.blessed - dossier.results[0]),
        interactions(dossier.results, players) if whole else None,
        dossier.is_complete or not dossier.is_won_back,
        dossier.is_won_back,
    )


def _phase(tally: Tally, *, top: str | None, done: bool) -> Phase:
    if done:
        return Phase.DONE
    if top is not None:
        return Phase.FACTORIAL
    return Phase.COLLECTING if tally.tried < AT_LEAST else Phase.PERMUTATIONS


def _outcome(
    tally: Tally,
    shares: Mapping[str, Share],
    *,
    top: str | None,
    nothing: bool,
    done: bool,
    exact: bool,
) -> Outcome:
    """Return the conclusion; a name stands only while its share is the largest and above zero."""
    if nothing:
        return Outcome.UNEXPLAINED
    if top is not None:
        if not shares:
            return Outcome.DECIDED
        largest = max(one.value for one in shares.values())
        mine = shares[top]
        stands = mine.value >= largest and mine.lower > 0
        return Outcome.DECIDED if stands else Outcome.UNDECIDED
    if not done:
        return Outcome.OPEN
    few = tally.tried >= AT_LEAST and tally.won_back < EXPLAINED * tally.tried
    if tally.leads_by_nothing(exact=exact) and (few or exact or len(tally.suspects.names) == 1):
        return Outcome.UNEXPLAINED
    return Outcome.UNDECIDED


def _is_audited(dossier: Dossier) -> bool:
    """Say whether an audit came to an end: the item held, or broke twice."""
    return dossier.gain is not None and (bool(dossier.fresh) or not dossier.is_broken)


def _broken(audits: Sequence[Dossier], names: Sequence[str]) -> dict[str, float]:
    """Return how many audited items each repair broke; parts where several did together."""
    broken = dict.fromkeys(names, 0.0)
    for dossier in audits:
        for name, one in zip(names, dossier.contributions() or (), strict=False):
            broken[name] -= min(0.0, one) if dossier.is_broken else 0.0
    return {name: count for name, count in broken.items() if count}
