"""Files and directories of YAML as one Config, or as every problem that they have."""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from seamwatch.config.addresses import sqlite_path, with_sqlite_path
from seamwatch.config.checks import check
from seamwatch.config.files import Merged, merge, read
from seamwatch.config.paths import make_absolute
from seamwatch.config.pipelines import pipelines
from seamwatch.config.places import place, place_faults
from seamwatch.config.problems import ConfigError, Finding, Problem
from seamwatch.config.schema import Settings
from seamwatch.config.sentences import findings
from seamwatch.pipeline import Pipeline


@dataclass(frozen=True)
class Config:
    """A configuration without problems. Plain values: it crosses threads and processes."""

    settings: Settings
    pipelines: Mapping[str, Pipeline]
    files: tuple[Path, ...]  # in the order they were read
    digest: str  # sha256 of the files' contents, hex
    base_dirs: Mapping[str, Path]  # pipeline -> directory that its paths are relative to
    web_dir: Path  # directory that the paths under web are relative to
    store_url: str = field(repr=False)  # SQLite files with absolute path; may hold a password

    def base_dir(self, pipeline: str) -> Path:
        """Return the directory of the file that defines *pipeline*."""
        return self.base_dirs[pipeline]


def load(
    paths: str | Path | Sequence[str | Path], *, environ: Mapping[str, str] | None = None
) -> Config:
    """Return the configuration in *paths*, each a file or a directory of ``*.yaml`` and ``*.yml``.

    Reads those files, looks whether the files they name exist, and does nothing else: it can run
    in a thread or a process of its own. *environ* is the process's environment by default.

    Raises:
        ConfigError: with all problems of all files.
    """
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    with _without_collection():
        return _load(given, os.environ if environ is None else environ)


def _load(given: Sequence[Path], environ: Mapping[str, str]) -> Config:
    name = ", ".join(map(str, given)) or "no file"
    files = read(given, environ)
    if not any(file.value or file.faults for file in files):
        message = "nothing is written here; seamwatch init writes a file to start from"
        where = str(files[0].path) if files else name
        raise ConfigError(name, [Problem(where, 1, 1, (), message)])
    if any(file.value is None for file in files):
        # what could not be read would now be missed everywhere else
        raise ConfigError(name, place_faults(files))
    merged = merge(files)
    settings, found = _validate(merged)
    if settings is None or found or merged.clashes or any(file.faults for file in files):
        raise ConfigError(name, place(merged, found))
    return _config(merged, settings, environ)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Hold the garbage collector: it would walk the growing values over and over, 25 % of all."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _validate(merged: Merged) -> tuple[Settings | None, list[Finding]]:
    settings, found = None, []
    base_dirs = _base_dirs(merged)
    make_absolute(merged.data, base_dirs)
    try:
        settings = Settings.model_validate(merged.data)
    except ValidationError as error:
        found = findings(error, merged.data)
    lost = [fault.path for file in merged.files for fault in file.faults]
    troubled = {*lost, *(finding.path for finding in found)}
    found += check(
        merged.data,
        base_dirs=base_dirs,
        without_graph={path[1] for path in troubled if path[2:3] == ("stages",)},
        without_teams=any(path[:1] == ("teams",) for path in lost),
    )
    return settings, found


def _config(merged: Merged, settings: Settings, environ: Mapping[str, str]) -> Config:
    digest = hashlib.sha256()
    for file in merged.files:
        digest.update(len(file.content).to_bytes(8, "big") + file.content)
    return Config(
        settings=settings,
        pipelines=pipelines(settings),
        files=tuple(file.path for file in merged.files),
        digest=digest.hexdigest(),
        base_dirs=_base_dirs(merged),
        web_dir=merged.home(("web",)).directory,
        store_url=_store_url(merged, settings, environ),
    )


def _base_dirs(merged: Merged) -> dict[str, Path]:
    directories: dict[int, Path] = {id(file): file.directory for file in merged.files}
    named = merged.data.get("pipelines")
    names = named if isinstance(named, dict) else {}
    return {name: directories[id(merged.home(("pipelines", name)))] for name in names}


def _store_url(merged: Merged, settings: Settings, environ: Mapping[str, str]) -> str:
    """Return the store's URL; by default beside the file, or where systemd lets us write."""
    url = settings.store.get_secret_value()
    path = sqlite_path(url)
    state = environ.get("STATE_DIRECTORY", "").partition(":")[0]  # the first of several
    is_default = "store" not in settings.model_fields_set
    directory = Path(state) if state and is_default else merged.home(("store",)).directory
    return url if path is None else with_sqlite_path(url, str(directory / path))
