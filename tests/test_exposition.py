"""The page: the bytes that prometheus-client would write, whatever names and numbers come in."""

from __future__ import annotations

import asyncio
import gzip
import random
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import replace
from threading import Event, get_ident

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client import exposition as text
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from conftest import require_tool
from seamwatch.catalogue import PIPELINES
from seamwatch.collectors import samples
from seamwatch.collectors.own import OwnMetrics
from seamwatch.collectors.sample import Distribution, Sample
from seamwatch.exposition import ChunkStore, Exposition, Format, accepted_format, accepts_gzip
from seamwatch.exposition.compression import compressed, finished
from seamwatch.exposition.text import LONGEST_VALUE, Renderer, escaped, header, number
from seamwatch.pipeline import Estimate, Pipeline, Stage, StageKind, Task
from seamwatch.snapshot import GoldenState, ProbeState, Snapshot
from test_collectors import full, world

BOTH = pytest.mark.parametrize("form", Format)
GENERATE = {Format.TEXT: text.generate_latest, Format.OPENMETRICS: openmetrics.generate_latest}
PARSE = {Format.TEXT: parse_text, Format.OPENMETRICS: parse_openmetrics}


class Oracle(Collector):
    """The same samples as prometheus-client's own metric objects."""

    def __init__(self, found: list[Sample]) -> None:
        self.found = found

    def collect(self) -> Iterator[Metric]:
        for family in PIPELINES:
            metric = Metric(family.base, family.help, family.kind, family.unit)
            for name, values, value in self.found:
                if name == family.name:
                    labels = dict(zip(family.labels, values, strict=True))
                    self._add(metric, name, labels, value)
            if metric.samples:
                yield metric

    @staticmethod
    def _add(
        metric: Metric, name: str, labels: dict[str, str], value: float | Distribution
    ) -> None:
        if not isinstance(value, Distribution):
            metric.add_sample(name, labels, value)
            return
        below = 0
        for bound, count in zip((*value.bounds, float("inf")), value.counts, strict=True):
            below += count
            metric.add_sample(f"{name}_bucket", labels | {"le": floatToGoString(bound)}, below)
        metric.add_sample(f"{name}_count", labels, below)
        metric.add_sample(f"{name}_sum", labels, value.total)


def oracle(form: Format, found: list[Sample]) -> bytes:
    registry = CollectorRegistry()
    registry.register(Oracle(found))
    return GENERATE[form](registry)


def ours(form: Format, found: list[Sample]) -> bytes:
    chunks = Renderer(PIPELINES).render(found, limit=10_000).chunks
    end = b"# EOF\n" if form is Format.OPENMETRICS else b""
    parts = [header(f, form) + c for f, c in zip(PIPELINES, chunks, strict=True) if c]
    return b"".join(parts) + end


def exposition(*snapshots: Snapshot, limit: int = 10_000) -> Exposition:
    made = Exposition(ChunkStore(series_limit=limit), OwnMetrics())
    for snapshot in snapshots:
        made.store.put(snapshot)
    return made


def body(made: Exposition, form: Format = Format.TEXT) -> str:
    return b"".join(made.make(form, is_gzip=False).parts).decode()


def named(name: str, **known: object) -> Snapshot:
    stage = Stage("only", "data", StageKind.SOURCE)
    return world(pipeline=Pipeline(name, "platform", (stage,)), **known)  # type: ignore[arg-type]


# numbers and labels


@given(st.one_of(st.floats(), st.integers(-(2**70), 2**70), st.floats(1e5, 1e17)))
def test_numbers_are_written_as_prometheus_client_writes_them(value: float) -> None:
    assert number(value) == floatToGoString(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0.0"),
        (-0.0, "-0.0"),
        (999999.5, "999999.5"),
        (1e6, "1e+06"),
        (1763900000.0, "1.7639e+09"),
        (1763900000.1234567, "1.7639000001234567e+09"),
        (1e10, "1e+10"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Inf"),
    ],
)
def test_numbers_have_the_form_of_go(value: float, written: str) -> None:
    assert number(value) == written


NASTY = st.text(
    st.one_of(
        st.sampled_from('\\"\n\r\t{}=,# é😀\u2028\x85\x1c'),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=30,
)


@st.composite
def sampled(draw: st.DrawFn) -> list[Sample]:
    found: list[Sample] = []
    for family in draw(st.lists(st.sampled_from(PIPELINES), unique=True, max_size=6)):
        rows = draw(st.lists(st.tuples(*[NASTY for _ in family.labels]), unique=True, max_size=3))
        for values in rows:
            if family.kind == "histogram":
                counts = draw(st.lists(st.integers(0, 10**9), min_size=3, max_size=3))
                total = draw(st.floats(0, 1e12))
                found.append((family.name, values, Distribution((0.01, 1.0), tuple(counts), total)))
            elif family.kind == "counter":
                found.append((family.name, values, draw(st.integers(0, 2**60))))
            else:
                found.append((family.name, values, draw(st.floats(allow_nan=False))))
    return found


@BOTH
@given(found=sampled())
def test_any_samples_give_the_bytes_of_prometheus_client_and_are_read_back(
    form: Format, found: list[Sample]
) -> None:
    page = ours(form, found)
    assert page == oracle(form, found)
    read = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in PARSE[form](page.decode())
        for sample in family.samples
    }
    labels = {family.name: family.labels for family in PIPELINES}
    for name, values, value in found:
        named = dict(zip(labels[name], values, strict=True))
        suffix = "_count" if isinstance(value, Distribution) else ""
        expected = sum(value.counts) if isinstance(value, Distribution) else value
        assert read[name + suffix, tuple(sorted(named.items()))] == float(expected)  # as readers do


@given(st.lists(st.text(max_size=400), unique=True, max_size=6))
def test_any_two_values_from_outside_stay_two_and_short_and_encodable(values: list[str]) -> None:
    written = [escaped(value) for value in values]
    assert len(set(written)) == len(values)
    for value in written:
        assert "\0" not in value
        shown = value.replace("\\\\", "1").replace('\\"', "1").replace("\\n", "1")
        assert len(shown.encode()) <= LONGEST_VALUE
        assert value.encode().decode() == value


def test_halves_of_surrogate_pairs_stay_apart() -> None:
    assert len({escaped("\ud800"), escaped("\ud801"), escaped("?"), escaped("\0")}) == 4


# the store


@BOTH
def test_a_full_page_has_the_bytes_of_prometheus_client(form: Format) -> None:
    made = exposition(full())
    dropped: Sample = ("seamwatch_pipeline_dropped_series", ("rag",), 0)
    expected = oracle(form, [*samples(full()), dropped]).removesuffix(b"# EOF\n")
    page = body(made, form).encode()
    assert page.startswith(expected)
    assert page.removeprefix(expected).startswith(b"# HELP seamwatch_build")


@BOTH
def test_families_are_contiguous_and_no_series_stands_twice(form: Format) -> None:
    made = exposition(full(), *(named(f"p{index}") for index in range(5)))
    types: list[str] = []
    series: list[str] = []
    for line in body(made, form).splitlines():
        if line.startswith("# TYPE "):
            types.append(line.split(" ")[2])
        elif not line.startswith("#"):
            series.append(line.rpartition(" ")[0])
            assert series[-1].startswith(types[-1])
    assert len(set(types)) == len(types)
    assert len(set(series)) == len(series)


def test_pipelines_stand_in_the_order_of_their_names_whenever_they_came() -> None:
    made = exposition(named("b"), named("d"))
    body(made)
    made.store.put(named("c"))
    made.store.put(named("a"))
    found = [line for line in body(made).splitlines() if "pipeline_info{" in line]
    assert [line.split('"')[1] for line in found] == ["a", "b", "c", "d"]


def test_a_removed_pipeline_leaves_nothing_behind_and_can_come_back() -> None:
    made = exposition(named("gone"), named("kept"))
    assert '"gone"' in body(made)
    before = made.own.page.series
    made.store.remove("gone")
    made.store.remove("never-was")
    assert '"gone"' not in body(made)
    assert (len(made.store), made.own.page.series) == (1, before // 2)
    made.store.put(named("gone"))
    assert '"gone"' in body(made)
    assert made.own.page.series == before


def test_a_new_snapshot_replaces_all_series_of_the_old_one() -> None:
    made = exposition(named("p", probes=ProbeState(answered_by=("old",))))
    assert 'version="old"' in body(made)
    made.store.put(named("p", probes=ProbeState(answered_by=("new",))))
    assert 'version="old"' not in body(made)
    made.store.put(named("p"))
    assert "seamwatch_probe_answered_by_info" not in body(made)


def test_the_page_states_its_own_size() -> None:
    made = exposition(full())
    page = body(made)
    ends = page.index("# HELP seamwatch_build_info")
    rows = [line for line in page[:ends].splitlines(True) if not line.startswith("#")]
    assert f"seamwatch_exposition_series {float(len(rows))}\n" in page
    assert f"seamwatch_exposition_bytes {float(sum(map(len, rows)))}\n" in page
    assert "seamwatch_pipelines 1.0\n" in page


def test_a_pipeline_over_its_series_limit_is_cut_and_says_so_while_others_are_whole() -> None:
    ratio = Estimate(0.9, 0.8, 1.0, 10)
    slices = {f"s{index:03d}": ratio for index in range(100)}
    many = named("many", golden=GoldenState("d", Task.TEXT, {}, {}, slices=slices))
    made = exposition(many, named("few"), limit=50)
    page = body(made)
    assert page.count('pipeline="many"') == 51  # 50 and the one that counts the others
    size = len(list(samples(many)))
    assert f'seamwatch_pipeline_dropped_series{{pipeline="many"}} {float(size - 50)}' in page
    assert 'seamwatch_pipeline_dropped_series{pipeline="few"} 0.0' in page
    assert 'seamwatch_pipeline_info{pipeline="many"' in page


def test_a_histogram_is_dropped_whole_or_not_at_all() -> None:
    made = exposition(named("p", probes=ProbeState()), limit=10)
    assert "seamwatch_probe_duration_seconds" not in body(made)
    assert "seamwatch_probe_over_budget_total" in body(made)


def test_a_pipeline_that_cannot_be_rendered_costs_only_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = named("broken", probes=ProbeState(duration_counts=(1,)))  # too few buckets
    made = exposition(broken, named("whole"))
    page = body(made)
    assert '"broken"' not in page
    assert '"whole"' in page
    assert "seamwatch_exposition_failures_total 1.0" in page
    assert "pipeline broken cannot be rendered" in caplog.text


def test_an_empty_page_is_still_a_page() -> None:
    assert "seamwatch_pipelines 0.0" in body(exposition())
    assert body(exposition(), Format.OPENMETRICS).endswith("\n# EOF\n")


def test_promtool_finds_nothing_to_complain_of_on_a_full_page() -> None:
    promtool = require_tool("promtool")
    page = body(exposition(full(), named("other")))
    done = subprocess.run(
        [promtool, "check", "metrics"], input=page, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# compression and caching


@BOTH
def test_the_compressed_page_holds_the_same_bytes_in_one_gzip_member(form: Format) -> None:
    made = exposition(full())
    packed = b"".join(made.make(form, is_gzip=True).parts)
    stream = zlib.decompressobj(31)
    unpacked = stream.decompress(packed)
    assert stream.eof
    assert stream.unused_data == b""
    assert unpacked.startswith(body(made, form).encode().partition(b"# HELP process_")[0])
    assert unpacked.endswith(b"# EOF\n") == (form is Format.OPENMETRICS)


@given(st.lists(st.binary(max_size=5000), max_size=5), st.binary(max_size=3000))
def test_a_long_part_can_be_ended_by_many_short_ones(blocks: list[bytes], short: bytes) -> None:
    long = compressed(iter(blocks))
    for end in (short, short + b"again", b""):
        assert gzip.decompress(b"".join(finished(long, end))) == b"".join(blocks) + end


def test_without_isal_the_page_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from seamwatch.exposition import compression

    monkeypatch.setattr(compression, "_fastest", lambda: zlib)
    made = exposition(full())
    packed = b"".join(made.make(Format.TEXT, is_gzip=True).parts)
    assert gzip.decompress(packed).decode().startswith("# HELP seamwatch_pipeline_info")


@BOTH
@pytest.mark.parametrize("is_gzip", [False, True])
def test_what_has_not_changed_is_not_made_again(form: Format, is_gzip: bool) -> None:
    made = exposition(full())
    first = made.make(form, is_gzip=is_gzip).parts
    second = made.make(form, is_gzip=is_gzip).parts
    assert all(a is b for a, b in zip(first[1:-1:2], second[1:-1:2], strict=True))
    made.store.put(named("new"))
    third = made.make(form, is_gzip=is_gzip).parts
    assert third[:-1] != second[:-1]


def test_a_judgement_that_says_nothing_new_makes_no_new_page() -> None:
    made = exposition(full())
    before = made.store.freshen()
    made.store.put(replace(full(), at=9999.0))
    assert made.store.freshen() == before
    made.store.put(replace(full(), silent_failure=True))
    assert made.store.freshen() == before + 1


async def test_pages_are_made_off_the_loop_and_once_for_all_who_ask_together() -> None:
    threads: list[int] = []
    hold = Event()

    class Slow(OwnMetrics):
        def collect(self) -> Iterator[Metric]:
            threads.append(get_ident())
            hold.wait(5)
            return super().collect()

    made = Exposition(ChunkStore(), Slow())
    asking = [asyncio.ensure_future(made.page(Format.TEXT, is_gzip=False)) for _ in range(10)]
    await asyncio.sleep(0)  # all have asked, and the loop still runs
    asking[0].cancel()
    hold.set()
    pages = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(pages[0], asyncio.CancelledError)
    assert len({id(page) for page in pages[1:]}) == 1
    assert len(threads) == 1
    assert threads[0] != get_ident()
    made.close()


async def test_a_page_never_shows_half_of_a_change() -> None:
    made = exposition()
    names = [f"p{index:03d}" for index in range(40)]
    rng = random.Random(7)

    async def change() -> None:
        for _ in range(300):
            name = rng.choice(names)
            version = f"v{rng.randrange(10**6)}"
            both = ProbeState(answered_by=(version,))
            golden = GoldenState(version, Task.TEXT, {}, {})
            made.store.put(named(name, probes=both, golden=golden))
            await asyncio.sleep(0)

    changing = asyncio.ensure_future(change())
    while not changing.done():
        page = await made.page(Format.TEXT, is_gzip=False)
        digests, versions = {}, {}
        for family in parse_text(b"".join(page.parts).decode()):
            for sample in family.samples:
                if sample.name == "seamwatch_golden_info":
                    digests[sample.labels["pipeline"]] = sample.labels["digest"]
                if sample.name == "seamwatch_probe_answered_by_info":
                    versions[sample.labels["pipeline"]] = sample.labels["version"]
        assert digests == versions
    made.close()


# negotiation

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    "q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;"
    "escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
OM = Format.OPENMETRICS


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (PROMETHEUS_2, OM),
        (PROMETHEUS_3, OM),
        (None, Format.TEXT),
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format.TEXT),
        ("application/openmetrics-text", OM),
        ("APPLICATION/OpenMetrics-Text ; Version=1.0.0", OM),
        ('application/openmetrics-text; version="1.0.0"', OM),
        ("application/openmetrics-text, */*", OM),
        ("application/*", OM),
        ("text/*, application/openmetrics-text;q=0.9", Format.TEXT),
        ("text/plain;q=0.3, application/openmetrics-text;q=0.4", OM),
        ("application/openmetrics-text;q=0, */*;q=0.1", Format.TEXT),
        ("application/openmetrics-text;version=99.0", Format.TEXT),
        ("application/openmetrics-text;version=2.0.0;q=1, text/plain;q=0.1", Format.TEXT),
        ("application/openmetrics-text;version=0.0.1", Format.TEXT),
        ("text/plain;version=1.x", Format.TEXT),
        ("application/json", Format.TEXT),
        ("application/openmetrics-text;q=nan", Format.TEXT),
        ("application/openmetrics-text;q=2", Format.TEXT),
        ("application/openmetrics-text;q=0.12345", Format.TEXT),
        (';;,,=;"', Format.TEXT),
        ('x/y;a="text/plain, application/openmetrics-text"', Format.TEXT),
    ],
)
def test_the_format_is_the_one_that_the_client_prefers(accept: str, expected: Format) -> None:
    assert accepted_format(accept) is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("gzip", True),
        ("GZIP, deflate, br", True),
        ("gzip;q=0.001", True),
        ("*", True),
        ("br, *;q=0.1", True),
        (None, False),
        ("", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity", False),
        ("deflate, gzipped", False),
        ("gzip;q=x", False),
    ],
)
def test_gzip_is_used_only_where_it_is_allowed(header: str | None, expected: bool) -> None:
    assert accepts_gzip(header) is expected


@given(st.text(max_size=200))
def test_no_header_is_too_strange_to_be_answered(text: str) -> None:
    assert accepted_format(text) in Format
    assert accepts_gzip(text) in (True, False)


@BOTH
def test_the_content_type_names_what_was_written(form: Format) -> None:
    assert form.content_type in (
        "text/plain; version=0.0.4; charset=utf-8",
        openmetrics.CONTENT_TYPE_LATEST,
    )
