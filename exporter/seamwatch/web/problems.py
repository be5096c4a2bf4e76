"""Errors as RFC 9457 says: what is wrong, in words and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

RETRY = 5  # seconds after which it is worth trying again


class Problem(Exception):
    """A request that is not answered as asked; *detail* says why and what to send instead."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra

    def response(self) -> web.Response:
        """Return it as an answer."""
        said = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }
        return web.Response(
            status=self.status,
            body=orjson.dumps(said),
            content_type="application/problem+json",
            headers={"Cache-Control": "no-store", **self.headers},
        )


def refusal(
    request: web.BaseRequest, text: str, *, status: int, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return *text*, a line, as whoever sent *request* reads it: a problem under ``/v1``."""
    if request.path.startswith("/v1/"):
        return Problem(status, text.rstrip("\n"), headers=headers).response()
    return web.Response(status=status, text=text, headers=headers)
