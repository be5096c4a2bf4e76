"""The files of a configuration, read within bounds and merged, with the file of each key known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seamwatch.config.document import MAX_BYTES, Fault, decode, parse
from seamwatch.config.problems import KeyPath

SPREAD = ("teams", "pipelines")  # mappings that may stand in several files
_SUFFIXES = (".yaml", ".yml")


@dataclass(slots=True)
class File:
    """A file as it was read; *value* is None where the file is no mapping."""

    path: Path  # as it was given, for messages
    content: bytes = b""
    text: str = ""
    value: dict[str, Any] | None = None
    faults: list[Fault] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        """What the paths written in it are relative to."""
        return self.path.absolute().parent


@dataclass(slots=True)
class Merged:
    """All files as one mapping."""

    files: Sequence[File]
    data: dict[str, Any] = field(default_factory=dict)
    homes: dict[KeyPath, File] = field(default_factory=dict)  # e.g. ("teams", "data") -> its file
    clashes: list[tuple[KeyPath, File, File]] = field(default_factory=list)  # path, first, second

    def home(self, path: KeyPath) -> File:
        """Return the file that *path* stands in, the first one for what stands nowhere."""
        return self.homes.get(path[:2]) or self.homes.get(path[:1]) or self.files[0]


def read(paths: Sequence[Path], environ: Mapping[str, str]) -> list[File]:
    """Return the files at *paths* and in the directories among them, each once."""
    files: dict[Path, File] = {}
    for path in paths:
        for file in _expand(path):
            files.setdefault(file.path.absolute(), file)
    for file in files.values():
        if not file.faults:
            _read_into(file, environ)
    return list(files.values())


def merge(files: Sequence[File]) -> Merged:
    """Return *files* as one mapping; what stands in two of them is a clash and counts once."""
    merged = Merged(files)
    for file in files:
        for root, value in (file.value or {}).items():
            if root in SPREAD and isinstance(value, dict):
                below = merged.data.setdefault(root, {})
                for name, section in value.items():
                    _put(merged, below, (root, name), section, file)
            else:
                _put(merged, merged.data, (root,), value, file)
    return merged


def _put(merged: Merged, into: dict[str, Any], path: KeyPath, value: Any, file: File) -> None:
    first = merged.homes.setdefault(path, file)
    if first is file:
        into[str(path[-1])] = value
    else:
        merged.clashes.append((path, first, file))


def _expand(path: Path) -> Iterator[File]:
    if not path.is_dir():
        yield File(path)
        return
    try:
        inside = sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES and p.name[0] != ".")
    except OSError as error:
        yield _failed(path, f"the directory cannot be read ({error.strerror})")
        return
    if not inside:
        yield _failed(path, "the directory holds no *.yaml or *.yml file; give one that does")
    yield from map(File, inside)


def _read_into(file: File, environ: Mapping[str, str]) -> None:
    try:
        with file.path.open("rb") as stream:
            file.content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        message = "there is no such file; seamwatch init writes one to start from"
        file.faults.append(Fault(0, 0, (), message))
        return
    except OSError as error:
        file.faults.append(Fault(0, 0, (), f"the file cannot be read ({error.strerror})"))
        return
    text = decode(file.content)
    if isinstance(text, Fault):
        file.faults.append(text)
        return
    file.text = text
    document = parse(text, environ)
    file.faults += document.faults
    if isinstance(document.value, dict):
        file.value = document.value
        _check_roots(file, document.value)
    elif document.value is not None:
        what = "a list" if isinstance(document.value, list) else "a single text"
        message = f"{what} stands at the top of the file; write teams: and pipelines:"
        file.faults.append(Fault(1, 1, (), message))
    elif not document.faults:
        file.value = {}


def _check_roots(file: File, value: dict[str, Any]) -> None:
    """Drop what is empty from files that share the same roots with others."""
    for root in SPREAD:
        if root in value and value[root] is None:
            del value[root]


def _failed(path: Path, message: str) -> File:
    return File(path, faults=[Fault(0, 0, (), message)])
