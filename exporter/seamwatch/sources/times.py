"""Timestamps as stages write them, turned into seconds since the epoch or refused.

A wrong unit or zone makes old data look fresh, so nothing is guessed: a number in another unit
than declared, a time without zone, the epoch itself and the future are all refused, and the
message says what to write instead.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from seamwatch.config.sources import TimeFormat
from seamwatch.errors import ReadError, Reason
from seamwatch.sources.quoting import shown

FUTURE = 300.0  # seconds that clocks of others may be ahead of ours
EARLIEST = 1e8  # 1973-03-03: anything before is a zero value or another unit, not data
PLAUSIBLE = 1e9  # 2001-09-09: from here on a number is worth naming as another unit

_PER_SECOND: dict[str, float] = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?")
# RFC 3339 and its close relatives: a blank for the T, +0200 or +02 for +02:00, a word for Z.
_TEXT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?"
    r"\s?(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?"
)


@lru_cache(maxsize=1024)
def _zone(name: str | None) -> ZoneInfo | None:
    return None if name is None else ZoneInfo(name)


def moment(seconds: float) -> str:
    """Return *seconds* since the epoch as RFC 3339 in UTC, or words where there is no such year."""
    try:
        whole = datetime.fromtimestamp(math.floor(seconds), UTC)
        return f"{whole.replace(tzinfo=None).isoformat()}Z"
    except (OverflowError, OSError, ValueError):
        return "after the year 9999" if seconds > 0 else "before the year 1"


def _span(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}" if seconds < 1e10 else "centuries"
    return f"{seconds:.0f} s"


def _refuse(message: str) -> ReadError:
    return ReadError(Reason.BAD_TIME, message)


@dataclass(frozen=True, slots=True)
class Times:
    """How one source writes timestamps. *zone* is that of times which carry none."""

    unit: TimeFormat = "auto"
    zone: str | None = None  # IANA

    def parse(self, value: Any, *, field: str, now: float) -> float | None:
        """Return seconds since the epoch; None for null and blank text, which say nothing.

        Takes JSON values and what database drivers give (datetime, date, Decimal). A date is its
        first moment, and of an hour that occurs twice the first is meant: both err towards old.

        Raises:
            ReadError: BAD_TIME; *field* and the value found are in the message.
        """
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if isinstance(value, bool):
            raise _refuse(f"{field} is {shown(value)}, not a time; {self._advice()}")
        if isinstance(value, str):
            value = value.strip()
            if _NUMBER.fullmatch(value):
                return self._number(float(value), value, field, now)
            seconds, local = self._text(value, field)
            return self._checked(seconds, value, field, now, local=local)
        if isinstance(value, int | float | Decimal):
            try:
                return self._number(float(value), value, field, now)
            except (OverflowError, ValueError) as error:  # too large, or a signalling NaN
                raise _refuse(f"{field} is {shown(value)}; {self._advice()}") from error
        if isinstance(value, datetime):
            seconds, local = self._datetime(value, value, field), value.tzinfo is None
            return self._checked(seconds, value, field, now, local=local)
        if isinstance(value, date):
            return self._checked(self._date(value, value, field), value, field, now, local=True)
        raise _refuse(f"{field} is {shown(value)}, not a time; {self._advice()}")

    def _advice(self) -> str:
        if self.unit in _WORDS:
            return f"write the {_WORDS[self.unit]} since 1970, or another `time:`"
        seconds = "" if self.unit == "rfc3339" else " or seconds since 1970"
        return f"write RFC 3339 with zone, e.g. 2026-11-22T09:00:00Z{seconds}"

    def _number(self, number: float, found: Any, field: str, now: float) -> float:
        if self.unit == "rfc3339":
            raise _refuse(
                f"{field} is the number {shown(found)}, but `time: rfc3339` is declared; "
                "write `time: s`, `ms`, `us` or `ns`"
            )
        if not math.isfinite(number):
            raise _refuse(f"{field} is {shown(found)}, not a time; {self._advice()}")
        unit = "s" if self.unit == "auto" else self.unit
        seconds = number / _PER_SECOND[unit]
        if EARLIEST <= seconds <= now + FUTURE:
            return seconds
        for other, per_second in _PER_SECOND.items():
            if other != unit and PLAUSIBLE <= number / per_second <= now + FUTURE:
                raise _refuse(
                    f"{field} is {shown(found)}, which in {_WORDS[unit]} is {moment(seconds)}; "
                    f"it looks like {_WORDS[other]}: write `time: {other}`"
                )
        return self._checked(seconds, found, field, now)

    def _text(self, text: str, field: str) -> tuple[float, bool]:
        """Return seconds since the epoch, and whether the declared zone was needed for that."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise _refuse(f"{field} is {shown(text)}, not a time; {self._advice()}")
        if self.unit not in ("auto", "rfc3339"):
            raise _refuse(
                f"{field} is the text {shown(text)}, but `time: {self.unit}` is declared; "
                "write `time: rfc3339`"
            )
        day, clock, second, fraction, offset = match.groups()
        try:
            if clock is None:
                return self._date(date.fromisoformat(day), text, field), True
            leap = second == "60"  # RFC 3339 allows it; the epoch has no such second
            parsed = datetime.fromisoformat(f"{day}T{clock}:{'59' if leap else second or '00'}")
            parsed += timedelta(seconds=leap, microseconds=int((fraction or "0")[:6].ljust(6, "0")))
            if offset is not None:
                zone = "+00:00" if offset.upper() in ("Z", "UTC", "GMT") else offset
                parsed = parsed.replace(tzinfo=datetime.fromisoformat(f"{day}T00:00{zone}").tzinfo)
        except (ValueError, OverflowError) as error:
            raise _refuse(f"{field} is {shown(text)}, not a time; {self._advice()}") from error
        return self._datetime(parsed, text, field), offset is None

    def _datetime(self, value: datetime, found: Any, field: str) -> float:
        if value.tzinfo is not None:
            return self._timestamp(value, found, field)
        zone = self._declared(found, field)
        local = value.replace(tzinfo=zone, fold=0)
        seconds = self._timestamp(local, found, field)
        if datetime.fromtimestamp(seconds, zone).replace(tzinfo=None) != value:
            raise _refuse(
                f"{field} is {shown(found)}, a time that clocks in {self.zone} skipped; "
                "declare the `zone:` that the stage writes in"
            )
        return seconds

    def _date(self, value: date, found: Any, field: str) -> float:
        zone = self._declared(found, field)
        return self._timestamp(datetime.combine(value, time(), zone), found, field)

    def _timestamp(self, value: datetime, found: Any, field: str) -> float:
        try:
            return value.timestamp()
        except (OverflowError, ValueError) as error:  # the first and last days of the calendar
            raise _refuse(f"{field} is {shown(found)}, not a time; {self._advice()}") from error

    def _declared(self, found: Any, field: str) -> ZoneInfo:
        zone = _zone(self.zone)
        if zone is None:
            raise _refuse(
                f"{field} is {shown(found)}, without a time zone; write it with one, "
                "e.g. 2026-11-22T09:00:00Z, or declare `zone:`"
            )
        return zone

    def _checked(
        self, seconds: float, found: Any, field: str, now: float, *, local: bool = False
    ) -> float:
        if seconds < EARLIEST:
            raise _refuse(
                f"{field} is {shown(found)}, which is {moment(seconds)}, no time of any data; "
                "leave the field out while it is unknown"
            )
        if seconds > now + FUTURE:
            zone = f" (read in {self.zone})" if local else ""
            raise _refuse(
                f"{field} is {shown(found)}{zone}, {_span(seconds - now)} after our clock's "
                f"{moment(now)}; correct the stage's clock, unit or zone"
            )
        return seconds
