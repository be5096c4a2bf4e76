"""What every request goes through before it is answered: the rules of the web configuration."""

from __future__ import annotations

import time

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from seamwatch.config.problems import ConfigError
from seamwatch.web.auth import BasicAuth, TooManyAsk, has_allowed_name
from seamwatch.web.limits import RateLimit
from seamwatch.web.webconfig import RateLimitSection, WebConfig, WebConfigFile

CONFIG = web.RequestKey("web_config", WebConfig)
"""The rules that the request was let through by."""


class Guard:
    """Lets a request through when the web configuration does."""

    def __init__(self, file: WebConfigFile, auth: BasicAuth) -> None:
        self._file = file
        self._auth = auth
        self._rate: tuple[RateLimitSection, RateLimit] | None = None

    def middleware(self) -> Middleware:
        """Return what the application puts around its handlers."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._check(request, handler)

        return check

    async def _check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            config = self._file.current()
        except ConfigError:
            text = "the web configuration file cannot be used; the log says why\n"
            return web.Response(status=500, text=text)
        request[CONFIG] = config
        if not self._is_within_rate(config.rate_limit):
            return web.Response(status=429, text="too many requests; ask less often\n")
        tls = config.tls_server_config
        if (
            tls
            and tls.client_allowed_sans
            and not has_allowed_name(request, tls.client_allowed_sans)
        ):
            return web.Response(status=403, text="the client certificate has no allowed name\n")
        if config.basic_auth_users and not _has_token(request):
            refused = await self._refusal(request, config)
            if refused is not None:
                return refused
        return await handler(request)

    async def _refusal(self, request: web.Request, config: WebConfig) -> web.Response | None:
        header = request.headers.get("Authorization")
        try:
            if await self._auth.allows(header, config.basic_auth_users):
                return None
        except TooManyAsk:
            return web.Response(status=503, text="too many passwords wait to be checked\n")
        return web.Response(
            status=401,
            text="user and password are needed; send them with basic authentication\n",
            headers={"WWW-Authenticate": 'Basic realm="seamwatch", charset="UTF-8"'},
        )

    def _is_within_rate(self, section: RateLimitSection) -> bool:
        if not section.interval:
            return True
        now = time.monotonic()
        if self._rate is None or self._rate[0] != section:
            limit = RateLimit(interval=section.interval, burst=section.burst, now=now)
            self._rate = (section, limit)
        return self._rate[1].allows(now=now)


def _has_token(request: web.Request) -> bool:
    """Say whether ``/v1`` is asked with a token, which it checks itself."""
    header = request.headers.get("Authorization", "")
    return request.path.startswith("/v1/") and header[:7].lower() == "bearer "
