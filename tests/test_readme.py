"""The README and the other documents say what is so: examples load, metrics and links exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seamwatch.config import load
from seamwatch.golden import load as load_golden
from test_assets import exported, names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_configuration_in_the_readme_loads_with_its_golden_item(tmp_path: Path) -> None:
    (config,) = blocks("yaml")
    (item,) = blocks("json")
    (tmp_path / "seamwatch.yaml").write_text(config)
    (tmp_path / "golden.jsonl").write_text(item)
    loaded = load(tmp_path / "seamwatch.yaml", environ={"PGPASSWORD": "x"})
    section = loaded.settings.pipelines["support-answers"].golden
    assert section is not None
    assert [one.id for one in load_golden(tmp_path / section.file, section).items] == ["q1"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_metric_that_a_document_names_exists(document: Path) -> None:
    known = exported()
    unknown = {
        name
        for name in names(document.read_text())
        if name not in known and not any(one.startswith(name) for one in known)
    }
    assert unknown == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text())
    missing = [one for one in targets if not (document.parent / one).exists()]
    assert missing == []


def test_every_command_of_the_readme_exists() -> None:
    from seamwatch.cli import COMMANDS

    shell = "".join(text for text in re.findall(r"```\n(.*?)```", README, flags=re.DOTALL))
    used = set(re.findall(r"(?:^|/)seamwatch ([a-z]+)", shell, flags=re.MULTILINE))
    assert used
    assert used <= set(COMMANDS)
