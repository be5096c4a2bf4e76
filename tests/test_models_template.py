"""Templates make questions out of golden items, keep types, and say what is wrong with them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from seamwatch.config.models import ModelSection
from seamwatch.errors import ReadError, Reason
from seamwatch.models.template import compile_path, compile_template, compile_text
from seamwatch.pipeline import GoldenItem

ITEM = GoldenItem(
    "q-7",
    {"question": "How old?", "k": 5, "tags": ["a", "b"], "deep": {"x": [1, 2]}, "none": None},
    "x",
    slice="en",
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("{{ input.k }}", 5),
        ("{{input.k}}", 5),
        ("{{ input.tags }}", ["a", "b"]),
        ("{{ input }}", ITEM.input),
        ("{{ input.none }}", None),
        ("{{ id }}/{{ slice }}", "q-7/en"),
        ("k={{ input.k }}, tags={{ input.tags }}", 'k=5, tags=["a","b"]'),
        ("{{ input.deep.x[1] }}", 2),
        ("{{ join(' ', input.tags) }}!", "a b!"),
        ("{{ {q: input.question, i: id}}}", {"q": "How old?", "i": "q-7"}),
        ("{{ '{{' }} is text", "{{ is text"),
        ("no placeholder } { here", "no placeholder } { here"),
        ("", ""),
        ({"a": ["{{ input.k }}", 1, None, True]}, {"a": [5, 1, None, True]}),
        ({"{{ id }}": 1}, {"{{ id }}": 1}),
    ],
)
def test_a_template_keeps_the_type_of_what_it_finds(template: Any, made: Any) -> None:
    assert compile_template(template)(ITEM) == made


@given(JSON)
def test_one_placeholder_gives_back_whatever_the_item_holds(value: Any) -> None:
    item = GoldenItem("a", {"deep": {"value": value}}, None)
    assert compile_template("{{ input.deep.value }}")(item) == value
    assert compile_template({"x": ["{{ input.deep }}"]})(item) == {"x": [{"value": value}]}


@given(st.text(st.characters(codec="utf-8")))
def test_text_in_text_is_taken_as_it_is_braces_and_all(text: str) -> None:
    item = GoldenItem("a", text, None)
    assert compile_text("<{{ input }}>")(item) == f"<{text}>"


@pytest.mark.parametrize(
    "template",
    ["{{ input.nothing }}", "{{ input.k.deeper }}", "Q: {{ input.none }}", "Q: {{ input.deep.y }}"],
)
def test_an_item_that_lacks_what_the_template_names_is_named(template: str) -> None:
    with pytest.raises(
        ReadError, match=r"^golden item 'q-7' has nothing at \{\{ input\."
    ) as caught:
        compile_template(template)(ITEM)
    assert caught.value.reason is Reason.BAD_CONTRACT


def test_a_function_that_cannot_work_on_an_item_names_the_item() -> None:
    with pytest.raises(ReadError, match="golden item 'q-7'"):
        compile_template("{{ sum(input.tags) }}")(ITEM)


@pytest.mark.parametrize(
    ("json", "says"),
    [
        (
            {"q": {"text": ["{{ input.q"]}},
            "json.q.text[0]: '{{ input.q' has no closing }}; write {{ input }}",
        ),
        (
            {"q": "{{ question }}"},
            "json.q: {{ question }} starts at 'question', but an item has only input, id, slice;"
            " write {{ input.question }}",
        ),
        (
            {"q": "{{ join(' ', words[*].text) }}"},
            "json.q: {{ join(' ', words[*].text) }} starts at 'words'",
        ),
        ({"q": "{{ input..q }}"}, "json.q: 'input..q' is not a JMESPath expression"),
        ({"q": "{{ }}"}, "json.q: '' is not a JMESPath expression"),
        (
            {"q": "what is it?"},
            "nothing of the golden item is sent to the model; write for",
        ),
        (None, "nothing of the golden item is sent to the model"),
    ],
)
def test_a_template_that_cannot_work_is_refused_when_the_file_is_read(json: Any, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ModelSection.model_validate(
            {"http": {"url": "http://model/", "json": json, "answer": "label"}}
        )
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [
        "input[?id].name",
        "input.a || id",
        "input.list[].x",
        "sort_by(input.l, &score)[0]",
        "@.input",
    ],
)
def test_paths_inside_the_item_may_have_any_name(expression: str) -> None:
    ModelSection.model_validate(
        {"http": {"url": "http://m/", "json": f"{{{{ {expression} }}}}", "answer": "a"}}
    )


def test_a_get_with_a_body_is_refused() -> None:
    with pytest.raises(ValidationError, match="method GET sends no json; write method: POST"):
        ModelSection.model_validate(
            {
                "http": {
                    "url": "http://m/",
                    "method": "GET",
                    "json": "{{ input }}",
                    "answer": "a",
                }
            }
        )


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("label", "limited"),
        ("choices[0].message.content", "text"),
        ("scores.limited", 0.5),
        ("nothing", None),
        ("label.deeper", None),
        ("sum(label)", None),
        ("max_by(choices, &nothing)", None),
        ("[0]", None),
    ],
)
def test_a_path_finds_its_value_or_nothing(path: str, found: Any) -> None:
    document = {
        "label": "limited",
        "choices": [{"message": {"content": "text"}}],
        "scores": {"limited": 0.5},
    }
    assert compile_path(path)(document) == found


@given(JSON)
def test_paths_bear_any_document(document: Any) -> None:
    for path in ("a", "a.b", "a[0].b", "length(a)", "a[?b > `1`] | [0]"):
        orjson.dumps(compile_path(path)(document))
