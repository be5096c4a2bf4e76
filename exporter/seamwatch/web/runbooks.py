"""Runbooks as pages: what to do about an alert, under how the pipeline stands at this moment.

A link in a page at night must open on the evidence. The texts are those that the package carries;
whatever comes from a pipeline is escaped, and nothing on the page runs or loads anything.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from aiohttp import web

from seamwatch.snapshot import AttributionState, Snapshot

Fact = tuple[str, str]
"""What it is about, and what is known."""

SMALLEST = 0.001  # of the answers: a smaller share of the loss is not worth a word

_NAME = re.compile(r"[A-Za-z0-9]{1,80}")
_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.55 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1f24;background:#fff}"
    "a{color:#0b57a4}h1{line-height:1.2}h2{margin-top:2rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;"
    "padding:.3rem .8rem .3rem 0;border-bottom:1px solid #d9dee4}td:first-child{white-space:nowrap}"
    "pre{overflow:auto;padding:.8rem;background:#f3f5f8;border-radius:.3rem}"
    "code{font:.92em ui-monospace,monospace}"
    ".now{border-left:.3rem solid #c0392b;padding:.2rem 0 .2rem 1rem;margin:1.5rem 0}"
    ".now.well{border-color:#2d7d46}.now.unknown{border-color:#8a929c}.now h2{margin:.2rem 0}"
    "@media(prefers-color-scheme:dark){body{color:#e3e6ea;background:#14171b}a{color:#8cc2ff}"
    "td,th{border-color:#333a42}pre{background:#1e2329}}"
)
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class Runbooks:
    """Serves what lies in *folder*; *seen* returns the last snapshot of a pipeline, if any."""

    def __init__(self, folder: Path, seen: Callable[[str], Snapshot | None]) -> None:
        self._files = {path.stem: path for path in sorted(folder.glob("*.md"))}
        self._seen = seen

    def table(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/runbooks/", self.every), web.get("/runbooks/{name}", self.one)]

    async def every(self, request: web.Request) -> web.Response:
        """List them."""
        items = "".join(f'<li><a href="{name}">{name}</a></li>' for name in self._files)
        return _page("Runbooks", f"<h1>Runbooks</h1><ul>{items}</ul>")

    async def one(self, request: web.Request) -> web.Response:
        """Show one, under how the pipeline that the query names stands."""
        name = request.match_info["name"]
        path = self._files.get(name) if _NAME.fullmatch(name) else None
        if path is None:
            text = f"There is no such runbook. There is:\n  {', '.join(self._files)}\n"
            return web.Response(status=404, text=text)
        body = _rendered(path.read_text(encoding="utf-8"))
        pipeline = request.query.get("pipeline")
        now = self._now(pipeline) if pipeline else ""
        head, end, rest = body.partition("</h1>")
        return _page(name, f"{head}{end}{now}{rest}")

    def _now(self, pipeline: str) -> str:
        snapshot = self._seen(pipeline)
        shown = html.escape(pipeline[:128])
        if snapshot is None:
            said = "it is not watched here: another replica leads, or there is no such pipeline"
            return f'<section class="now unknown"><h2>{shown}</h2><p>{said}</p></section>'
        now = time.time()
        rows = "".join(
            f"<tr><td>{html.escape(what)}</td><td>{html.escape(known)}</td></tr>"
            for what, known in facts(snapshot, now)
        )
        kind = "now" if snapshot.end_to_end.is_bad else "now well"
        gate = f'<p><a href="../v1/gates/{shown}">The gate as JSON</a></p>' if snapshot.gate else ""
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(snapshot.at))
        return (
            f'<section class="{kind}"><h2>{shown} now</h2><table>{rows}</table>'
            f"<p>As of {at}.</p>{gate}</section>"
        )


def facts(snapshot: Snapshot, now: float) -> Sequence[Fact]:
    """Return how a pipeline stands, in words; *now* is wall clock, epoch s."""
    return tuple(_facts(snapshot, now))


def _facts(snapshot: Snapshot, now: float) -> Iterator[Fact]:
    pipeline, fresh = snapshot.pipeline, snapshot.freshness
    yield "Owner", f"team {pipeline.owner}"
    yield "Path", " → ".join(f"{stage.name} ({stage.team})" for stage in pipeline.stages)
    held = {
        name: getattr(snapshot.end_to_end, name)
        for name in ("accuracy", "freshness", "quality", "availability")
    }
    missed = [name for name, holds in held.items() if holds is False]
    kept = [name for name, holds in held.items() if holds]
    silent = ", while every stage calls itself healthy" if snapshot.silent_failure else ""
    said = [f"missed: {', '.join(missed)}{silent}"] if missed else []
    said += [f"met: {', '.join(kept)}"] if kept else []
    yield "Targets", "; ".join(said) or "nothing is known of them yet"
    if snapshot.golden is not None and (found := snapshot.golden.accuracy) is not None:
        between = f"{100 * found.lower:.1f} to {100 * found.upper:.1f} %"
        yield "Accuracy", f"{100 * found.value:.1f} % ({between}, the last {found.n} answers)"
    if fresh.watermark is not None:
        seam = fresh.bottleneck
        lost = ""
        if seam is not None:
            teams = f"{seam.upstream_team} → {seam.downstream_team}"
            lost = f"; the seam that loses most: {seam.upstream} → {seam.downstream} ({teams})"
        yield "Data", f"{_span(now - fresh.watermark)} old{lost}"
    if snapshot.gate is not None:
        answer, state = snapshot.gate.answer, snapshot.gate.state
        mode = snapshot.gate.rules.mode.value
        since = f"{answer.state} for {_span(now - state.since)}"
        yield "Gate", f"{since}, {mode}, tells callers to {_told(answer.decision)}: {answer.reason}"
    if snapshot.attribution is not None:
        yield "Suspects", _suspects(snapshot.attribution, snapshot)
    elif snapshot.circumstances:
        named = ", ".join(
            f"{one.stage} of team {one.team} ({one.reason.value.replace('_', ' ')})"
            for one in snapshot.circumstances
        )
        yield "Suspects", f"no proof; the metadata speak against {named}"


def _told(decision: str) -> str:
    return "stop" if decision == "deny" else "go on"


def _suspects(known: AttributionState, snapshot: Snapshot) -> str:
    found, stages = known.attribution, snapshot.pipeline.by_name
    parts = []
    for name, share in sorted(found.shares.items(), key=lambda one: -one[1].value):
        if share.value < SMALLEST and name != found.top:
            continue
        stage = known.blamed.get(name, name)
        team = f" of team {stages[stage].team}" if stage in stages else ""
        top = "; first of all" if name in {found.top, *found.tied} else ""
        parts.append(f"{stage}{team}: {100 * share.value:.1f} points{top}")
    outcome = f"{found.outcome.value}, {known.asked} questions asked"
    past = "; the case is over" if known.ended is not None else ""
    return f"{' | '.join(parts) or 'none yet'} ({outcome}{past})"


def _span(seconds: float) -> str:
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def _rendered(text: str) -> str:
    from markdown_it import MarkdownIt  # here: most processes never show a runbook

    page: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return page


def _page(title: str, body: str) -> web.Response:
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{html.escape(title)}: seamwatch</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
    return web.Response(text=text, content_type="text/html", headers=_HEADERS)
