"""Texts are compared by the same words in any script: exact match, token F1, ROUGE-L."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwatch.scoring.textmatch import (
    MAX_ORDERED,
    common_subsequence,
    likeness,
    rouge_l,
    same,
    stands_in,
    token_f1,
    tokens,
)

WORDS = st.lists(st.sampled_from("abcd"), max_size=9)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The  QUICK, brown fox!", ["the", "quick", "brown", "fox"]),
        ("Don't / don\u2019t", ["dont", "dont"]),
        ("'quoted' words'", ["quoted", "words"]),
        ("3.14 1,000 -5 \u22125 10-20 v2.", ["3.14", "1,000", "-5", "-5", "10", "20", "v2"]),
        ("50% of $20 (\u22123 °C)", ["50", "%", "of", "$", "20", "-3", "°", "c"]),
        ("e-mail_address", ["e", "mail", "address"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ﬁne \uff26\uff55\uff4c\uff4c ①", ["fine", "full", "1"]),
        ("cafe\u0301 café", ["café", "café"]),
        ("北京大学 2024年", ["北", "京", "大", "学", "2024", "年"]),
        ("東京タワーへ", ["東", "京", "タ", "ワ", "ー", "へ"]),
        ("ไทย ok", ["ไ", "ท", "ย", "ok"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("٣٠ يوما", ["30", "يوما"]),
        ("שלום, עולם", ["שלום", "עולם"]),
        ("soft\u00adhyphen zero\u200bwidth", ["softhyphen", "zerowidth"]),
        ("👍🏽 ok ❤️", ["👍", "ok", "❤"]),
        ("...", []),
    ],
)
def test_tokens_of_any_script(text: str, wanted: list[str]) -> None:
    assert tokens(text) == wanted


@given(st.text(max_size=60))
def test_tokens_do_not_change_when_they_are_read_again(text: str) -> None:
    once = tokens(text)
    assert all(token and not token.isspace() for token in once)
    assert Counter(" ".join(once).split()) == Counter(once)


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=60))
def test_ascii_takes_a_shorter_way_to_the_same_tokens(text: str) -> None:
    assert tokens(text) == tokens(text + " ж")[:-1]


def test_case_spacing_and_punctuation_do_not_matter_but_numbers_do() -> None:
    assert same(" 30 days. ", "30 DAYS")
    assert same("「北京 大学」", "北京大学")
    assert not same("3.5", "35")
    assert not same("-5", "5")
    assert not same("50%", "50")
    assert same("?!", "?!")
    assert not same("?!", "...")


@given(WORDS, WORDS)
def test_token_f1_is_the_harmonic_mean_of_precision_and_recall(
    answer: list[str], truth: list[str]
) -> None:
    left, shared = list(truth), 0
    for word in answer:
        if word in left:
            left.remove(word)
            shared += 1
    if not answer or not truth:
        wanted = float(answer == truth)
    elif shared == 0:
        wanted = 0.0
    else:
        precision, recall = shared / len(answer), shared / len(truth)
        wanted = 2 * precision * recall / (precision + recall)
    assert token_f1(answer, truth) == pytest.approx(wanted)


def longest_common(one: list[str], other: list[str]) -> int:
    """Try all subsequences, longest first: slow, and nothing like the code it checks."""

    def is_subsequence(part: tuple[str, ...], whole: list[str]) -> bool:
        rest = iter(whole)
        return all(word in rest for word in part)

    for size in range(min(len(one), len(other)), 0, -1):
        if any(is_subsequence(part, other) for part in combinations(one, size)):
            return size
    return 0


@given(WORDS, WORDS)
def test_rouge_l_finds_the_longest_common_subsequence(one: list[str], other: list[str]) -> None:
    longest = longest_common(one, other)
    assert common_subsequence(one, other) == longest
    if one and other:
        assert rouge_l(one, other) == pytest.approx(2 * longest / (len(one) + len(other)))


def test_what_lies_beyond_the_limit_counts_as_not_matched() -> None:
    words = [str(n) for n in range(MAX_ORDERED + 1000)]
    assert rouge_l(words, words) == MAX_ORDERED / len(words)
    assert token_f1(words, words) == 1


def test_order_matters_to_rouge_l_and_not_to_token_f1() -> None:
    found = likeness("days 30", "30 days")
    assert found == {"exact_match": 0.0, "token_f1": 1.0, "rouge_l": 0.5}
    assert likeness("东京是日本首都", "日本首都是东京")["token_f1"] == 1.0


@given(st.text(max_size=30), st.text(max_size=30))
def test_all_measures_are_ratios_symmetric_and_one_for_the_same_text(one: str, other: str) -> None:
    found = likeness(one, other)
    assert found == likeness(other, one)
    assert all(0 <= value <= 1 for value in found.values())
    assert found["rouge_l"] <= found["token_f1"] + 1e-12
    assert set(likeness(one, one).values()) == {1.0}


def test_a_part_stands_in_a_whole_only_word_by_word() -> None:
    assert stands_in(tokens("30 days"), tokens("It is 30 days."))
    assert not stands_in(tokens("30 days"), tokens("It is 130 days."))
    assert not stands_in([], ["a"])
