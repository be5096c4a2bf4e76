"""Alertmanager's configuration: the owner gets one page, suspects' teams are told."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from conftest import require_tool
from ports import free_port
from seamwatch.alertmanager import configuration, unreachable
from seamwatch.assets import assets
from seamwatch.config import load
from seamwatch.config.schema import Settings

TEXT = """\
teams:
  platform:
    page: {pagerduty_configs: [{routing_key: "${ROUTING_KEY}"}]}
    notify: {slack_configs: [{api_url: "http://127.0.0.1:1/slack", channel: "#platform"}]}
  data: {notify: {webhook_configs: [{url: "http://127.0.0.1:1/data"}]}}
  ml:
    page: {opsgenie_configs: [{api_key: k, api_url: "http://127.0.0.1:1/"}]}
    notify: {email_configs: [{to: ml@example.org, from: a@example.org, smarthost: "127.0.0.1:25"}]}
  silent: {}
pipelines:
  rag: &it
    owner: platform
    stages: {ingest: {team: data, kind: source, source: {http: {url: http://127.0.0.1:1/meta}}}}
  batch: {owner: data, stages: {a: {team: ml, kind: source}}}
  lost: {owner: silent, stages: {a: {team: silent, kind: source}}}
""".replace("&it", "")


def settings(folder: Path, text: str = TEXT) -> Settings:
    path = folder / "seamwatch.yaml"
    path.write_text(text)
    return load(path, environ={"ROUTING_KEY": "r0uting"}).settings


def write(folder: Path, text: str) -> Path:
    shutil.copy(assets("alerts") / "seamwatch.tmpl", folder)
    path = folder / "alertmanager.yml"
    path.write_text(text)
    return path


def amtool(*arguments: str) -> str:
    ran = subprocess.run(
        [require_tool("amtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_amtool_takes_the_configuration_with_every_kind_of_receiver(tmp_path: Path) -> None:
    path = write(tmp_path, configuration(settings(tmp_path)))
    said = amtool("check-config", str(path))
    assert "SUCCESS" in said
    receivers = {one.pop("name"): one for one in yaml.safe_load(path.read_text())["receivers"]}
    assert receivers["page-platform"] == {"pagerduty_configs": [{"routing_key": "r0uting"}]}
    assert receivers["notify-ml"]["email_configs"][0]["to"] == "ml@example.org"


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=GateHalted severity=page team=platform pipeline=rag", "page-platform"),
        ("alertname=DataLate severity=ticket team=data pipeline=rag", "notify-data"),
        ("alertname=SuspectNamed severity=notify team=ml pipeline=rag", "notify-ml"),
        ("alertname=SLOBurnRatePage severity=page team=unowned pipeline=rag", "page-owners"),
        ("alertname=SeamwatchDown severity=page", "page-owners"),
        ("alertname=ConfigReloadFailed severity=ticket instance=a", "owners"),
        ("alertname=SLOObjectiveMissing severity=ticket pipeline=rag slo=accuracy", "owners"),
        ("alertname=Watchdog severity=none", "watchdog"),
    ],
)  # fmt: skip
def test_an_alert_finds_its_team(labels: str, receiver: str, tmp_path: Path) -> None:
    path = write(tmp_path, configuration(settings(tmp_path)))
    route = ("config", "routes", "test", f"--config.file={path}", "--verify.receivers=" + receiver)
    assert amtool(*route, *labels.split()).strip() == receiver


def test_every_alert_that_is_shipped_ends_where_its_severity_says(tmp_path: Path) -> None:
    path = write(tmp_path, configuration(settings(tmp_path)))
    ways = {"page": "page-platform", "ticket": "notify-platform", "notify": "notify-platform"}
    for file in assets("alerts").glob("*.rules.yaml"):
        for group in yaml.safe_load(file.read_text())["groups"]:
            severities = {r["labels"]["severity"] for r in group["rules"] if "alert" in r}
            for severity in severities - {"none"}:
                labels = (f"severity={severity}", "team=platform", "pipeline=rag")
                route = ("config", "routes", "test", f"--config.file={path}")
                assert amtool(*route, *labels).strip() == ways[severity]


def test_a_team_with_one_way_is_reached_by_it_and_one_with_none_is_named(tmp_path: Path) -> None:
    given = settings(tmp_path)
    receivers = {one["name"]: one for one in yaml.safe_load(configuration(given))["receivers"]}
    assert receivers["page-data"]["webhook_configs"] == [{"url": "http://127.0.0.1:1/data"}]
    assert set(receivers["page-owners"]) == {"name", "pagerduty_configs", "webhook_configs"}
    assert set(receivers["owners"]) == {"name", "slack_configs", "webhook_configs"}
    assert unreachable(given) == ("silent",)


def test_the_same_settings_give_the_same_text(tmp_path: Path) -> None:
    assert configuration(settings(tmp_path)) == configuration(settings(tmp_path))


def test_messages_say_what_since_when_and_what_first(tmp_path: Path) -> None:
    write(tmp_path, "")
    alert = {
        "status": "firing", "startsAt": "2026-11-24T09:30:00Z", "endsAt": "2026-11-24T10:00:00Z",
        "labels": {"alertname": "GateHalted"},
        "annotations": {
            "summary": "rag is halted", "description": "The cause is evidence.",
            "failing": "accuracy", "suspects": "Asking names cache of team ml (9% of the answers).",
            "gate": "halted, enforce", "first_move": "tell the callers", "runbook_url": "http://r",
            "dashboard_url": "http://d",
        },
    }  # fmt: skip
    over = {**alert, "status": "resolved"}
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"status": "firing", "alerts": [alert, over]}))

    def rendered(name: str) -> str:
        text = '{{ template "' + name + '" . }}'
        return amtool(
            "template", "render", f"--template.glob={tmp_path}/seamwatch.tmpl",
            f"--template.data={data}", f"--template.text={text}",
        )  # fmt: skip

    assert rendered("slack.default.title").strip() == "[FIRING] rag is halted"
    assert rendered("slack.default.text").strip() == (
        "rag is halted\nThe cause is evidence.\nTargets missed: accuracy.\n"
        "Asking names cache of team ml (9% of the answers).\nGate: halted, enforce.\n"
        "Since 2026-11-24 09:30 UTC.\nFirst: tell the callers.\nRunbook: http://r\n"
        "Dashboard: http://d\n\n"
        "Resolved: rag is halted\nThe cause is evidence.\nTargets missed: accuracy.\n"
        "Asking names cache of team ml (9% of the answers).\nGate: halted, enforce.\n"
        "Since 2026-11-24 09:30 UTC, over since 10:00 UTC.\nRunbook: http://r\n"
        "Dashboard: http://d"
    )


class Pager:
    """Stands for the teams' receivers: one path each."""

    def __init__(self) -> None:
        self.got: dict[str, list[dict[str, Any]]] = {}
        self.came = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        self.got.setdefault(request.path, []).append(await request.json())
        self.came.set()
        return web.Response()

    async def until(self, path: str, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.got.get(path, [])) < count:
                self.came.clear()
                await self.came.wait()


@asynccontextmanager
async def alertmanager(folder: Path) -> AsyncIterator[tuple[str, Pager]]:
    """Run a real Alertmanager on what is generated, with receivers that are here."""
    program, port, pager = require_tool("prometheus-alertmanager"), free_port(), Pager()
    app = web.Application()
    app.add_routes([web.post("/{team}/{way}", pager.take)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    teams = "".join(
        f"  {team}: {{page: {{webhook_configs: [{{url: {base}/{team}/page}}]}},"
        f" notify: {{webhook_configs: [{{url: {base}/{team}/notify}}]}}}}\n"
        for team in ("platform", "ml", "data")
    )
    text = "teams:\n" + teams + TEXT[TEXT.index("pipelines:") : TEXT.index("  lost:")]
    content = configuration(settings(folder, text), group_wait="4s", group_interval="1s")
    path, url = write(folder, content), f"http://127.0.0.1:{port}"
    process = await asyncio.create_subprocess_exec(
        program, f"--config.file={path}", f"--storage.path={folder}/am",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield url, pager
    finally:
        process.kill()
        await process.wait()
        await runner.cleanup()


async def post(url: str, *alerts: dict[str, str], ended: bool = False) -> None:
    now = datetime.now(UTC)
    # what began long ago is told at once, before all of it is known
    start, end = now - timedelta(seconds=1), now + timedelta(minutes=0 if ended else 5)
    body = [
        {"labels": labels, "startsAt": start.isoformat(), "endsAt": end.isoformat()}
        for labels in alerts
    ]
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.post(f"{url}/api/v2/alerts", json=body) as response:
                    assert response.status == 200, await response.text()
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)  # it is starting


def page(alertname: str, **labels: str) -> dict[str, str]:
    return {
        "alertname": alertname, "severity": "page", "team": "platform", "pipeline": "rag", **labels
    }  # fmt: skip


async def test_an_incident_is_one_page_for_the_owner_and_news_for_the_suspects_teams(
    tmp_path: Path,
) -> None:
    incident = (
        page("SLOBurnRatePage", slo="accuracy"),
        page("SLOBurnRatePage", slo="end_to_end"),
        page("PipelineTargetMissed", slo="accuracy"),
        page("PipelineSilentFailure"),
        page("AccuracyUnderFloor"),
        page("GateHalted"),
        page("SLOBurnRateTicket", slo="end_to_end", severity="ticket"),
        page("StaleCache", severity="ticket", team="ml", pipeline_stage="cache"),
        page("SuspectNamed", severity="notify", team="ml", suspect="cache"),
        page("DataLate", severity="ticket", team="data", pipeline_stage="ingest"),
    )
    async with alertmanager(tmp_path) as (url, pager):
        await post(url, *incident)
        await pager.until("/platform/page", 1)
        await pager.until("/ml/notify", 1)
        await pager.until("/data/notify", 1)
        (woken,) = pager.got["/platform/page"]
        assert [one["labels"]["alertname"] for one in woken["alerts"]] == ["GateHalted"]
        told = {one["labels"]["alertname"] for one in pager.got["/ml/notify"][0]["alerts"]}
        assert told == {"StaleCache", "SuspectNamed"}
        assert "/ml/page" not in pager.got
        assert "/platform/notify" not in pager.got  # the ticket of the same SLO says no more
        await post(url, *incident, ended=True)
        await pager.until("/platform/page", 2)
        assert [one["status"] for one in pager.got["/platform/page"]] == ["firing", "resolved"]


async def test_what_another_pipeline_has_is_not_hushed_up(tmp_path: Path) -> None:
    async with alertmanager(tmp_path) as (url, pager):
        await post(url, page("GateHalted"), page("SLOBurnRatePage", pipeline="batch", team="data",
                                                 slo="freshness"))  # fmt: skip
        await pager.until("/data/page", 1)
        await pager.until("/platform/page", 1)


async def test_an_exporter_that_is_down_is_one_page_for_each_owner_and_hushes_what_is_blind(
    tmp_path: Path,
) -> None:
    async with alertmanager(tmp_path) as (url, pager):
        await post(
            url,
            page("SLONoData", slo="end_to_end"),
            {"alertname": "SeamwatchDown", "severity": "page"},
            {"alertname": "SeamwatchReplicaDown", "severity": "ticket", "instance": "a:1"},
        )
        await pager.until("/platform/page", 1)
        await pager.until("/data/page", 1)
        (woken,) = pager.got["/platform/page"]
        assert [one["labels"]["alertname"] for one in woken["alerts"]] == ["SeamwatchDown"]
        assert "/platform/notify" not in pager.got
