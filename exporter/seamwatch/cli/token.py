"""``seamwatch token``: who may ask the gates, and tell them. Works on the store itself."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from seamwatch.cli.given import DEFAULT
from seamwatch.errors import SeamwatchError

if TYPE_CHECKING:
    from seamwatch.store import Store
    from seamwatch.store.tokens import Token

SCOPES = ("read", "check", "halt", "resume", "override", "bless", "admin")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("token", help="say who may ask the gates, and tell them")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    create = _command(commands, "create", "make a token; it is shown this once")
    create.add_argument("name", metavar="NAME", help="of who gets it, for the audit")
    create.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=SCOPES,
        help="what it allows; may be given several times. halt does not include resume",
    )
    create.add_argument(
        "--gate",
        action="append",
        metavar="GLOB",
        help="only pipelines like this; may be given several times (default: all)",
    )
    create.add_argument("--expires", metavar="DURATION", help="such as 90d (default: never)")
    create.set_defaults(run=run_create)
    _command(commands, "list", "list the tokens, without their secrets").set_defaults(run=run_list)
    revoke = _command(commands, "revoke", "make a token good for nothing, within seconds")
    revoke.add_argument("id", metavar="ID")
    revoke.set_defaults(run=run_revoke)


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}."
    )
    parser.add_argument("--config", nargs="+", default=[DEFAULT], metavar="FILE")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    return parser


def run_create(args: argparse.Namespace) -> int:
    """Make a token and print it."""
    from seamwatch.config.fields import parse_period
    from seamwatch.store.tokens import Token
    from seamwatch.web.gates.rights import PREFIX, digest

    now, number = time.time(), secrets.token_hex(4)
    try:
        expires = now + parse_period(args.expires) if args.expires else None
    except ValueError as error:
        raise SeamwatchError(f"--expires {args.expires}: {error}") from error
    secret = f"{PREFIX}{number}_{secrets.token_urlsafe(32)}"
    token = Token(
        number,
        digest(secret),
        args.name,
        frozenset(args.scope),
        tuple(args.gate or ["*"]),
        now,
        expires,
    )
    _with_store(args, lambda store: store.gates.add_token(token))
    if args.format == "json":
        print(json.dumps({"id": number, "token": secret}))
    else:
        print(secret)
    return 0


def run_list(args: argparse.Namespace) -> int:
    """Print the tokens."""
    tokens: list[Token] = _with_store(args, lambda store: store.gates.load_tokens())
    if args.format == "json":
        print(json.dumps([_shown(token) for token in tokens]))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("id", "name", "scopes", "gates", "created", "state"):
        table.add_column(name)
    for token in tokens:
        said = _shown(token)
        row = (said["id"], said["name"], ", ".join(said["scopes"]), ", ".join(said["gates"]))
        table.add_row(*row, said["created"], said["state"])
    Console().print(table) if tokens else print("there are no tokens: only this machine may ask")
    return 0


def run_revoke(args: argparse.Namespace) -> int:
    """Revoke a token."""
    if not _with_store(args, lambda store: store.gates.revoke_token(args.id, now=time.time())):
        raise SeamwatchError(f"there is no token {args.id} that is not revoked; see token list")
    print(f"{args.id} is revoked")
    return 0


def _shown(token: Token) -> dict[str, Any]:
    valid = token.is_valid(time.time())
    state = "valid" if valid else "revoked" if token.revoked else "expired"
    if valid and token.expires:
        state = f"valid until {_day(token.expires)}"
    return {
        "id": token.id,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "gates": list(token.gates),
        "created": _day(token.created),
        "state": state,
    }


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _with_store(args: argparse.Namespace, work: Callable[[Store], Awaitable[Any]]) -> Any:
    from seamwatch.config import load

    return asyncio.run(_worked(load(args.config).store_url, work))


async def _worked(url: str, work: Callable[[Store], Awaitable[Any]]) -> Any:
    from seamwatch.store import Store

    store = await Store.open(url)
    try:
        return await work(store)
    finally:
        await store.close()
