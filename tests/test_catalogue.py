"""The table of metrics is the public API: its names are sound and docs/metrics.md says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seamwatch.catalogue import FAMILIES, OWN, PIPELINES, PREFIX, Family

DOCS = Path(__file__).parents[1] / "docs" / "metrics.md"
EVERY = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)

# labels that the table may use: the words of the design and small enums
LABELS = {
    "pipeline", "pipeline_stage", "team", "upstream", "downstream", "upstream_team",
    "downstream_team", "slo", "kind", "reason", "version", "digest", "task", "state", "verdict",
    "bound", "measure", "window", "slice", "python",
    "detector", "standing", "suspect", "other", "outcome", "check", "limit",
    "page", "mode", "cause", "to", "decision", "sequence", "action", "result",
}  # fmt: skip


def row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels) or "-"
    unit = family.unit or "-"
    return (
        f"| `{family.name}` | {family.kind} | {unit} | {labels} | {family.help}."
        f" | {family.cardinality} |"
    )


@EVERY
def test_a_name_follows_the_grammar_of_prometheus(family: Family) -> None:
    assert re.fullmatch(PREFIX + "[a-z]+(_[a-z]+)*", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert not family.base.endswith(("_count", "_sum", "_bucket", "_created"))
    assert family.name.endswith("_info") <= (family.kind == "gauge")


@EVERY
def test_labels_are_words_of_the_design_and_never_clash_with_target_labels(family: Family) -> None:
    assert set(family.labels) <= LABELS
    assert len(set(family.labels)) == len(family.labels)
    assert "version" not in family.labels or family.name.endswith("_info")


@EVERY
def test_a_help_text_is_one_sentence_that_needs_no_escaping(family: Family) -> None:
    assert family.help[0].isupper() or family.help[0].isdigit()
    assert not family.help.endswith(".")
    assert not set(family.help) & set('\\"\n|')
    assert family.cardinality
    assert not set(family.cardinality) & set("\n|")


def test_no_name_stands_twice_nor_is_the_beginning_of_a_histogram() -> None:
    names = [family.base for family in FAMILIES]
    assert len(set(names)) == len(names)
    histograms = {family.base for family in FAMILIES if family.kind == "histogram"}
    parts = {f"{name}{end}" for name in histograms for end in ("_bucket", "_count", "_sum")}
    assert not parts & set(names)


def test_only_the_pipelines_families_carry_the_pipeline_label() -> None:
    assert all(family.labels[0] == "pipeline" for family in PIPELINES)
    assert all("pipeline" not in family.labels for family in OWN)


def test_the_reference_has_exactly_the_rows_of_the_table_in_its_order() -> None:
    written = [line for line in DOCS.read_text().splitlines() if line.startswith(f"| `{PREFIX}")]
    assert written == [row(family) for family in FAMILIES]
