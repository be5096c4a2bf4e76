"""Compare texts in any script: the same words, how many of them, how many in the same order.

Only ``unicodedata`` is used. A text becomes tokens like this:

- NFKC and case folding; decimal digits of any script become 0-9; invisible format characters go;
- words are what stands between spaces and punctuation. A point or comma between digits, a minus
  sign before a digit, and accents and vowel signs stay; an apostrophe inside a word is dropped;
- each symbol ($, €, +, °, %, emoji) is a token of its own;
- scripts that do not put spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese and
  their relatives) give one token for each character.

English articles are kept: dropping them would favour one language.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

MAX_ORDERED = 20_000
"""Tokens of each text whose order is compared; what lies beyond counts as not matched."""

_SPACELESS = (
    "CJK UNIFIED IDEOGRAPH",
    "CJK COMPATIBILITY IDEOGRAPH",
    "IDEOGRAPHIC ",
    "HIRAGANA",
    "KATAKANA",
    "BOPOMOFO",
    "THAI",
    "LAO",
    "KHMER",
    "MYANMAR",
    "TAI ",
    "NEW TAI LUE",
    "BALINESE",
    "JAVANESE",
    "YI SYLLABLE",
)
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_])")
_PART_OF_NUMBER = re.compile(r"(?<=\d)[.,](?=\d)|(?<!\w)-(?=\d)")
# private-use characters stand in for the marks that are part of a number
_KEPT = {".": "\ue000", ",": "\ue001", "-": "\ue002"}


class _Characters(dict[int, str]):
    """What each character turns into; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        self[code] = found = _replacement(chr(code))
        return found


def _replacement(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Cf" or "\ufe00" <= character <= "\ufe0f":  # joiners, marks of direction, style
        return ""
    if category[0] in "ZC" or category == "Sk":
        return " " if category != "Co" else character
    if character in "%‰" or category[0] == "S":
        return f" {character} "
    if category[0] == "P":
        return " "
    spaceless = unicodedata.name(character, "").startswith(_SPACELESS)
    return f" {character} " if spaceless else character


_CHARACTERS = _Characters({ord(kept): mark for mark, kept in _KEPT.items()})


def tokens(text: str) -> list[str]:
    """Return the tokens of *text* by the rules at the top of this module."""
    if text.isascii():
        text = text.lower()
    else:
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        text = text.replace("\u2019", "'").replace("\u2212", "-")
    text = _APOSTROPHE.sub("", text)
    text = _PART_OF_NUMBER.sub(lambda mark: _KEPT[mark[0]], text)
    return text.translate(_CHARACTERS).split()


def same(one: str, other: str) -> bool:
    """Say whether two texts are equal but for case, spacing and punctuation."""
    return _same(tokens(one), tokens(other), one, other)


def _same(left: list[str], right: list[str], one: str, other: str) -> bool:
    if not left and not right:  # nothing but punctuation: then the punctuation is the answer
        return one.split() == other.split()
    return left == right


def token_f1(answer: Sequence[str], truth: Sequence[str]) -> float:
    """Return the F1 of two bags of tokens, in [0, 1]; two empty ones agree.

    Source: Rajpurkar et al., SQuAD (2016), section 6.1, without its removal of articles.
    """
    if not answer or not truth:
        return float(not answer and not truth)
    shared = sum((Counter(answer) & Counter(truth)).values())
    return 2 * shared / (len(answer) + len(truth))


def rouge_l(answer: Sequence[str], truth: Sequence[str]) -> float:
    """Return the F1 of the longest common subsequence of tokens, in [0, 1]; two empty ones agree.

    Source: Lin, ROUGE (2004), section 3.1, with beta 1.
    """
    if not answer or not truth:
        return float(not answer and not truth)
    return 2 * common_subsequence(answer, truth) / (len(answer) + len(truth))


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence of the first MAX_ORDERED tokens.

    One bit for each token of the shorter text, one step for each token of the longer.
    Source: Hyyrö, Bit-parallel LCS-length computation revisited (2004).
    """
    short, long = sorted((one[:MAX_ORDERED], other[:MAX_ORDERED]), key=len)
    places: dict[str, int] = {}
    for place, token in enumerate(short):
        places[token] = places.get(token, 0) | 1 << place
    whole = (1 << len(short)) - 1
    unmatched = whole
    for token in long:
        matched = unmatched & places.get(token, 0)
        unmatched = (unmatched + matched | unmatched - matched) & whole
    return len(short) - unmatched.bit_count()


def likeness(answer: str, truth: str) -> dict[str, float]:
    """Return ``exact_match``, ``token_f1`` and ``rouge_l`` of an answer, each in [0, 1]."""
    left, right = tokens(answer), tokens(truth)
    if _same(left, right, answer, truth):
        return {"exact_match": 1.0, "token_f1": 1.0, "rouge_l": 1.0}
    if not left and not right:
        return {"exact_match": 0.0, "token_f1": 0.0, "rouge_l": 0.0}
    return {
        "exact_match": 0.0,
        "token_f1": token_f1(left, right),
        "rouge_l": rouge_l(left, right),
    }


def stands_in(part: Sequence[str], whole: Sequence[str]) -> bool:
    """Say whether the tokens *part* stand in *whole*, next to each other and in that order."""
    return bool(part) and f" {' '.join(part)} " in f" {' '.join(whole)} "
