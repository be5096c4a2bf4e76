"""Who may ask what of the gates: tokens, client certificates, users of basic auth, this machine.

Where there never was a token only this machine may ask, and then everything. The first token ends
that for good: that one expires, or is revoked, must not open a door that was shut.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from time import monotonic

from aiohttp import web

from seamwatch.store.tokens import Token
from seamwatch.web.guard import USER
from seamwatch.web.problems import Problem

SCOPES = ("read", "check", "halt", "resume", "override", "bless", "admin")
"""What a token may allow; `admin` is all of them, `read` includes `check`."""

PREFIX = "sw_"
FAILURES = 20  # wrong tokens of one peer within PERIOD, after which it has to wait
PERIOD = 60.0  # seconds
_PEERS = 4096  # that are remembered
_PASSES = 10_000  # that are remembered
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks."""

    name: str  # for messages; two tokens may have the same
    scopes: frozenset[str]
    gates: tuple[str, ...] = ("*",)  # globs
    actor: str = ""  # for the audit; nobody else is written down as this one

    def __post_init__(self) -> None:
        object.__setattr__(self, "actor", self.actor or self.name)

    def may(self, scope: str, pipeline: str | None) -> bool:
        """Say whether it may do what *scope* names, to *pipeline*."""
        has = scope in self.scopes or "admin" in self.scopes
        has = has or (scope == "check" and "read" in self.scopes)
        return has and (pipeline is None or self.sees(pipeline))

    def sees(self, pipeline: str) -> bool:
        """Say whether *pipeline* is among its gates."""
        return any(fnmatchcase(pipeline, glob) for glob in self.gates)


LOCAL = Client("local", frozenset({"admin"}))
ANONYMOUS = Client("anonymous", frozenset({"check"}))


def digest(token: str) -> str:
    """Return what is kept of a token: the SHA-256 of it, hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class Rights:
    """Finds out who asks.

    Args:
        tokens: SHA-256 of a token -> what it allows; None while they cannot be read.
        clock: wall clock, seconds since the epoch.
        anonymous_checks: whether anybody may ask whether to go on.
        certificates: alternative name in a client's certificate -> what it may.
    """

    def __init__(
        self,
        tokens: Callable[[], Mapping[str, Token] | None],
        *,
        clock: Callable[[], float],
        anonymous_checks: bool = False,
        certificates: Sequence[tuple[str, Client]] = (),
    ) -> None:
        self._tokens = tokens
        self._clock = clock
        self._anonymous = anonymous_checks
        self._certificates = dict(certificates)
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._seen: Mapping[str, Token] | None = None
        self._passes: dict[tuple[str, str], Token] = {}

    def client(self, request: web.Request, scope: str, pipeline: str | None) -> Client:
        """Return who asks, where they may; raises Problem."""
        found = self._found(request, scope)
        if found.may(scope, pipeline):
            return found
        if pipeline is not None and not found.sees(pipeline):
            detail = f"{found.name} may not ask about {pipeline[:100]!r}"
        else:
            detail = f"{found.name} lacks the scope {scope}; use a token that has it"
        raise Problem(403, detail)

    def knows(self, request: web.Request, *, only_asks: bool) -> bool:
        """Say whether `client` needs no password of basic auth for *request*.

        *only_asks*: it wants to know whether to go on, and no more.
        """
        header = request.headers.get("Authorization")
        if header is not None:
            return header[:7].lower() == "bearer "
        return (only_asks and self._anonymous) or self._by_certificate(request) is not None

    def allows_check(self, header: str | None, pipeline: str, now: float) -> bool:
        """Say whether who sends *header* (Authorization) plainly may check; False: ask `client`.

        What it says is remembered for as long as the tokens are the same, but for their end.
        """
        tokens = self._tokens()
        if header is None:
            return self._anonymous
        if tokens is None or header[:7] != "Bearer ":
            return False
        if tokens is not self._seen:
            self._seen = tokens
            self._passes.clear()
        key = (digest(header[7:]), pipeline)
        token = self._passes.get(key)
        if token is None:
            token = tokens.get(key[0])
            if token is None or not _client(token).may("check", pipeline):
                return False
            if len(self._passes) >= _PASSES:
                self._passes.clear()
            self._passes[key] = token
        return token.is_valid(now)

    def _found(self, request: web.Request, scope: str) -> Client:
        header = request.headers.get("Authorization")
        tokens = self._tokens()
        if header is not None and header[:7].lower() == "bearer ":
            return self._bearer(request, header[7:].strip(), tokens, scope)
        if (named := self._by_certificate(request)) is not None:
            return named
        if (user := request.get(USER)) is not None:
            return Client(user, frozenset({"read", "check"}))
        if scope == "check" and (self._anonymous or (tokens is None and _is_here(request))):
            return ANONYMOUS
        if tokens is not None and not tokens:
            return _local(request)
        raise Problem(
            401,
            "a token is needed: send Authorization: Bearer sw_...",
            headers={"WWW-Authenticate": 'Bearer realm="seamwatch"'},
        )

    def _bearer(
        self, request: web.Request, secret: str, tokens: Mapping[str, Token] | None, scope: str
    ) -> Client:
        if tokens is None:
            if scope == "check":  # whoever must stop is told so though nobody can be recognised
                return ANONYMOUS
            raise Problem(
                503,
                "tokens cannot be read from the store now; try again",
                headers={"Retry-After": "5"},
            )
        # The digest is looked up, not the secret: how long that takes tells nothing of any secret.
        token = tokens.get(digest(secret))
        if token is not None and token.is_valid(self._clock()):
            return _client(token)
        self._failed(request.remote or "")
        raise Problem(
            401,
            "the token is unknown, revoked or expired",
            headers={"WWW-Authenticate": 'Bearer realm="seamwatch", error="invalid_token"'},
        )

    def _failed(self, peer: str) -> None:
        now = monotonic()
        since, count = self._failures.pop(peer, (now, 0))
        if now - since > PERIOD:
            since, count = now, 0
        self._failures[peer] = (since, count + 1)
        if len(self._failures) > _PEERS:
            self._failures.popitem(last=False)
        if count >= FAILURES:
            wait = max(1, round(PERIOD - (now - since)))
            raise Problem(429, "too many wrong tokens; wait", headers={"Retry-After": str(wait)})

    def _by_certificate(self, request: web.Request) -> Client | None:
        if not self._certificates:
            return None
        certificate = request.get_extra_info("peercert") or {}
        for _, name in certificate.get("subjectAltName", ()):
            if (client := self._certificates.get(name)) is not None:
                return client
        return None


def _client(token: Token) -> Client:
    actor = f"{token.name} (token {token.id})" if token.name else f"token {token.id}"
    return Client(token.name or token.id, token.scopes, token.gates, actor)


def _local(request: web.Request) -> Client:
    """Let this machine in; raises Problem for everybody else."""
    if _is_here(request):
        return LOCAL
    raise Problem(
        403,
        "there are no tokens, so only this machine may ask; make one with `seamwatch token create`",
    )


def _is_here(request: web.Request) -> bool:
    """Say whether this machine asks: neither a proxy for others nor a web page in a browser."""
    forwarded = any(name in request.headers for name in _FORWARDED)
    page = "Origin" in request.headers and request.method not in ("GET", "HEAD")
    host = request.host.rpartition(":")[0] if not request.host.endswith("]") else request.host
    here = _is_loopback(request.remote) and _is_loopback(host.strip("[]") or request.host)
    return here and not forwarded and not page


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
