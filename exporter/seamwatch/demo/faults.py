"""What can be broken, and how: each fault changes a component, none touches an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from seamwatch.demo.answer import SLOTS
from seamwatch.demo.assembly import Assembly
from seamwatch.demo.decision import tune
from seamwatch.demo.encoder import IN_SERVICE, PREDECESSOR, SUCCESSOR, Encoder
from seamwatch.demo.index import Index
from seamwatch.demo.questions import questions
from seamwatch.errors import SeamwatchError

LATE_RELEASE = "3.0.0"  # what the mirror holds when the data is late
DUMP_RELEASE = "2.36.0"  # what was the newest release when the cache dump was written
LOST_PAGE = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to break the pipeline and the way back; *between* names the teams that meet in it."""

    between: str
    what: str
    break_it: Callable[[Assembly], None]
    heal: Callable[[Assembly], None]


def _mirror_stands_still(assembly: Assembly) -> None:
    assembly.feed.mirror = LATE_RELEASE


def _mirror_follows(assembly: Assembly) -> None:
    assembly.feed.mirror = assembly.facts.newest


def _restore_old_dump(assembly: Assembly) -> None:
    """Fill the hot set as the same pipeline filled it when DUMP_RELEASE was new."""
    encoder = assembly.index.encoder
    index = Index(DUMP_RELEASE, assembly.facts.documents(DUMP_RELEASE), encoder)
    dump = assembly.find_hot(index, encoder, asked_in=DUMP_RELEASE)
    until = assembly.feed.complete_until(DUMP_RELEASE, now=assembly.feed.started)
    assembly.cache.restore(dump, complete_until=until)


def _unpin(assembly: Assembly) -> None:
    assembly.cache.unpin()


def _tune_elsewhere(assembly: Assembly) -> None:
    """Tune on names spelt right and on the scores of the encoder before this one."""
    facts = assembly.facts
    practice = questions(facts, golden=False, misspelt=False)
    assembly.decision.tuning = tune(PREDECESSOR, facts.documents(facts.newest), practice)


def _tune_here(assembly: Assembly) -> None:
    facts = assembly.facts
    practice = questions(facts, golden=False)
    assembly.decision.tuning = tune(IN_SERVICE, facts.documents(facts.newest), practice)


def _new_encoder_for_questions(assembly: Assembly) -> None:
    """Fit the successor and put it in service, while the index keeps the vectors it has."""
    facts = assembly.facts
    texts = [document.text for document in facts.documents(facts.newest)]
    assembly.embedding.encoder = Encoder(SUCCESSOR, texts)


def _same_encoder(assembly: Assembly) -> None:
    assembly.embedding.encoder = assembly.index.encoder


def _page_comes_empty(assembly: Assembly) -> None:
    assembly.feed.empty_pages = frozenset({LOST_PAGE})


def _pages_come_whole(assembly: Assembly) -> None:
    assembly.feed.empty_pages = frozenset()


def _no_room(assembly: Assembly) -> None:
    assembly.gateway.slots = 0


def _room(assembly: Assembly) -> None:
    assembly.gateway.slots = SLOTS


FAULTS = {
    "late-data": Fault(
        "data and everyone",
        f"the mirror stands still at {LATE_RELEASE}; the ingest job copies it and exits 0",
        _mirror_stands_still,
        _mirror_follows,
    ),
    "stale-cache": Fault(
        "platform and data",
        f"the hot set is restored from a dump of {DUMP_RELEASE}'s time, without an expiry",
        _restore_old_dump,
        _unpin,
    ),
    "wrong-threshold": Fault(
        "product and ml",
        "the threshold is tuned on the previous encoder and on names spelt right",
        _tune_elsewhere,
        _tune_here,
    ),
    "embedding-skew": Fault(
        "ml and data",
        "questions are encoded by a new encoder, the index holds vectors of the old one",
        _new_encoder_for_questions,
        _same_encoder,
    ),
    "empty-success": Fault(
        "data and everyone",
        f"page {LOST_PAGE} of the mirror comes as an empty list with status 200; the job exits 0",
        _page_comes_empty,
        _pages_come_whole,
    ),
    "fallback-model": Fault(
        "platform and product",
        "the model has no slots left; a cheaper one answers under its name",
        _no_room,
        _room,
    ),
}
THE_STORY = ("late-data", "stale-cache", "wrong-threshold")
NAMES = (*FAULTS, "all")


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """Return the faults that *names* mean, ``all`` being those of the story.

    Raises:
        SeamwatchError: a name is unknown; the text lists the known ones.
    """
    asked = [one for name in names for one in (THE_STORY if name == "all" else (name,))]
    unknown = sorted(set(asked) - set(FAULTS))
    if unknown:
        raise SeamwatchError(f"no such fault: {', '.join(unknown)}; known are {', '.join(NAMES)}")
    return tuple(name for name in FAULTS if name in asked)
