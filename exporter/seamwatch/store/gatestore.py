"""What the store keeps of gates: how they stand, the audit, orders, tokens, and who leads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar

from seamwatch.errors import Reason, StoreError
from seamwatch.store.address import Address
from seamwatch.store.reasons import store_error
from seamwatch.store.rows import Happened, IdempotencyKey

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from seamwatch.store.audit import AuditRow, Entry
    from seamwatch.store.gatebook import GateRow, Written
    from seamwatch.store.leading import Leadership
    from seamwatch.store.orders import OrderRow
    from seamwatch.store.tokens import Token

T = TypeVar("T")


class Transact(Protocol):
    """Does work in a transaction of its own, within so many seconds."""

    def __call__(self, work: Callable[[Connection], T], timeout: float, /) -> Awaitable[T]:
        """Return what *work* returns, once it is committed."""


_LOCKED_PAUSE = 0.05  # seconds
_CHUNK = 2_000  # rows of the audit that are read at a time
LOAD_TIMEOUT = 60.0
"""Seconds that reading everything may take."""

FOLLOWS = 0
"""The epoch of a process that does not lead: the first leader's is 1."""

_NO_ANCHORS: Mapping[int, str] = MappingProxyType({})


class GateStore:
    """The part of a `Store` that gates are kept in. Every method raises StoreError when it fails.

    Each call is one transaction: all of it is there, also after a crash, or nothing.
    """

    def __init__(self, transact: Transact, address: Address, *, timeout: float) -> None:
        self._transact = transact
        self._address = address
        self._timeout = timeout
        self.epoch: int | None = None
        """Whose rows are written: refused once a later epoch has begun. None: not looked at.

        FOLLOWS: nothing is written but what people say of gates.
        """

    async def happen(
        self, happened: Happened, *, expected: int | None = None, key: IdempotencyKey | None = None
    ) -> Written:
        """Decide on *happened*, write all that comes of it, and return it once it is committed.

        Args:
            happened: what, to which gate, by whom.
            expected: the generation that the caller saw; None: whatever it is.
            key: of a request that may come twice: the second one gets the answer of the first.

        Raises:
            NotLegal: it cannot be done to the gate as it stands.
            StaleGeneration: the gate is not at *expected*.
            KeyReused: *key* came with another request.
            StoreError: it could not be written. Nothing has changed, but with Reason.TIMEOUT it
                may be written yet: with *key* it can be tried again.
        """
        from seamwatch.store.gatebook import Written, happen

        leads = self.epoch != FOLLOWS
        work = partial(happen, happened=happened, expected=expected, key=key, leads=leads)
        found = await self.patiently(work)
        if not isinstance(found, Written):
            raise found
        return found

    async def load(self, after_seq: int = -1) -> list[GateRow]:
        """Return the gates that changed after the audit's row *after_seq*; -1: all of them."""
        from seamwatch.store.gatebook import load

        return await self._transact(lambda one: load(one, after_seq), self._timeout)

    async def load_audit(
        self, after: int, *, pipeline: str | None = None, limit: int = 1_000
    ) -> list[AuditRow]:
        """Return at most *limit* rows of the audit after number *after*, oldest first."""
        from seamwatch.store.audit import rows_after

        read = partial(rows_after, after=after, pipeline=pipeline, limit=limit)
        return await self._transact(read, self._timeout)

    async def head(self) -> tuple[int, str]:
        """Return number and hash of the last row of the audit; 0 where there is none."""
        from seamwatch.store.audit import head

        return await self._transact(head, self._timeout)

    async def note(self, *entries: Entry, at: float) -> int:
        """Write *entries* into the audit; return the number of the last one."""
        from seamwatch.store.audit import append, hold

        def write(connection: Connection) -> int:
            hold(connection)
            return append(connection, entries, at=at)

        return await self.patiently(write)

    async def verify(
        self, *, anchors: Mapping[int, str] = _NO_ANCHORS, chunk: int = _CHUNK
    ) -> list[str]:
        """Return what is wrong with the chain of the audit; nothing where it is whole.

        *anchors* are hashes of rows by number that somebody else has kept: they tell of an audit
        that was written anew, which a chain by itself cannot.
        """
        from seamwatch.store.audit import GENESIS, broken, cut_off, rows_after

        after, before = 0, GENESIS
        wrong: list[str] = []
        kept = dict(anchors)
        while True:
            read = partial(rows_after, after=after, pipeline=None, limit=chunk)
            rows = await self._transact(read, self._timeout)
            wrong += broken(rows, after=after, before=before)
            for row in rows:
                if kept.pop(row.seq, row.hash) != row.hash:
                    wrong.append(f"row {row.seq} is not the one that was anchored")
            if len(rows) < chunk:
                break
            after, before = rows[-1].seq, rows[-1].hash
        wrong += (f"row {seq}, which was anchored, is missing" for seq in sorted(kept) if seq > 0)
        return wrong + await self._transact(cut_off, LOAD_TIMEOUT)

    async def load_orders(self) -> list[OrderRow]:
        """Return what every target is to bring about."""
        from seamwatch.store.orders import load

        return await self._transact(lambda one: load(one), self._timeout)

    async def keep_order(self, row: OrderRow, *entries: Entry, at: float = 0.0) -> bool:
        """Write how it goes on with an order; False: a later one has taken its place.

        *entries* go into the audit with it, as of *at*, or not at all.

        Written before each attempt, it keeps a process that was stopped for a while from sending
        what is not ordered any more. Raises StoreError with Reason.NOT_LEADER where another leads.
        """
        from seamwatch.store.audit import append, hold
        from seamwatch.store.orders import keep

        epoch = self.epoch

        def write(connection: Connection) -> bool:
            if entries:
                hold(connection)
            self.check_epoch(connection, epoch)
            is_kept = keep(connection, row)
            if is_kept:
                append(connection, entries, at=at)
            return is_kept

        return await self.patiently(write)

    async def load_tokens(self) -> list[Token]:
        """Return all tokens, those that are good for nothing any more too."""
        from seamwatch.store.tokens import load

        return await self._transact(load, self._timeout)

    async def add_token(self, token: Token) -> None:
        """Write down a new token."""
        from seamwatch.store.tokens import add

        await self.patiently(lambda one: add(one, token))

    async def revoke_token(self, token_id: str, *, now: float) -> bool:
        """Revoke a token; False: there is none that is not revoked yet."""
        from seamwatch.store.tokens import revoke

        return await self.patiently(lambda one: revoke(one, token_id, now=now))

    async def lead(self, holder: str, *, now: float) -> Leadership | None:
        """Become the one that watches, None where another process is; *holder* names us."""
        from seamwatch.store.leading import Leadership, SessionLock, begin_epoch, take

        begin = partial(begin_epoch, holder=holder, now=now)
        try:
            lock = await take(self._address, timeout=self._timeout)
        except Exception as error:
            raise store_error(error, self._address.shown) from error
        if lock is None:
            return None
        try:
            if isinstance(lock, SessionLock):
                return Leadership(lock, await lock.begin_epoch(holder=holder, now=now))
            return Leadership(lock, await self.patiently(begin))
        except StoreError:
            await lock.release()
            raise
        except Exception as error:
            await lock.release()
            raise store_error(error, self._address.shown) from error
        except BaseException:
            await lock.release()
            raise

    def check_epoch(self, connection: Connection, epoch: int | None) -> None:
        """Raise StoreError, in the transaction of *connection*, where *epoch* is not the last."""
        if epoch is not None:
            from seamwatch.store.leading import check_epoch

            check_epoch(connection, epoch, self._address.shown)

    async def patiently(self, work: Callable[[Connection], T], timeout: float | None = None) -> T:
        """Return what *work* returns; tried again while somebody else holds the database."""
        timeout = timeout or self._timeout
        deadline = time.monotonic() + timeout
        while True:
            try:
                return await self._transact(work, timeout)
            except StoreError as error:
                if error.reason is not Reason.LOCKED or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(_LOCKED_PAUSE)
