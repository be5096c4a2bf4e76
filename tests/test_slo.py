"""SLO ticks: what slices of time count as, whatever is known, and what the page shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from running import World, configure, exporter
from seamwatch.catalogue import PIPELINES
from seamwatch.collectors import samples
from seamwatch.config import Config, ConfigError, load
from seamwatch.config.advice import advise
from seamwatch.evidence import Standing
from seamwatch.exposition.text import Renderer
from seamwatch.freshness import Freshness
from seamwatch.pipeline import Task, Verdict
from seamwatch.slo import Seen, Terms, Unknown, Why, begin, tick
from seamwatch.snapshot import EndToEnd, EvidenceState, GoldenState, Snapshot
from seamwatch.watch.slos import Ticking

GOOD, BAD, BLIND = Seen(True), Seen(False), Seen(None, Why.STALE)
WHOLE = "end_to_end"
MINUTE = Terms(grace=60.0)


def counted(
    slices: Sequence[dict[str, Seen]], *, terms: Terms = MINUTE, step: float = 30.0
) -> dict[str, tuple[int, int, int]]:
    """Return events, bad and unknown ones of each SLO after *slices*, a tick apart."""
    names = dict.fromkeys(name for one in slices for name in one)
    ledger = begin([*names, WHOLE])
    for number, seen in enumerate(slices):
        ledger = tick(ledger, seen, terms, now=number * step)
    return {
        name: (one.events, one.bad, sum(one.unknown.values()))
        for name, one in ledger.counts.items()
    }


def test_end_to_end_is_good_only_when_every_part_is() -> None:
    slices = [{"freshness": GOOD, "accuracy": a} for a in (GOOD, BAD, GOOD)]
    assert counted(slices) == {"freshness": (3, 0, 0), "accuracy": (3, 1, 0), WHOLE: (3, 1, 0)}


def test_unknown_keeps_the_last_verdict_for_the_grace_and_is_bad_from_then_on() -> None:
    slices = [{"accuracy": one} for one in [GOOD, *[BLIND] * 5]]  # known at 0 s, grace 60 s
    assert counted(slices) == {"accuracy": (6, 3, 5), WHOLE: (6, 3, 5)}


@pytest.mark.parametrize(
    ("policy", "part", "whole"),
    [
        ("bad", (6, 3, 5), (6, 3, 5)),
        ("good", (6, 0, 5), (6, 0, 5)),
        ("ignore", (3, 0, 5), (6, 0, 5)),
    ],
)
def test_the_policy_says_what_lasting_ignorance_counts_as(
    policy: str, part: tuple[int, int, int], whole: tuple[int, int, int]
) -> None:
    terms = Terms({"accuracy": Unknown(policy)}, grace=60.0)
    slices = [{"accuracy": one, "freshness": GOOD} for one in [GOOD, *[BLIND] * 5]]
    found = counted(slices, terms=terms)
    assert (found["accuracy"], found[WHOLE]) == (part, whole)


def test_who_has_just_started_says_neither_good_nor_bad_but_does_not_stay_silent_for_ever() -> None:
    terms = Terms(grace=60.0, learning={"accuracy": 60.0})
    slices = [{"freshness": GOOD, "accuracy": BLIND}] * 7  # bad after 120 s: at 150 and 180
    found = counted(slices, terms=terms)
    assert found["accuracy"] == (2, 2, 7)
    assert found[WHOLE] == (2, 2, 7)


def test_a_part_that_is_known_bad_makes_end_to_end_bad_however_little_is_known_of_others() -> None:
    assert counted([{"freshness": BAD, "accuracy": BLIND}] * 2)[WHOLE] == (2, 2, 0)


def test_maintenance_is_counted_apart_and_a_verdict_found_in_it_is_kept() -> None:
    ledger = begin(["accuracy"])
    ledger = tick(ledger, {"accuracy": BAD}, Terms(), now=0.0, in_maintenance=True)
    assert (ledger.counts["accuracy"].events, ledger.counts["accuracy"].maintenance) == (0, 1)
    assert ledger.in_maintenance
    ledger = tick(ledger, {"accuracy": BLIND}, Terms(), now=30.0)
    assert (ledger.counts["accuracy"].events, ledger.counts["accuracy"].bad) == (1, 1)
    assert not ledger.in_maintenance


SEEN = st.sampled_from([GOOD, BAD, BLIND, Seen(None, Why.STARTING)])


@given(
    slices=st.lists(st.fixed_dictionaries({"a": SEEN, "b": SEEN}), min_size=1, max_size=30),
    grace=st.sampled_from([0.0, 30.0, 90.0]),
    policy=st.sampled_from(list(Unknown)),
)
def test_counts_agree_with_a_plain_reading_of_the_rules(
    slices: list[dict[str, Seen]], grace: float, policy: Unknown
) -> None:
    expected = {name: [0, 0, 0] for name in ("a", "b", WHOLE)}
    for number in range(len(slices)):
        parts: dict[str, str] = {}
        for name in ("a", "b"):
            past = [one[name].holds for one in slices[: number + 1]]
            known = [n for n, holds in enumerate(past) if holds is not None]
            age = 30.0 * (number - (known[-1] if known else 0))
            if past[-1] is None:
                expected[name][2] += 1
            if past[-1] is not None or age <= grace:
                last = past[known[-1]] if known else None
                parts[name] = {True: "good", False: "bad", None: "none"}[last]
            else:
                parts[name] = policy.value
            expected[name][0] += parts[name] in ("good", "bad")
            expected[name][1] += parts[name] == "bad"
        said = set(parts.values())
        whole = "bad" if "bad" in said else "none" if "none" in said else "good"
        if said == {"ignore"}:
            whole = "none"
        expected[WHOLE][0] += whole != "none"
        expected[WHOLE][1] += whole == "bad"
        holds = [one.holds for one in slices[number].values()]
        expected[WHOLE][2] += None in holds and False not in holds
    found = counted(slices, terms=Terms(dict.fromkeys("ab", policy), grace))
    assert found == {name: tuple(one) for name, one in expected.items()}


CONFIG = """\
teams: {data: {}, platform: {}}
pipelines:
  rag:
    owner: platform
    stages:
      ingest: {team: data, kind: source, source: {http: {url: http://127.0.0.1:1/meta}}}
      answer: {team: platform, kind: model, after: ingest}
    model: {http: {url: "http://127.0.0.1:1/", json: {q: "{{ input }}"}, answer: label}}
    golden: {file: golden.jsonl, task: multiclass, every: 10s}
    slos: {SLOS}
    maintenance: [{start: "1970-01-01T01:00:00Z", lasts: 10m, every: 1d}]
"""
SLOS = "{freshness: {data_age: 1h, objective: 99%}, accuracy: {at_least: 90%, objective: 99%}"


def config(folder: Path, slos: str = SLOS + ", end_to_end: {objective: 98%}}") -> Config:
    (folder / "golden.jsonl").write_text('{"id": "a", "input": "q", "expected": "x"}\n')
    path = folder / "seamwatch.yaml"
    path.write_text(CONFIG.replace("{SLOS}", slos))
    return load(path)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Life:
    """One pipeline's snapshots through time; wall clock and monotonic clock are the same here."""

    def __init__(self, config: Config) -> None:
        self.clock = Clock()
        self.pipeline = config.pipelines["rag"]
        self.ticking = Ticking(self.pipeline, config.settings.pipelines["rag"], clock=self.clock)
        self.answered = 0
        self.evidence: EvidenceState | None = None

    def live(self, seconds: float, *, probes: bool = True, every: float = 5.0, **met: bool) -> None:
        for _ in range(round(seconds / every)):
            self.answered += probes
            self.snapshot = self.ticking.see(self._snapshot(**met))
            self.clock.now += every

    def _snapshot(self, *, silent: bool = False, **met: bool) -> Snapshot:
        none = Freshness({"ingest": None}, None, {}, None)
        golden = GoldenState("d", Task.MULTICLASS, {}, {Verdict.CORRECT: self.answered})
        return Snapshot(
            self.pipeline, self.clock.now, {}, none, (), EndToEnd(**met), silent, golden,
            evidence=self.evidence,
        )  # fmt: skip

    def page(self, part: str) -> list[str]:
        rendered = Renderer(PIPELINES).render(samples(self.snapshot), limit=1000)
        text = b"".join(rendered.chunks).decode()
        return [line for line in text.splitlines() if line.startswith(f"seamwatch_{part}")]


def events(life: Life) -> dict[str, tuple[int, int]]:
    return {name: (one.events, one.bad) for name, one in life.ticking.ledger.counts.items()}


def test_every_counter_is_there_from_the_first_page_on(tmp_path: Path) -> None:
    life = Life(config(tmp_path))
    life.live(5)
    where = 'pipeline="rag",slo="end_to_end"'
    lines = life.page("slo")
    assert f"seamwatch_slo_events_total{{{where}}} 0.0" in lines
    assert f"seamwatch_slo_bad_events_total{{{where}}} 0.0" in lines
    assert f"seamwatch_slo_maintenance_events_total{{{where}}} 0.0" in lines
    assert f"seamwatch_slo_objective_ratio{{{where}}} 0.98" in lines
    assert f"seamwatch_slo_min_bad_events{{{where}}} 5.0" in lines
    assert f'seamwatch_slo_info{{page="true",{where},team="platform"}} 1.0' in lines
    part = 'pipeline="rag",slo="accuracy"'
    assert f'seamwatch_slo_info{{page="false",{part},team="platform"}} 1.0' in lines
    for why, count in (("starting", 1), ("stale", 0), ("undecided", 0)):
        assert (
            f'seamwatch_slo_unknown_events_total{{pipeline="rag",reason="{why}",slo="accuracy"}}'
            f" {count}.0" in lines
        )
    assert life.page("pipeline_silent_failure_seconds") == [
        'seamwatch_pipeline_silent_failure_seconds_total{pipeline="rag"} 0.0'
    ]


def test_however_often_a_pipeline_is_judged_a_slice_is_thirty_seconds(tmp_path: Path) -> None:
    for every in (0.2, 5.0, 15.0):
        life = Life(config(tmp_path))
        life.live(600, every=every, freshness=True, accuracy=True)
        assert events(life)[WHOLE] == (20, 0)


def test_what_nobody_looked_at_is_no_event(tmp_path: Path) -> None:
    life = Life(config(tmp_path))
    life.live(60, freshness=True, accuracy=True)
    life.clock.now += 7200  # the loop stood still
    life.live(60, freshness=True, accuracy=True)
    assert events(life)[WHOLE] == (4, 0)


def test_an_old_good_score_is_not_good(tmp_path: Path) -> None:
    life = Life(config(tmp_path))
    life.live(60, freshness=True, accuracy=True)
    life.live(900, probes=False, freshness=True, accuracy=True)
    # stale after 60 s, kept for 300 s of grace, bad from there on
    found = events(life)
    assert found["freshness"] == (32, 0)
    assert found["accuracy"][0] == 32
    assert found["accuracy"][1] == pytest.approx((900 - 360) / 30, abs=1)
    assert found[WHOLE] == found["accuracy"]
    stale = 'seamwatch_slo_unknown_events_total{pipeline="rag",reason="stale",slo="accuracy"}'
    (line,) = [line for line in life.page("slo_unknown") if line.startswith(stale)]
    assert float(line.rpartition(" ")[2]) == pytest.approx((900 - 60) / 30, abs=1)


def test_a_judge_that_is_off_makes_accuracy_unknown(tmp_path: Path) -> None:
    life = Life(config(tmp_path))
    life.live(60, freshness=True, accuracy=True)
    life.evidence = EvidenceState(Standing.RUNNING, 0.0, 0.9, is_stale=True)
    life.live(600, freshness=True, accuracy=True)
    assert events(life)["accuracy"][1] == pytest.approx(300 / 30, abs=1)


def test_silent_failures_are_counted_in_seconds_and_maintenance_apart(tmp_path: Path) -> None:
    life = Life(config(tmp_path))
    life.live(120, freshness=True, accuracy=False, silent=True)
    assert life.page("pipeline_silent_failure_seconds") == [
        'seamwatch_pipeline_silent_failure_seconds_total{pipeline="rag"} 120.0'
    ]
    life.clock.now = 86400 + 3600.0  # the window comes again every day
    life.live(300, freshness=True, accuracy=False, silent=True)
    assert life.page("pipeline_maintenance") == [
        'seamwatch_pipeline_maintenance{pipeline="rag"} 1.0'
    ]
    assert events(life)[WHOLE] == (4, 4)
    assert life.ticking.ledger.counts[WHOLE].maintenance == 10
    life.clock.now = 86400 + 3600 + 600.0
    life.live(60, freshness=True, accuracy=True)
    assert events(life)[WHOLE] == (6, 4)


def test_a_reload_goes_on_counting_and_begins_at_zero_with_what_is_new(tmp_path: Path) -> None:
    life = Life(config(tmp_path, SLOS + "}"))
    life.live(120, freshness=True, accuracy=False)
    assert life.ticking.promises["accuracy"].page  # nothing else would
    after = Life(config(tmp_path))
    after.clock.now = life.clock.now
    after.ticking.take_over(life.ticking)
    after.answered = life.answered
    after.live(60, freshness=True, accuracy=True)
    assert events(after) == {"freshness": (6, 0), "accuracy": (6, 4), WHOLE: (2, 0)}
    assert not after.ticking.promises["accuracy"].page


def test_parts_that_may_be_bad_for_longer_than_the_whole_are_pointed_out(tmp_path: Path) -> None:
    assert not [one for one in advise(config(tmp_path)) if "end_to_end" in one.path]
    tight = config(tmp_path, SLOS + ", end_to_end: {objective: 98.5%}}")
    (found,) = [one for one in advise(tight) if "end_to_end" in one.path]
    assert "may be bad for 0.02 of the time" in found.message
    assert "0.015 only" in found.message
    assert "write 98.00% or less" in found.message


@pytest.mark.parametrize(
    ("slos", "message"),
    [
        ("{end_to_end: {objective: 99%}}", "there is none; add freshness, accuracy"),
        (SLOS + ", end_to_end: {objective: 93%}}", "could never fire"),
    ],
)
def test_an_end_to_end_objective_that_could_mean_nothing_is_refused(
    tmp_path: Path, slos: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        config(tmp_path, slos)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ('{start: "2026-11-29T22:00:00", lasts: 2h}', "is a time in no zone"),
        ('{start: "tonight", lasts: 2h}', "is not a time"),
        ('{start: "2026-11-29T22:00:00Z", lasts: 7d, every: 7d}', "never end"),
    ],
)
def test_a_maintenance_that_nobody_can_place_is_refused(
    tmp_path: Path, window: str, message: str
) -> None:
    path = tmp_path / "seamwatch.yaml"
    (tmp_path / "golden.jsonl").write_text('{"id": "a", "input": "q", "expected": "x"}\n')
    text = CONFIG.replace("{SLOS}", SLOS + "}")
    path.write_text(text[: text.index("maintenance")] + f"maintenance: [{window}]\n")
    with pytest.raises(ConfigError, match=message):
        load(path)


async def test_a_running_exporter_ticks(tmp_path: Path) -> None:
    async with World().served() as world:
        path = configure(tmp_path, world)
        path.write_text(
            path.read_text().replace(
                "accuracy: {at_least: 90%, objective: 99%}",
                "accuracy: {at_least: 90%, objective: 99%}\n      end_to_end: {objective: 98%}",
            )
        )
        async with exporter(path) as running:
            page = await running.page(
                'seamwatch_slo_min_bad_events{pipeline="answers",slo="end_to_end"} 5.0'
            )
            assert 'seamwatch_slo_events_total{pipeline="answers",slo="end_to_end"}' in page
