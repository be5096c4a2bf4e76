"""What every HTTP target has in common: address, headers, credentials, TLS and bounds."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from seamwatch.config.fields import Secret, Section, Size


def _check_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{value!r} is not a web address; write http://host:port/path")
    if parts.username or parts.password:
        raise ValueError("a URL may not carry a user or password; use basic_auth")
    return value


Url = Annotated[str, AfterValidator(_check_url)]
"""An http or https address without credentials in it."""


class BasicAuth(Section):
    """User and password, the password in a file or from the environment."""

    username: str
    password: Secret | None = None
    password_file: str | None = None

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if (self.password is None) == (self.password_file is None):
            raise ValueError("give either password: ${ENV} or password_file")
        return self


class Tls(Section):
    """How to trust the other side, and who we are to it."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    insecure_skip_verify: bool = False


class HttpTarget(Section):
    """An HTTP endpoint that seamwatch calls."""

    url: Url
    headers: dict[str, Secret] = Field(default_factory=dict)
    basic_auth: BasicAuth | None = None
    bearer_token: Secret | None = None
    bearer_token_file: str | None = None
    tls: Tls | None = None
    max_bytes: Size = 1 << 20
    redirects: Annotated[int, Field(ge=0, le=10)] = 0

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
