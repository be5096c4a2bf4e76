"""Rules, Alertmanager's configuration, dashboards and runbooks as files for one's own set-up.

Pure but for reading what the package carries: settings and addresses in, texts by path out. The
same input gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from seamwatch.alertmanager import TEMPLATES, configuration
from seamwatch.assets import assets
from seamwatch.config.schema import Settings

Format = Literal["files", "kubernetes", "prometheus-operator"]

FORMATS: tuple[Format, ...] = ("files", "kubernetes", "prometheus-operator")

_EXPORTER, _GRAFANA = "https://seamwatch.example", "https://grafana.example"  # in what is carried
_LABELS = {"app.kubernetes.io/name": "seamwatch"}
_PORT = "http"  # of the Service in front of the exporter


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where people reach what alerts link to; without a slash at the end."""

    exporter: str
    grafana: str


@dataclass(frozen=True, slots=True)
class Bundled:
    """A file to write."""

    text: str
    is_secret: bool = False  # it may hold credentials of receivers
    load: str = ""  # how it is put to use


def bundled(
    settings: Settings,
    addresses: Addresses,
    how: Format,
    *,
    labels: Mapping[str, str] | None = None,
) -> dict[str, Bundled]:
    """Return the files by path.

    Args:
        settings: whose teams are told.
        addresses: take the place of the examples in links.
        how: plain files, Kubernetes objects, or objects of the Prometheus operator.
        labels: more labels for Kubernetes objects, which selectors of others look for.
    """
    rules = {
        path.name: _linked(path.read_text(encoding="utf-8"), addresses)
        for path in sorted(assets("alerts").glob("*.rules.yaml"))
    }
    alertmanager = configuration(settings)
    messages = (assets("alerts") / TEMPLATES).read_text(encoding="utf-8")
    dashboards = {
        path.name: _linked(path.read_text(encoding="utf-8"), addresses)
        for path in sorted(assets("dashboards").glob("*.json"))
    }
    if how == "files":
        return dict(_files(rules, alertmanager, messages, dashboards))
    named = {**_LABELS, **(labels or {})}
    return dict(_objects(rules, alertmanager, messages, dashboards, how, named))


def _linked(text: str, addresses: Addresses) -> str:
    return text.replace(_EXPORTER, addresses.exporter).replace(_GRAFANA, addresses.grafana)


def _files(
    rules: Mapping[str, str], alertmanager: str, messages: str, dashboards: Mapping[str, str]
) -> Iterator[tuple[str, Bundled]]:
    loaded = "rule_files: [rules/*.rules.yaml] in prometheus.yml"
    for name, text in rules.items():
        yield f"prometheus/rules/{name}", Bundled(text, load=loaded)
    started = "alertmanager --config.file=alertmanager.yml"
    yield "alertmanager/alertmanager.yml", Bundled(alertmanager, is_secret=True, load=started)
    yield f"alertmanager/{TEMPLATES}", Bundled(messages, load="it is read from beside it")
    for name, text in dashboards.items():
        yield f"grafana/{name}", Bundled(text, load="a dashboard provider of type file")
    for path in sorted(assets("runbooks").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        yield f"runbooks/{path.name}", Bundled(text, load="the exporter serves them too")


def _objects(
    rules: Mapping[str, str],
    alertmanager: str,
    messages: str,
    dashboards: Mapping[str, str],
    how: Format,
    labels: Mapping[str, str],
) -> Iterator[tuple[str, Bundled]]:
    apply = "kubectl apply -f"
    if how == "prometheus-operator":
        for name, text in rules.items():
            short = name.removesuffix(".rules.yaml")
            yield f"rules-{short}.yaml", Bundled(_operator_rules(short, text, labels), load=apply)
        yield "servicemonitor.yaml", Bundled(_service_monitor(labels), load=apply)
    else:
        found = _object("ConfigMap", "seamwatch-rules", labels, data=dict(rules))
        yield "rules.yaml", Bundled(found, load=f"{apply}, then mount it where rule_files looks")
    secret = {"alertmanager.yaml": alertmanager, TEMPLATES: messages}
    found = _object("Secret", "alertmanager-seamwatch", labels, stringData=secret)
    named = "configSecret: alertmanager-seamwatch" if how == "prometheus-operator" else "mount it"
    yield "alertmanager.yaml", Bundled(found, is_secret=True, load=f"{apply}; {named}")
    for name, text in dashboards.items():
        short = name.removesuffix(".json").replace("_", "-").lower()
        seen = {**labels, "grafana_dashboard": "1"}  # what Grafana's sidecar looks for
        found = _object("ConfigMap", f"seamwatch-dashboard-{short}", seen, data={name: text})
        yield f"dashboard-{short}.yaml", Bundled(found, load=f"{apply}; the sidecar finds it")


def _operator_rules(name: str, text: str, labels: Mapping[str, str]) -> str:
    import yaml  # here, because most commands read no YAML but the configuration

    return _object(
        "PrometheusRule",
        f"seamwatch-{name}",
        labels,
        api="monitoring.coreos.com/v1",
        spec=yaml.safe_load(text),
    )


def _service_monitor(labels: Mapping[str, str]) -> str:
    endpoint = {"port": _PORT, "path": "/metrics", "interval": "15s", "honorLabels": False}
    spec = {"selector": {"matchLabels": dict(_LABELS)}, "endpoints": [endpoint]}
    return _object("ServiceMonitor", "seamwatch", labels, api="monitoring.coreos.com/v1", spec=spec)


def _object(
    kind: str, name: str, labels: Mapping[str, str], *, api: str = "v1", **content: Any
) -> str:
    import yaml

    metadata = {"name": name, "labels": dict(labels)}
    # through JSON: no aliases, which kubectl takes and people do not
    whole = json.loads(
        json.dumps({"apiVersion": api, "kind": kind, "metadata": metadata, **content})
    )
    return yaml.dump(whole, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=110)


def _dumper() -> type[Any]:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes texts of several lines as people do."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar(
            "tag:yaml.org,2002:str", value, style="|" if "\n" in value else None
        )

    Dumper.add_representer(str, text)
    return Dumper
