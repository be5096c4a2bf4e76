"""Whatever is sent to a running exporter, it answers with a refusal and goes on."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from malformed import sent
from running import World, configure, exporter

GATE = """\
    gate: {mode: enforce, on_unknown: allow, floor: 90%, alerts: [Cost]}
"""


async def test_malformed_requests_are_refused_and_nothing_breaks(tmp_path: Path) -> None:
    async with World().served() as world:
        config = configure(tmp_path, world, extra=GATE, golden_every="1h")
        async with exporter(config) as running:
            port = urlsplit(running.url).port
            assert port is not None
            came = await sent(port, seed=4, count=1500)
            assert came.faults == []
            assert sum(came.statuses.values()) == 1500
            # a request that was cut off is left without a word; most others are told something
            assert came.statuses[0] < 300, came.statuses
            assert {200, 400, 404, 405, 413, 415, 422} <= set(came.statuses)
            status, _ = await running.get("/v1/gates/answers/check")
            assert status == 200  # nothing of it was a halt
            assert await running.end() == 0
    log = running.log.read_text()
    assert "Traceback" not in log
    assert "level=error" not in log
