"""Who may ask what of the gates: tokens as digests, never the secrets themselves.

Imports SQLAlchemy: import this where it is used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from seamwatch.store.tables import tokens


@dataclass(frozen=True, slots=True)
class Token:
    """A right to ask; *hash* is the SHA-256 of the secret, in hex. Times are wall clock, s."""

    id: str
    hash: str
    name: str
    scopes: frozenset[str]
    gates: tuple[str, ...]  # globs of pipelines
    created: float
    expires: float | None = None
    revoked: float | None = None

    def is_valid(self, now: float) -> bool:
        """Say whether it is neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)


def load(connection: Connection) -> list[Token]:
    """Return all tokens, the oldest first."""
    rows = connection.execute(select(tokens).order_by(tokens.c.created, tokens.c.id))
    return [
        Token(
            row.id,
            row.hash,
            row.name,
            frozenset(json.loads(row.scopes)),
            tuple(json.loads(row.gates)),
            row.created,
            row.expires,
            row.revoked,
        )
        for row in rows
    ]


def add(connection: Connection, token: Token) -> None:
    """Write down a new token."""
    values = {
        "id": token.id,
        "hash": token.hash,
        "name": token.name,
        "scopes": json.dumps(sorted(token.scopes)),
        "gates": json.dumps(token.gates),
        "created": token.created,
        "expires": token.expires,
        "revoked": token.revoked,
    }
    connection.execute(insert(tokens), [values])


def revoke(connection: Connection, token_id: str, *, now: float) -> bool:
    """Let a token be good for nothing any more; say whether it was good until now."""
    done = connection.execute(
        update(tokens)
        .where(tokens.c.id == token_id, tokens.c.revoked.is_(None))
        .values(revoked=now)
    )
    return done.rowcount == 1
