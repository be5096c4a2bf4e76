"""Where to reach the other side and as whom: an ``HttpTarget`` compiled once."""

from __future__ import annotations

import re
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from pathlib import Path

from aiohttp.hdrs import AUTHORIZATION
from multidict import CIMultiDict, istr
from yarl import URL

from seamwatch import __version__
from seamwatch.config.reach import HttpTarget, Tls
from seamwatch.errors import ReadError, Reason, SeamwatchError
from seamwatch.fetch.secret_file import SecretFile, one_line

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "te", "upgrade"})

DEFAULT_HEADERS: Mapping[str, str] = {
    "User-Agent": f"seamwatch/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # bodies are small, and a bomb need not be asked for
}
"""Sent with every request unless the configuration says otherwise."""


class Endpoint:
    """An address with its headers, credentials, TLS and limits.

    Files with credentials and certificates are read when first used and again when they change.
    Neither ``repr`` nor any error shows a header value, a credential or a query.

    Args:
        target: the section of the configuration.
        headers: headers sent unless the configuration sets the same.

    Raises:
        SeamwatchError: a header or the address could never be sent.
    """

    def __init__(self, target: HttpTarget, *, headers: Mapping[str, str] | None = None) -> None:
        try:
            self.url = URL(target.url, encoded=True).with_fragment(None)
        except ValueError as error:
            raise SeamwatchError(f"{target.url.split('?')[0]!r} is not a web address") from error
        self.origin = self.url.origin()
        self.max_bytes = target.max_bytes
        self.redirects = target.redirects
        self.server_name = target.tls.server_name if target.tls else None
        given = {name: value.get_secret_value() for name, value in target.headers.items()}
        self._secrets = {value.strip() for value in given.values()}
        self._sent = ""  # the credential as last sent
        self._headers = _checked_headers(given, self.name())
        for name, value in (headers or {}).items():
            self._headers.setdefault(istr(name), value)
        self._credential = _credential(target)
        self._tls = _TlsContext(target.tls) if target.tls and self.url.scheme == "https" else None
        self._urls: dict[str, URL] = {}

    def __repr__(self) -> str:
        return f"Endpoint({self.name()})"

    def name(self, path: str = "") -> str:
        """Return scheme://host:port/path, fit for people: no query, no credential."""
        return named(self.at(path) if path else self.url)

    def at(self, path: str) -> URL:
        """Return the address of *path* (percent-encoded, from ``/``) under the base address."""
        if not path:
            return self.url
        known = self._urls.get(path)
        if known is None:
            base = self.url.raw_path.rstrip("/")
            query = f"?{self.url.raw_query_string}" if self.url.raw_query_string else ""
            known = URL(f"{self.origin}{base}{path}{query}", encoded=True)
            if len(self._urls) >= 64:  # a caller that makes up paths must not fill the memory
                self._urls.clear()
            self._urls[path] = known
        return known

    def headers(self, extra: Mapping[str, str] | None = None) -> CIMultiDict[str]:
        """Return the headers to send; raise ReadError when a credential file cannot be read."""
        if extra is None and self._credential is None:
            return self._headers
        merged = self._headers.copy()
        merged.update(extra or {})
        if self._credential is not None:
            merged[AUTHORIZATION] = self._sent = self._credential()
        return merged

    def ssl(self) -> ssl.SSLContext | bool:
        """Return the TLS context; raise ReadError when its files cannot be used."""
        return True if self._tls is None else self._tls()

    def scrub(self, text: str) -> str:
        """Return *text* with our own secrets blotted out, should the other side echo them."""
        scheme, _, token = self._sent.partition(" ")
        secrets = {*self._secrets, token}
        if scheme == "Basic":
            secrets.add(b64decode(token).decode().partition(":")[2])
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= 4:  # shorter ones would blot out innocent words
                text = text.replace(secret, "***")
        return text


def named(url: URL) -> str:
    """Return scheme://host:port/path of *url*."""
    host = f"[{url.raw_host}]" if ":" in (url.raw_host or "") else url.raw_host
    return f"{url.scheme}://{host}:{url.port}{url.raw_path}"


def _checked_headers(given: Mapping[str, str], where: str) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in given.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _FRAMING:
            raise SeamwatchError(f"{where}: headers: {name!r} is not a header that can be set")
        if _CONTROL.search(value):
            raise SeamwatchError(
                f"{where}: headers: the value of {name} has a line break or control character;"
                " write it on one line"
            )
        headers[istr(name)] = value.strip()
    return headers


def _credential(target: HttpTarget) -> Callable[[], str] | None:
    if target.bearer_token is not None:
        token_text = target.bearer_token.get_secret_value()
        return lambda: f"Bearer {one_line('bearer_token', token_text)}"
    if target.bearer_token_file is not None:
        token = SecretFile("bearer_token_file", target.bearer_token_file)
        return lambda: f"Bearer {token()}"
    if target.basic_auth is None:
        return None
    auth = target.basic_auth
    if auth.password_file is not None:
        password = SecretFile("password_file", auth.password_file)
        return lambda: _basic(auth.username, password())
    secret = auth.password.get_secret_value() if auth.password else ""
    basic = _basic(auth.username, secret)
    return lambda: basic


def _basic(username: str, password: str) -> str:
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"


class _TlsContext:
    """The context for one ``tls`` section, built when first used and again when a file changes."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._files = [file for file in (tls.ca_file, tls.cert_file, tls.key_file) if file]
        self._stamps: list[tuple[int, int]] | None = None
        self._context: ssl.SSLContext | None = None

    def __call__(self) -> ssl.SSLContext:
        file = ""
        try:
            stamps = []
            for file in self._files:
                found = Path(file).stat()
                stamps.append((found.st_mtime_ns, found.st_ino))
            if self._context is None or stamps != self._stamps:
                file = ", ".join(self._files)
                self._context = self._build()
                self._stamps = stamps
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            why = getattr(error, "strerror", None) or "not PEM"
            raise ReadError(Reason.TLS, f"{file} cannot be used for TLS: {why}") from error
        return self._context

    def _build(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._tls.ca_file)
        if self._tls.cert_file is not None:
            # an encrypted key without a password would ask on the terminal
            context.load_cert_chain(self._tls.cert_file, self._tls.key_file, password="")
        if self._tls.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
