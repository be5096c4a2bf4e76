"""What every request goes through before it is answered: the rules of the web configuration."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from seamwatch.config.problems import ConfigError
from seamwatch.web.auth import BasicAuth, TooManyAsk, credentials, has_allowed_name
from seamwatch.web.limits import RateLimit
from seamwatch.web.problems import refusal
from seamwatch.web.webconfig import RateLimitSection, WebConfig, WebConfigFile

CONFIG = web.RequestKey("web_config", WebConfig)
"""The rules that the request was let through by."""

USER = web.RequestKey("user", str)
"""The user of basic auth whose password was right."""

IS_CHECK = web.RequestKey("is_check", bool)
"""Set for checks of gates, which are always answered."""


class Guard:
    """Lets a request through when the web configuration does.

    *knows* says who needs no password, for what is asked recognises them itself.
    """

    def __init__(
        self,
        file: WebConfigFile,
        auth: BasicAuth,
        *,
        knows: Callable[[web.Request], bool] = lambda _: False,
    ) -> None:
        self._file = file
        self._auth = auth
        self._knows = knows
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
            if IS_CHECK not in request:
                text = "the web configuration file cannot be used; the log says why\n"
                return refusal(request, text, status=500)
            config = self._file.last_good  # a slip in a file must not stop anybody's traffic
        request[CONFIG] = config
        if not self._is_within_rate(config.rate_limit):
            return refusal(request, "too many requests; ask less often\n", status=429)
        tls = config.tls_server_config
        if (
            tls
            and tls.client_allowed_sans
            and not has_allowed_name(request, tls.client_allowed_sans)
        ):
            return refusal(request, "the client certificate has no allowed name\n", status=403)
        if config.basic_auth_users and not self._knows(request):
            refused = await self._refusal(request, config)
            if refused is not None:
                return refused
        return await handler(request)

    async def _refusal(self, request: web.Request, config: WebConfig) -> web.Response | None:
        header = request.headers.get("Authorization")
        try:
            if await self._auth.allows(header, config.basic_auth_users):
                request[USER] = credentials(header)[0] or ""
                return None
        except TooManyAsk:
            text = "too many passwords wait to be checked\n"
            if IS_CHECK in request:
                return refusal(request, text, status=429)
            return refusal(request, text, status=503)
        return refusal(
            request,
            "user and password are needed; send them with basic authentication\n",
            status=401,
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
