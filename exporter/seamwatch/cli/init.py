"""``seamwatch init``: a first configuration, a first golden set and a way to publish a stage."""

from __future__ import annotations

import argparse
from pathlib import Path

from seamwatch.errors import SeamwatchError

START = Path(__file__).parent / "start"
_BESIDE = ("golden.jsonl", "stamp.py", "stamp.sh")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "init",
        help="write a first configuration to start from",
        description="Write a commented configuration that passes `seamwatch check` as it stands;"
        " beside it a golden set of three items (golden.jsonl), and a function and a script that"
        " publish what a stage serves (stamp.py, stamp.sh).",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("seamwatch.yaml"),
        metavar="FILE",
        help="the configuration file to write (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files, all or none of them; return the exit code."""
    folder = args.out.parent
    wanted = {args.out: START / "seamwatch.yaml"} | {folder / n: START / n for n in _BESIDE}
    if there := [str(path) for path in wanted if path.exists() and not args.force]:
        raise SeamwatchError(
            f"{', '.join(there)} would be overwritten; give --force, or --out with another place"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, template in wanted.items():
            path.write_bytes(template.read_bytes())
            print(f"wrote {path}")
        (folder / "stamp.sh").chmod(0o755)
    except OSError as error:
        raise SeamwatchError(f"cannot write {error.filename}: {error.strerror}") from error
    here = "" if args.out == Path("seamwatch.yaml") else f" {args.out}"
    print(
        "\nnext:\n"
        f"  edit {args.out}: your teams, stages and model\n"
        f"  write your own questions into {folder / 'golden.jsonl'}\n"
        "  at the end of each job call stamp() (stamp.py) or stamp.sh\n"
        f"  seamwatch check{here}\n"
        f"  seamwatch check --live{here}\n"
        f"  seamwatch run{' --config' + here if here else ''}"
    )
    return 0
