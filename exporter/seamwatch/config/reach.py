"""What every HTTP target has in common: address, headers, credentials, TLS and bounds."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from seamwatch.config.fields import Secret, Section, Size, shown

_SPACE = re.compile(r"[\s\x00-\x20\x7f]")


def _check_url(value: str) -> str:
    if "@" in value.partition("//")[2].partition("/")[0].partition("?")[0]:
        raise ValueError("a URL may not carry a user or password; use basic_auth")
    try:
        parts = urlsplit(value)
        works = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        works = works and not _SPACE.search(value)
    except ValueError:  # an IPv6 address or a port that is none
        works = False
    if not works:
        raise ValueError(f"{shown(value)} is not a web address; write http://host:port/path")
    return value


Url = Annotated[str, AfterValidator(_check_url)]
"""An http or https address without credentials in it."""


class BasicAuth(Section):
    """User and password, the password in a file or from the environment."""

    username: str
    """User name."""
    password: Secret | None = None
    """Password, written as `${NAME}`."""
    password_file: str | None = None
    """File that holds the password."""

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if (self.password is None) == (self.password_file is None):
            raise ValueError("give either password: ${ENV} or password_file")
        return self


class Tls(Section):
    """How to trust the other side, and who we are to it."""

    ca_file: str | None = None
    """Certificates to trust instead of the system's."""
    cert_file: str | None = None
    """Our certificate, for mutual TLS."""
    key_file: str | None = None
    """Its key."""
    server_name: str | None = None
    """Name that the certificate of the other side must carry, if not the host of `url`."""
    insecure_skip_verify: bool = False
    """Trust any certificate."""


class HttpTarget(Section):
    """An HTTP endpoint that seamwatch calls."""

    url: Url
    """Address, without user and password."""
    headers: dict[str, Secret] = Field(default_factory=dict)
    """Headers to send; credentials as `${NAME}`."""
    basic_auth: BasicAuth | None = None
    """User and password."""
    bearer_token: Secret | None = None
    """Token, written as `${NAME}`."""
    bearer_token_file: str | None = None
    """File that holds the token."""
    tls: Tls | None = None
    """How to trust the other side, and who we are to it."""
    max_bytes: Size = 1 << 20
    """Largest answer that is read, also after decompression."""
    redirects: Annotated[int, Field(ge=0, le=10)] = 0
    """How many redirects are followed, on the same host only."""

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        given = [
            name
            for name in ("basic_auth", "bearer_token", "bearer_token_file")
            if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude one another; give one of them")
        return self
