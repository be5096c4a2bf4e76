"""``seamwatch status``: all gates at one look, the worst first."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from seamwatch.cli.remote import add_remote, ask, having, plain, wanted

WORST = ("halted", "recovering", "stale", "suspect", "starting", "running")
FIELDS = (
    *("pipeline", "state", "stale", "mode", "decision", "would_deny", "reason", "since", "as_of"),
    *("suspects", "override", "actions"),
)
COLUMNS = ("pipeline", "gate", "callers", "since", "known", "suspects", "reason")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "status",
        help="show how all gates stand",
        description="Show how all gates stand, the worst first: the state and for how long it has"
        " been so, what callers are told, how old that knowledge is, the seam that is suspected"
        " most, and why; overrides, and actions that are not done yet.",
        epilog="exit status: 0 shown, 2 seamwatch does not answer",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    add_remote(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the gates; return 0."""
    listed = wanted(ask(args, "/v1/gates")).fields("gates")["gates"]
    gates = sorted((having(gate, *FIELDS) for gate in listed), key=rank)
    if args.format == "json":
        print(json.dumps(gates))
    else:
        _print(gates)
    return 0


def rank(gate: dict[str, Any]) -> tuple[bool, int, str]:
    """Return what sorts the worst first; a state that is not known here is never good."""
    place = WORST.index(word(gate)) if word(gate) in WORST else -1
    return gate["decision"] != "deny" and place > 1, place, gate["pipeline"]


def word(gate: dict[str, Any]) -> str:
    """Return the state that matters: a running gate that knows nothing of now is stale."""
    state: str = gate["state"]
    return "stale" if gate["stale"] and state not in ("halted", "recovering") else state


def _print(gates: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not gates:
        print("no pipeline has a gate")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in COLUMNS:
        table.add_column(name, overflow="fold")
    styles = {"halted": "red", "recovering": "yellow", "stale": "yellow", "suspect": "yellow"}
    for gate in gates:
        # Text, for what others wrote is no markup
        cells = (Text(plain(cell)) for cell in _cells(gate))
        table.add_row(*cells, style=styles.get(word(gate)))
    Console().print(table)


def _cells(gate: dict[str, Any]) -> tuple[str, ...]:
    suspects = ", ".join(one["suspect"] for one in gate["suspects"] if one["is_top"])
    return (
        gate["pipeline"],
        word(gate) + ("" if gate["mode"] == "enforce" else f" ({gate['mode']})"),
        told(gate),
        _ago(gate["since"]),
        f"{_ago(gate['as_of'])} ago",
        suspects or "-",
        _reason(gate),
    )


def told(gate: dict[str, Any]) -> str:
    """Return what callers are told, and what they would be if the gate were enforced."""
    if gate["decision"] == "deny":
        return "stop"
    return "go on (would stop)" if gate["would_deny"] else "go on"


def _reason(gate: dict[str, Any]) -> str:
    parts = [gate["reason"]] if gate["reason"] else []
    if (override := gate["override"]) is not None:
        until = datetime.fromisoformat(override["expires_at"]).strftime("%Y-%m-%d %H:%M:%SZ")
        parts.append(f"{override['kind']} by {override['by']} until {until}")
    late = [one for one in gate["actions"] if one["status"] != "effective"]
    parts += [f"{one['target']} is not {one['desired']} yet ({one['status']})" for one in late]
    return "; ".join(parts) or "-"


def _ago(at: str) -> str:
    from seamwatch.config.fields import format_duration

    seconds = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
    if seconds < 1:  # also where the clocks differ
        return "0s"
    unit = next(size for size in (86400, 3600, 60, 1) if seconds >= size)
    return format_duration(seconds // unit * unit)
