"""A forbidden pattern is found where it is, and none can keep the exporter busy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwatch.quality import Forbidden, too_slow
from seamwatch.quality.patterns import OVERLAP, PIECE, SEARCHED
from seamwatch.quality.steps import most_steps

USEFUL = [
    r"\bas an AI\b",
    r"(?i)password\s*[:=]\s*\S+",
    r"foo.*bar",
    r"[\w.]+@[\w.]+\.\w+",
    r"(?:foo|bar)+x",
    r"\s+$",
    r"^\s*$",
    r"(\w+\s)+$",
    r"\b\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b",
    r"a.{0,50}b.{0,50}c",
    r"ignore.*previous|system.*prompt",
    r"(?i)I (can't|cannot|won't) (help|assist)",
    r"<[^>]+>",
    r"(?s)```.*```",
    r"https?://\S+",
    r"(?=.*a)(?=.*b)x",
    r"(?i)\b(?:lorem|ipsum|todo)\b",
    r"[\u4e00-\u9fff]{3,}",
    r"(?P<q>['\"])x(?P=q)",
    r"(?<!\w)sk-[A-Za-z0-9]{20,}",
    r"(\w|\d)+#",
    r"",
]
CATASTROPHIC = [
    (r"(a+)+$", "a"),
    (r"(a|a)*b", "a"),
    (r"(a|ab)*c", "ab"),
    (r"(?:a|ab|b)*c", "ab"),
    (r"(?i)(?:kx|\u212ax)*b", "kx"),  # the Kelvin sign is a k to those who ignore case
    (r"(?i)(?:sx|\u017fx)*b", "sx"),  # and the long s an s
    (r"([a-z]+)*\d", "a"),
    (r"(?:a{0,20}){0,20}b", "a"),
    (r"(a?){30}a{30}b", "a"),
    (r"(([a-z])+.)+[A-Z]([a-z])+$", "a"),
    (r"(.*,)+x", ","),
    (r"^(\w+\s?)*$", "a"),
    (r".*.*.*x", "a"),
    (r"\d*\d*\d*\d*x", "1"),
    (r"(.*)\1\1x", "a"),
    (r"(?:(?:a*)b?)*c", "a"),
    (r"(?>(a|a)*b)c", "a"),
    (r"(?=(a+)+b)a", "a"),
    (r"(x)?(?(1)a|b)", "x"),  # not slow, but not understood either
]


@pytest.mark.parametrize("pattern", USEFUL)
def test_useful_patterns_are_allowed(pattern: str) -> None:
    assert too_slow(pattern) is None


@pytest.mark.parametrize(("pattern", "_"), CATASTROPHIC)
def test_patterns_that_may_never_end_are_refused_with_advice(pattern: str, _: str) -> None:
    with pytest.raises(ValueError, match=r"may take very long .* bound them"):
        Forbidden([pattern])


class _Matcher:
    """Backtracks over a tree of the parser at one place of a text, and counts its steps."""

    def __init__(self, text: str, limit: int) -> None:
        self.text, self.limit, self.steps = text, limit, 0

    def ends(self, nodes: list[Any], place: int) -> Iterator[int]:
        """Yield each place where a match of *nodes* from *place* can end."""
        if not nodes:
            yield place
            return
        self.steps += 1
        assert self.steps <= self.limit, "more steps than estimated"
        (kind, value), rest = (str(nodes[0][0]), nodes[0][1]), nodes[1:]
        if kind == "SUBPATTERN":
            yield from self.ends([*value[-1], *rest], place)
        elif kind == "BRANCH":
            for one in value[1]:
                yield from self.ends([*one, *rest], place)
        elif kind == "MAX_REPEAT":
            yield from self.rounds(value, rest, place)
        elif self.text[place : place + 1] in (["a", "b"] if kind == "IN" else [chr(value)]):
            yield from self.ends(rest, place + 1)

    def rounds(self, repeat: Any, rest: list[Any], place: int) -> Iterator[int]:
        low, high, body = int(repeat[0]), min(int(repeat[1]), len(self.text) + 1), list(repeat[2])
        if high > 0:
            fewer = ("MAX_REPEAT", (max(0, low - 1), high - 1, body))
            for end in self.ends(body, place):
                if end > place or low > 0:
                    yield from self.ends([fewer, *rest], end)
        if low == 0:
            yield from self.ends(rest, place)


PIECES = st.recursive(
    st.sampled_from(["a", "b", "[ab]", "a*", "b*", "[ab]*", "a+", "b?", "[ab]{0,3}", "a{2}"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{0,4}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)


@given(PIECES, st.sampled_from(["a", "b", "ab", "aab"]))
@settings(max_examples=300, deadline=None)
def test_the_estimate_is_no_less_than_what_a_matcher_does(pattern: str, unit: str) -> None:
    """Where the text has what the pattern reads, but never the c that it ends with."""
    length = 24
    text = (unit * length)[:length]
    whole = pattern + "c"
    estimated = most_steps(whole, length)
    # a matcher spends some steps on each node that the estimate counts as one or none
    allowed = (estimated + length) * (len(whole) + 4)
    if allowed > 300_000:
        return
    tree = list(re._parser.parse(whole))  # type: ignore[attr-defined]
    assert not list(_Matcher(text, int(allowed)).ends(tree, 0))


@pytest.mark.parametrize("place", [0, 700, PIECE - 4, PIECE, 2 * PIECE - 500, SEARCHED - 12])
def test_a_forbidden_text_is_found_wherever_it_stands(place: int) -> None:
    text = "x" * place + " as an AI " + "x" * 40
    assert Forbidden([r"never", r"\bas an AI\b"]).found(text) is True


def test_what_a_piece_cuts_off_is_no_end_of_the_text() -> None:
    text = "y" * PIECE + "x" * PIECE
    assert Forbidden([r"y$"]).found(text) is False
    assert Forbidden([r"x$"]).found(text) is True
    assert Forbidden([r"^x"]).found(text) is False
    assert Forbidden([r"^y"]).found(text) is True
    assert Forbidden([r"y\b"]).found(text) is False
    assert Forbidden([r"y(?!x)(?!y)"]).found(text) is False
    assert Forbidden([r"^$"]).found("") is True


def test_a_text_too_long_to_search_is_not_called_clean() -> None:
    forbidden = Forbidden(["bad"])
    assert forbidden.found("x" * SEARCHED) is False
    assert forbidden.found("x" * (SEARCHED + 1)) is None
    assert forbidden.found("bad" + "x" * SEARCHED) is True


@given(st.integers(0, 3000), st.text("ab", min_size=1, max_size=20), st.integers(0, 3000))
@settings(deadline=None)
def test_a_search_in_pieces_finds_what_a_search_of_the_whole_finds(
    before: int, middle: str, after: int
) -> None:
    assert OVERLAP < PIECE
    text = "x" * before + middle + "x" * after
    for pattern in ("aba", "^x{3}", "b(?=x)", "a$", "(?<=x)ab", "[ab]{5}"):
        assert Forbidden([pattern]).found(text) is (re.search(pattern, text) is not None)


def test_what_is_no_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="not a regular expression"):
        Forbidden(["(" * 3])
