"""A parsed /metrics page: samples by name and labels."""

from __future__ import annotations

from collections.abc import Mapping

Labels = Mapping[str, str]


class Page:
    """A parsed exposition of seamwatch; every name is said without its prefix."""

    def __init__(self, text: str) -> None:
        from prometheus_client.parser import text_string_to_metric_families

        self._samples: dict[str, list[tuple[Labels, float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def all(self, name: str, **labels: str) -> list[tuple[Labels, float]]:
        """Return the samples of ``seamwatch_<name>`` that have *labels*."""
        found = self._samples.get(f"seamwatch_{name}", [])
        return [one for one in found if labels.items() <= one[0].items()]

    def one(self, name: str, **labels: str) -> float | None:
        """Return the value of the first such sample, None if there is none."""
        found = self.all(name, **labels)
        return found[0][1] if found else None

    def named(self, name: str, label: str, **labels: str) -> tuple[str, ...]:
        """Return the values of *label* where such a sample is 1."""
        return tuple(found[label] for found, value in self.all(name, **labels) if value == 1)
