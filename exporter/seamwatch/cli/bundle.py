"""``seamwatch bundle``: rules, Alertmanager's configuration, dashboards and runbooks, to load."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from seamwatch.cli.given import add_config, config_files
from seamwatch.errors import SeamwatchError

_LABEL = re.compile(r"([\w./-]+)=([\w.-]*)")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "bundle",
        help="write rules, receivers, dashboards and runbooks to load",
        description="Write rules for Prometheus, Alertmanager's configuration from `teams`,"
        " dashboards and runbooks, with links to your addresses, and say how to load them. Writing"
        " again changes nothing that is as it should be. Files that may hold credentials are"
        " readable by you alone.",
    )
    add_config(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("seamwatch-bundle"),
        metavar="DIR",
        help="where to write (default: %(default)s)",
    )
    parser.add_argument(
        "--format",
        choices=("files", "kubernetes", "prometheus-operator"),
        default="files",
        help="plain files, Kubernetes objects, or objects of the Prometheus operator (default:"
        " files)",
    )
    parser.add_argument(
        "--external-url",
        metavar="URL",
        help="where people reach the exporter (default: web.external_url of the configuration)",
    )
    parser.add_argument(
        "--grafana-url", metavar="URL", help="where people reach Grafana; links lead there"
    )
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one more label for Kubernetes objects, e.g. release=kube-prometheus-stack",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files; return 0."""
    from seamwatch.alertmanager import unreachable
    from seamwatch.bundle import Addresses, bundled
    from seamwatch.config import load

    config = load(*config_files(args))
    exporter = _address(args.external_url or config.settings.web.external_url, "--external-url")
    grafana = _address(args.grafana_url or f"{exporter}/grafana", "--grafana-url")
    files = bundled(
        config.settings, Addresses(exporter, grafana), args.format, labels=_labels(args.label)
    )
    ways: dict[str, list[str]] = {}
    for path, file in files.items():
        done = _write(args.out / path, file.text, is_secret=file.is_secret)
        print(f"{done:<10} {args.out / path}")
        ways.setdefault(file.load, []).append(path)
    print("\nto load them:")
    for way, paths in ways.items():
        shown = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
        print(f"  {shown}: {way}")
    if args.grafana_url is None:
        print(f"\nlinks to dashboards lead to {grafana}; --grafana-url says where Grafana is")
    for team in unreachable(config.settings):
        print(f"\nnobody hears of it: team {team} owns a pipeline and has neither page nor notify")
    return 0


def _write(path: Path, text: str, *, is_secret: bool) -> str:
    mode = 0o600 if is_secret else 0o644
    try:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return "unchanged"
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        partial.replace(path)  # nobody who watches the folder sees half of it
    except OSError as error:
        raise SeamwatchError(f"cannot write {path}: {error.strerror}") from error
    return "written"


def _address(text: str | None, option: str) -> str:
    if text is None:
        raise SeamwatchError(
            f"nobody has said where people reach the exporter; write {option}"
            " https://seamwatch.your-domain, or web.external_url in the configuration"
        )
    if not re.fullmatch(r"https?://[^\s/?#\"'<>]+(/[^\s?#\"'<>]*)?", text):
        raise SeamwatchError(f"{option} {text}: write an address such as https://host/path")
    return text.rstrip("/")


def _labels(given: list[str]) -> dict[str, str]:
    found = {}
    for one in given:
        match = _LABEL.fullmatch(one)
        if match is None:
            raise SeamwatchError(f"--label {one}: write NAME=VALUE")
        found[match[1]] = match[2]
    return found
