"""Each file in golden/config is wrong in one way; what is said about it is compared whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import compare
from seamwatch.config import ConfigError, load

FILES = Path(__file__).parent / "golden" / "config"
BAD = sorted(path.name for path in FILES.glob("*.yaml"))
SECRET = "hunter2"  # in every place of these files that takes a secret
ENVIRON = {"TOKEN": SECRET, "EMPTY": "", "LINES": f"{SECRET}\n{SECRET}"}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_told_what_to_write_instead(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for file in (name, "golden.jsonl", "not-a-schema.json"):
        shutil.copy(FILES / file, tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load(name, environ=ENVIRON)
    text = str(caught.value)
    assert SECRET not in text
    assert max(map(len, text.splitlines())) < 500
    compare(FILES / f"{name}.txt", text.replace(str(tmp_path), "HERE") + "\n", request)


@pytest.mark.parametrize("name", BAD)
def test_no_sentence_of_a_library_reaches_people(name: str) -> None:
    text = (FILES / f"{name}.txt").read_text(encoding="utf-8")
    assert not [
        w for w in ("Input should", "pydantic", "validation error", "Value error") if w in text
    ]


def test_every_expected_text_belongs_to_a_file() -> None:
    assert sorted(path.name for path in FILES.glob("*.txt")) == [f"{name}.txt" for name in BAD]
