"""Whether a configuration, its golden sets and what stands beside them fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from seamwatch.config.fields import shown
from seamwatch.config.placeholders import Placeholder, split
from seamwatch.config.problems import Finding, KeyPath
from seamwatch.config.sentences import did_you_mean, listed
from seamwatch.errors import GoldenError, ReadError, SeamwatchError

if TYPE_CHECKING:
    from seamwatch.config import Config
    from seamwatch.config.models import ModelSection
    from seamwatch.config.schema import PipelineSection
    from seamwatch.golden import GoldenSet
    from seamwatch.models import ModelClient
    from seamwatch.scoring import Rules

_IN_TEMPLATE = re.compile(r"nothing at \{\{ (.*) \}\} of the model's template")


def read_golden_sets(
    config: Config, goldens: dict[str, GoldenSet], rules: dict[str, Rules]
) -> Iterator[str]:
    """Fill *goldens* and *rules*; yield what is wrong with the files that cannot be used."""
    from seamwatch import golden
    from seamwatch.golden.canary import check_canaries

    for name, section in config.settings.pipelines.items():
        if section.golden is not None:
            base_dir = config.base_dir(name)
            try:
                goldens[name] = golden.load(base_dir / section.golden.file, section.golden)
                rules[name] = golden.rules(section.golden, section.quality, base_dir=base_dir)
                if section.golden.canary is not None:
                    check_canaries(base_dir / section.golden.canary, rules[name])
            except GoldenError as error:
                yield from error.problems


def unusable_blessings(
    config: Config, goldens: Mapping[str, GoldenSet], rules: Mapping[str, Rules]
) -> Iterator[Finding]:
    """Yield why the blessings that are there are not used."""
    from seamwatch.golden import blessed
    from seamwatch.golden.terms import score_of

    for name in goldens:
        section = config.settings.pipelines[name]
        if section.golden is None or name not in rules:
            continue
        path = blessed.path_of(section.golden, config.base_dir(name))
        score = score_of(section.golden, section.gate.score) if section.gate else None
        _, why = blessed.examine(path, goldens[name], rules[name], score=score)
        if why is not None:
            key = "blessing" if section.golden.blessing else "file"
            message = f"the blessing is not used: {why}"
            yield Finding(("pipelines", name, "golden", key), message)


def misfits(config: Config, goldens: Mapping[str, GoldenSet]) -> Iterator[Finding]:
    """Yield what could never be read or asked as it is configured; nothing is connected."""
    from seamwatch import models, sources
    from seamwatch.fetch import Fetcher

    fetcher = Fetcher()
    reach = sources.Reach(fetcher)
    for name, section in config.settings.pipelines.items():
        at = ("pipelines", name)
        for stage, one in section.stages.items():
            if one.source is not None:
                try:
                    base_dir = config.base_dir(name)
                    sources.build(one.source, reach, timeout=one.timeout, base_dir=base_dir)
                except SeamwatchError as error:
                    yield _about_target((*at, "stages", stage, "source", one.source.kind), error)
        if section.model is None:
            continue
        path = (*at, "model", section.model.kind)
        try:
            yield from _unaskable(
                path, models.build(section.model, fetcher), section.model, goldens.get(name)
            )
        except SeamwatchError as error:
            yield _about_target(path, error)
        for repair in section.model.repairs:
            try:
                models.variant(section.model, [repair], fetcher)
            except SeamwatchError as error:
                yield _about_target((*at, "model", "repairs", repair), error)
        if name in goldens:
            yield from _unknown_slices(at, section, goldens[name])


def _about_target(at: KeyPath, error: SeamwatchError) -> Finding:
    """Return what is wrong with an address or what is sent to it, at the key that it is about."""
    text = str(error)
    key = "headers" if "headers: " in text else "url"
    return Finding((*at, key), text.removeprefix(f"source.{at[-1]}.url: "))


def _unaskable(
    at: KeyPath, client: ModelClient, model: ModelSection, golden: GoldenSet | None
) -> Iterator[Finding]:
    """Yield each thing that items lack, once, however many items lack it."""
    first: dict[str, str] = {}
    count: dict[str, int] = {}
    for item in golden.items if golden else ():
        try:
            client.check(item)
        except ReadError as error:
            match = _IN_TEMPLATE.search(str(error))
            what = match[1] if match else str(error).replace(repr(item.id), "")
            first.setdefault(what, str(error))
            count[what] = count.get(what, 0) + 1
    for what, text in first.items():
        more = count[what] - 1
        others = f", and so it is with {more:,} more" if more else ""
        path = _place(at, model, what)
        hint = _instead(what, golden) if path != at else "correct the item or the template"
        yield Finding(path, f"{text}{others}; {hint}", at_key=path == at)


def _place(at: KeyPath, model: ModelSection, expression: str) -> KeyPath:
    """Return where the placeholder with *expression* stands, *at* where it is not found."""
    if model.http is not None:
        roots: dict[KeyPath, Any] = {("json",): model.http.json_body, ("query",): model.http.query}
    else:
        inputs = model.open_inference.inputs if model.open_inference else ()
        roots = {("inputs", n, "value"): tensor.value for n, tensor in enumerate(inputs)}
    for path, value in roots.items():
        found = next(_holding(value, expression, path), None)
        if found is not None:
            return (*at, *found)
    return at


def _holding(value: Any, expression: str, path: KeyPath) -> Iterator[KeyPath]:
    if isinstance(value, str):
        if any(isinstance(part, Placeholder) and part == expression for part in split(value)):
            yield path
    elif isinstance(value, dict | list | tuple):
        below = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in below:
            yield from _holding(inner, expression, (*path, key))


def _instead(expression: str, golden: GoldenSet | None) -> str:
    """Return what to write, by what the input of the first item holds."""
    given = golden.items[0].input if golden and golden.items else None
    if not isinstance(given, dict):
        return "write {{ input }}" if expression != "input" else "correct the items"
    paths = [f"input.{key}" for key in given]
    return f"{did_you_mean(expression, paths)}write one of {listed(paths)}"


def _unknown_slices(at: KeyPath, section: PipelineSection, golden: GoldenSet) -> Iterator[Finding]:
    for name in section.gate.slices.floors if section.gate else ():
        if name not in golden.slices:
            path = (*at, "gate", "slices", "floors", name)
            known = (
                f"write one of {listed(golden.slices)}"
                if golden.slices
                else ("no item names a slice; write slice in the items, or golden.slices")
            )
            hint = did_you_mean(name, golden.slices)
            message = f"no item of the golden set is in slice {shown(name)}; {hint}{known}"
            yield Finding(path, message, at_key=True)
