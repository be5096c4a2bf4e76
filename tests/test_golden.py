"""Golden files are read whole or refused with every problem, each with its line and the cure."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwatch import golden
from seamwatch.config.quality import QualitySection
from seamwatch.config.schema import GoldenSection
from seamwatch.errors import GoldenError
from seamwatch.golden import Check, GoldenSet
from seamwatch.golden.canary import canaries, check_canaries, misjudged
from seamwatch.golden.fields import FIELDS
from seamwatch.golden.loading import REST
from seamwatch.pipeline import GoldenItem, Task, Verdict
from seamwatch.scoring import Rules

NOW = 1_800_000_000.0


def section(task: str = "multiclass", **more: Any) -> GoldenSection:
    return GoldenSection.model_validate({"file": "golden.jsonl", "task": task, **more})


def written(tmp_path: Path, *rows: Any, name: str = "golden.jsonl") -> Path:
    path = tmp_path / name
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


def problems(path: Path, task: str = "multiclass", **more: Any) -> list[str]:
    with pytest.raises(GoldenError) as caught:
        golden.load(path, section(task, **more))
    return [problem.removeprefix(str(path)) for problem in caught.value.problems]


def row(number: int = 1, expected: Any = "a", **more: Any) -> dict[str, Any]:
    return {"id": f"q{number}", "input": f"question {number}", "expected": expected, **more}


def test_a_json_lines_file_gives_its_items_slices_and_digest(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {
            "id": 7,
            "input": {"question": "How long?"},
            "expected": "30 days",
            "slice": "returns",
            "weight": 2,
            "superseded": ["14 days"],
            "valid_from": "2026-01-01T00:00:00+01:00",
            "valid_until": "2027-01-01T00:00:00Z",
            "context_ids": ["doc-1", 2],
            "label_source": "policy",
            "note": "changed in January",
        },
        "",
        {"id": "8", "input": "Colour?", "expected": None},
    )
    found = golden.load(path, section("text"))
    assert found.items == (
        GoldenItem(
            id="7",
            input={"question": "How long?"},
            expected="30 days",
            slice="returns",
            weight=2.0,
            superseded=("14 days",),
            valid_from=1767222000.0,
            valid_until=1798761600.0,
            context_ids=("doc-1", "2"),
            label_source="policy",
            note="changed in January",
        ),
        GoldenItem(id="8", input="Colour?", expected=None, slice=REST),
    )
    assert found.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.slices == {"returns": 1, REST: 1}
    assert found.task is Task.TEXT
    assert pickle.loads(pickle.dumps(found)) == found


def test_csv_and_parquet_give_the_same_items_as_json_lines(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [
        {
            "id": "1",
            "input": {"question": 'Who, "exactly"?'},
            "expected": ["a", "b"],
            "slice": "x",
            "weight": 0.5,
            "superseded": [["c"]],
            "valid_from": "2026-01-01T00:00:00Z",
            "context_ids": ["d1"],
        },
        {
            "id": "2",
            "input": {"question": "line\nbreak"},
            "expected": None,
            "slice": "y",
            "weight": 1.0,
        },
    ]
    as_json = written(tmp_path, *rows)
    as_csv = tmp_path / "golden.csv"
    as_csv.write_bytes(
        b"\xef\xbb\xbfid,input,expected,slice,weight,superseded,valid_from,context_ids\r\n"
        b'1,"{""question"": ""Who, \\""exactly\\""?""}","[""a"", ""b""]",x,0.5,"[""c""]",'
        b"2026-01-01T00:00:00Z,d1\r\n"
        b'2,"{""question"": ""line\\nbreak""}",null,y,,,,\r\n'
    )
    as_parquet = tmp_path / "golden.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), as_parquet)
    wanted = golden.load(as_json, section("multilabel")).items
    assert golden.load(as_csv, section("multilabel")).items == wanted
    assert golden.load(as_parquet, section("multilabel")).items == wanted
    digest = golden.load(as_parquet, section("multilabel")).digest
    assert digest == hashlib.sha256(as_parquet.read_bytes()).hexdigest()


def test_all_problems_are_told_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        row(1),
        row(2, 3),
        {"id": "q1", "input": "x", "expected": "b"},
        {"id": "q4", "question": "x", "expcted": "b"},
        '{"id": "q5", "input": "x", "expected": NaN}',
        '{"id": "q6", "input": "x" "expected": "a"}',
        row(7, weight=0),
        row(8, valid_from="2026-01-01", valid_until="tomorrow"),
        row(9, superseded=["z", "a"]),
        row(10, valid_from="2026-01-02T00:00:00Z", valid_until="2026-01-01T00:00:00Z"),
        row(11, ["a"]),
        '"just text"',
        {"id": True, "input": "", "expected": ""},
        '{"id": "q14", "input": "x", "expected": "a", "expected": "b"}',
    )
    assert problems(path) == [
        ":2: expected is a number, but text on line 1; write the same kind everywhere",
        ':3: id "q1" is also on line 1; give each its own',
        ':4: unknown field "question"; did you mean "input"?',
        ':4: unknown field "expcted"; did you mean "expected"?',
        ':4: no field "input"; write id, input and expected in each item',
        ':4: no field "expected"; write id, input and expected in each item',
        ":5: NaN is not JSON; write a number, or null where the model should refuse",
        ":6: broken JSON at column 27 (Expecting ',' delimiter); "
        "write one JSON object on each line",
        ":7: weight is 0; write a number above 0",
        ':8: valid_from "2026-01-01" has no time zone; write 2026-01-01T00:00:00Z or with +02:00',
        ':8: valid_until "tomorrow" is not a time; write 2026-01-31T00:00:00Z',
        ':9: superseded holds "a", which is the expected answer; '
        "write only answers that are no longer right",
        ":10: valid_from is not before valid_until; write the earlier time first",
        ":11: expected is a list and the task is multiclass; "
        "write a label: text, a number or true/false",
        ":12: text where an item should be; write one JSON object on each line",
        ":13: id is true/false; write text or a whole number",
        ":13: input is empty; write what the model is asked",
        ":13: expected is empty; write the answer, or null if the model should refuse",
        ':14: "expected" is written twice; keep the right one',
    ]


@pytest.mark.parametrize(
    ("task", "expected", "told"),
    [
        ("regression", "3.5", 'is "3.5" and the task is regression; write a number'),
        ("regression", True, "is true/false and the task is regression; write a number"),
        ("multilabel", "a", 'is "a" and the task is multilabel; write a list of labels'),
        ("ranking", [], "lists no id; write one or more, or null if the model should refuse"),
        ("ranking", ["d1", "d1"], "lists something twice; write each once"),
        ("text", 30, "is a number and the task is text; write text"),
        (
            "binary",
            {"a": 1},
            "is a mapping and the task is binary; write a label: text, a number or true/false",
        ),
    ],
)
def test_an_expected_answer_that_does_not_fit_the_task_is_named(
    tmp_path: Path, task: str, expected: Any, told: str
) -> None:
    assert problems(written(tmp_path, row(1, expected)), task) == [f":1: expected {told}"]


def test_numbers_and_text_in_one_set_are_a_problem_on_each_odd_line(tmp_path: Path) -> None:
    path = written(tmp_path, row(1, 1), row(2, 2.0), row(3, "2"), row(4, 2), row(5, True))
    assert problems(path) == [
        ":3: expected is text, but a number on line 1; write the same kind everywhere",
        ":5: expected is true/false, but a number on line 1; write the same kind everywhere",
    ]


def test_a_third_label_in_a_binary_set_and_a_positive_that_nobody_expects_are_named(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, row(1, "yes"), row(2, "no"), row(3, "maybe"))
    assert problems(path, "binary", positive="ja") == [
        ': no item expects "ja", which positive names; write one of "maybe", "no", "yes"',
        ':3: expected "maybe" is a third label after "yes" and "no"; '
        "write task multiclass or correct the label",
    ]


def test_a_label_outside_the_declared_ones_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, row(1, "cat"), row(2, "bird"))
    assert problems(path, labels=["cat", "dog"]) == [
        ':2: expected "bird" is not in labels; write one of "cat", "dog"'
    ]


def test_the_slice_can_be_a_field_of_the_input(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"id": 1, "input": {"topic": "tax", "q": "?"}, "expected": "a"},
        {"id": 2, "input": {"topic": 7, "q": "?"}, "expected": "a", "slice": "own"},
    )
    assert golden.load(path, section(slices="topic")).slices == {"tax": 1, "own": 1}
    path = written(tmp_path, row(1))
    assert problems(path, slices="topic") == [
        ':1: input has no field "topic", which golden.slices names; write it or slice'
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("g.jsonl", b"", ": is empty; write one item a line"),
        ("g.jsonl", b"\n \n", ": holds no item; write one item a line"),
        ("g.jsonl", b"\x80abc\n", ":1: byte 0x80 at column 1 is not UTF-8; save the file as UTF-8"),
        ("g.jsonl", b"\n\x00\x01", ":2: binary data at column 1; write text in UTF-8"),
        ("g.jsonl", b"\xff\xfe{\x00", ": is UTF-16; save it as UTF-8"),
        ("g.jsonl", b"PAR1....", ": is a Parquet file; name it with .parquet"),
        ("g.csv", b"PK\x03\x04", ": is a zip archive or a spreadsheet; save it as CSV or JSON"),
        ("g.jsonl", b'[\n{"id": 1}\n]', ":1: the file is one JSON array; write one JSON object"),
        ("g.jsonl", b"[" * 100_000, ":1: JSON nested too deep; write one JSON object on each"),
        (
            "g.jsonl",
            b'{"id": 1, "expected": "a", "input": ' + b"[" * 300 + b"]" * 300 + b"}",
            ":1: input is nested deeper than 100 levels; write it flatter",
        ),
        ("g.jsonl", b"x" * (5 << 20), ":1: a line of more than 4 MiB; write shorter ones"),
        ("g.xlsx", b"x", ': a file named "*.xlsx" is not read; write .jsonl, .csv or .parquet'),
        ("g.parquet", b"rubbish, and more of it", ": is not a Parquet file that can be read:"),
        ("g.csv", b"id;input;expected\n", ":1: the columns are separated by semicolons; write"),
        ("g.csv", b"id,input,expect\n", ':1: unknown column "expect"; did you mean "expected"?'),
        ("g.csv", b"id,input,expected,id\n", ':1: column "id" is there 2 times; keep one'),
        ("g.csv", b"id,input,expected\n1,a,b,c\n", ":2: 4 cells where the header has 3; put"),
        ("g.csv", b'id,input,expected\n1,"a\n', ":2: broken CSV (unexpected end of data); close"),
        ("g.csv", b"id,input,expected\n1,a,\n", ":2: expected is empty; write the answer, or null"),
        ("g.csv", b"id,input,expected\n1,{a,b\n", ":2: input starts with { but is not JSON"),
        ("g.csv", b"id,input,expected\n1,\xe4,b\n", ":2: byte 0xe4 at column 3 is not UTF-8; save"),
    ],
)
def test_files_that_are_no_golden_set_say_why(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert problems(path)[0].startswith(told)


def test_missing_files_directories_and_pipes_are_refused_without_waiting(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.jsonl") == [
        ": there is no such file; write the path of the golden set"
    ]
    assert problems(tmp_path) == [": is not a file; write the path of the golden set"]
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert problems(tmp_path / "pipe.jsonl") == [
        ": is not a file; write the path of the golden set"
    ]


def test_a_file_larger_than_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.jsonl"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert problems(path) == [": is larger than 256 MiB; ask a sample of it"]


def test_nan_and_naive_times_in_parquet_are_named_by_row(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "golden.parquet"
    rows = [
        {"id": "1", "input": {"x": 1.0}, "expected": 2.0, "valid_from": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"id": "2", "input": {"x": float("nan")}, "expected": 2.0},
        {"id": "3", "input": {"x": 1.0}, "expected": float("nan")},
        {"id": "4", "input": {"when": datetime(2026, 1, 1, tzinfo=UTC)}, "expected": 1.0},
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert problems(path, "regression") == [
        ":row 1: valid_from 2026-01-01 00:00:00 has no time zone; "
        "write 2026-01-01T00:00:00Z or with +02:00",
        ":row 2: input holds NaN or an infinity; write finite numbers",
        ":row 3: expected is nan; write a finite number, or null if the model should refuse",
        ":row 4: input holds a value of type datetime; write text, numbers, lists or mappings",
    ]


def test_of_a_thousand_problems_a_hundred_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    found = problems(written(tmp_path, *({"id": n} for n in range(1000))))
    assert len(found) == 101
    assert found[-1] == ": and 1,900 more problems"


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=300), suffix=st.sampled_from(["jsonl", "csv", "parquet"]))
def test_rubbish_never_ends_in_anything_but_a_golden_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"rubbish.{suffix}"
    path.write_bytes(content)
    with pytest.raises(GoldenError) as caught:
        golden.load(path, section())
    assert all(problem.startswith(str(path)) for problem in caught.value.problems)


@settings(max_examples=200, deadline=None)
@given(
    fields=st.dictionaries(
        st.sampled_from(["id", "input", "expected", "slice", "weight", "superseded", "valid_from",
                         "valid_until", "context_ids", "note"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
            max_leaves=5,
        ),
    ),
    task=st.sampled_from([str(task) for task in Task]),
)  # fmt: skip
def test_any_row_is_an_item_or_a_golden_error(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, Any], task: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "row.jsonl"
    path.write_text(json.dumps(fields))
    with suppress(GoldenError):
        found = golden.load(path, section(task))
        assert found.items[0].weight > 0
        golden.lint(found, NOW)


# --- order


def make(sizes: dict[str, int]) -> GoldenSet:
    items = tuple(
        GoldenItem(id=f"{name}{n}", input="?", expected="a", slice=name)
        for name, size in sizes.items()
        for n in range(size)
    )
    return GoldenSet("0" * 64, Task.MULTICLASS, items, sizes)


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 40), min_size=1),
    seed=st.integers(0, 2**63),
)
def test_a_pass_asks_each_item_once_and_every_prefix_holds_each_slice_by_its_share(
    sizes: dict[str, int], seed: int
) -> None:
    golden_set = make(sizes)
    order = golden.permutation(golden_set, seed=seed, now=NOW)
    assert sorted(item.id for item in order) == sorted(item.id for item in golden_set.items)
    counts: Counter[str] = Counter()
    for asked, item in enumerate(order, start=1):
        counts[item.slice] += 1
        for name, size in sizes.items():
            assert abs(counts[name] - asked * size / len(order)) < 2


def test_an_order_depends_on_the_seed_alone_so_that_a_restart_goes_on() -> None:
    golden_set = make({"a": 30, "b": 10})
    one, same, other = (golden.permutation(golden_set, seed=s, now=NOW) for s in (1, 1, 2))
    assert one == same
    assert one != other


def test_each_item_can_come_first() -> None:
    golden_set = make({"big": 8, "small": 2})
    first = {golden.permutation(golden_set, seed=s, now=NOW)[0].id for s in range(400)}
    assert first == {item.id for item in golden_set.items}


def test_items_outside_their_time_are_not_asked() -> None:
    items = (
        GoldenItem("now", "?", "a", valid_from=NOW - 1, valid_until=NOW + 1),
        GoldenItem("over", "?", "a", valid_until=NOW),
        GoldenItem("coming", "?", "a", valid_from=NOW + 1),
    )
    golden_set = GoldenSet("0" * 64, Task.TEXT, items, {})
    assert [item.id for item in golden.permutation(golden_set, seed=1, now=NOW)] == ["now"]
    assert golden.permutation(golden_set, seed=1, now=NOW + 9)[0].id == "coming"


# --- lint


def linted(task: Task, *items: GoldenItem, rules: Rules | None = None) -> dict[Check, str]:
    slices = Counter(item.slice for item in items if item.slice)
    found = golden.lint(GoldenSet("0" * 64, task, items, slices), NOW, rules=rules)
    return {one.check: one.text for one in found}


def many(count: int = 40, **more: Any) -> list[GoldenItem]:
    return [
        GoldenItem(**({"id": f"q{n}", "input": f"question {n}", "expected": "ab"[n % 2]} | more))
        for n in range(count)
    ]


def test_a_sound_set_has_no_findings() -> None:
    assert linted(Task.MULTICLASS, *many()) == {}


def test_lint_finds_conflicts_and_repetitions() -> None:
    found = linted(
        Task.MULTICLASS,
        *many(),
        GoldenItem("x", "How  LONG?", "a"),
        GoldenItem("y", "how long?", "b"),
        GoldenItem("v", "same", "a"),
        GoldenItem("w", "same", "a"),
    )
    assert found == {
        Check.CONFLICT: '"x", "y" ask the same and expect different answers; correct one',
        Check.REPEATED: "1 item asked twice with the same answer; remove or weigh",
    }


def test_an_answer_that_changed_with_time_is_no_conflict() -> None:
    found = linted(
        Task.MULTICLASS,
        *many(),
        GoldenItem("x", "how long?", "a", valid_until=NOW + 10**8),
        GoldenItem("y", "how long?", "b", valid_from=NOW + 10**8, superseded=("a",)),
    )
    assert found == {}


def test_lint_finds_expired_and_expiring_items() -> None:
    found = linted(
        Task.MULTICLASS,
        *many(),
        GoldenItem("old", "1?", "a", valid_until=NOW - 1),
        GoldenItem("soon", "2?", "b", valid_until=NOW + 86400),
    )
    assert found == {
        Check.EXPIRED: "1 item expired and not asked any more; renew or remove",
        Check.EXPIRING: "1 item will expire within 14 days, the first 2027-01-16",
    }
    found = linted(Task.MULTICLASS, *many(valid_until=NOW - 1))
    assert found[Check.NONE_VALID] == "no item is valid now, so none would be asked; renew them"


def test_lint_says_how_wide_the_interval_of_a_small_slice_is() -> None:
    found = linted(
        Task.MULTICLASS,
        *many(slice="big"),
        *(GoldenItem(f"s{n}", f"small {n}", "a", slice="small") for n in range(10)),
    )
    assert found == {
        Check.SMALL_SLICE: 'slice "small" has 10 valid items: with about 90% right '
        "the 95 % interval is 60% to 98%"
    }


def test_lint_finds_answers_that_stand_in_the_question() -> None:
    items = [GoldenItem(f"q{n}", f"number {n}?", f"answer text {n}") for n in range(40)]
    leak = GoldenItem("leak", {"q": "When?", "context": ["It is 30 Days, always."]}, "30 days")
    assert linted(Task.TEXT, *items, leak) == {
        Check.LEAK: "1 item holds the expected answer in its input; "
        "fine for extraction, else a leak"
    }
    labelled = [
        GoldenItem(f"q{n}", {"q": f"{n}?", "topic": "ab"[n % 2]}, "ab"[n % 2]) for n in range(40)
    ]
    assert linted(Task.MULTICLASS, *labelled) == {
        Check.LEAK: "input.topic is the expected answer in 40 of 40 items; take it out of the input"
    }


def test_lint_finds_labels_that_say_little() -> None:
    found = linted(Task.MULTICLASS, *many(), GoldenItem("r", "rare?", "c"))
    assert found == {Check.RARE_LABEL: '"c" has a single example; add some'}
    found = linted(Task.MULTICLASS, *many(expected="a"))
    assert found == {
        Check.ONE_LABEL: 'every item expects "a"; a model that always says it is right'
    }
    found = linted(Task.MULTICLASS, *many(), *(GoldenItem(f"A{n}", f"{n}!", "A ") for n in "12"))
    assert found == {
        Check.ALIKE_LABELS: 'labels "a", "A " differ only in case or spaces; write one form'
    }
    assert Check.POSITIVE in linted(Task.BINARY, *many())
    assert Check.POSITIVE not in linted(
        Task.BINARY, *many(), rules=Rules(Task.BINARY, positive="a")
    )


def test_lint_finds_items_that_no_ranking_can_get_right() -> None:
    items = [GoldenItem(f"q{n}", f"{n}?", ("d1", "d2", "d3")) for n in range(40)]
    rules = Rules(Task.RANKING, k=2)
    assert linted(Task.RANKING, *items, rules=rules)[Check.RANKING_DEPTH] == (
        "40 items with more relevant ids than the first 2 can hold, so never correct; "
        "write a larger k or a smaller at_least"
    )
    assert linted(Task.RANKING, *items, rules=Rules(Task.RANKING, k=2, at_least=0.6)) == {}


def test_lint_finds_expected_answers_that_the_schema_calls_invalid() -> None:
    rules = Rules(Task.MULTICLASS, json_schema={"enum": ["a"]})
    assert linted(Task.MULTICLASS, *many(), rules=rules) == {
        Check.SCHEMA: "20 items whose expected answer fails quality.json_schema, "
        "so never correct; change one"
    }
    labels = [GoldenItem(f"q{n}", f"{n}?", ("a",)) for n in range(40)]
    listed = Rules(Task.MULTILABEL, json_schema={"type": "array"})
    assert Check.SCHEMA not in linted(Task.MULTILABEL, *labels, rules=listed)


def test_a_changed_answer_without_the_old_one_is_a_finding() -> None:
    found = linted(Task.MULTICLASS, *many(), GoldenItem("x", "?", "a", valid_from=1.0))
    assert found == {
        Check.SUPERSEDED: "1 item with valid_from but without superseded; write what was right "
        "before, if anything, so that a stale answer is seen as stale"
    }


# --- rules


def test_the_rules_carry_the_settings_and_the_json_schema(tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text(
        json.dumps({"$defs": {"label": {"maxLength": 3}}, "$ref": "#/$defs/label"})
    )
    found = golden.rules(
        section("ranking", refusals="I don't know", k=3, ranking_measure="ndcg"),
        QualitySection(json_schema="answer.json"),
        base_dir=tmp_path,
    )
    assert (found.task, found.refusals, found.k) == (Task.RANKING, ("I don't know",), 3)
    assert found.ranking_measure == "ndcg"
    assert found.validator.is_valid("abc")
    assert not found.validator.is_valid("abcd")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "broken JSON"),
        ("[]", "no JSON object; write a JSON Schema"),
        ('{"type": "strin"}', "no JSON Schema: type: 'strin' is not valid"),
        ('{"$ref": "http://127.0.0.1:1/x"}', '$ref "http://127.0.0.1:1/x" leads nowhere'),
        ('{"allOf": [{"$ref": "#"}]}', "refers to itself without end"),
        ('{"$ref": "#/$defs/none"}', '$ref "#/$defs/none" leads nowhere in this file'),
    ],
)
def test_a_schema_that_cannot_judge_is_refused(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "answer.json").write_text(content)
    with pytest.raises(GoldenError) as caught:
        golden.rules(section(), QualitySection(json_schema="answer.json"), base_dir=tmp_path)
    assert told in str(caught.value)


# --- the page about them

PAGE = Path(__file__).parents[1] / "docs" / "golden-sets.md"


def test_the_page_names_every_field_check_verdict_and_setting() -> None:
    text = PAGE.read_text()
    words: list[str] = [*FIELDS, *Check, *Verdict, *Task]
    words += [name for name in GoldenSection.model_fields if name != "file"]
    ways = ("`{}`", "{}:", "`golden.{}`")
    assert [word for word in words if not any(way.format(word) in text for way in ways)] == []


def test_the_example_in_the_page_is_a_golden_set(tmp_path: Path) -> None:
    example = PAGE.read_text().split("```json\n")[1].split("```")[0]
    path = tmp_path / "golden.jsonl"
    path.write_text(example)
    assert len(golden.load(path, section("text")).items) == 2


def test_the_canaries_in_the_page_are_judged_as_they_say(tmp_path: Path) -> None:
    path = tmp_path / "canary.jsonl"
    path.write_text(PAGE.read_text().split("```json\n")[2].split("```")[0])
    asked = section("text", refusals=("I don't know",))
    check_canaries(path, golden.rules(asked))
    assert [one.verdict for one in canaries(path, Task.TEXT)] == ["correct", "stale", "correct"]


def test_one_misspelt_label_is_one_problem_however_many_items_have_it(tmp_path: Path) -> None:
    rows = [{"id": f"q{n}", "input": "?", "expected": "cat" if n % 3 else "dog"} for n in range(90)]
    path = tmp_path / "golden.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(GoldenError) as caught:
        golden.load(path, section("multiclass", labels=("cta", "dog")))
    assert caught.value.problems == [
        f'{path}:2: expected "cat" is not in labels, 60 times; write one of "cta", "dog"'
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"expected": "a", "answer": "a"}', 'no field "verdict"; write expected, answer and verd'),
        ('{"expected": "a", "answer": "a", "verdict": "fine"}', 'verdict "fine" is none; write on'),
        ('{"expected": "a", "answer": "a", "verdict": "timeout"}', 'verdict "timeout" is none; wr'),
        ('{"expected": "a", "answer": "a", "verdict": ["x"]}', "verdict a list is none; write one"),
        ('{"expected": 1, "answer": "a", "verdict": "wrong"}', "expected or superseded is a numbe"),
        (
            '{"expected": "a", "answer": "a", "verdict": "wrong", "id": 1}',
            'unknown field "id"; wri',
        ),
        (
            '{"expected": "a", "answer": "b", "verdict": "correct"}',
            "is correct as it is written her",
        ),
        ('{"expected": "a"', "broken JSON"),
        ("", "is empty"),
    ],
)
def test_a_canary_that_tells_nothing_is_refused_with_its_line(
    line: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "canary.jsonl"
    path.write_text(line)
    with pytest.raises(GoldenError) as caught:
        check_canaries(path, Rules(Task.TEXT))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{path}:" + ("1: " if line else ""))


def test_a_broken_judge_misjudges_a_canary(tmp_path: Path) -> None:
    path = tmp_path / "canary.jsonl"
    path.write_text('{"expected": "yes", "answer": "yes", "verdict": "correct"}\n')
    known = canaries(path, Task.BINARY)
    assert misjudged(known, Rules(Task.BINARY)) == []
    renamed = Rules(Task.BINARY, labels=("true", "false"))
    assert misjudged(known, renamed) == [(known[0], Verdict.INVALID)]
