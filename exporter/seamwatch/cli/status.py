"""``seamwatch status``: all gates at one look, the worst first."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from seamwatch.cli.remote import add_remote, ask, wanted

WORST = ("halted", "recovering", "stale", "suspect", "starting", "running")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "status",
        help="show how all gates stand",
        description="Show how all gates stand, the worst first.",
        epilog="exit status: 0 shown, 2 seamwatch does not answer",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    add_remote(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the gates; return 0."""
    gates = wanted(ask(args, "/v1/gates")).json()["gates"]
    gates.sort(key=lambda gate: (WORST.index(word(gate)), gate["pipeline"]))
    if args.format == "json":
        print(json.dumps(gates))
    else:
        _print(gates)
    return 0


def word(gate: dict[str, Any]) -> str:
    """Return the state that matters: a running gate that knows nothing of now is stale."""
    state: str = gate["state"]
    return "stale" if gate["stale"] and state not in ("halted", "recovering") else state


def _print(gates: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not gates:
        print("no pipeline has a gate")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("pipeline", "gate", "callers", "since", "suspects", "reason"):
        table.add_column(name, overflow="fold")
    styles = {"halted": "red", "recovering": "yellow", "stale": "yellow", "suspect": "yellow"}
    for gate in gates:
        suspects = ", ".join(one["suspect"] for one in gate["suspects"] if one["is_top"])
        table.add_row(
            gate["pipeline"],
            word(gate) + ("" if gate["mode"] == "enforce" else f" ({gate['mode']})"),
            "stop" if gate["decision"] == "deny" else "go on",
            _ago(gate["since"]),
            suspects or "-",
            _reason(gate),
            style=styles.get(word(gate)),
        )
    Console().print(table)


def _reason(gate: dict[str, Any]) -> str:
    parts = [gate["reason"]] if gate["reason"] else []
    if gate["override"]:
        parts.append(f"{gate['override']['kind']} until {gate['override']['expires_at']}")
    late = [one["target"] for one in gate["actions"] if one["status"] != "effective"]
    parts += [f"not done yet: {', '.join(late)}"] if late else []
    return "; ".join(parts) or "-"


def _ago(at: str) -> str:
    from seamwatch.config.fields import format_duration

    seconds = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
    unit = next((size for size in (86400, 3600, 60) if seconds >= size), 1)
    return format_duration(max(0.0, seconds // unit * unit))
