"""What reading a configuration costs: CPU seconds and memory for many pipelines of eight stages.

Beside it, on the same text, PyYAML's own C loader, which checks nothing; and the help of the
command, which must be instant. Run: python benchmarks/config.py [PIPELINES]
"""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from seamwatch.config import load

STAGES = (
    ("ingest", "data", "source", ""),
    ("clean", "data", "transform", "ingest"),
    ("embedding", "ml", "embedding", "clean"),
    ("cache", "ml", "cache", "embedding"),
    ("index", "data", "index", "embedding"),
    ("retrieval", "ml", "retrieval", "[cache, index]"),
    ("decision", "product", "decision", "retrieval"),
    ("answer", "platform", "model", "decision"),
)


def text(pipelines: int) -> str:
    """Return a configuration as people write it, one key a line."""
    lines = ["teams: {data: {}, ml: {}, product: {}, platform: {}}", "pipelines:"]
    for number in range(pipelines):
        lines += [f"  pipeline-{number:05d}:", "    owner: platform", "    stages:"]
        for name, team, kind, after in STAGES:
            lines += [f"      {name}:", f"        team: {team}", f"        kind: {kind}"]
            lines += [f"        after: {after}"] if after else []
            lines += ["        every: 30s", "        data_age: 15m", "        source:"]
            lines += ["          http:", f"            url: http://{name}-{number}.example/meta"]
            lines += ["            headers: {Accept: application/json}"]
        lines += ["    model:", "      http:", f"        url: http://model-{number}.example/answer"]
        lines += ['        json: {question: "{{ input.question }}"}', "        answer: label"]
        lines += [
            "      timeout: 5s",
            "    slos:",
            "      freshness: {data_age: 1h, objective: 99%}",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table."""
    pipelines = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "seamwatch.yaml")
        path.write_text(text(pipelines), encoding="utf-8")
        size = path.stat().st_size
        gc.collect()
        before, started = _resident(), time.process_time()
        config = load(path)
        ours = time.process_time() - started
        gc.collect()
        kept = _resident() - before
        assert len(config.pipelines) == pipelines
        del config
        started = time.process_time()
        yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        theirs = time.process_time() - started
    print(f"{pipelines} pipelines of {len(STAGES)} stages, {size / 1e6:.1f} MB of YAML")
    print(f"  load, all checks        {ours:6.2f} CPU s   (to reach: under 8 for 5,000)")
    print(f"  yaml.CSafeLoader alone  {theirs:6.2f} CPU s")
    print(f"  kept                    {kept / pipelines / 1024:6.1f} KiB a pipeline")
    print(f"  seamwatch --help        {_help():6.2f} CPU s   (to reach: under 0.3)")


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _help() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "seamwatch", "--help"], stdout=subprocess.DEVNULL, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
