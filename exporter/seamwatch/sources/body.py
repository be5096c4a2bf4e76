"""The bytes of a JSON answer, turned into a value or refused with the reason that fits them."""

from __future__ import annotations

from typing import Any

import orjson

from seamwatch.errors import ReadError, Reason

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def decode(body: bytes, *, where: str) -> Any:
    """Return the JSON value in *body*; of a key that occurs twice the last one counts.

    NaN, Infinity and nesting deeper than 1024 are refused; a UTF-8 byte order mark is skipped.

    Raises:
        ReadError: NO_DATA for an empty body, BAD_ENCODING for anything but UTF-8, else NOT_JSON.
    """
    if not body.strip():
        raise ReadError(Reason.NO_DATA, f"{where}: the answer is empty; it should be JSON")
    try:
        return orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError as error:
        reason, problem = _diagnosis(body, error)
        raise ReadError(reason, f"{where}: {problem}") from error


def _diagnosis(body: bytes, error: orjson.JSONDecodeError) -> tuple[Reason, str]:
    if body.startswith(_UTF16) or b"\0" in body[:4]:
        return Reason.BAD_ENCODING, "the answer is UTF-16 or binary; it should be JSON in UTF-8"
    try:
        text = body.decode()
    except UnicodeDecodeError as bad:
        return Reason.BAD_ENCODING, f"the answer is not UTF-8 at byte {bad.start}; write UTF-8"
    if text.lstrip().startswith("<"):
        return Reason.NOT_JSON, "the answer is a web page or XML; it should be JSON"
    if text[error.pos : error.pos + 8].lstrip("-").startswith(("NaN", "Inf", "na", "inf")) or (
        text[max(0, error.pos - 1) : error.pos + 2] in ("NaN", "Inf")
    ):
        return Reason.NOT_JSON, "the answer contains NaN or Infinity; write null instead"
    return Reason.NOT_JSON, f"the answer is not JSON: {error}"
