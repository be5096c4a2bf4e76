"""The audit over HTTP: JSON lines, and a stream of what happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import orjson
from aiohttp import web

from seamwatch.errors import StoreError
from seamwatch.store.audit import AuditRow
from seamwatch.watch.gates import Gates
from seamwatch.web.gates.documents import audit_row
from seamwatch.web.problems import RETRY, Problem

STREAM = 25.0  # seconds after which a stream ends; its reader asks on by itself
STREAMS = 64  # at once
PAGE = 1000  # rows in one answer


class Streams:
    """Reads the audit of *gates* to whoever asks."""

    def __init__(self, gates: Gates) -> None:
        self._gates = gates
        self._open = 0
        self._ending = asyncio.Event()

    def end(self) -> None:
        """End all streams, and let new ones end at once: nobody waits for them to stop."""
        self._ending.set()

    async def lines(self, request: web.Request, pipeline: str | None) -> web.Response:
        """Return the rows after ``?after=``, at most PAGE of them, as JSON lines."""
        rows = await self._rows(_number(request.query.get("after", "0"), "after"), pipeline)
        body = b"".join(orjson.dumps(audit_row(row)) + b"\n" for row in rows)
        return web.Response(
            body=body,
            content_type="application/x-ndjson",
            headers={"Cache-Control": "no-store"},
        )

    async def stream(self, request: web.Request, pipeline: str) -> web.StreamResponse:
        """Write the rows after ``Last-Event-ID`` or ``?after=``, and each new one, as events."""
        last = request.headers.get("Last-Event-ID")
        name, text = ("Last-Event-ID", last) if last else ("after", request.query.get("after", "0"))
        after = _number(text, name)
        if self._open >= STREAMS:
            raise Problem(
                429, f"{STREAMS} streams are open; try again", headers={"Retry-After": str(RETRY)}
            )
        self._open += 1
        try:
            seen = self._gates.head
            rows = await self._rows(after, pipeline)
            response = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
            )
            await response.prepare(request)
            await response.write(b"retry: 1000\n\n")
            async for row in self._followed(pipeline, after, rows, seen):
                said = orjson.dumps(audit_row(row))
                await response.write(b"id: %d\ndata: %s\n\n" % (row.seq, said))
            await response.write_eof()
        finally:
            self._open -= 1
        return response

    async def _followed(
        self, pipeline: str, after: int, rows: Sequence[AuditRow], seen: tuple[int, str]
    ) -> AsyncIterator[AuditRow]:
        until = asyncio.get_running_loop().time() + STREAM
        while True:
            for row in rows:
                after = row.seq
                yield row
            if len(rows) < PAGE and not await self._grows(seen, until):
                return
            seen = self._gates.head
            try:
                rows = await self._rows(after, pipeline)
            except Problem:  # the reader asks on, and is told
                return

    async def _grows(self, seen: tuple[int, str], until: float) -> bool:
        """Wait until the audit is longer than it was at *seen*; False: the stream is to end."""
        if self._ending.is_set():
            return False
        if self._gates.head != seen:
            return True
        waiting = {
            asyncio.ensure_future(self._gates.news()),
            asyncio.ensure_future(self._ending.wait()),
        }
        left = until - asyncio.get_running_loop().time()
        try:
            done, _ = await asyncio.wait(
                waiting, timeout=max(left, 0.0), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in waiting:
                task.cancel()
        return bool(done) and not self._ending.is_set()

    async def _rows(self, after: int, pipeline: str | None) -> list[AuditRow]:
        try:
            return await self._gates.audit(after, pipeline=pipeline, limit=PAGE)
        except StoreError as error:
            detail = "the audit cannot be read now; try again"
            raise Problem(503, detail, headers={"Retry-After": str(RETRY)}) from error


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(400, f"{name}: write the number of the last row that you have")
    return int(text)
