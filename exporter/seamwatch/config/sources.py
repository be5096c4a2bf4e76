"""The sections under ``stages.<name>.source``: one for each kind of stage source.

A kind is one section here, one line in SourceSection, and one reader in ``seamwatch.sources``.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from seamwatch.config.fields import Expression, Secret, Section, Size, Texts
from seamwatch.config.reach import HttpTarget

TimeFormat = Literal["auto", "rfc3339", "s", "ms", "us", "ns"]


class TimeSection(Section):
    """How a source writes timestamps; ``auto`` takes RFC 3339 text and epoch seconds."""

    time: TimeFormat = "auto"
    zone: str | None = None  # IANA zone of timestamps that carry none


class FieldsSection(Section):
    """Where each field of the stage contract stands in the answer, as JMESPath."""

    status: Expression = "status"
    version: Expression = "version"
    watermark: Expression = "watermark"
    updated_at: Expression = "updated_at"
    built_from: Expression = "built_from"
    tuned_on: Expression = "tuned_on"
    rows: Expression = "rows"
    settings: Expression = "settings"


HEALTHY: tuple[str, ...] = (
    "ok",
    "healthy",
    "green",
    "up",
    "ready",
    "running",
    "success",
    "succeeded",
    "pass",
    "passed",
)


class HttpSource(HttpTarget, TimeSection):
    """Any JSON over HTTP."""

    fields: FieldsSection = FieldsSection()
    healthy: Texts = HEALTHY  # texts of status that mean healthy, in any case


class PromQuery(Section):
    """A PromQL query of which a label is the value, e.g. a version in an _info series."""

    query: str
    label: str


class PrometheusSource(HttpTarget, TimeSection):
    """PromQL for each field; *url* is the server's base address."""

    status: str | None = None  # a query: above 0 is healthy
    version: PromQuery | None = None
    watermark: str | None = None
    updated_at: str | None = None
    built_from: dict[str, PromQuery] = Field(default_factory=dict)
    tuned_on: dict[str, PromQuery] = Field(default_factory=dict)
    rows: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.version is None and self.watermark is None and self.updated_at is None:
            raise ValueError("give a query for at least one of version, watermark, updated_at")
        return self


class SqlSource(TimeSection):
    """One row of a query; its columns are named like the fields of the stage contract."""

    url: Secret | None = None  # SQLAlchemy URL: sqlite:///file.db, postgresql://user@host/db
    url_file: str | None = None
    query: str
    healthy: Texts = HEALTHY

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give either url or url_file")
        return self


class FileSource(TimeSection):
    """A file or object store through fsspec: a manifest, or the newest object of a pattern."""

    path: str  # /data/manifest.json, s3://bucket/index/*.parquet, http://host/manifest.json
    read: Literal["manifest", "newest"] = "manifest"
    # newest: how a date stands in the name, e.g. "%Y-%m-%d"; it becomes the watermark
    watermark_in_name: str | None = None
    options: dict[str, Secret] = Field(default_factory=dict)  # fsspec storage options
    max_bytes: Size = 1 << 20
    fields: FieldsSection = FieldsSection()
    healthy: Texts = HEALTHY


class StaticSource(TimeSection):
    """What nobody serves yet, written by hand."""

    status: str | None = None
    version: str | None = None
    watermark: str | float | None = None
    updated_at: str | float | None = None
    built_from: dict[str, str] = Field(default_factory=dict)
    tuned_on: dict[str, str] = Field(default_factory=dict)
    rows: float | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.version is None and self.watermark is None and self.updated_at is None:
            raise ValueError("give at least one of version, watermark, updated_at")
        return self


AnySource = HttpSource | PrometheusSource | SqlSource | FileSource | StaticSource


class SourceSection(Section):
    """Exactly one kind of source."""

    http: HttpSource | None = None
    prometheus: PrometheusSource | None = None
    sql: SqlSource | None = None
    file: FileSource | None = None
    static: StaticSource | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = sorted(self.model_fields_set)
        if len(given) != 1 or getattr(self, given[0]) is None:
            found = " and ".join(given) or "none"
            kinds = ", ".join(type(self).model_fields)
            raise ValueError(f"{found} given; give exactly one kind of source: {kinds}")
        return self

    @property
    def kind(self) -> str:
        """The name of the kind that is given."""
        return next(iter(self.model_fields_set))

    @property
    def section(self) -> AnySource:
        """The section of that kind."""
        section: AnySource = getattr(self, self.kind)
        return section
