"""How commands talk to a seamwatch that runs: over ``/v1``, with a token."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seamwatch.errors import SeamwatchError

DEFAULT_URL = "http://127.0.0.1:10064"
TIMEOUT = 15.0  # seconds
LARGEST = "16MiB"  # of an answer


@dataclass(frozen=True, slots=True)
class Said:
    """An answer."""

    status: int
    text: str
    etag: str = ""

    def json(self) -> Any:
        """Return what the text is; raises SeamwatchError."""
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise SeamwatchError("the answer is not JSON; is --url that of seamwatch?") from error


def add_remote(parser: argparse.ArgumentParser) -> None:
    """Let *parser* say which seamwatch, and with which token."""
    parser.add_argument(
        "--url",
        default=os.environ.get("SEAMWATCH_URL", DEFAULT_URL),
        help=f"of seamwatch (default: $SEAMWATCH_URL, or {DEFAULT_URL})",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="that holds the token (default: $SEAMWATCH_TOKEN; none where seamwatch has no tokens)",
    )


def ask(
    args: argparse.Namespace,
    path: str,
    *,
    method: str = "GET",
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Said:
    """Return what seamwatch answers, also where it refuses with a reason.

    Raises:
        SeamwatchError: nothing answers, or the token cannot be read.
    """
    return asyncio.run(_ask(args.url, _token(args), path, method, body, headers or {}))


def wanted(said: Said) -> Said:
    """Return *said* where it is what was asked for, else raise SeamwatchError with the reason."""
    if said.status < 300:
        return said
    try:
        detail = said.json()["detail"]
    except (SeamwatchError, KeyError, TypeError):
        detail = said.text.strip()[:200] or f"status {said.status}"
    raise SeamwatchError(detail)


def _token(args: argparse.Namespace) -> str | None:
    if args.token_file is None:
        return os.environ.get("SEAMWATCH_TOKEN") or None
    try:
        found: str = args.token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SeamwatchError(f"--token-file {args.token_file}: it cannot be read") from error
    return found


async def _ask(
    url: str,
    token: str | None,
    path: str,
    method: str,
    body: Mapping[str, Any] | None,
    headers: Mapping[str, str],
) -> Said:
    from pydantic import SecretStr, ValidationError

    from seamwatch.config.reach import HttpTarget
    from seamwatch.fetch import Endpoint, Fetcher
    from seamwatch.fetch.faults import Rejected

    try:
        secret = {"bearer_token": SecretStr(token)} if token else {}
        target = HttpTarget.model_validate({"url": url, "max_bytes": LARGEST, **secret})
    except ValidationError as error:
        raise SeamwatchError(f"--url {url!r}: {error.errors()[0]['msg']}") from error
    path, _, query = path.partition("?")
    params = dict(pair.split("=", 1) for pair in query.split("&")) if query else None
    async with Fetcher() as fetcher:
        try:
            found = await fetcher.fetch(
                Endpoint(target),
                method=method,
                path=path,
                params=params,
                body=json.dumps(body).encode() if body is not None else None,
                headers={"Content-Type": "application/json", **headers} if body else headers,
                timeout=TIMEOUT,
            )
        except Rejected as refusal:
            return Said(refusal.status, refusal.body.decode("utf-8", "replace"))
    return Said(found.status, found.body.decode("utf-8", "replace"), found.headers.get("ETag", ""))
