"""The command line: a table of commands; only the module of the one that is asked for is loaded."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from seamwatch import __version__
from seamwatch.errors import SeamwatchError

COMMANDS: Mapping[str, str] = {
    "init": "write a first configuration to start from",
    "check": "say what is wrong with a configuration",
    "run": "watch the pipelines and serve /metrics",
    "status": "show how all gates stand",
    "gate": "ask a gate, stop a pipeline, let it go on",
    "token": "say who may ask the gates, and tell them",
    "golden": "look after golden sets",
    "score": "ask the live model the whole golden set once and report",
    "plan": "say what a floor and a rate amount to: time, halts, money",
    "bundle": "write rules, receivers, dashboards and runbooks to load",
    "schema": "print the JSON Schema of the configuration",
    "demo": "run a real pipeline, break it, and see what is silent",
}
"""Each command and its one line in the help; its module here has the same name."""

_INTERRUPTED = 130  # what shells say of a process that Ctrl-C ended
_NOBODY_READS = 141  # the same for a closed pipe


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in *argv* (the process's own by default) and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except SeamwatchError as error:
        print(f"seamwatch: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # the interpreter flushes once more on its way out, and must find somebody who listens
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NOBODY_READS


def _run(arguments: list[str]) -> int:
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    if chosen is not None and chosen not in COMMANDS:
        raise SeamwatchError(_unknown(chosen))
    parser = _parser(chosen)
    args = parser.parse_args(arguments)
    if not hasattr(args, "run"):
        parser.print_help(sys.stderr)
        return 2
    code: int = args.run(args)
    return code


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seamwatch",
        description="Own an AI pipeline from data ingestion to model output: how old its data is,"
        " how right its answers are, and which seam between two teams is to blame.",
        epilog="seamwatch COMMAND --help says more about one command.",
    )
    parser.add_argument("--version", action="version", version=f"seamwatch {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, line in COMMANDS.items():
        if name == chosen:
            import_module(f"seamwatch.cli.{name}").add(subparsers)
        else:
            subparsers.add_parser(name, help=line)
    return parser


def _unknown(word: str) -> str:
    import difflib

    close = difflib.get_close_matches(word, COMMANDS, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f'there is no command "{word}"; {hint}commands: {", ".join(COMMANDS)}'
