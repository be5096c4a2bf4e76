"""The web configuration file, in the format of the Prometheus exporter-toolkit.

The keys and their meaning are those of the toolkit, so that one file serves all exporters of a
machine. What Python's TLS cannot do is refused with a sentence and never silently left out:
it would be a door less closed than its owner believes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from seamwatch.config.document import Fault, decode, locate, parse
from seamwatch.config.fields import Duration, Listed, Section
from seamwatch.config.problems import ConfigError, Problem
from seamwatch.config.scalars import Trap

log = logging.getLogger(__name__)

_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_HIGHEST_COST = 15  # two seconds for each new password; every step doubles it

# names of Go's standard library for what OpenSSL calls otherwise; TLS 1.3 suites are always on
CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
}
_HEADERS: dict[str, tuple[str, ...] | None] = {  # name -> the values it may have; None: any
    "Content-Security-Policy": None,
    "Strict-Transport-Security": None,
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": None,
}
Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


def _check_hash(value: str) -> str:
    match = _BCRYPT.fullmatch(value)
    if match is None:
        raise ValueError("this is not a bcrypt hash; write what `htpasswd -nBC 10 USER` prints")
    if int(match[1]) > _HIGHEST_COST:
        raise ValueError(f"the cost {match[1]} takes seconds; hash it with cost 10 to 12")
    return value


def _check_cipher(value: str) -> str:
    if value not in CIPHERS:
        raise ValueError(f"{value} is not offered; write one of {', '.join(CIPHERS)}")
    return value


class TlsSection(Section):
    """``tls_server_config``; paths are relative to the file's directory."""

    cert: str | None = None
    cert_file: str | None = None
    key: str | None = Field(default=None, repr=False)
    key_file: str | None = None
    client_ca: str | None = None
    client_ca_file: str | None = None
    client_auth_type: str = "NoClientCert"
    client_allowed_sans: Annotated[tuple[str, ...], Listed] = ()
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: Annotated[tuple[Annotated[str, AfterValidator(_check_cipher)], ...], Listed] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: Annotated[
        tuple[Literal["CurveP256", "CurveP384", "CurveP521", "X25519"], ...], Listed
    ] = Field(default=(), max_length=1)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name in ("cert", "key"):
            _one_of(self, name, f"{name}_file", is_needed=True)
        has_ca = _one_of(self, "client_ca", "client_ca_file", is_needed=False)
        offered = ("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
        if self.client_auth_type not in offered:
            raise ValueError(
                f"client_auth_type {self.client_auth_type} is not offered;"
                f" write one of {', '.join(offered)}"
            )
        if has_ca != (self.client_auth_type != "NoClientCert"):
            raise ValueError(
                "a client CA and a client_auth_type that verifies belong together;"
                " give client_ca_file and client_auth_type: RequireAndVerifyClientCert"
            )
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise ValueError(
                "client_allowed_sans needs client_auth_type: RequireAndVerifyClientCert"
            )
        if self.min_version > self.max_version:
            raise ValueError("min_version is newer than max_version; write TLS12 and TLS13")
        return self


def _one_of(section: TlsSection, plain: str, file: str, *, is_needed: bool) -> bool:
    given = [name for name in (plain, file) if getattr(section, name) is not None]
    if len(given) == 2:
        raise ValueError(f"{plain} and {file} exclude one another; give one of them")
    if is_needed and not given:
        raise ValueError(f"{file} is missing; name the PEM file, or give its text as {plain}")
    return bool(given)


class HttpSection(Section):
    """``http_server_config``."""

    http2: bool = True  # accepted for the toolkit's sake: this server speaks HTTP/1.1
    headers: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_headers(self) -> Self:
        for name, value in self.headers.items():
            if name not in _HEADERS:
                raise ValueError(f"header {name} is not offered; use one of {', '.join(_HEADERS)}")
            values = _HEADERS[name]
            if values is not None and value.lower() not in values:
                raise ValueError(f"header {name} may be {' or '.join(values)}")
            if re.search(r"[\x00-\x1f\x7f]", value):
                raise ValueError(f"header {name} holds a control character; write it in one line")
        return self


class RateLimitSection(Section):
    """``rate_limit``: requests over it get 429; an interval of 0s switches it off."""

    interval: Duration = 0.0
    burst: Annotated[int, Field(ge=1)] = 1


class WebConfig(Section):
    """The whole file."""

    tls_server_config: TlsSection | None = None
    http_server_config: HttpSection = HttpSection()
    basic_auth_users: dict[str, Annotated[str, AfterValidator(_check_hash)]] = Field(
        default_factory=dict, repr=False
    )
    rate_limit: RateLimitSection = RateLimitSection()


def load(path: Path) -> WebConfig:
    """Return what *path* says.

    Raises:
        ConfigError: with all that is wrong, each with file:line:column; no secret is shown.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ConfigError(str(path), [Problem(str(path), 0, 0, (), message)]) from error
    text = decode(content)
    if isinstance(text, Fault):
        raise ConfigError(str(path), [_placed(path, text)])
    document = parse(text, {})
    if document.faults:
        raise ConfigError(str(path), [_placed(path, fault) for fault in document.faults])
    try:
        return WebConfig.model_validate({} if document.value is None else document.value)
    except ValidationError as error:
        raise ConfigError(str(path), list(_problems(path, text, error))) from None


def _placed(path: Path, fault: Fault) -> Problem:
    message = fault.message
    text = message.describe(shown=False) if isinstance(message, Trap) else message
    return Problem(str(path), fault.line, fault.column, fault.path, text)


def _problems(path: Path, text: str, error: ValidationError) -> Iterable[Problem]:
    found = error.errors(include_url=False, include_input=False)
    spots = locate(text, {details["loc"] for details in found})
    for details in found:
        loc = details["loc"]
        spot = spots.get(loc)
        line, column = spot.key if spot else (1, 1)
        yield Problem(str(path), line, column, loc, _sentence(loc, details))


def _sentence(loc: tuple[int | str, ...], details: Any) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return f"is no key of this section; write one of {', '.join(_keys(loc[:-1]))}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"is not offered; write one of {context['expected']}"
    if kind == "too_long":
        return "takes one value here; write the one that you prefer"
    return f"cannot be read: {details['msg'].lower()}"


def _keys(loc: tuple[int | str, ...]) -> Iterable[str]:
    sections: dict[Any, type[Section]] = {
        "tls_server_config": TlsSection,
        "http_server_config": HttpSection,
        "rate_limit": RateLimitSection,
    }
    return (sections[loc[0]] if loc else WebConfig).model_fields


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What changes when a file is written or replaced."""

    modified: int
    size: int
    inode: int


def stamp(path: Path) -> _Stamp | None:
    """Return the file's stamp, None when it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _Stamp(status.st_mtime_ns, status.st_size, status.st_ino)


class WebConfigFile:
    """The file as it is now: looked at for each request, read when it has changed.

    While it cannot be used, `current` raises and every request is refused: a broken file must
    not open a door. *path* None stands for a file that says nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._seen: _Stamp | None = None
        self._config: WebConfig | ConfigError = WebConfig()
        if path is not None:
            self._seen = stamp(path)
            self._config = load(path)
        self._good = self._config
        self.has_tls = self._config.tls_server_config is not None

    def current(self) -> WebConfig:
        """Return what the file says; raise ConfigError while it cannot be used."""
        if self.path is not None and (now := stamp(self.path)) != self._seen:
            self._seen = now
            self._config = self._load(self.path)
        if isinstance(self._config, ConfigError):
            raise self._config.with_traceback(None)
        self._good = self._config
        return self._config

    @property
    def last_good(self) -> WebConfig:
        """Return what the file said when it could be used last."""
        return self._good

    def _load(self, path: Path) -> WebConfig | ConfigError:
        try:
            config = load(path)
            if (config.tls_server_config is not None) != self.has_tls:
                message = "TLS is switched on or off by a restart only; restart, or change it back"
                raise ConfigError(str(path), [Problem(str(path), 0, 0, (), message)])
        except ConfigError as error:
            log.error("every request is refused until the web configuration is right: %s", error)
            return error
        log.info("the web configuration was read again from %s", path)
        return config
