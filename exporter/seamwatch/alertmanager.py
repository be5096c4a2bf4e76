"""Alertmanager's configuration, from ``teams``: who is woken, who is told, what needs no saying.

Pure: settings in, text out. Bodies of receivers pass through as they are written.

Pages go to the pipeline's owner, all of one pipeline in one group, so that an incident is one page
however many alerts it raises; and the alert that says most inhibits those that it explains. What
wakes nobody goes to the team in the alert's ``team`` label: to the suspects' own teams too, with
the same evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seamwatch.config.schema import Settings, TeamSection

TEMPLATES = "seamwatch.tmpl"
"""The file with readable messages, as it lies beside the rules."""

OWNERS = "owners"
"""The receiver of what concerns all pipelines: seamwatch itself, its store, its audit."""

# What says more comes first; each inhibits all that come after it, for the same pipeline.
_PAGES = (
    "GateHalted",
    "AccuracyUnderFloor",
    "PipelineSilentFailure",
    "PipelineTargetMissed",
    "SLOBurnRatePage",
)


def configuration(
    settings: Settings,
    *,
    watchdog: Mapping[str, Any] | None = None,
    group_wait: str = "30s",
    group_interval: str = "5m",
) -> str:
    """Return the text of ``alertmanager.yml`` for the teams and pipelines of *settings*.

    Args:
        settings: the configuration.
        watchdog: body of the receiver that expects the Watchdog for ever; None: nobody does.
        group_wait: how long alerts of one pipeline are collected before the first page.
        group_interval: how long until a page tells what has joined it.
    """
    import yaml  # here, because the emitter is needed by nothing else

    content = {
        "templates": [TEMPLATES],
        "route": _route(settings, group_wait, group_interval),
        "inhibit_rules": list(_inhibitions()),
        "receivers": list(_receivers(settings, watchdog or {})),
    }
    head = "# Written by seamwatch from `teams`; change those, and write it again.\n"
    return head + yaml.safe_dump(_plain(content), sort_keys=False, allow_unicode=True, width=120)


def unreachable(settings: Settings) -> tuple[str, ...]:
    """Return the owners whom nothing can wake: they have neither ``page`` nor ``notify``."""
    return tuple(name for name in _owners(settings) if not _page(settings.teams[name]))


def _route(settings: Settings, group_wait: str, group_interval: str) -> dict[str, Any]:
    pages = [
        {
            "receiver": f"page-{name}",
            "matchers": ['severity="page"', f'team="{name}"'],
            "group_by": ["pipeline"],
            "repeat_interval": "4h",
        }
        for name in settings.teams
    ]
    told = [
        {
            "receiver": f"notify-{name}",
            "matchers": ['severity=~"ticket|notify"', f'team="{name}"'],
            "group_by": ["pipeline"],
        }
        for name in settings.teams
    ]
    watchdog = {
        "receiver": "watchdog",
        "matchers": ['alertname="Watchdog"'],
        "group_wait": "0s",
        "group_interval": "1m",
        "repeat_interval": "1m",
    }
    wakes_all = {"receiver": f"page-{OWNERS}", "matchers": ['severity="page"']}
    return {
        "receiver": OWNERS,
        "group_by": ["alertname", "pipeline"],
        "group_wait": group_wait,
        "group_interval": group_interval,
        "repeat_interval": "12h",
        "routes": [watchdog, *pages, wakes_all, *told],
    }


def _inhibitions() -> Iterable[dict[str, Any]]:
    for place, name in enumerate(_PAGES[:-1], 1):
        yield _inhibits(f'alertname="{name}"', _one_of(_PAGES[place:]), "pipeline")
    yield {
        "source_matchers": ['alertname="SLOBurnRatePage"', 'slo="end_to_end"'],
        "target_matchers": ['alertname="SLOBurnRatePage"', 'slo!="end_to_end"'],
        "equal": ["pipeline"],
    }
    told = _one_of(("SLOBurnRateTicket", "SLOBudgetExhausted"))
    yield _inhibits('alertname="SLOBurnRatePage"', told, "pipeline", "slo")
    means_nothing = ("AccuracyUnderBaseline", "QualityCheckFailed", "SliceCollapsed")
    yield _inhibits(
        'alertname="JudgeBroken"', _one_of((*means_nothing, "ScoresDrifted")), "pipeline"
    )
    yield _inhibits('alertname="ContractBroken"', 'alertname="QualityCheckFailed"', "pipeline")
    yield _inhibits(
        'alertname="SeamwatchDown"',
        'alertname=~"SLO.+|SeamwatchReplicaDown|SeamwatchNobodyLeads"',
    )


def _inhibits(source: str, target: str, *equal: str) -> dict[str, Any]:
    """Return a rule; without *equal* the source silences its targets wherever they are."""
    rule: dict[str, Any] = {"source_matchers": [source], "target_matchers": [target]}
    return rule | ({"equal": list(equal)} if equal else {})


def _one_of(names: Iterable[str]) -> str:
    return f'alertname=~"{"|".join(names)}"'


def _receivers(settings: Settings, watchdog: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    owners = [settings.teams[name] for name in _owners(settings)]
    yield {"name": OWNERS, **_together(team.notify for team in owners)}
    yield {"name": f"page-{OWNERS}", **_together(_page(team) for team in owners)}
    for name, team in settings.teams.items():
        yield {"name": f"page-{name}", **_page(team)}
        yield {"name": f"notify-{name}", **team.notify}
    yield {"name": "watchdog", **watchdog}


def _owners(settings: Settings) -> tuple[str, ...]:
    return tuple(dict.fromkeys(section.owner for section in settings.pipelines.values()))


def _page(team: TeamSection) -> Mapping[str, Any]:
    """Return what wakes *team*; a team that nothing wakes is at least told."""
    return team.page or team.notify


def _together(bodies: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one body that reaches all of them; what two share is told once."""
    merged: dict[str, list[Any]] = {}
    for body in bodies:
        for kind, entries in body.items():
            known = merged.setdefault(kind, [])
            known += [entry for entry in entries if entry not in known]
    return merged


def _plain(value: Any) -> Any:
    """Return *value* as what YAML knows: texts filled from the environment are texts of ours."""
    if isinstance(value, Mapping):
        return {str(key): _plain(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(below) for below in value]
    return str(value) if isinstance(value, str) else value
