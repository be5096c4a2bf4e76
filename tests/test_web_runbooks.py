"""`runbook_url` opens on the evidence: how the pipeline stands, and below it what to do."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from running import World, configure, exporter
from seamwatch.assets import assets

GATE = """\
    gate: {mode: enforce, on_unknown: allow, floor: 90%}
"""


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


async def test_the_page_of_an_alert_shows_how_its_pipeline_stands_and_what_to_do(
    tmp_path: Path,
) -> None:
    async with World().served() as world:
        config = configure(tmp_path, world, extra=GATE)
        async with exporter(config) as running:
            world.label = "no"
            await running.page('seamwatch_gate_denies{pipeline="answers"} 1.0')
            status, page = await running.get("/runbooks/GateHalted?pipeline=answers")
            text = " ".join(text_of(page).split())
            assert status == 200
            for said in (
                "answers now Owner team serving Path ingest (data) → model (serving)",
                "Targets missed: accuracy",
                "Gate halted for",
                "enforce, tells callers to stop: accuracy is proven to be under its floor of 90.0%",
                "Accuracy ",
                "First move tell the callers",
                "seamwatch_gate_cause == 1",
            ):
                assert said in text
            assert "<script" not in page
            assert text.index("answers now") < text.index("Meaning")
            status, page = await running.get("/runbooks/GateHalted?pipeline=%3Cscript%3Ealert(1)")
            assert "<script" not in page
            assert "&lt;script&gt;alert(1) " not in page
            assert "it is not watched here" in page
            assert await running.end() == 0


async def test_every_runbook_is_a_page_and_others_are_not(tmp_path: Path) -> None:
    async with World().served() as world:
        config = configure(tmp_path, world, golden_every="1h")
        async with exporter(config) as running:
            names = {path.stem for path in assets("runbooks").glob("*.md")}
            _, listed = await running.get("/runbooks/")
            assert set(re.findall(r'href="(\w+)"', listed)) == names
            for name in names:
                status, page = await running.get(f"/runbooks/{name}")
                assert status == 200
                assert f"<h1>{name}</h1>" in page
                assert "<table>" in page
            for odd in ("Nothing", "..%2f..%2fpyproject", "GateHalted.md", "%00"):
                status, page = await running.get(f"/runbooks/{odd}")
                assert status == 404
                assert "GateHalted" in page
            assert await running.end() == 0


@pytest.mark.parametrize("path", sorted(assets("runbooks").glob("*.md")), ids=lambda p: p.stem)
def test_a_runbook_is_one_headline_and_its_sections(path: Path) -> None:
    assert re.findall(r"^# (.*)$", path.read_text(), re.MULTILINE) == [path.stem]
