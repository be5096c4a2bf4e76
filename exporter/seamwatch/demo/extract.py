"""Regenerate the facts behind the demo from the published packages; for maintainers.

    python -m seamwatch.demo.extract [DIRECTORY]

Needs npm and pip. Only facts are kept (ids, names, statuses, dates, place names); the sentences
that the projects wrote about them are not. Package registries may show a mirror's dates, so the
event time of a release is read inside its data: the newest browser release that it knows of.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from seamwatch.demo.facts import FOLDER

RELEASES = ("2.36.0", "3.0.0", "3.10.0", "3.19.0", "3.30.0", "3.40.0")
TZDATA = "2026.6"
STATUS = {False: "l", "low": "n", "high": "w"}


def published(version: str, folder: Path) -> dict[str, Any]:
    """Download one release of web-features and return its data.json."""
    subprocess.run(["npm", "pack", "--silent", f"web-features@{version}"], cwd=folder, check=True)
    with tarfile.open(folder / f"web-features-{version}.tgz") as package:
        member = package.extractfile("package/data.json")
        assert member is not None
        data: dict[str, Any] = json.load(member)
        return data


def features(data: dict[str, Any]) -> dict[str, Any]:
    """Return the features of a release without those that only point to others."""
    return {
        key: value
        for key, value in data["features"].items()
        if value.get("kind", "feature") == "feature"
    }


def event_date(data: dict[str, Any]) -> str:
    """Return the date of the newest browser release that a release of the data knows of."""
    return max(
        str(release["date"])
        for browser in data["browsers"].values()
        for release in browser["releases"]
    )


def places(folder: Path) -> list[str]:
    """Return the places that name time zones, from one release of the tz database."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
    subprocess.run([*command, f"tzdata=={TZDATA}"], check=True)
    with zipfile.ZipFile(next(folder.glob("tzdata-*.whl"))) as wheel:
        zones = wheel.read("tzdata/zones").decode().split()
    aliases = ("Etc/", "US/", "Brazil/", "Canada/", "Mexico/", "Chile/", "SystemV/")
    kept = (zone for zone in zones if "/" in zone and not zone.startswith(aliases))
    return sorted({zone.rsplit("/", 1)[1].replace("_", " ") for zone in kept})


def write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    """Write one CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main(target: Path) -> None:
    """Write releases.csv, features.csv and places.csv into *target*."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = {version: published(version, folder) for version in RELEASES}
        cities = places(folder)
    known = {version: features(data[version]) for version in RELEASES}
    names = {key: value["name"] for version in RELEASES for key, value in known[version].items()}
    rows = [
        [
            key,
            names[key],
            *(
                STATUS[known[v][key]["status"]["baseline"]] if key in known[v] else ""
                for v in RELEASES
            ),
        ]
        for key in sorted(names)
    ]
    target.mkdir(parents=True, exist_ok=True)
    write(target / "features.csv", ["id", "name", *RELEASES], rows)
    write(
        target / "releases.csv",
        ["release", "complete_until"],
        [[version, event_date(data[version])] for version in RELEASES],
    )
    write(target / "places.csv", ["name"], [[city] for city in cities])
    counts = f"{len(rows)} features, {len(RELEASES)} releases, {len(cities)} places"
    sys.stdout.write(f"{counts} in {target}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
