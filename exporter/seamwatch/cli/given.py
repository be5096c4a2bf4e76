"""Which configuration a command works on: FILE and --config say the same, in every command."""

from __future__ import annotations

import argparse

from seamwatch.errors import SeamwatchError

DEFAULT = "seamwatch.yaml"


def add_config(parser: argparse.ArgumentParser) -> None:
    """Let *parser* take configuration files, with or without ``--config`` before them."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help=f"configuration files, or a directory of them (default: {DEFAULT})",
    )
    parser.add_argument("--config", nargs="+", metavar="FILE", help="the same")


def config_files(args: argparse.Namespace) -> list[str]:
    """Return the files that *args* name; raise SeamwatchError where both ways are used."""
    if args.files and args.config:
        raise SeamwatchError(
            f"{args.files[0]} is given and --config {args.config[0]} as well; write all files after"
            " one of them"
        )
    return args.files or args.config or [DEFAULT]
