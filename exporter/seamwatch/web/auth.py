"""Who may ask: basic authentication with bcrypt, and the names in client certificates."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

_KEPT = 256  # verdicts on passwords: a scraper's costs a microsecond from the second time on
_WAITING = 32  # for bcrypt: each takes about 70 ms, one at a time


class TooManyAsk(Exception):
    """So many new passwords wait to be checked that one more would not be answered in time."""


class BasicAuth:
    """Checks passwords in a thread of its own, one at a time, and remembers the verdicts.

    An unknown user costs as much as a wrong password, so the time does not tell who exists.
    What is remembered is a keyed digest, never a password.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bcrypt")
        self._waiting = 0

    async def allows(self, header: str | None, users: Mapping[str, str]) -> bool:
        """Say whether *header* (Authorization) has one of *users* (name -> hash) and its password.

        Raises:
            TooManyAsk: too many checks wait already.
        """
        user, password = credentials(header)
        if user is None:
            return False
        known = users.get(user)
        checked = known or next(iter(users.values()))
        verdict = self._remembered(key := self._digest(user, password, checked))
        if verdict is None:
            verdict = await self._check(password, checked) and known is not None
            self._verdicts[key] = verdict
            if len(self._verdicts) > _KEPT:
                self._verdicts.popitem(last=False)
        return verdict

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _remembered(self, key: bytes) -> bool | None:
        verdict = self._verdicts.get(key)
        if verdict is not None:
            self._verdicts.move_to_end(key)
        return verdict

    def _digest(self, user: str, password: bytes, hashed: str) -> bytes:
        parts = (user.encode("utf-8", "surrogateescape"), hashed.encode(), password)
        joined = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._key, joined, hashlib.sha256)

    async def _check(self, password: bytes, hashed: str) -> bool:
        if self._waiting >= _WAITING:
            raise TooManyAsk
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, _matches, password, hashed)
        finally:
            self._waiting -= 1


def credentials(header: str | None) -> tuple[str | None, bytes]:
    """Return user and password of an Authorization header; no user where it is not Basic."""
    scheme, _, encoded = (header or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None, b""
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None, b""
    return (user.decode("utf-8", "surrogateescape") if colon else None), password


def has_allowed_name(request: web.Request, allowed: tuple[str, ...]) -> bool:
    """Say whether the client's certificate carries one of the *allowed* alternative names."""
    certificate = request.get_extra_info("peercert") or {}
    return any(value in allowed for _, value in certificate.get("subjectAltName", ()))


def _matches(password: bytes, hashed: str) -> bool:
    import bcrypt

    try:
        return bcrypt.checkpw(password, hashed.encode())
    except ValueError:  # longer than the 72 bytes that bcrypt takes
        return False
