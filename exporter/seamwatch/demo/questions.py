"""Questions with known answers: our own wording around the names of facts, seeded.

Each name is asked as people type it: now and then a word is missing or a letter is wrong. The seed
of a question is the name of what it asks about, so that one more fact changes no other question.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from string import ascii_lowercase
from typing import Any

from seamwatch.demo.facts import ABSTAIN, Facts

WORDINGS = (
    "can I use {} yet",
    "is {} supported everywhere",
    "browser support for {}",
    "how widely available is {}",
    "{} baseline status",
    "is {} safe to use in production",
    "which browsers have {}",
    "do all browsers support {}",
)
WORD_MISSING = 0.3  # chance that a name of several words loses one
WORD_MISSPELT = 0.2  # chance that a word of three letters or more has one typing mistake
OFF_TOPIC = 0.1  # share of questions about something that is no web feature
HOT = 0.5  # share of the features that people ask for so often that the cache keeps them


@dataclass(frozen=True, slots=True)
class Question:
    """A question, what it asks about (None: no web feature) and the right answer."""

    about: str | None
    text: str
    expected: str


def questions(facts: Facts, *, golden: bool, misspelt: bool = True) -> tuple[Question, ...]:
    """Return one question for every other feature of the newest release, and off-topic ones.

    Args:
        facts: what is asked about; right is what the newest release says.
        golden: the golden half of the features and places, else the half for practice (tuning):
            the two have no feature and no place in common.
        misspelt: ask as people type, else with every name written in full and right.
    """
    said = facts.statuses[facts.newest]
    asked = sorted(said)[golden::2]
    places = list(facts.places[golden::2])
    Random("places").shuffle(places)
    wanted = round(len(asked) * OFF_TOPIC / (1 - OFF_TOPIC))
    return tuple(
        [
            Question(key, wording(facts.names[key], key, misspelt=misspelt), said[key])
            for key in asked
        ]
        + [
            Question(None, wording(place, place, misspelt=misspelt), ABSTAIN)
            for place in places[:wanted]
        ]
    )


def wording(name: str, seed: str, *, misspelt: bool) -> str:
    """Return a question about *name*; the same *seed* gives the same question."""
    random = Random(f"asked/{seed}")
    words = name.split()
    if misspelt:
        if len(words) > 1 and random.random() < WORD_MISSING:
            words.pop(random.randrange(len(words)))
        words = [
            _mistyped(word, random) if len(word) > 2 and random.random() < WORD_MISSPELT else word
            for word in words
        ]
    return random.choice(WORDINGS).format(" ".join(words))


def is_hot(feature: str) -> bool:
    """Say whether people ask for *feature* often."""
    return Random(f"hot/{feature}").random() < HOT


def golden_items(facts: Facts) -> list[dict[str, Any]]:
    """Return the golden set as rows of a golden file."""
    return [_item(facts, question) for question in questions(facts, golden=True)]


def canaries() -> list[dict[str, Any]]:
    """Return answers whose verdict is known, as rows of a canary file: one for each verdict."""
    return [
        {"expected": "widely", "answer": "widely", "verdict": "correct"},
        {"expected": "newly", "answer": "newly", "verdict": "correct"},
        {"expected": "widely", "answer": "limited", "verdict": "wrong"},
        {"expected": None, "answer": "limited", "verdict": "wrong"},
        {"expected": None, "answer": ABSTAIN, "verdict": "correct"},
        {"expected": "limited", "answer": ABSTAIN, "verdict": "refused"},
    ]


def write_golden(path: Path, items: Iterable[dict[str, Any]]) -> None:
    """Write *items* as JSON lines."""
    lines = (json.dumps(item, ensure_ascii=False) for item in items)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _item(facts: Facts, question: Question) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": question.about or f"place:{question.text}",
        "input": {"question": question.text},
        "expected": None if question.expected == ABSTAIN else question.expected,
        "slice": _slice(facts, question.about),
    }
    if question.about is not None:
        item["superseded"] = facts.superseded(question.about)
        item["label_source"] = f"web-features@{facts.newest}"
    return item


def _slice(facts: Facts, feature: str | None) -> str:
    """Name the stratum: what happened to the feature since the oldest release that we keep."""
    if feature is None:
        return "off-topic"
    if feature not in next(iter(facts.statuses.values())):
        return "added"
    return "changed" if facts.superseded(feature) else "steady"


def _mistyped(word: str, random: Random) -> str:
    """Return *word* with one letter missing, swapped with the next, or replaced."""
    at, mistake = random.randrange(len(word)), random.randrange(3)
    if mistake == 0 and len(word) > 3:
        return word[:at] + word[at + 1 :]
    if mistake == 1 and at + 1 < len(word):
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + random.choice(ascii_lowercase) + word[at + 1 :]
