"""The page at ``/``: what this is and where to go. No script, and nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib

from seamwatch import __version__

PAGES: tuple[tuple[str, str, str], ...] = (
    ("/", "GET", "what this is and where to go"),
    ("/metrics", "GET", "all metrics, for Prometheus"),
    ("/-/healthy", "GET", "200 while the exporter runs"),
    ("/-/ready", "GET", "200 once every pipeline has been judged, 503 before and while stopping"),
    ("/-/reload", "POST", "read the configuration again; PUT does the same"),
    ("/runbooks/", "GET", "what to do about each alert; ?pipeline= shows how one stands"),
    ("/v1/gates", "GET", "the gates, as JSON"),
    ("/v1/openapi.json", "GET", "how to ask the gates, and tell them"),
)
"""Path, method and purpose of everything that is served."""

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;"
    "color:#1b1f24;background:#fff}"
    "a{color:#0b57a4}dt{margin-top:.8rem}dd{margin:0}code{font-size:1em}"
    "@media(prefers-color-scheme:dark){body{color:#e3e6ea;background:#14171b}a{color:#8cc2ff}}"
)
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
"""Allows the one style sheet of the page by its digest, and nothing else."""


def landing_page() -> str:
    """Return the HTML of the page."""
    items = "\n".join(
        f"<dt>{_name(path, method)}</dt><dd>{purpose}</dd>" for path, method, purpose in PAGES[1:]
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>seamwatch</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>seamwatch</h1>
<p>Watches AI pipelines from data ingestion to model output: freshness, accuracy and the seams
between teams. Version {__version__}.</p>
<dl>
{items}
</dl>
</main>
</body>
</html>
"""


def what_exists() -> str:
    """Return the list of pages as plain text, for whoever asked for something else."""
    width = max(len(path) for path, _, _ in PAGES)
    lines = [f"  {method:<4} {path:<{width}}  {purpose}" for path, method, purpose in PAGES]
    return "There is:\n" + "\n".join(lines) + "\n"


def _name(path: str, method: str) -> str:
    if method == "GET":
        return f'<a href="{path.lstrip("/")}">{path}</a>'  # relative: there may be a proxy's prefix
    return f"<code>{method} {path}</code>"
