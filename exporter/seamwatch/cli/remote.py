"""How commands talk to a seamwatch that runs: over ``/v1``, with a token."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamwatch.errors import SeamwatchError

if TYPE_CHECKING:
    from seamwatch.config.reach import HttpTarget

DEFAULT_URL = "http://127.0.0.1:10064"
TIMEOUT = 15.0  # seconds
LARGEST = "16MiB"  # of an answer
_WHOSE = "is --url that of seamwatch?"


@dataclass(frozen=True, slots=True)
class Said:
    """An answer."""

    status: int
    text: str
    etag: str = ""

    def fields(self, *names: str) -> dict[str, Any]:
        """Return the JSON object that was answered; raise SeamwatchError unless it has *names*."""
        return having(_parsed(self.text), *names)

    def rows(self, *names: str) -> list[dict[str, Any]]:
        """Return one object a line; raise SeamwatchError unless each has *names*."""
        return [having(_parsed(line), *names) for line in self.text.splitlines()]


def having(found: Any, *names: str) -> dict[str, Any]:
    """Return *found*; raise SeamwatchError unless it is an object with *names*.

    Whoever else answers at --url must not pass for a gate that says anything.
    """
    if not isinstance(found, dict) or not all(name in found for name in names):
        raise SeamwatchError(f"the answer lacks {', '.join(names)}; {_WHOSE}")
    return found


def plain(text: Any) -> str:
    """Return *text* for a terminal: what others wrote may not steer it."""
    return "".join(one if one.isprintable() else " " for one in str(text))


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
    parser.add_argument("--ca-file", metavar="FILE", help="certificates to trust (default: system)")
    parser.add_argument("--cert-file", metavar="FILE", help="our certificate, for mutual TLS")
    parser.add_argument("--key-file", metavar="FILE", help="its key")


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
    return asyncio.run(_ask(_target(args), path, method, body, headers or {}))


def wanted(said: Said) -> Said:
    """Return *said* where it is what was asked for, else raise SeamwatchError with the reason."""
    if said.status < 300:
        return said
    try:
        detail = said.fields("detail")["detail"]
    except SeamwatchError:
        detail = said.text.strip()[:200] or "nothing more was said"
        detail = f"status {said.status}: {detail}"
    raise SeamwatchError(plain(detail))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SeamwatchError(f"the answer is not JSON; {_WHOSE}") from error


def _token(args: argparse.Namespace) -> str | None:
    if args.token_file is None:
        return os.environ.get("SEAMWATCH_TOKEN") or None
    try:
        found: str = args.token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SeamwatchError(f"--token-file {args.token_file}: it cannot be read") from error
    if not found:
        raise SeamwatchError(f"--token-file {args.token_file}: there is nothing in it")
    return found


def _target(args: argparse.Namespace) -> HttpTarget:
    from pydantic import SecretStr, ValidationError

    from seamwatch.config.reach import HttpTarget

    given: dict[str, Any] = {"url": args.url, "max_bytes": LARGEST}
    if token := _token(args):
        given["bearer_token"] = SecretStr(token)
    names = ("ca_file", "cert_file", "key_file")
    given["tls"] = {name: getattr(args, name) for name in names if getattr(args, name)} or None
    try:
        return HttpTarget.model_validate(given)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise SeamwatchError(f"--url: {reason}") from error


async def _ask(
    target: HttpTarget,
    path: str,
    method: str,
    body: Mapping[str, Any] | None,
    headers: Mapping[str, str],
) -> Said:
    from seamwatch.fetch import Endpoint, Fetcher
    from seamwatch.fetch.faults import Rejected

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
