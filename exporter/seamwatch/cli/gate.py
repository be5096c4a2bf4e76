"""``seamwatch gate``: ask a gate, stop a pipeline, let it go on, and see who did what."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from seamwatch.cli.given import add_config, config_files
from seamwatch.cli.remote import add_remote, ask, plain, wanted
from seamwatch.cli.status import told
from seamwatch.errors import SeamwatchError

ALLOWED, DENIED = 0, 1
DECISION = ("decision", "state", "reason", "would_deny")
ROW = ("seq", "at", "actor", "event", "from", "to", "reason")
FINE, BROKEN = 0, 1
PAGE = 1000  # rows that /v1 gives at once
_DONE = "exit status: 0 done, 2 not done, or nobody can tell whether it was"


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("gate", help="ask a gate, stop a pipeline, let it go on")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = _command(
        commands,
        "check",
        "say whether a pipeline may go on",
        epilog="exit status: 0 go on, 1 stop, 2 nobody can tell",
    )
    check.set_defaults(run=run_check)
    for verb, text in (
        ("halt", "stop a pipeline until a person resumes it"),
        ("resume", "end a halt, whatever it stands on; the evidence begins anew"),
        ("rebaseline", "begin the evidence anew: what the pipeline does now is right"),
    ):
        told = _command(commands, verb, text, epilog=_DONE)
        told.add_argument("--reason", required=True, help="why, for the audit")
        told.set_defaults(run=run_told, verb=verb)
    override = _command(commands, "override", "force a gate for a while", epilog=_DONE)
    override.add_argument("what", choices=("force-open", "force-halt", "clear"))
    override.add_argument("--reason", required=True, help="why, for the audit")
    override.add_argument("--for", dest="lasts", default="1h", help="how long (default: 1h)")
    override.set_defaults(run=run_override)
    log = _command(
        commands,
        "log",
        "show what was done to a gate, oldest first",
        epilog="exit status: 0 shown, 2 the audit cannot be read",
    )
    log.add_argument("--after", type=int, default=0, metavar="SEQ", help="only rows after this one")
    log.set_defaults(run=run_log)
    verify = commands.add_parser(
        "verify",
        help="recompute the audit chain, and the proof of each halt",
        description="Recompute the audit chain from the store, which tells rows that were changed,"
        " left out or replaced; and weigh the evidence of each halt again from the probe log.",
        epilog="exit status: 0 whole, 1 broken, 2 the store cannot be read",
    )
    verify.add_argument(
        "--anchor",
        action="append",
        type=_anchor,
        default=[],
        metavar="SEQ:HASH",
        help="a row as it was kept elsewhere (GET /v1/audit/head, seamwatch_audit_head_info): tells"
        " an audit that was written anew as a whole; may be given several times",
    )
    add_config(verify)
    verify.add_argument("--format", choices=("table", "json"), default="table")
    verify.set_defaults(run=run_verify)


def _command(
    commands: Any, name: str, text: str, *, epilog: str | None = None
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=epilog
    )
    parser.add_argument("pipeline", metavar="PIPELINE")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    add_remote(parser)
    return parser


def run_check(args: argparse.Namespace) -> int:
    """Print the decision; return 0 or 1. Raises SeamwatchError where nobody can tell."""
    said = wanted(ask(args, f"{_path(args)}/decision")).fields(*DECISION)
    if said["decision"] not in ("allow", "deny"):
        raise SeamwatchError(f"the answer is neither allow nor deny: {plain(said['decision'])}")
    if args.format == "json":
        print(json.dumps(said))
    else:
        reason = f": {said['reason']}" if said["reason"] else ""
        idle = said["would_deny"] and said["decision"] == "allow"
        state = f"{said['state']}, not enforced" if idle else said["state"]
        print(plain(f"{said['decision']} ({state}){reason}"))
    return DENIED if said["decision"] == "deny" else ALLOWED


def run_told(args: argparse.Namespace) -> int:
    """Halt, resume or set a new baseline; print how the gate stands then."""
    body = {"reason": args.reason}
    return _show(args, ask(args, f"{_path(args)}/{args.verb}", method="POST", body=body))


def run_override(args: argparse.Namespace) -> int:
    """Set or clear an override, of the gate as it stands now; print how it stands then."""
    from seamwatch.config.fields import parse_period

    tag = {"If-Match": wanted(ask(args, _path(args))).etag}
    path = f"{_path(args)}/override"
    if args.what == "clear":
        body: dict[str, Any] = {"reason": args.reason}
        return _show(args, ask(args, path, method="DELETE", body=body, headers=tag))
    try:
        seconds = parse_period(args.lasts)
    except ValueError as error:
        raise SeamwatchError(f"--for {args.lasts}: {error}") from error
    kind = args.what.replace("-", "_")
    body = {"kind": kind, "reason": args.reason, "expires_in_s": seconds}
    return _show(args, ask(args, path, method="PUT", body=body, headers=tag))


def run_log(args: argparse.Namespace) -> int:
    """Print the audit of one gate."""
    after = args.after
    while True:
        rows = wanted(ask(args, f"{_path(args)}/events?after={after}")).rows(*ROW)
        for row in rows:
            print(json.dumps(row) if args.format == "json" else _line(row))
        if len(rows) < PAGE or rows[-1]["seq"] <= after:
            return FINE
        after = rows[-1]["seq"]


def run_verify(args: argparse.Namespace) -> int:
    """Print what is wrong with the audit, and what its halts rest on; return 1 if anything is."""
    import asyncio

    from seamwatch.config import load

    url = load(config_files(args)).store_url
    wrong, unknown, rows, digest = asyncio.run(_verify(url, dict(args.anchor)))
    if args.format == "json":
        said = {"rows": rows, "head": digest, "problems": wrong, "cannot_be_told": unknown}
        print(json.dumps(said))
    else:
        for line in (*wrong, *unknown):
            print(line)
        if not wrong:
            print(f"whole: {rows} rows, the last one is {digest}")
    return BROKEN if wrong else FINE


async def _verify(url: str, anchors: Mapping[int, str]) -> tuple[list[str], list[str], int, str]:
    """Return what is wrong, what cannot be told any more, and the last row."""
    from seamwatch.store import Store
    from seamwatch.store.replaying import is_proven_by_log, verify_halt

    store = await Store.open(url)
    try:
        wrong, unknown, after = await store.gates.verify(anchors=anchors), [], 0
        while rows := await store.gates.load_audit(after, limit=PAGE):
            after = rows[-1].seq
            for row in filter(is_proven_by_log, rows):
                found = await verify_halt(store, row)
                if found.follows is False:
                    wrong.append(found.sentence)
                elif found.follows is None:
                    unknown.append(found.sentence)
        return wrong, unknown, *await store.gates.head()
    finally:
        await store.close()


def _anchor(text: str) -> tuple[int, str]:
    found = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", text.strip().lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not SEQ:HASH, such as 17:{'0f' * 32}")
    return int(found[1]), found[2]


def _path(args: argparse.Namespace) -> str:
    return f"/v1/gates/{quote(args.pipeline, safe='')}"


def _show(args: argparse.Namespace, said: Any) -> int:
    gate = wanted(said).fields("pipeline", "state", "decision", "would_deny", "durable")
    if args.format == "json":
        print(json.dumps(gate))
        return FINE
    print(f"{gate['pipeline']}: {gate['state']}, callers are told to {told(gate)}")
    if not gate["durable"]:
        print("the store cannot be written now: this holds here, and is written down later")
    return FINE


def _line(row: dict[str, Any]) -> str:
    moved = f"{row['from']} -> {row['to']}" if row["from"] != row["to"] else row["to"]
    parts = [f"{row['seq']:>5}", row["at"], f"{row['event']:<16}", f"{moved:<24}", row["actor"]]
    return plain("  ".join([*parts, row["reason"]])).rstrip()
