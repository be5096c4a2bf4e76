"""The sections under ``stages.<name>.source``: one for each kind of stage source.

A kind is one section here, one line in SourceSection, and one reader in ``seamwatch.sources``.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, model_validator

from seamwatch.config.fields import Expression, Secret, Section, Size, Texts, shown
from seamwatch.config.reach import HttpTarget

TimeFormat = Literal["auto", "rfc3339", "s", "ms", "us", "ns"]


def _check_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (LookupError, OSError, ValueError) as error:
        raise ValueError(
            f"{shown(value)} is not an IANA time zone; write e.g. UTC or Europe/Berlin"
        ) from error
    return value


Zone = Annotated[str, AfterValidator(_check_zone)]
"""The name of an IANA time zone."""


class TimeSection(Section):
    """How a source writes timestamps; ``auto`` takes RFC 3339 text and epoch seconds."""

    time: TimeFormat = "auto"
    """How timestamps are written; `auto` takes RFC 3339 texts and epoch seconds."""
    zone: Zone | None = None
    """IANA time zone of timestamps that carry none, e.g. `Europe/Berlin`."""


class FieldsSection(Section):
    """Where each field of the stage contract stands in the answer, as JMESPath."""

    status: Expression = "status"
    """What the stage claims of its health."""
    version: Expression = "version"
    """What it serves now."""
    watermark: Expression = "watermark"
    """Event time up to which its output is complete."""
    updated_at: Expression = "updated_at"
    """When its job last ran."""
    built_from: Expression = "built_from"
    """Mapping of upstream stage to the version it was built from."""
    tuned_on: Expression = "tuned_on"
    """Mapping of upstream stage to the version its settings were chosen for."""
    rows: Expression = "rows"
    """How many rows, documents or vectors it has."""
    settings: Expression = "settings"
    """Settings that change answers, e.g. a threshold."""


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
    """Where each field of the stage contract stands in the answer."""
    healthy: Texts = HEALTHY
    """Texts of `status` that mean healthy, in any case."""


class PromQuery(Section):
    """A PromQL query of which a label is the value, e.g. a version in an _info series."""

    query: str
    """A query with one series as its result."""
    label: str
    """The label whose value is taken."""


class PrometheusSource(HttpTarget, TimeSection):
    """PromQL for each field; *url* is the server's base address."""

    status: str | None = None
    """Query: above 0 is healthy."""
    version: PromQuery | None = None
    """Query and label of the version."""
    watermark: str | None = None
    """Query: a timestamp."""
    updated_at: str | None = None
    """Query: a timestamp."""
    built_from: dict[str, PromQuery] = Field(default_factory=dict)
    """Query and label for each upstream stage."""
    tuned_on: dict[str, PromQuery] = Field(default_factory=dict)
    """Query and label for each upstream stage."""
    rows: str | None = None
    """Query: a number."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.version is None and self.watermark is None and self.updated_at is None:
            raise ValueError("give a query for at least one of version, watermark, updated_at")
        return self


DIALECTS: tuple[str, ...] = ("sqlite", "postgresql", "postgres")


def _check_dialect(value: SecretStr) -> SecretStr:
    # The URL may hold a password, so the message names no more of it than its scheme.
    scheme = value.get_secret_value().partition(":")[0].partition("+")[0]
    if scheme not in DIALECTS:
        found = scheme if re.fullmatch(r"[a-z][a-z0-9]{0,30}", scheme) else "this"
        raise ValueError(
            f"{found} databases cannot be read; write sqlite:///file.db or postgresql://user@host/db"
        )
    return value


class SqlSource(TimeSection):
    """One row of a query; its columns are named like the fields of the stage contract."""

    url: Annotated[Secret, AfterValidator(_check_dialect)] | None = None
    """Database as SQLAlchemy writes it: `sqlite:///file.db`,
    `postgresql://user:${PASSWORD}@host/db`.
    """
    url_file: str | None = None
    """File that holds the URL."""
    query: str
    """A query with one row; its columns are named like the fields of the stage contract."""
    healthy: Texts = HEALTHY
    """Texts of `status` that mean healthy, in any case."""

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give either url or url_file")
        return self


DATE_PARTS: dict[str, str] = {
    "%Y": r"\d{4}",
    "%m": r"\d\d",
    "%d": r"\d\d",
    "%j": r"\d{3}",
    "%H": r"\d\d",
    "%M": r"\d\d",
    "%S": r"\d\d",
}
"""What ``watermark_in_name`` may contain, and the digits that each part stands for."""


def _check_date_pattern(value: str) -> str:
    parts = re.findall(r"%.?", value)
    unknown = [part for part in parts if part not in DATE_PARTS]
    if unknown:
        raise ValueError(f"{shown(unknown[0])} is not one of {' '.join(DATE_PARTS)}")
    if "%Y" not in parts or not ({"%m", "%d"} <= set(parts) or "%j" in parts):
        raise ValueError(f"{shown(value)} is not a whole date; write e.g. %Y-%m-%d or %Y%m%d%H")
    if len(parts) != len(set(parts)):
        raise ValueError(f"{shown(value)} names a part of the date twice")
    return value


def _check_path(value: str) -> str:
    _, separator, rest = value.partition("://")
    if separator and "@" in rest.partition("/")[0] and ":" in rest.partition("@")[0]:
        raise ValueError("a path may not carry a password; write it under options")
    if not value.strip() or "\0" in value:
        raise ValueError("write the path of a file, e.g. /data/manifest.json")
    return value


class FileSource(TimeSection):
    """A file or object store through fsspec: a manifest, or the newest object of a pattern."""

    path: Annotated[str, AfterValidator(_check_path)]
    """File, object or pattern: `/data/manifest.json`, `s3://bucket/index/*.parquet`; a
    local one relative to the configuration file.
    """
    read: Literal["manifest", "newest"] = "manifest"
    """`manifest`: JSON with the stage contract; `newest`: the newest object of a pattern."""
    watermark_in_name: Annotated[str, AfterValidator(_check_date_pattern)] | None = None
    """Newest: how a date stands in the path, e.g. `%Y-%m-%d`; it becomes the watermark, and
    the newest date wins.
    """
    options: dict[str, Secret | bool | int] = Field(default_factory=dict)
    """fsspec storage options, e.g. `endpoint_url`, `anon`."""
    max_bytes: Size = 1 << 20
    """Largest manifest that is read."""
    fields: FieldsSection = FieldsSection()
    """Where each field of the stage contract stands in the manifest."""
    healthy: Texts = HEALTHY
    """Texts of `status` that mean healthy, in any case."""

    @property
    def protocol(self) -> str:
        """The kind of store, e.g. s3; ``file`` for a path without one."""
        scheme, separator, _ = self.path.partition("://")
        return scheme.lower() if separator else "file"

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.watermark_in_name is not None and self.read == "manifest":
            raise ValueError("watermark_in_name needs read: newest")
        if self.protocol in ("http", "https"):
            if self.read == "newest":
                raise ValueError(
                    "an http address lists no objects; write a manifest, or a store such as s3://"
                )
            if self.options:
                raise ValueError(
                    "an http address takes no options; use the http source for headers"
                )
        if self.protocol == "file" and self.options:
            raise ValueError("a local path takes no options")
        if self.read == "manifest" and re.search(r"[*?\[]", self.path) and self.protocol == "file":
            raise ValueError("a manifest is one file; write read: newest for a pattern")
        return self


class StaticSource(TimeSection):
    """What nobody serves yet, written by hand."""

    status: str | None = None
    """What the stage claims of its health."""
    version: str | None = None
    """What it serves now."""
    watermark: str | float | None = None
    """Event time up to which its output is complete."""
    updated_at: str | float | None = None
    """When its job last ran."""
    built_from: dict[str, str] = Field(default_factory=dict)
    """Upstream stage: the version it was built from."""
    tuned_on: dict[str, str] = Field(default_factory=dict)
    """Upstream stage: the version its settings were chosen for."""
    rows: float | None = None
    """How many rows it has."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.version is None and self.watermark is None and self.updated_at is None:
            raise ValueError("give at least one of version, watermark, updated_at")
        return self


AnySource = HttpSource | PrometheusSource | SqlSource | FileSource | StaticSource


class SourceSection(Section):
    """Exactly one kind of source."""

    http: HttpSource | None = None
    """Any JSON over HTTP."""
    prometheus: PrometheusSource | None = None
    """PromQL for each field."""
    sql: SqlSource | None = None
    """One row of a query."""
    file: FileSource | None = None
    """A manifest, or the newest object of a store."""
    static: StaticSource | None = None
    """Written by hand."""

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
