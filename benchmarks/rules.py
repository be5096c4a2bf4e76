"""What the rules cost a real Prometheus, and what stored tiles save.

    python benchmarks/rules.py [--minutes 3] [--pipelines 300]

Two Prometheis scrape the same page of 300 pipelines with 5 SLOs and 8 stages each, on six hours of
backfilled counters; one evaluates the rules, one does not. The difference of their CPU seconds is
what the rules cost. The groups that look back for days read tiles of 30 days, which are backfilled
for a tenth of the SLOs and measured by query. Then the budget of 30 days is asked for in both ways:
from tiles, and as increase() over the counters. Ends with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import http.server
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

ALERTS = Path(__file__).parents[1] / "alerts"
CPU_A_MINUTE = 2.0  # seconds
CHEAPER = 10.0
SLOS = ("freshness", "accuracy", "quality", "availability", "end_to_end")
STAGES = ("ingest", "clean", "embedding", "cache", "index", "retrieval", "decision", "answer")
KINDS = ("source", "transform", "embedding", "cache", "index", "retrieval", "decision", "model")
STEP = 30  # seconds
WATERMARK = "seamwatch_stage_effective_watermark_timestamp_seconds"
FEW = 10  # SLOs with 30 days of counters
DAY = 86400


def page(pipelines: int, now: float) -> str:
    """Return what the exporter would show of so many healthy pipelines."""
    ticks = int(now) // STEP
    lines = []
    for n in range(pipelines):
        p = f'pipeline="p{n:03}"'
        lines += [f'seamwatch_pipeline_info{{{p},team="t{n % 9}"}} 1',
                  f"seamwatch_pipeline_dropped_series{{{p}}} 0",
                  f"seamwatch_pipeline_silent_failure{{{p}}} 0",
                  f"seamwatch_pipeline_maintenance{{{p}}} 0",
                  f"seamwatch_pipeline_data_age_limit_seconds{{{p}}} 3600",
                  f"seamwatch_golden_accuracy_target_ratio{{{p}}} 0.92",
                  f"seamwatch_gate_denies{{{p}}} 0", f"seamwatch_gate_stale{{{p}}} 0",
                  f"seamwatch_probe_fallback_answers_total{{{p}}} 0"]  # fmt: skip
        for verdict in ("correct", "wrong", "stale", "invalid", "refused", "error", "timeout"):
            count = ticks if verdict == "correct" else ticks // 20
            lines.append(f'seamwatch_golden_answers_total{{{p},verdict="{verdict}"}} {count}')
        for bound in ("0.1", "0.5", "1.0", "5.0", "+Inf"):
            lines.append(f'seamwatch_probe_duration_seconds_bucket{{{p},le="{bound}"}} {ticks}')
        for s, (stage, kind) in enumerate(zip(STAGES, KINDS, strict=True)):
            at = f'{p},pipeline_stage="{stage}"'
            lines += [f'seamwatch_stage_info{{{at},kind="{kind}",team="t{(n + s) % 9}"}} 1',
                      f"seamwatch_stage_read_success{{{at}}} 1",
                      f"seamwatch_stage_rows{{{at}}} 12000",
                      f'seamwatch_stage_version_info{{{at},version="v1"}} 1',
                      f"{WATERMARK}{{{at}}} {now - 60}"]  # fmt: skip
            if s:
                seam = f'{p},upstream="{STAGES[s - 1]}",downstream="{stage}"'
                lines += [f'seamwatch_seam_info{{{seam},upstream_team="a",downstream_team="b"}} 1',
                          f"seamwatch_seam_version_skew{{{seam}}} 0"]  # fmt: skip
        for slo in SLOS:
            at = f'{p},slo="{slo}"'
            lines += [f"seamwatch_pipeline_target_met{{{at}}} 1",
                      f"seamwatch_slo_objective_ratio{{{at}}} 0.99",
                      f"seamwatch_slo_min_bad_events{{{at}}} 5",
                      f'seamwatch_slo_info{{{at},team="t{n % 9}",page="true"}} 1',
                      f"seamwatch_slo_events_total{{{at}}} {ticks}",
                      f"seamwatch_slo_bad_events_total{{{at}}} {ticks // 500}"]  # fmt: skip
    return "\n".join(lines) + "\n"


def history(path: Path, pipelines: int, target: str, now: int) -> None:
    """Write what was scraped and recorded before, as OpenMetrics, oldest first within a series."""
    end, seen_at = now // 900 * 900, f'instance="{target}",job="seamwatch"'
    many, few = pipelines * len(SLOS), 0
    with path.open("w") as file:
        for name in ("events", "bad_events"):
            file.write(f"# TYPE seamwatch_slo_{name} counter\n")
            for n in range(pipelines):
                for slo in SLOS:
                    where = f'{{{seen_at},pipeline="p{n:03}",slo="{slo}"}}'
                    few += 1
                    back = 30 * DAY if (few - 1) % many < FEW else 6 * 3600
                    for at in range(end - back, end, STEP):
                        count = at // STEP if name == "events" else at // STEP // 500
                        file.write(f"seamwatch_slo_{name}_total{where} {count} {at}\n")
        for name, rate in (("events", 1 / STEP), ("bad_events", 1 / STEP / 500)):
            family = f"pipeline_slo:seamwatch_slo_{name}:rate15m"
            file.write(f"# TYPE {family} gauge\n")
            for n in range(pipelines // 10):
                for slo in SLOS:
                    where = f'{{pipeline="p{n:03}",slo="{slo}"}}'
                    for at in range(end - 30 * DAY, end, 900):
                        file.write(f"{family}{where} {rate} {at}\n")
        file.write("# EOF\n")


class Prometheus:
    """A server that was started, its CPU time and its answers."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process, self.url = process, url

    def cpu(self) -> float:
        """Return the CPU seconds of the process until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def ask(self, path: str, **query: str) -> dict[str, object]:
        with urlopen(f"{self.url}{path}?{urlencode(query)}", timeout=120) as answer:
            return json.loads(answer.read())["data"]

    def cost(self, query: str, times: int) -> float:
        """Return CPU seconds for one evaluation of *query*."""
        found = self.ask("/api/v1/query", query=query)
        assert found["result"], query
        before = self.cpu()
        for _ in range(times):
            self.ask("/api/v1/query", query=query)
        return (self.cpu() - before) / times


@contextmanager
def prometheus(folder: Path, target: str, *, rules: bool) -> Iterator[Prometheus]:
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = {
        "global": {"scrape_interval": f"{STEP}s"},
        "scrape_configs": [{"job_name": "seamwatch", "static_configs": [{"targets": [target]}]}],
        "rule_files": [str(ALERTS / "*.rules.yaml")] if rules else [],
    }
    (folder / "prometheus.json").write_text(json.dumps(config))
    process = subprocess.Popen(
        ["prometheus", f"--config.file={folder}/prometheus.json",
         f"--storage.tsdb.path={folder}/data", "--storage.tsdb.retention.time=40d",
         f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=(folder / "log").open("wb"),
    )  # fmt: skip
    server = Prometheus(process, f"http://127.0.0.1:{port}")
    try:
        while True:
            try:
                urlopen(f"{server.url}/-/ready").close()
                break
            except URLError:
                time.sleep(0.2)
        yield server
    finally:
        process.terminate()
        process.wait()


@contextmanager
def exporter(pipelines: int) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page(pipelines, time.time()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--pipelines", type=int, default=300)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, exporter(given.pipelines) as target:
        folder = Path(temporary)
        history(folder / "history", given.pipelines, target, int(time.time()))
        for name in ("with", "without"):
            (folder / name).mkdir()
        create = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
        blocks = folder / "with" / "data"
        subprocess.run([*create, "--max-block-duration=168h", folder / "history", blocks],
                       check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        (folder / "history").unlink()
        shutil.copytree(blocks, folder / "without" / "data")
        return measure(folder, target, given.minutes, given.pipelines)


def measure(folder: Path, target: str, minutes: float, pipelines: int) -> int:
    with (
        prometheus(folder / "with", target, rules=True) as ruled,
        prometheus(folder / "without", target, rules=False) as plain,
    ):
        time.sleep(90)  # both have scraped, and what starts has started
        begun, before = time.monotonic(), (ruled.cpu(), plain.cpu())
        time.sleep(60 * minutes)
        spent = (ruled.cpu() - before[0], plain.cpu() - before[1])
        a_minute = 60 / (time.monotonic() - begun)
        groups = ruled.ask("/api/v1/rules")["groups"]
        broken = [r["name"] for g in groups for r in g["rules"] if r["health"] == "err"]
        tiles = "pipeline_slo:seamwatch_slo_{}events:rate15m"
        both = "sum_over_time({bad}[{w}]) / (sum_over_time({all}[{w}]) > 0)"
        names = {"bad": tiles.format("bad_"), "all": tiles.format("")}
        days = sum(plain.cost(both.format(**names, w=w), 5) for w in ("1d", "3d", "30d"))
        known = pipelines // 10 * len(SLOS)
        long = days * (pipelines * len(SLOS) - known) / known / 3  # every 3 minutes
        rules = (spent[0] - spent[1]) * a_minute
        print(
            f"{pipelines} pipelines, {pipelines * len(SLOS)} SLOs, "
            f"{sum(len(g['rules']) for g in groups)} rules in {len(groups)} groups"
        )
        print(
            f"CPU s a minute: with rules {spent[0] * a_minute:.2f},"
            f" without {spent[1] * a_minute:.2f},"
            f" tiles of the other SLOs {long:.2f}"
        )
        total = rules + long
        print(
            f"rules                          {total:8.2f} CPU s a minute   (target {CPU_A_MINUTE})"
        )
        for group in sorted(groups, key=lambda g: -g["evaluationTime"])[:6]:
            every = 60 / group["interval"]
            print(f"  {group['name']:28} {group['evaluationTime'] * every:8.3f} s wall a minute")
        chosen = 'slo=~".+",pipeline=~"p00[01]"'
        assert len(SLOS) * 2 == FEW
        cheap = plain.cost(
            f"sum_over_time({names['bad']}{{{chosen}}}[30d])"
            f" / (sum_over_time({names['all']}{{{chosen}}}[30d]) > 0)", 20)  # fmt: skip
        dear = plain.cost(
            f"increase(seamwatch_slo_bad_events_total{{{chosen}}}[30d])"
            f" / (increase(seamwatch_slo_events_total{{{chosen}}}[30d]) > 0)", 5)  # fmt: skip
        print(
            f"30 days of {FEW} SLOs, CPU ms   {cheap * 1e3:8.1f} from tiles, {dear * 1e3:.1f} from"
            f" counters: {dear / cheap:.1f} times   (target {CHEAPER})"
        )
        if broken:
            print(f"rules that fail: {', '.join(broken)}")
        return int(total > CPU_A_MINUTE or dear / cheap < CHEAPER or bool(broken))


if __name__ == "__main__":
    sys.exit(main())
