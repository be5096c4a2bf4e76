"""``seamwatch run``: the exporter."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from seamwatch.cli.given import add_config, config_files
from seamwatch.cli.logs import FORMATS, LEVELS, set_up

if TYPE_CHECKING:
    from collections.abc import Coroutine


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "run",
        help="watch the pipelines and serve /metrics",
        description="Watch the pipelines of a configuration and serve /metrics until SIGTERM.",
    )
    add_config(parser)
    parser.add_argument(
        "--web.listen-address",
        dest="listen",
        action="append",
        metavar="ADDRESS",
        help="address to listen on, e.g. :10064 or [::1]:10064; may be given several times "
        "(default: web.listen of the configuration)",
    )
    parser.add_argument(
        "--web.config.file",
        dest="web_config",
        type=Path,
        metavar="FILE",
        help="TLS and basic auth in the format of the Prometheus exporter-toolkit",
    )
    parser.add_argument("--log.level", dest="log_level", choices=LEVELS, default="info")
    parser.add_argument("--log.format", dest="log_format", choices=FORMATS, default="logfmt")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the exporter until it is told to stop; return the exit code."""
    set_up(level=args.log_level, format=args.log_format)
    from seamwatch.exporter import Exporter

    exporter = Exporter(config_files(args), listen=args.listen, web_config=args.web_config)
    _run_loop(exporter.run())
    return 0


def _run_loop(main: Coroutine[None, None, None]) -> None:
    factory = None
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)
