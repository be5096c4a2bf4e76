"""The JSON Schema, the examples and docs/configuration.md say the same as the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from seamwatch.cli import main
from seamwatch.config import ConfigError, load
from seamwatch.config.fields import Section
from seamwatch.config.keys import keys
from seamwatch.config.published import json_schema, meanings, sections
from seamwatch.config.schema import Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "configuration.md"
GOLDEN = Path(__file__).parent / "golden" / "config"
EXAMPLES = sorted([*(ROOT / "examples").glob("*.yaml"), ROOT / "examples" / "split"])
ENVIRON = {"PGPASSWORD": "x", "MODEL_TOKEN": "y"}
SCHEMA = json_schema()
BLOCK = re.compile(r"(<!-- keys: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def test_the_command_prints_a_valid_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == SCHEMA
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(printed)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_loads_and_fits_the_schema(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    assert main(["check", str(path)]) == 0, capsys.readouterr().err
    merged: dict[str, Any] = {}
    for file in load(path).files:
        for root, value in yaml.safe_load(file.read_text(encoding="utf-8")).items():
            merged[root] = {**merged.get(root, {}), **value} if isinstance(value, dict) else value
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(merged)] == []


@pytest.mark.parametrize(
    "name",
    [
        *("bad-name", "duration-in-words", "duration-without-unit", "mapping-for-a-text"),
        *("missing-keys", "missing-teams", "no-stages", "number-in-quotes", "number-out-of-bounds"),
        *("ratio-as-percent", "size-in-words", "text-for-a-section", "unknown-key"),
        *("unknown-source-kind", "unknown-top-key", "unknown-word", "version-without-quotes"),
        "list-for-a-mapping",
    ],
)
def test_an_editor_with_the_schema_sees_what_the_loader_refuses(name: str) -> None:
    file = GOLDEN / f"{name}.yaml"
    with pytest.raises(ConfigError):
        load(file)
    value = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert list(Draft202012Validator(SCHEMA).iter_errors(value))


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_every_key_says_what_it_means(section: type[Section]) -> None:
    assert set(meanings(section)) == set(keys(section))


def test_the_reference_has_the_keys_of_every_section(request: pytest.FixtureRequest) -> None:
    text = DOCS.read_text(encoding="utf-8")
    expected = BLOCK.sub(lambda match: match[1] + table(match[2]) + match[3], text)
    if request.config.getoption("--update-golden"):
        DOCS.write_text(expected, encoding="utf-8")
    documented = [match[2] for match in BLOCK.finditer(text)]
    assert sorted(documented) == sorted(section.__name__ for section in sections())
    assert text == expected, "run pytest tests/test_config_docs.py --update-golden"


def test_every_link_in_the_reference_leads_to_a_heading() -> None:
    text = DOCS.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-")
        for h in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    assert {link for link in re.findall(r"\]\(#([^)]*)\)", text)} <= headings


@pytest.mark.parametrize(
    "snippet", re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
)
def test_every_whole_example_in_the_reference_loads(snippet: str, tmp_path: Path) -> None:
    (tmp_path / "golden.jsonl").write_text(
        '{"id": "a", "input": {"question": "q"}, "expected": "x"}\n'
    )
    path = tmp_path / "seamwatch.yaml"
    path.write_text(snippet, encoding="utf-8")
    load(path, environ=ENVIRON)


def table(name: str) -> str:
    """Return the rows of one section as the reference has them."""
    part = SCHEMA if name == Settings.__name__ else SCHEMA["$defs"][name]
    required = part.get("required", ())
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for key, below in part["properties"].items():
        default = "**required**" if key in required else shown(below.get("default"))
        rows.append(f"| `{key}` | {kind(below)} | {default} | {below['description']} |")
    return "\n".join(rows) + "\n"


def shown(default: Any) -> str:
    if default in (None, [], {}):
        return "-"
    text = default if isinstance(default, str) else json.dumps(default)
    return f"`{text}`" if len(text) < 60 else "see below"


def kind(part: dict[str, Any]) -> str:
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return f"[{heading(name)}](#{heading(name).replace(' ', '-').lower()})"
    if "enum" in part:
        return " ".join(f"`{word}`" for word in part["enum"])
    if "anyOf" in part:
        kinds = [kind(one) for one in part["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    pattern = part.get("pattern", "")
    if pattern:
        marks = {"%$": "ratio", "w))+$": "duration", "GiB)$": "size"}
        return next((word for mark, word in marks.items() if pattern.endswith(mark)), "name")
    if part.get("type") == "array":
        return f"list of {kind(part['items'])}"
    if part.get("type") == "object":
        below = [*part.get("patternProperties", {}).values(), part.get("additionalProperties")]
        inner = next((kind(one) for one in below if isinstance(one, dict)), "")
        return f"mapping to {inner}" if inner else "mapping"
    bounds = [
        f"{word} {part[key]:g}"
        for key, word in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"))
        if key in part
    ]
    words = {"string": "text", "integer": "whole number", "boolean": "`true` `false`"}
    return " ".join([words.get(part.get("type", ""), part.get("type", "any")), *bounds])


def heading(name: str) -> str:
    """Return the heading that a section stands under."""
    text = DOCS.read_text(encoding="utf-8")
    before = text.partition(f"<!-- keys: {name} -->")[0]
    return re.sub(r"[`*]", "", re.findall(r"^#+ (.*)$", before, re.MULTILINE)[-1])
