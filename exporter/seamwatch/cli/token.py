"""``seamwatch token``: who may ask the gates, and tell them. Works on the store itself."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from seamwatch.cli.given import DEFAULT
from seamwatch.errors import SeamwatchError

if TYPE_CHECKING:
    from seamwatch.store import Store
    from seamwatch.store.tokens import Token

SCOPES = ("read", "check", "halt", "resume", "override", "bless", "admin")
LONGEST_NAME = 100  # characters
_DONE = "exit status: 0 done, 2 not done"


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("token", help="say who may ask the gates, and tell them")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    create = _command(
        commands,
        "create",
        "make a token; it is shown this once",
        epilog="The first token ends that whoever is on this machine may ask and tell without one. "
        + _DONE,
    )
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
    listing = _command(
        commands,
        "list",
        "list the tokens, without their secrets",
        epilog="exit status: 0 shown, 2 the store cannot be read",
    )
    listing.set_defaults(run=run_list)
    revoke = _command(
        commands, "revoke", "make a token good for nothing, within seconds", epilog=_DONE
    )
    revoke.add_argument("id", metavar="ID")
    revoke.set_defaults(run=run_revoke)


def _command(commands: Any, name: str, text: str, *, epilog: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=epilog
    )
    parser.add_argument(
        "--config",
        nargs="+",
        default=[DEFAULT],
        metavar="FILE",
        help=f"whose store it is (default: {DEFAULT}); write it last",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    return parser


def run_create(args: argparse.Namespace) -> int:
    """Make a token and print it, and nothing else, so that it can be piped."""
    from seamwatch.config import load

    config = load(args.config)
    token, secret = _new(args, time.time())
    is_first = _with_store(config.store_url, lambda store: _added(store, token))
    if args.format == "json":
        print(json.dumps({"id": token.id, "token": secret}))
    else:
        print(secret)
    for glob in token.gates:
        if not any(fnmatchcase(name, glob) for name in config.pipelines):
            print(f"--gate {glob}: no pipeline is called like this now", file=sys.stderr)
    if is_first:
        print("it is the first: from now on everybody needs one, here too", file=sys.stderr)
    return 0


def _new(args: argparse.Namespace, now: float) -> tuple[Token, str]:
    """Return a token and its secret."""
    from seamwatch.config.fields import parse_period
    from seamwatch.store.tokens import Token
    from seamwatch.web.gates.rights import PREFIX, digest

    name = args.name.strip()
    if not name or not name.isprintable() or len(name) > LONGEST_NAME:
        raise SeamwatchError(f"NAME: one line of at most {LONGEST_NAME} characters")
    try:
        expires = now + parse_period(args.expires) if args.expires is not None else None
    except ValueError as error:
        raise SeamwatchError(f"--expires {args.expires}: {error}") from error
    number = secrets.token_hex(4)
    secret = f"{PREFIX}{number}_{secrets.token_urlsafe(32)}"
    gates = tuple(args.gate or ["*"])
    scopes = frozenset(args.scope)
    return Token(number, digest(secret), name, scopes, gates, now, expires), secret


async def _added(store: Store, token: Token) -> bool:
    """Write *token* down; say whether there was none before, not even a revoked one."""
    is_first = not await store.gates.load_tokens()
    await store.gates.add_token(token)
    return is_first


def run_list(args: argparse.Namespace) -> int:
    """Print the tokens."""
    tokens: list[Token] = _with_store(_url(args), lambda store: store.gates.load_tokens())
    if args.format == "json":
        print(json.dumps([_shown(token) for token in tokens]))
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("id", "name", "scopes", "gates", "created", "state"):
        table.add_column(name)
    for token in tokens:
        said = _shown(token)
        row = (said["id"], said["name"], ", ".join(said["scopes"]), ", ".join(said["gates"]))
        cells = (*row, said["created"], said["state"])
        table.add_row(*(Text(cell) for cell in cells))  # a name is no markup
    Console().print(table) if tokens else print("there are no tokens: only this machine may ask")
    return 0


def run_revoke(args: argparse.Namespace) -> int:
    """Revoke a token."""
    now = time.time()
    if not _with_store(_url(args), lambda store: store.gates.revoke_token(args.id, now=now)):
        raise SeamwatchError(f"there is no token {args.id!r} to revoke; see token list for ids")
    print(json.dumps({"revoked": args.id}) if args.format == "json" else f"{args.id} is revoked")
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


def _url(args: argparse.Namespace) -> str:
    from seamwatch.config import load

    return load(args.config).store_url


def _with_store(url: str, work: Callable[[Store], Awaitable[Any]]) -> Any:
    return asyncio.run(_worked(url, work))


async def _worked(url: str, work: Callable[[Store], Awaitable[Any]]) -> Any:
    from seamwatch.store import Store

    store = await Store.open(url)
    try:
        return await work(store)
    finally:
        await store.close()
