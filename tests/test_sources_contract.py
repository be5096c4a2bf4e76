"""The stage contract: what is understood, what is refused, and that nothing else can happen."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwatch.config.sources import TimeFormat
from seamwatch.errors import ReadError, Reason
from seamwatch.sources.body import decode
from seamwatch.sources.contract import contract, schema
from seamwatch.sources.times import EARLIEST, FUTURE, Times
from stages import NOW

DOCS = Path(__file__).parents[1] / "docs"
HOUR = 3600.0


def parse(value: Any, time: TimeFormat = "auto", zone: str | None = None) -> float | None:
    return Times(time, zone).parse(value, field="watermark", now=NOW)


def refusal(value: Any, time: TimeFormat = "auto", zone: str | None = None) -> str:
    with pytest.raises(ReadError) as caught:
        parse(value, time, zone)
    assert caught.value.reason is Reason.BAD_TIME
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "time", "zone"),
    [
        ("2026-11-22T08:00:00Z", "auto", None),
        ("2026-11-22t08:00:00z", "auto", None),
        ("2026-11-22 08:00:00+00:00", "rfc3339", None),
        ("2026-11-22T10:00:00+02:00", "auto", None),
        ("2026-11-22T10:00:00.000+0200", "auto", None),
        ("2026-11-22 10:00:00+02", "auto", None),
        ("2026-11-22 08:00:00 UTC", "auto", None),
        ("2026-11-22T08:00Z", "auto", None),
        ("2026-11-22T07:59:60Z", "auto", None),
        ("2026-11-22T08:00:00.000000999Z", "auto", None),
        ("2026-11-22T03:00:00-05:00", "auto", "Europe/Berlin"),
        ("2026-11-22 09:00:00", "auto", "Europe/Berlin"),
        (NOW - HOUR, "auto", None),
        (int(NOW - HOUR), "auto", None),
        (f"{NOW - HOUR:.0f}", "auto", None),
        (Decimal(int(NOW - HOUR)), "s", None),
        ((NOW - HOUR) * 1e3, "ms", None),
        (int(NOW - HOUR) * 10**6, "us", None),
        (int(NOW - HOUR) * 10**9, "ns", None),
        (datetime(2026, 11, 22, 8, tzinfo=UTC), "auto", None),
        (datetime(2026, 11, 22, 9), "auto", "Europe/Berlin"),  # noqa: DTZ001 - as drivers give it
    ],
)
def test_eight_o_clock_is_understood(value: Any, time: TimeFormat, zone: str | None) -> None:
    assert parse(value, time, zone) == NOW - HOUR


def test_a_date_is_its_first_moment() -> None:
    expected = datetime(2026, 11, 21, 23, tzinfo=UTC).timestamp()
    assert parse("2026-11-22", "auto", "Europe/Berlin") == expected
    assert parse(date(2026, 11, 22), "auto", "Europe/Berlin") == expected
    # in Cairo that day's clocks went from 24:00 to 01:00, so it began at 01:00
    first = datetime(2026, 4, 24, 1, tzinfo=ZoneInfo("Africa/Cairo")).timestamp()
    assert parse("2026-04-24", "auto", "Africa/Cairo") == first


def test_of_an_hour_that_occurs_twice_the_first_is_meant() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    assert parse("2026-10-25T02:30:00", "auto", "Europe/Berlin") == first


@pytest.mark.parametrize("value", [None, "", "  "])
def test_nothing_is_unknown(value: Any) -> None:
    assert parse(value) is None


@pytest.mark.parametrize(
    ("value", "time", "zone", "message"),
    [
        (
            (NOW - HOUR) * 1e6,
            "auto",
            None,
            "watermark is 1795334400000000.0, which in seconds is after the year 9999;"
            " it looks like microseconds: write `time: us`",
        ),
        (
            str(int(NOW - HOUR) * 10**9),
            "ms",
            None,
            'watermark is "1795334400000000000", which in milliseconds is after the year 9999;'
            " it looks like nanoseconds: write `time: ns`",
        ),
        (
            NOW,
            "ms",
            None,
            "watermark is 1795338000.0, which in milliseconds is 1970-01-21T18:42:18Z;"
            " it looks like seconds: write `time: s`",
        ),
        (
            20261122,
            "auto",
            None,
            "watermark is 20261122, which is 1970-08-23T12:05:22Z, no time of any data;"
            " leave the field out while it is unknown",
        ),
        (
            -1,
            "auto",
            None,
            "watermark is -1, which is 1969-12-31T23:59:59Z, no time of any data;"
            " leave the field out while it is unknown",
        ),
        (
            "0001-01-01T00:00:00Z",
            "auto",
            None,
            'watermark is "0001-01-01T00:00:00Z", which is 0001-01-01T00:00:00Z, no time of any'
            " data; leave the field out while it is unknown",
        ),
        (
            NOW,
            "rfc3339",
            None,
            "watermark is the number 1795338000.0, but `time: rfc3339` is declared;"
            " write `time: s`, `ms`, `us` or `ns`",
        ),
        (
            "2026-11-22T08:00:00Z",
            "ms",
            None,
            'watermark is the text "2026-11-22T08:00:00Z", but `time: ms` is declared;'
            " write `time: rfc3339`",
        ),
        (
            "2026-11-22",
            "auto",
            None,
            'watermark is "2026-11-22", without a time zone; write it with one,'
            " e.g. 2026-11-22T09:00:00Z, or declare `zone:`",
        ),
        (
            "2026-03-29T02:30:00",
            "auto",
            "Europe/Berlin",
            'watermark is "2026-03-29T02:30:00", a time that clocks in Europe/Berlin skipped;'
            " declare the `zone:` that the stage writes in",
        ),
        (
            "2026-11-22T16:00:00",
            "auto",
            "America/New_York",
            'watermark is "2026-11-22T16:00:00" (read in America/New_York), 12 h after our'
            " clock's 2026-11-22T09:00:00Z; correct the stage's clock, unit or zone",
        ),
        (
            "yesterday",
            "auto",
            None,
            'watermark is "yesterday", not a time; write RFC 3339 with zone,'
            " e.g. 2026-11-22T09:00:00Z or seconds since 1970",
        ),
        (
            "2026-13-22T08:00:00Z",
            "rfc3339",
            None,
            'watermark is "2026-13-22T08:00:00Z", not a time; write RFC 3339 with zone,'
            " e.g. 2026-11-22T09:00:00Z",
        ),
        (
            True,
            "ms",
            None,
            "watermark is true, not a time; write the milliseconds since 1970, or another `time:`",
        ),
        (
            math.nan,
            "auto",
            None,
            "watermark is nan, not a time; write RFC 3339 with zone,"
            " e.g. 2026-11-22T09:00:00Z or seconds since 1970",
        ),
        (
            {"at": 1},
            "auto",
            None,
            "watermark is a mapping of 1 entries, not a time; write RFC 3339 with zone,"
            " e.g. 2026-11-22T09:00:00Z or seconds since 1970",
        ),
    ],
)
def test_a_time_that_could_be_mistaken_is_refused(
    value: Any, time: TimeFormat, zone: str | None, message: str
) -> None:
    assert refusal(value, time, zone) == message


def test_clocks_may_differ_by_five_minutes() -> None:
    assert parse(NOW + FUTURE) == NOW + FUTURE
    assert refusal(NOW + FUTURE + 1).endswith(
        "5.02 m after our clock's 2026-11-22T09:00:00Z; correct the stage's clock, unit or zone"
    )


MOMENTS = st.integers(int(1e9), int(NOW))
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe"]
)


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_a_moment_reads_the_same_in_every_offset_and_unit(seconds: int, offset: int) -> None:
    local = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=offset)))
    assert parse(local.isoformat()) == parse(local) == seconds
    for unit, per_second in (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)):
        assert parse(seconds * per_second, unit) == pytest.approx(seconds, abs=1e-6)  # type: ignore[arg-type]


@given(MOMENTS, ZONES)
def test_a_local_time_is_never_read_as_fresher_than_it_is(seconds: int, zone: str) -> None:
    local = datetime.fromtimestamp(seconds, ZoneInfo(zone))
    found = parse(local.replace(tzinfo=None, fold=0).isoformat(), "auto", zone)
    assert found is not None
    assert found == seconds if local.fold == 0 else found < seconds


TEXT = st.text(max_size=20) | st.sampled_from(
    ["ok", "", "2026-11-22T08:00:00Z", "2026-11-22", "1e400", "0", "٣٤", "a\0b", "9" * 300]
)
NUMBERS = (
    st.integers() | st.floats() | st.sampled_from([NOW, NOW * 1000, 10**400, -(10**400), 1e308])
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
CONTRACTS = st.dictionaries(
    st.sampled_from(
        "status version watermark updated_at built_from tuned_on rows settings".split()  # noqa: SIM905
    ),
    JSON,
)


def outcome(call: Callable[[], Any]) -> Any:
    """Return what *call* returns or the ReadError it raises; anything else fails the test."""
    try:
        return call()
    except ReadError as error:
        return error


@settings(max_examples=400, deadline=None)
@given(
    JSON | CONTRACTS,
    st.sampled_from(["auto", "rfc3339", "s", "ms", "us", "ns"]),
    st.sampled_from([None, "UTC", "Europe/Berlin"]),
)
def test_any_json_is_an_observation_or_a_reason(
    document: Any, time: TimeFormat, zone: str | None
) -> None:
    found = outcome(lambda: contract(time, zone).read(document, now=NOW, where="here"))
    if isinstance(found, ReadError):
        assert found.reason in (Reason.BAD_CONTRACT, Reason.BAD_TIME)
        assert str(found).startswith("here: ")
        assert str(found).isprintable()
        assert len(str(found)) < 700
        return
    known = (found.version, found.watermark, found.updated_at)
    assert known != (None, None, None)
    for moment in (found.watermark, found.updated_at):
        assert moment is None or EARLIEST <= moment <= NOW + FUTURE
    for text in (found.version, *found.built_from.values(), *found.tuned_on.values()):
        assert text is None or 0 < len(text) <= 200
    assert found.rows is None or 0 <= found.rows < math.inf
    assert found.healthy in (True, False, None)


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-16")))
def test_any_bytes_are_json_or_a_reason(body: bytes) -> None:
    found = outcome(lambda: decode(body, where="here"))
    if isinstance(found, ReadError):
        assert found.reason in (Reason.NO_DATA, Reason.BAD_ENCODING, Reason.NOT_JSON)
        assert str(found).isprintable()


VERSIONS = st.integers(-10, 10**9) | st.text(
    st.characters(exclude_categories=["Cc", "Cs"]), max_size=200
)
VALID_TIMES = (
    st.none() | MOMENTS | MOMENTS.map(lambda s: datetime.fromtimestamp(s, UTC).isoformat())
)
VALID = st.fixed_dictionaries(
    {"version": st.integers(0, 9)},
    optional={
        "status": st.none() | st.booleans() | st.sampled_from([0, 1, "ok", "bad"]),
        "watermark": VALID_TIMES,
        "updated_at": VALID_TIMES,
        "built_from": st.none()
        | st.dictionaries(st.from_regex(r"[a-z]{1,9}", fullmatch=True), VERSIONS),
        "tuned_on": st.none() | st.dictionaries(st.just("embedding"), VERSIONS),
        "rows": st.none() | st.floats(0, 1e12),
        "settings": st.none() | st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=3),
        "else": JSON,
    },
)


@settings(deadline=None)
@given(VALID)
def test_what_the_published_schema_allows_is_understood(document: dict[str, Any]) -> None:
    jsonschema.validate(document, schema())
    contract().read(document, now=NOW, where="here")


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"status": "ok"},
        {"version": None},
        {"version": 1.5},
        {"version": "a" * 201},
        {"version": "a", "watermark": "2026-11-22T08:00:00"},
        {"version": "a", "watermark": 0},
        {"version": "a", "watermark": True},
        {"version": "a", "rows": -1},
        {"version": "a", "rows": "1"},
        {"version": "a", "status": 500},
        {"version": "a", "built_from": ["b"]},
        {"version": "a", "built_from": {"b": 1.5}},
        {"version": "a", "settings": []},
    ],
)
def test_what_the_reader_refuses_the_published_schema_refuses(document: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    with pytest.raises(ReadError):
        contract().read(document, now=NOW, where="here")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema())


def test_the_examples_of_the_guide_are_stage_contracts() -> None:
    guide = (DOCS / "stage-contract.md").read_text("utf-8")
    examples = [json.loads(found) for found in re.findall(r"```json\n(.*?)```", guide, re.DOTALL)]
    assert len(examples) >= 3
    for example in examples:
        jsonschema.validate(example, schema())
        contract().read(example, now=NOW + 86400, where="the guide")


def test_the_guide_names_every_field() -> None:
    guide = (DOCS / "stage-contract.md").read_text("utf-8")
    assert [name for name in schema()["properties"] if f"| `{name}` |" not in guide] == []


def test_equal_sections_share_one_contract() -> None:
    assert contract("ms", None) is contract("ms", None)
    assert contract("ms", None) is not contract("us", None)
