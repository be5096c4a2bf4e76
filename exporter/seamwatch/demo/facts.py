"""The facts behind the demo: what each published release of web-features said of each feature.

``facts/README.md`` names sources and licences; ``extract.py`` regenerates the files.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).parent / "facts"
STATUS = {"l": "limited", "n": "newly", "w": "widely"}
LABELS = tuple(STATUS.values())
ABSTAIN = "abstain"


@dataclass(frozen=True, slots=True)
class Document:
    """What the pipeline knows of one feature; *label* is its status in some release."""

    id: str
    name: str
    label: str

    @property
    def text(self) -> str:
        """What an encoder reads of it."""
        return f"{self.name} {self.id.replace('-', ' ')}"


@dataclass(frozen=True)
class Facts:
    """Releases oldest first, each with the day up to which it tells of the world."""

    complete_until: Mapping[str, float]  # release -> event time, seconds since the epoch
    names: Mapping[str, str]  # feature id -> name
    statuses: Mapping[str, Mapping[str, str]]  # release -> feature id -> label
    places: tuple[str, ...]  # names that are no web features

    @cached_property
    def newest(self) -> str:
        """The release that the golden labels come from."""
        return max(self.complete_until, key=self.complete_until.__getitem__)

    def documents(self, release: str) -> tuple[Document, ...]:
        """Return what *release* said, in the order of the ids."""
        said = self.statuses[release]
        return tuple(Document(key, self.names[key], said[key]) for key in sorted(said))

    def behind(self, release: str) -> float:
        """Return how many seconds of the world *release* lacks beside the newest one."""
        return self.complete_until[self.newest] - self.complete_until[release]

    def superseded(self, feature: str) -> list[str]:
        """Return the labels that older releases had and the newest has not, newest first."""
        now = self.statuses[self.newest][feature]
        older = [said.get(feature, now) for said in reversed(list(self.statuses.values()))]
        return [label for label in dict.fromkeys(older) if label != now]


def load(folder: Path = FOLDER) -> Facts:
    """Read the committed facts; raises OSError or KeyError when the files are damaged."""
    complete_until = {
        row["release"]: datetime.fromisoformat(row["complete_until"]).replace(tzinfo=UTC)
        for row in _rows(folder / "releases.csv")
    }
    releases = sorted(complete_until, key=complete_until.__getitem__)
    features = _rows(folder / "features.csv")
    return Facts(
        complete_until={release: complete_until[release].timestamp() for release in releases},
        names={row["id"]: row["name"] for row in features},
        statuses={
            release: {row["id"]: STATUS[row[release]] for row in features if row[release]}
            for release in releases
        },
        places=tuple(row["name"] for row in _rows(folder / "places.csv")),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
