"""A configuration is loaded whole or refused with every problem; files can be split and moved."""

from __future__ import annotations

import asyncio
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwatch.config import Config, ConfigError, load
from seamwatch.config.document import decode, locate, parse
from seamwatch.config.graph import components, cycles, reachable, topological
from seamwatch.pipeline import Seam, StageKind, Targets

ONE = """
teams: {data: {}, ml: {}}
pipelines:
  rag:
    owner: ml
    stages:
      answer: {team: ml, kind: model, after: [index, cache], tuned_on: ingest}
      index: {team: data, kind: index, after: ingest, data_age: 90s}
      cache: {team: ml, kind: cache, after: [index]}
      ingest: {team: data, kind: source, source: {http: {url: "http://ingest.example/meta"}}}
    slos: {freshness: {data_age: 1h30m, objective: 99%}}
"""


RICH = (
    ONE.rstrip()
    + """
    model:
      http:
        url: http://m.example/
        json: {q: "{{ input.text }}"}
        answer: a
        score: s
        candidate: c
      cost: 0.01
      repairs:
        cold: {blames: cache, headers: {Cache-Control: no-cache}, parameters: {k: 5}}
        other: {blames: ingest, url: "http://shadow.example/", parameters: {k: 5}}
        tuned: {blames: index, threshold: best}
      attribution: {confidence: 0.9, every: 2h}
    golden: {file: golden.jsonl, task: multiclass, every: 1m}
    threshold: {stage: ingest, objective: cost, wrong: 1, declined: 0.5}
    gate:
      floor: 88%
      slices: {weight: 0.3, floors: {en: 80%}}
      burst: {from: 0.5}
      stale_after: 5m
      resume: {mode: automatic, above: 90%}
    quality:
      not_empty: true
      refusal: {at_most: 2%}
      forbids: ["^$", a+]
      signals: {thumbs: {promql: up, url: "http://p.example/", at_least: 90%}}
      score_drift: {}
      calibration: {at_most: 5%}
"""
)


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return path


def problems(*paths: Path, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(paths, environ=environ)
    return str(caught.value)


def config(tmp_path: Path, text: str = ONE, **environ: str) -> Config:
    return load(written(tmp_path / "seamwatch.yaml", text), environ=environ)


def test_a_pipeline_has_its_stages_in_the_order_of_data(tmp_path: Path) -> None:
    pipeline = config(tmp_path).pipelines["rag"]
    assert [stage.name for stage in pipeline.stages] == ["ingest", "index", "cache", "answer"]
    assert pipeline.owner == "ml"
    assert pipeline.by_name["index"].data_age == 90
    assert pipeline.by_name["answer"].kind is StageKind.MODEL
    assert pipeline.by_name["answer"].tuned_on == ("ingest",)
    assert Seam("ingest", "index", "data", "data") in pipeline.seams
    assert pipeline.outputs == ("answer",)


def test_targets_are_what_the_slos_promise_and_nothing_else(tmp_path: Path) -> None:
    targets = config(tmp_path).pipelines["rag"].targets
    assert targets == Targets(data_age=5400, objectives={"freshness": 0.99})


def test_what_evidence_and_blame_need_is_read_as_it_is_written(tmp_path: Path) -> None:
    written(tmp_path / "golden.jsonl", "{}")
    section = config(tmp_path, RICH).settings.pipelines["rag"]
    gate, model, quality, threshold = (
        section.gate, section.model, section.quality, section.threshold,
    )  # fmt: skip
    assert gate is not None
    assert (gate.mode, gate.floor, gate.floor_below_baseline) == ("shadow", 0.88, 0.04)
    assert (gate.max_false_halts_per_year, gate.max_false_tickets_per_year) == (0.5, 2.0)
    assert (gate.slices.weight, gate.slices.focus, gate.slices.floors) == (0.3, False, {"en": 0.8})
    assert (gate.burst.factor, gate.burst.from_, gate.stale_after) == (10, 0.5, 300)
    assert (gate.resume.mode, gate.resume.above, gate.resume.min_halt) == ("automatic", 0.9, 300)
    assert (gate.resume.max_false_resumes_per_halt, gate.resume.max_halted_probes) == (0.05, 1000)
    assert model is not None
    assert {name: one.blames for name, one in model.repairs.items()} == {
        "cold": "cache", "other": "ingest", "tuned": "index",
    }  # fmt: skip
    assert model.repairs["cold"].headers["Cache-Control"].get_secret_value() == "no-cache"
    assert model.repairs["tuned"].threshold == "best"
    asking = model.attribution
    assert (asking.confidence, asking.strict, asking.max_probes) == (0.9, False, 800)
    assert (asking.per_day, asking.every) == (3000, 7200)
    assert threshold is not None
    assert (threshold.setting, threshold.wrong, threshold.declined) == ("threshold", 1, 0.5)
    assert quality.signals["thumbs"].at_least == 0.9
    assert quality.signals["thumbs"].every == 60
    assert quality.score_drift is not None
    assert quality.score_drift.psi_at_most == 0.25
    assert quality.forbids == ("^$", "a+")


def test_a_signal_is_a_target_like_any_other(tmp_path: Path) -> None:
    written(tmp_path / "golden.jsonl", "{}")
    text = RICH.replace("at_least: 90%}}", "at_least: 90%, bearer_token_file: t, redirects: 1}}")
    signal = config(tmp_path, text).settings.pipelines["rag"].quality.signals["thumbs"]
    assert (signal.bearer_token_file, signal.redirects) == (f"{tmp_path}/t", 1)


def test_files_share_teams_and_pipelines(tmp_path: Path) -> None:
    written(tmp_path / "b.yml", "pipelines: {b: {owner: x, stages: {s: {team: y, kind: source}}}}")
    written(tmp_path / "a.yaml", "pipelines: {a: {owner: y, stages: {s: {team: x, kind: source}}}}")
    written(tmp_path / "teams.yaml", "teams: {x: {}}\n")
    written(tmp_path / "more" / "teams.yaml", "teams: {y: {}}\nweb: {listen: ':1'}\n")
    written(tmp_path / "notes.txt", "not: [read")
    written(tmp_path / ".hidden.yaml", "not: [read")
    loaded = load([tmp_path, tmp_path / "more" / "teams.yaml"])
    assert list(loaded.pipelines) == ["a", "b"]
    assert set(loaded.settings.teams) == {"x", "y"}
    assert loaded.web_dir == tmp_path / "more"
    assert [file.name for file in loaded.files] == ["a.yaml", "b.yml", "teams.yaml", "teams.yaml"]


def test_the_same_pipeline_in_two_files_names_both_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = written(Path("one.yaml"), ONE.lstrip())
    two = written(Path("two.yaml"), "web: {}\npipelines:\n  rag: {}\nteams: {ml: {}}\n")
    three = written(Path("three.yaml"), "web: {}\n")
    assert problems(one, two, three) == dedent("""\
        one.yaml, two.yaml, three.yaml: 3 problems
          two.yaml:3:3: pipelines.rag: stands in one.yaml:3 as well; keep one of them
          two.yaml:4:9: teams.ml: stands in one.yaml:1 as well; keep one of them
          three.yaml:1:1: web: stands in two.yaml:1 as well; keep one of them""")


def test_problems_of_several_files_each_name_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("d/a.yaml"), "teams: {x: {pages: {}}}\n")
    written(Path("d/b.yaml"), "pipelines: {a: {owner: z, stages: {s: {team: x, kind: source}}}}\n")
    assert problems(Path("d")) == dedent("""\
        d: 2 problems
          d/a.yaml:1:13: teams.x.pages: unknown key; did you mean "page"? write one of page, notify
          d/b.yaml:1:24: pipelines.a.owner: there is no team "z"; write one of x""")


def test_a_file_given_twice_is_read_once(tmp_path: Path) -> None:
    path = written(tmp_path / "seamwatch.yaml", ONE)
    assert len(load([path, tmp_path, path]).files) == 1


def test_a_file_that_is_not_there_or_a_directory_without_files_is_named(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.yaml"
    assert f"{nowhere}: there is no such file; seamwatch init" in problems(nowhere)
    assert f"{tmp_path}: the directory holds no *.yaml or *.yml file" in problems(tmp_path)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    looped = tmp_path / "seamwatch.yaml"
    looped.symlink_to(looped)
    assert "the file cannot be read (Too many levels of symbolic links)" in problems(looped)


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(17 << 20)
    assert problems(path).endswith(":1:1: larger than 16 MiB; split it into several files")


def test_a_hundred_thousand_opened_brackets_are_an_error_and_not_a_crash(tmp_path: Path) -> None:
    path = written(tmp_path / "deep.yaml", "a: " + "[" * 100_000)
    assert "nested deeper than 100 levels" in problems(path)
    written(path, "a: " + "{a: " * 100_000)
    assert "nested deeper than 100 levels" in problems(path)


def test_paths_are_relative_to_the_file_that_they_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "golden" / "g.jsonl", '{"id": "a", "input": "q", "expected": "x"}\n')
    text = (
        ONE.replace('meta"', 'meta", bearer_token_file: token, tls: {ca_file: /etc/ca.pem}')
        + '    model: {http: {url: "http://m/", json: "{{ input }}", answer: a,'
        " basic_auth: {username: u, password_file: ../p}}}\n"
        "    golden: {file: ../golden/g.jsonl, task: text}\n"
        "store: sqlite:///state/x.db\n"
    )
    written(tmp_path / "conf" / "c.yaml", text)
    loaded = load("conf/c.yaml")
    assert loaded.base_dir("rag") == tmp_path / "conf"
    assert loaded.store_url == f"sqlite:///{tmp_path}/conf/state/x.db"
    section = loaded.settings.pipelines["rag"]
    source = section.stages["ingest"].source
    assert source is not None
    assert source.http is not None
    assert source.http.bearer_token_file == f"{tmp_path}/conf/token"
    assert source.http.tls is not None
    assert source.http.tls.ca_file == "/etc/ca.pem"
    assert section.model is not None
    assert section.model.http is not None
    assert section.model.http.basic_auth is not None
    assert section.model.http.basic_auth.password_file == f"{tmp_path}/conf/../p"


@pytest.mark.parametrize(
    ("url", "means"),
    [
        ("sqlite:////var/lib/x.db", "sqlite:////var/lib/x.db"),
        ("sqlite+pysqlite:///x.db?timeout=5", "sqlite+pysqlite:///{}/x.db?timeout=5"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql+asyncpg://u@db/x", "postgresql+asyncpg://u@db/x"),
    ],
)
def test_only_a_file_of_a_store_is_made_absolute(tmp_path: Path, url: str, means: str) -> None:
    assert config(tmp_path, f'{ONE}store: "{url}"\n').store_url == means.format(tmp_path)


def test_the_environment_fills_texts_anywhere_and_two_dollars_keep_one(tmp_path: Path) -> None:
    text = ONE.replace("ingest.example", "${HOST}:80").replace(
        "data_age: 90s", 'data_age: "${AGE}"'
    )
    text += '    quality: {}\nweb: {external_url: "https://x/$${HOST}"}\n'
    loaded = config(tmp_path, text, HOST="h.example", AGE="2m")
    source = loaded.settings.pipelines["rag"].stages["ingest"].source
    assert source is not None
    assert source.http is not None
    assert source.http.url == "http://h.example:80/meta"
    assert loaded.pipelines["rag"].by_name["index"].data_age == 120
    assert loaded.settings.web.external_url == "https://x/${HOST}"


def test_the_environment_cannot_add_keys(tmp_path: Path) -> None:
    text = ONE.replace('url: "http://ingest.example/meta"', 'url: "${URL}"')
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, text, URL="http://h/\n, redirects: 3")
    assert "redirects" not in str(caught.value)


def test_neither_repr_nor_pickle_errors_show_a_secret(tmp_path: Path) -> None:
    text = (
        ONE.replace('meta"', 'meta", bearer_token: "${T}", headers: {X-Api-Key: "${T}"}')
        + "store: postgresql://u:${T}@db/x\n"
    )
    loaded = config(tmp_path, text, T="hunter2")
    assert "hunter2" not in repr(loaded)
    assert loaded.store_url == "postgresql://u:hunter2@db/x"


def test_a_configuration_survives_the_way_to_another_process(tmp_path: Path) -> None:
    path = written(tmp_path / "seamwatch.yaml", ONE)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = pool.submit(load, path).result()
        failed = pool.submit(load, tmp_path / "nowhere").exception()
    assert there == load(path)
    assert isinstance(failed, ConfigError)
    assert "there is no such file" in str(failed)
    assert failed.problems[0].file.endswith("nowhere")
    assert pickle.loads(pickle.dumps(there)) == there


async def test_loading_in_a_thread_leaves_the_loop_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "seamwatch.yaml", ONE)
    loaded = await asyncio.to_thread(load, path)
    assert list(loaded.pipelines) == ["rag"]


def test_the_digest_changes_with_any_byte_of_any_file(tmp_path: Path) -> None:
    first = config(tmp_path).digest
    assert config(tmp_path).digest == first
    assert config(tmp_path, ONE + "# more\n").digest != first


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "seamwatch.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + ONE.replace("\n", "\r\n").encode())
    assert list(load(path).pipelines) == ["rag"]


def test_one_empty_file_among_others_is_no_problem(tmp_path: Path) -> None:
    written(tmp_path / "a.yaml", "# pipelines of next year\n")
    written(tmp_path / "b.yaml", ONE)
    written(tmp_path / "c.yaml", "teams:\n")
    assert list(load(tmp_path).pipelines) == ["rag"]


def test_what_could_not_be_read_is_said_once(tmp_path: Path) -> None:
    text = problems(
        written(tmp_path / "x.yaml", ONE.replace("team: data, kind: index", "team: no"))
    )
    assert text.count("index.team") == 1
    assert text.startswith(f"{tmp_path}/x.yaml: 2 problems")
    assert "index.kind: is missing; add kind: <one of source, transform" in text


PLAIN = st.one_of(
    st.booleans(),
    st.none(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=20),
)
TREES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc _-", min_size=1, max_size=5), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(TREES, st.booleans())
@settings(max_examples=300, deadline=None)
def test_what_yaml_writes_is_read_back_the_same(tree: object, flow: bool) -> None:
    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    def quoted(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        # PyYAML leaves 08 and 0E0 plain: texts in YAML 1.1, numbers in 1.2, a problem to us
        style = "'" if value[:1] in "+-.0123456789" else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)

    Dumper.add_representer(str, quoted)
    text = yaml.dump({"root": tree}, Dumper=Dumper, allow_unicode=True, default_flow_style=flow)
    if "${" not in text and "\x7f" not in text and "\x85" not in text:
        document = parse(text, {})
        assert document.faults == []
        assert document.value == {"root": tree}


@given(TREES)
@settings(max_examples=200, deadline=None)
def test_every_value_is_found_at_its_place(tree: object) -> None:
    text = yaml.safe_dump({"root": tree}, allow_unicode=True)
    paths = list(walk(("root",), tree))
    spots = locate(text, paths)
    if "&id" not in text:
        assert set(spots) == set(paths)
    lines = text.splitlines()
    for path, spot in spots.items():
        line, column = spot.key
        assert len(lines[line - 1]) >= column - 1
        if isinstance(path[-1], str):
            assert lines[line - 1][column - 1 :].lstrip("'\"? ").startswith(path[-1].strip()[:1])


def walk(path: tuple[str | int, ...], tree: object) -> list[tuple[str | int, ...]]:
    below = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    return [path, *(found for key, value in below for found in walk((*path, key), value))]


@given(st.text(max_size=200) | st.text("{}[]:-,*&!|>'\"%@`#?\n\t ab01.$", max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_text_is_a_document_or_has_faults(text: str) -> None:
    decoded = decode(text.encode("utf-8", "surrogatepass"))
    if isinstance(decoded, str):
        document = parse(decoded, {})
        assert document.faults or document.value is None or decoded.strip(" \t\r\n")


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_configuration_or_a_problem(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.yaml")
        path.write_bytes(content)
        with pytest.raises(ConfigError):
            load(path, environ={})


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_damage_to_a_good_file_is_a_problem_or_another_configuration(
    data: st.DataObject,
) -> None:
    import tempfile

    tree = yaml.safe_load(RICH)
    spots = walk((), tree)[1:]
    path = data.draw(st.sampled_from(spots))
    here = tree
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = data.draw(TREES)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "x.yaml")
        Path(folder, "golden.jsonl").write_text("{}")
        file.write_text(yaml.safe_dump(tree), encoding="utf-8")
        try:
            load(file, environ={})
        except ConfigError as error:
            problems = error.problems
        else:
            return
    assert problems
    assert not [p for p in problems if not p.message or not p.line or "Input" in p.message]


EDGES = st.integers(2, 7).flatmap(
    lambda size: st.fixed_dictionaries(
        {
            f"s{index}": st.lists(
                st.sampled_from([f"s{other}" for other in range(size) if other != index]),
                max_size=3,
                unique=True,
            )
            for index in range(size)
        }
    )
)


@given(EDGES)
def test_order_and_cycles_agree(edges: dict[str, list[str]]) -> None:
    order = topological(edges)
    assert all(order.index(up) < order.index(name) for name in order for up in edges[name])
    on_cycle = {n for n, ups in edges.items() if any(n in reachable([up], edges) for up in ups)}
    found = cycles(edges)
    assert bool(found) == bool(on_cycle)
    assert (len(order) == len(edges)) == (not found)
    for cycle in found:
        assert set(cycle) <= on_cycle
        following = zip(cycle, (*cycle[1:], cycle[0]), strict=True)
        assert all(up in edges[name] for up, name in following)


@given(EDGES)
def test_an_order_that_is_already_right_is_kept(edges: dict[str, list[str]]) -> None:
    forward = {name: [up for up in edges[name] if up < name] for name in sorted(edges)}
    assert topological(forward) == tuple(sorted(forward))


@given(EDGES)
def test_parts_are_the_classes_of_who_reaches_whom(edges: dict[str, list[str]]) -> None:
    parts = components(edges)
    assert sorted(name for part in parts for name in part) == sorted(edges)
    part_of = {name: part for part in parts for name in part}
    assert all(part_of[up] == part_of[name] for name, ups in edges.items() for up in ups)
    both = {n: [*ups, *(m for m in edges if n in edges[m])] for n, ups in edges.items()}
    assert all(set(part) == reachable([part[0]], both) for part in parts)
