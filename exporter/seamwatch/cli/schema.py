"""``seamwatch schema``: what editors complete seamwatch.yaml from."""

from __future__ import annotations

import argparse
import json


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "schema",
        help="print the JSON Schema of the configuration",
        description="Print the JSON Schema (draft 2020-12) of the configuration. Editors complete"
        " and check seamwatch.yaml by it: write it into a file and put"
        " `# yaml-language-server: $schema=FILE` at the top of the configuration.",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the schema; return the exit code."""
    from seamwatch.config.published import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0
