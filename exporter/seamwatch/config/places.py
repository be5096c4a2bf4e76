"""From findings to problems: the line and column that each finding is about.

The files are parsed a second time for that, but only when something is wrong with them: keeping
the place of every value would cost more memory than the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from seamwatch.config.document import MAX_BYTES, decode
from seamwatch.config.files import File, Merged
from seamwatch.config.keys import allowed
from seamwatch.config.locating import Spot, locate
from seamwatch.config.problems import WRITTEN, Finding, KeyPath, Problem
from seamwatch.config.scalars import Trap

_LONGEST = 60  # characters of a value that a message shows


def place(merged: Merged, found: Iterable[Finding]) -> list[Problem]:
    """Return all problems in the order of files and lines: faults, *found* and clashes."""
    lost = {f.path for file in merged.files for f in file.faults if f.loses}
    findings: dict[int, list[Finding]] = {id(file): [] for file in merged.files}
    for finding in found:
        if not _is_about(finding, lost):
            findings[id(merged.home(finding.path))].append(finding)
    for path, first, second in merged.clashes:
        spot = locate(first.text, [path]).get(path)
        where = f"{first.path}:{spot.key[0]}" if spot else str(first.path)
        message = f"stands in {where} as well; keep one of them"
        findings[id(second)].append(Finding(path, message, at_key=True))
    problems: list[Problem] = []
    for file in merged.files:
        here = place_faults([file]) + _located(file, findings[id(file)])
        problems += sorted(here, key=lambda problem: (problem.line, problem.column))
    return problems


def place_in(paths: Sequence[Path], found: Iterable[Finding]) -> list[Problem]:
    """Return what was *found* about a configuration that has been loaded from *paths*.

    The files are read once more; a finding whose place is not there any more stands at no line.
    """
    files = [(path, _text(path)) for path in paths]
    findings = list(found)
    wanted = {finding.path[:end] for finding in findings for end in range(len(finding.path) + 1)}
    spots = [(path, locate(text, wanted)) for path, text in files]
    problems = []
    for finding in findings:
        home = next((one for one in spots if finding.path[:2] in one[1]), None)
        if home is None:
            problems.append(Problem(str(paths[0]), 0, 0, finding.path, finding.message))
        else:
            problems.append(_problem(str(home[0]), finding, home[1]))
    return problems


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = decode(file.read(MAX_BYTES))
    except OSError:
        return ""
    return text if isinstance(text, str) else ""


def place_faults(files: Sequence[File]) -> list[Problem]:
    """Return what could not be read."""
    problems = []
    for file in files:
        for fault in file.faults:
            message = fault.message
            if isinstance(message, Trap):
                message = message.describe(shown=allowed(fault.path).may_be_shown)
            problem = Problem(str(file.path), fault.line, fault.column, fault.path, message)
            problems.append(problem)
    return problems


def _is_about(finding: Finding, lost: set[KeyPath]) -> bool:
    """Say whether the finding only follows from a value that could not be read."""
    path = finding.path
    above = any(path[:end] in lost for end in range(1, len(path) + 1))
    return above or any(fault[: len(path)] == path for fault in lost)


def _located(file: File, findings: Sequence[Finding]) -> list[Problem]:
    if not findings:
        return []
    wanted = {finding.path[:end] for finding in findings for end in range(len(finding.path) + 1)}
    spots = locate(file.text, wanted)
    return [_problem(str(file.path), finding, spots) for finding in findings]


def _problem(file: str, finding: Finding, spots: Mapping[KeyPath, Spot]) -> Problem:
    nearest = finding.path
    while nearest and nearest not in spots:
        nearest = nearest[:-1]
    spot = spots.get(nearest) or Spot((1, 1), (1, 1), None)
    at_key = finding.at_key or nearest != finding.path or spot.text is None
    line, column = spot.key if at_key else spot.value
    text = spot.text or ""
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
    message = finding.message.replace(WRITTEN, text)
    return Problem(file, line, column, finding.path, message)
