"""Team ml's stage: a TF-IDF encoder over hashed words and character n-grams.

Hashing gives every encoder the same dimensions, whatever it was fitted on. That is why vectors of
two encoders can be compared without any error, and why doing so is a silent failure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

WORDS, GRAMS = 1 << 12, 1 << 13  # dimensions for words and for character n-grams

_ASKING = """
    a all are available baseline browser browsers can do does everywhere for have how i in is
    of production safe status support supported the to use what which widely work yet
"""
ASKING = frozenset(_ASKING.split())  # the words of questions: they say nothing of what is asked


@dataclass(frozen=True, slots=True)
class Recipe:
    """The parameters of an encoder."""

    grams: tuple[int, int]  # shortest and longest character n-gram
    across_words: bool = False  # n-grams may span words
    word_weight: float = 0.5  # of whole words beside the n-grams

    @property
    def analyzer(self) -> Literal["char", "char_wb"]:
        """Name what scikit-learn calls this."""
        return "char" if self.across_words else "char_wb"


IN_SERVICE = Recipe(grams=(2, 4))
SUCCESSOR = Recipe(grams=(4, 5), across_words=True)  # nearly as good, for its own index
PREDECESSOR = Recipe(grams=(1, 2), word_weight=0.25)  # nearly as good; its scores are higher


class Encoder:
    """Fitted to *texts*; *version* names the recipe and all that was learned from the texts."""

    dimensions = WORDS + GRAMS

    def __init__(self, recipe: Recipe, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

        common = {"norm": None, "alternate_sign": False, "preprocessor": _plain}
        self._recipe = recipe
        self._words = HashingVectorizer(n_features=WORDS, token_pattern=r"\w+", **common)
        self._grams = HashingVectorizer(
            n_features=GRAMS, analyzer=recipe.analyzer, ngram_range=recipe.grams, **common
        )
        self._word_weights = TfidfTransformer(sublinear_tf=True).fit(self._words.transform(texts))
        self._gram_weights = TfidfTransformer(sublinear_tf=True).fit(self._grams.transform(texts))
        learned = self._word_weights.idf_.tobytes() + self._gram_weights.idf_.tobytes()
        digest = sha256(repr(recipe).encode() + learned).hexdigest()
        self.version = f"tfidf-{digest[:8]}"

    def encode(self, texts: Sequence[str]) -> Any:
        """Return unit vectors as a sparse matrix of shape (len(texts), dimensions)."""
        from scipy.sparse import hstack
        from sklearn import config_context
        from sklearn.preprocessing import normalize

        with config_context(assume_finite=True, skip_parameter_validation=True):
            words = self._word_weights.transform(self._words.transform(texts), copy=False)
            grams = self._gram_weights.transform(self._grams.transform(texts), copy=False)
            both = hstack([self._recipe.word_weight * words, grams], format="csr")
            return normalize(both, copy=False)


def _plain(text: str) -> str:
    """Lower the case and drop what only asks."""
    return " ".join(word for word in re.findall(r"\w+", text.lower()) if word not in ASKING)
