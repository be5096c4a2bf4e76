"""What works, but not as far as one may think: warnings of ``seamwatch check``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from seamwatch.config.loading import Config
from seamwatch.config.models import ModelSection
from seamwatch.config.problems import Finding, KeyPath
from seamwatch.config.schema import PipelineSection, StageSection
from seamwatch.config.sentences import listed
from seamwatch.config.sources import PrometheusSource, StaticSource


def advise(config: Config) -> Iterator[Finding]:
    """Yield what of each pipeline will stay unknown or never be used, and what would change it."""
    for name, section in config.settings.pipelines.items():
        at = ("pipelines", name)
        yield from _about_stages(at, section, config.pipelines[name].outputs)
        yield from _about_evidence(at, section, config.base_dir(name))
        yield from _about_budgets((*at, "slos"), section)
        if section.model is not None:
            yield from _about_credentials((*at, "model", "repairs"), section.model)


def _about_stages(
    at: KeyPath, section: PipelineSection, outputs: tuple[str, ...]
) -> Iterator[Finding]:
    stages = section.stages
    if any(stage.source for stage in stages.values()):
        if not any(_says_status(stage) for stage in stages.values()):
            message = (
                "no stage publishes a status, so a silent failure, where all call themselves"
                " healthy and the answers are wrong, can never be told; publish status in one"
            )
            yield Finding((*at, "stages"), message, at_key=True)
        for last in outputs:
            if stages[last].source is None:
                message = (
                    "comes last and has no source, so the age of the data behind its answers is"
                    " unknown; add source: to it"
                )
                yield Finding((*at, "stages", last), message, at_key=True)


def _says_status(stage: StageSection) -> bool:
    """Say whether the source of *stage* can tell whether the stage is healthy."""
    if stage.source is None:
        return False
    found = stage.source.section
    if isinstance(found, PrometheusSource | StaticSource):
        return found.status is not None
    return not (stage.source.file is not None and stage.source.file.read == "newest")


def _about_budgets(at: KeyPath, section: PipelineSection) -> Iterator[Finding]:
    """Find parts that may together be bad for longer than the whole, all keeping their word."""
    whole = section.slos.end_to_end
    parts = [
        (name, 1 - slo.objective)
        for name, slo in section.slos.components.items()
        if slo.objective is not None
    ]
    spent = sum(budget for _, budget in parts)
    if whole is None or whole.objective is None or spent <= 1 - whole.objective + 1e-9:
        return
    message = (
        f"{listed([name for name, _ in parts])} may be bad for {spent:.3g} of the time by their own"
        f" objectives, end to end for {1 - whole.objective:.3g} only: it can be missed while each"
        f" part keeps its promise; raise theirs or write {1 - spent:.2%} or less"
    )
    yield Finding((*at, "end_to_end", "objective"), message, at_key=True)


def _about_evidence(at: KeyPath, section: PipelineSection, base_dir: Path) -> Iterator[Finding]:
    golden, gate, model = section.golden, section.gate, section.model
    if golden is None or model is None:
        return
    takes_evidence = gate is not None and gate.mode != "off"
    if model.repairs and not takes_evidence:
        message = (
            "they are tried when the evidence says that something is wrong, and none is taken"
            " without a gate; add gate: to the pipeline"
        )
        yield Finding((*at, "model", "repairs"), message, at_key=True)
    file = base_dir / (golden.blessing or f"{golden.file}.blessing.json")
    if file.exists():
        return
    needing = [
        key
        for key, is_needed in (
            ("gate.floor_below_baseline", takes_evidence and gate and gate.floor is None),
            ("gate.items", takes_evidence and gate and gate.items not in (None, "plain")),
            ("quality.score_drift", section.quality.score_drift is not None),
        )
        if is_needed
    ]
    if needing:
        need = "needs" if len(needing) == 1 else "need"
        message = (
            f"there is no blessing {file}, which {listed(needing)} {need}; run"
            " seamwatch golden bless while the answers are good"
        )
        yield Finding((*at, "golden"), message, at_key=True)


def _about_credentials(at: KeyPath, model: ModelSection) -> Iterator[Finding]:
    target = model.section
    own = urlsplit(target.url)
    sent = [name for name in _CREDENTIALS if getattr(target, name)]
    for name, repair in model.repairs.items():
        other = urlsplit(repair.url) if repair.url else own
        if sent and (other.hostname, other.port) != (own.hostname, own.port):
            message = (
                f"{listed(sent)} of the model {'is' if len(sent) == 1 else 'are'} sent to"
                f" {other.hostname} too; ask another host only if it may have them"
            )
            yield Finding((*at, name, "url"), message)


_CREDENTIALS = ("headers", "basic_auth", "bearer_token", "bearer_token_file")
