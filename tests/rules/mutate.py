"""Breaks the rules on purpose and says which defects the tests in this directory notice.

    python tests/rules/mutate.py            # all mutants, some minutes
    python tests/rules/mutate.py slo gate   # those of these files

A defect that no test notices is a guard that nobody would miss: it fails the run. Mutants are made
by kind, at every place where the kind fits: a cap, a fallback, a coverage, a threshold, a window, a
join... What cannot be told apart by its result is named in EQUIVALENT, with the reason.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).parent
ALERTS = HERE.parents[1] / "alerts"
TESTS = {
    "slo": ["slo-page", "slo-hazards", "slo-days", "slo-budget"],
    "pipeline": ["pipeline", "modes", "exporter"],
    "gate": ["gate"],
    "exporter": ["exporter"],
}  # the files of tests that read a file of rules, most telling first

# kind, pattern, replacement: made at every match in an expression
KINDS: tuple[tuple[str, str, str], ...] = (
    ("loses a fallback", r"\nor on \([^)]*\)(?:[^\n]|\n(?!or on|\)|/))*$", ""),
    ("loses a guard (unless)", r"\n *unless on \([^)]*\) ?(?:\n? *[^\n]*)", ""),
    ("loses a guard (and)", r"\n *and on \([^)]*\) ?(?:\n? *[^\n]*)", ""),
    ("does not cap", r"clamp_max\((.*), 0\.5\)", r"\1"),
    ("divides by nothing", r" > 0\)", ")"),
    ("does not aggregate", r"\b(?:max|min) by \([^)]*\) \((last_over_time\([^()]*\))\)", r"\1"),
    ("does not bridge a gap", r"last_over_time\((\w+)\[10m\]\)", r"\1"),
    ("factor of a tier", r"(?<![\d.])(14\.4|6|3) \* pipeline", r"1.5 * pipeline"),
    ("takes the bad for all", r"bad_events_total", "events_total"),
    ("another verdict", r'verdict="(?:stale|invalid|timeout)"', 'verdict="refused"'),
    ("another bound", r'bound="(lower|upper|limit)"', 'bound="estimate"'),
    ("comparison turned", r" == 1\b", " == 0"),
    ("comparison turned", r" == 0\b", " == 1"),
    ("compares with twice as much", r"> 0\.(\d+)", r"> 1.\1"),
    ("takes any kind", r'\{kind(?:=~|!=|=)"[^"]*"\}', ""),
    ("takes any state", r'\{(?:state|standing|slo|check|reason)(?:=~|!=|=)"[^"]*"\}', ""),
    ("offset lost", r" offset 1h", ""),
)


@dataclass(frozen=True)
class Mutant:
    """One rule that was changed in one place."""

    file: str
    rule: str
    kind: str
    was: str
    expression: str  # as it was before
    text: str  # of the whole file


def mutants(name: str) -> Iterator[Mutant]:
    """Yield every mutant of alerts/*name*.rules.yaml."""
    original = yaml.safe_load((ALERTS / f"{name}.rules.yaml").read_text())
    for g, group in enumerate(original["groups"]):
        for r, rule in enumerate(group["rules"]):
            who = str(rule.get("alert") or rule["record"])
            for kind, was, changed in changes(rule):
                copy = yaml.safe_load(yaml.safe_dump(original))
                copy["groups"][g]["rules"][r] = changed
                text = yaml.safe_dump(copy, width=10_000)
                yield Mutant(name, who, kind, was, str(rule["expr"]), text)


def changes(rule: dict[str, object]) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Yield (kind, what was changed, the changed rule)."""
    expression = str(rule["expr"])
    for kind, pattern, replacement in KINDS:
        for match in re.finditer(pattern, expression):
            new = match.expand(replacement)
            broken = expression[: match.start()] + new + expression[match.end() :]
            if broken.count("(") == broken.count(")"):
                yield kind, " ".join(match[0].split()), {**rule, "expr": broken}
    if "for" in rule:
        yield "fires at once", f"for: {rule['for']}", {k: v for k, v in rule.items() if k != "for"}
    if "alert" in rule:
        yield "never fires", "expr", {**rule, "expr": f"({expression}) and vector(0) == 1"}
        match = re.search(r"group_left \(team\)", expression)
        if match:
            yield (
                "loses its team",
                match[0],
                {
                    **rule,
                    "expr": expression.replace("group_left (team)", "group_left ()"),
                },
            )


def noticed(mutant: Mutant) -> str:
    """Return the file of tests that notices *mutant*; empty: none does."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        for file in ALERTS.glob("*.rules.yaml"):
            shutil.copy(file, where)
        rules = where / f"{mutant.file}.rules.yaml"
        rules.write_text(mutant.text)
        check = subprocess.run(["promtool", "check", "rules", rules], capture_output=True)
        if check.returncode:
            return "does not parse"
        for test in TESTS[mutant.file]:
            if not write(where / "one.test.yaml", test, mutant.rule, mutant.expression):
                continue
            ran = subprocess.run(
                ["promtool", "test", "rules", "one.test.yaml"], cwd=where, capture_output=True
            )
            if ran.returncode:
                return test
    return ""


def write(path: Path, test: str, rule: str, expression: str) -> bool:
    """Write the cases of *test* that can tell of *rule* to *path*; say whether there are any.

    Those of an alert name it, expect that nothing fires, or feed it; of a recorded series all may
    tell. (Severities are held by the golden file of annotations.)
    """
    fed = set(re.findall(r"(?<!:)\bseamwatch_\w+", expression))
    content = yaml.safe_load((HERE / f"{test}.test.yaml").read_text())
    content["tests"] = [
        case
        for case in content["tests"]
        if ":" in rule
        or rule in str(case["promql_expr_test"])
        or not any(check["exp_samples"] for check in case["promql_expr_test"])
        or fed & {one["series"].partition("{")[0] for one in case["input_series"]}
    ]
    path.write_text(yaml.safe_dump(content, width=10_000))
    return bool(content["tests"])


EQUIVALENT: dict[tuple[str, str, str], str] = {}


def main(names: list[str]) -> int:
    """Print the table and the survivors; return how many there are."""
    made = [mutant for name in names or TESTS for mutant in mutants(name)]
    with ThreadPoolExecutor(2) as pool:
        found = []
        for mutant, by in zip(made, pool.map(noticed, made), strict=True):
            found.append((mutant, by))
            if not by:
                why = EQUIVALENT.get((mutant.rule, mutant.kind, mutant.was), "")
                print(f"survives: {mutant.rule}: {mutant.kind}: {mutant.was}  {why}", flush=True)
    total, killed = Counter(m.kind for m, _ in found), Counter(m.kind for m, by in found if by)
    for kind in sorted(total):
        print(f"{kind:32} {killed[kind]:4} of {total[kind]:4} noticed")
    alive = [m for m, by in found if not by]
    left = [m for m in alive if (m.rule, m.kind, m.was) not in EQUIVALENT]
    print(
        f"{sum(killed.values())} of {len(found)} noticed, {len(alive) - len(left)} equivalent,"
        f" {len(left)} survive"
    )
    return len(left)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
