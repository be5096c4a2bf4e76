"""How the answers of one pipeline are judged: all that is read from files beside its settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seamwatch import golden
from seamwatch.config.schema import PipelineSection
from seamwatch.evidence import Blessing, Terms
from seamwatch.golden import GoldenSet, blessed
from seamwatch.golden.canary import canaries
from seamwatch.golden.terms import score_of, terms_for
from seamwatch.scoring import Known, Rules


@dataclass(frozen=True)
class Judging:
    """A golden set, how its answers are judged, and what the evidence compares them with."""

    golden: GoldenSet
    rules: Rules
    blessing: Blessing | None = None
    terms: Terms | None = None  # None: no gate, so no evidence
    known: tuple[Known, ...] = ()  # the scorer's canaries

    def __eq__(self, other: object) -> bool:
        """Say whether the files that it was read from are the same."""
        return isinstance(other, Judging) and self._files == other._files

    __hash__ = None  # type: ignore[assignment]

    @property
    def _files(self) -> object:
        return self.golden.digest, self.rules, self.blessing, self.known


def judging_of(section: PipelineSection, *, base_dir: Path) -> Judging:
    """Read what the golden set of a pipeline is judged by; it must have one.

    Raises:
        SeamwatchError: a file cannot be used, or the gate could never keep its promise.
    """
    asked = section.golden
    assert asked is not None
    items = golden.load(base_dir / asked.file, asked)
    judged_by = golden.rules(asked, section.quality, base_dir=base_dir)
    score = score_of(asked, section.gate.score if section.gate else None)
    path = blessed.path_of(asked, base_dir)
    blessing = blessed.read(path, items, judged_by, score=score)
    known = canaries(base_dir / asked.canary, judged_by.task) if asked.canary is not None else ()
    weighed = section.gate is not None and section.gate.mode != "off"
    terms = terms_for(section, items, blessing) if weighed else None
    return Judging(items, judged_by, blessing, terms, known)
