"""``seamwatch demo``: a real pipeline that can be broken while it runs, with seamwatch on it."""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from seamwatch.errors import SeamwatchError

if TYPE_CHECKING:
    from seamwatch.demo.launch import Demo, Running

PORT = 10064
STATE_DIR = Path(".demo")
BLOCK_EVERY = 5.0  # seconds between two blocks of text where there is no terminal
LOOK_EVERY = 1.0  # seconds between two looks where there is one

_FAULTS = """\
faults:
  late-data        the mirror stands still, the ingest job is green
  stale-cache      answers of long ago are restored without an expiry
  wrong-threshold  tuned on another encoder and on other questions
  embedding-skew   questions and documents are encoded by different encoders
  empty-success    a page comes empty, the ingest job is green
  fallback-model   a cheaper model answers under the asked name
  all              the first three together
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "demo",
        help="run a real pipeline, break it, and see what is silent",
        description="Run a small real AI pipeline of four teams and seamwatch on it; break it from"
        " another terminal and see what each team sees beside what seamwatch sees.",
        epilog=_FAULTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _state_dir(parser, default=STATE_DIR)
    parser.add_argument(
        "--port",
        type=int,
        default=PORT,
        help="of the exporter; the rest listens on the nine after it (default: %(default)s)",
    )
    parser.add_argument("--no-tui", action="store_true", help="print text instead of a screen")
    parser.set_defaults(run=run)
    verbs = parser.add_subparsers(title="while a demo runs", metavar="{break,heal,status,snapshot}")
    breaking = verbs.add_parser(
        "break",
        help="break it",
        epilog=_FAULTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    breaking.add_argument("faults", nargs="+", metavar="FAULT", help="what to break; see below")
    breaking.set_defaults(run=run_break)
    healing = verbs.add_parser("heal", help="heal all that is broken")
    healing.set_defaults(run=run_heal)
    status = verbs.add_parser("status", help="print once what is seen")
    status.set_defaults(run=run_status)
    snapshot = verbs.add_parser("snapshot", help="save the screen as a picture")
    snapshot.add_argument("--svg", required=True, type=Path, metavar="FILE")
    snapshot.set_defaults(run=run_snapshot)
    for verb in (breaking, healing, status, snapshot):
        _state_dir(verb, default=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Run the demo until Ctrl-C or SIGTERM."""
    from seamwatch.demo.launch import Demo

    demo = Demo(args.state_dir.absolute(), port=args.port)
    stop = threading.Event()
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: _interrupt(stop))
        demo.check()
        print("starting the pipeline and the exporter, blessing the golden set ...", flush=True)
        running = demo.start()
        _introduce(args.state_dir, running)
        if sys.stdout.isatty() and not args.no_tui:
            return _live(demo, running, stop, command=_command(args.state_dir))
        return _print(demo, running, stop)
    except KeyboardInterrupt:
        return 0
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # nothing may interrupt the clearing up
        demo.stop()


def run_break(args: argparse.Namespace) -> int:
    """Break the running demo."""
    from seamwatch.demo.faults import FAULTS, expand
    from seamwatch.demo.launch import control, find

    asked = expand(args.faults)
    broken = control(find(args.state_dir), "break", asked)
    for name in broken:
        print(f"broken: {name} (between {FAULTS[name].between}): {FAULTS[name].what}")
    print("`seamwatch demo heal` makes it whole again")
    return 0


def run_heal(args: argparse.Namespace) -> int:
    """Heal the running demo."""
    from seamwatch.demo.launch import control, find

    control(find(args.state_dir), "heal")
    print("healed")
    return 0


def run_status(args: argparse.Namespace) -> int:
    """Print once what the teams and seamwatch see."""
    from seamwatch.demo.launch import find
    from seamwatch.demo.seen import look
    from seamwatch.demo.words import block

    print(block(look(find(args.state_dir))))
    return 0


def run_snapshot(args: argparse.Namespace) -> int:
    """Save the screen as an SVG picture."""
    from seamwatch.demo.launch import find
    from seamwatch.demo.screen import svg
    from seamwatch.demo.seen import look

    drawn = svg(look(find(args.state_dir)))
    try:
        args.svg.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise SeamwatchError(f"cannot write {args.svg}: {error.strerror}") from error
    print(f"wrote {args.svg}")
    return 0


def _introduce(state_dir: Path, running: Running) -> None:
    print(f"metrics        {running.exporter}/metrics")
    print(f"configuration  {state_dir / 'seamwatch.yaml'}")
    for name, address in running.addresses.items():
        path = {"control": "status", "shadow": "answer", "front": "ask"}.get(name, "health")
        print(f"{name:<14} {address}/{path}")
    print(f"break it with  {_command(state_dir)} break all   (in another terminal)")
    print("end with Ctrl-C", flush=True)


def _live(demo: Demo, running: Running, stop: threading.Event, *, command: str) -> int:
    from rich.live import Live

    from seamwatch.demo.screen import picture
    from seamwatch.demo.seen import look

    with Live(auto_refresh=False, screen=True) as live:
        while True:
            size = live.console.size
            drawn = picture(look(running), width=size.width, height=size.height, command=command)
            live.update(drawn, refresh=True)
            if stop.wait(LOOK_EVERY):
                return 0
            if sentence := demo.ended():
                raise SeamwatchError(sentence)


def _print(demo: Demo, running: Running, stop: threading.Event) -> int:
    from seamwatch.demo.seen import look
    from seamwatch.demo.words import block

    while not stop.wait(BLOCK_EVERY):
        if sentence := demo.ended():
            raise SeamwatchError(sentence)
        print(block(look(running)), flush=True)
    return 0


def _command(state_dir: Path) -> str:
    """Return how the demo's commands are called from the same folder, e.g. after ``make demo``."""
    called = Path(sys.argv[0])
    if called.name != "seamwatch":
        name = f"{Path(sys.executable).name} -m seamwatch"
    elif (found := shutil.which("seamwatch")) and Path(found).samefile(called):
        name = "seamwatch"
    else:
        name = str(called)
    where = "" if state_dir == STATE_DIR else f" --state-dir {shlex.quote(str(state_dir))}"
    return f"{name} demo{where}"


def _interrupt(stop: threading.Event) -> None:
    """Leave at once while starting, else at the next look."""
    if stop.is_set():
        return
    stop.set()
    raise KeyboardInterrupt


def _state_dir(parser: argparse.ArgumentParser, *, default: Path | str) -> None:
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=default,
        metavar="DIR",
        help="folder that the demo lives in (default: .demo)",
    )
