"""DAGs of Apache Airflow 2 and 3 are paused, and those that ran before are let go again.

API: the stable REST API, v1 (Airflow 2, basic authentication) and v2 (Airflow 3, tokens).
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from time import monotonic
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from seamwatch.actions.rest import Turn, each, explained, truth, was_running
from seamwatch.actions.target import Memory, Order
from seamwatch.config.actions import AirflowAction
from seamwatch.config.reach import BasicAuth
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Endpoint, Fetcher, Rejected

_KEY = "paused"
_VERSIONS = {"3": "/api/v2/version", "2": "/api/v1/version"}  # Airflow's -> its API's


class AirflowTarget:
    """Pauses DAGs; a DAG that was paused before the halt stays paused when it ends.

    A paused DAG starts no further runs; a run under way ends by itself.
    """

    def __init__(self, section: AirflowAction, fetcher: Fetcher, timeout: float) -> None:
        self._section = section
        self._fetcher = fetcher
        self._timeout = timeout
        self._dags = tuple(dict.fromkeys(section.dags))
        self._version: str | None = None if section.version == "auto" else section.version
        login = section.basic_auth
        if section.username is not None:
            login = BasicAuth(
                username=section.username,
                password=section.password,
                password_file=section.password_file,
            )
        self._endpoint = Endpoint(section.model_copy(update={"basic_auth": login}))
        self._has_login = login is not None
        self._bare = Endpoint(section.model_copy(update={"basic_auth": None}))
        self._token: Endpoint | None = None  # the server, and a token for it
        self._token_at = 0.0
        self._learning = asyncio.Lock()  # version and token are asked for once, for all DAGs

    async def look(self, order: Order) -> Memory:
        """Return which DAGs are paused now; what *order* remembers of before is kept."""
        turn = Turn(self._fetcher, self._timeout)
        found = await each(self._dags, lambda dag: self._paused(turn, dag))
        return {_KEY: found | dict(order.memory.get(_KEY, {}))}

    async def apply(self, order: Order) -> None:
        """Pause all DAGs, or let those run again that had been running."""
        turn = Turn(self._fetcher, self._timeout)
        paused = order.desired == "halted"

        async def put(dag: str) -> None:
            document = {"is_paused": paused}
            await self._ask(turn, dag, method="PATCH", document=document)

        await each(self._concerned(order), put)

    async def stands(self, order: Order) -> bool:
        """Say whether all DAGs are paused, or all that had been running are not."""
        turn = Turn(self._fetcher, self._timeout)
        found = await each(self._concerned(order), lambda dag: self._paused(turn, dag))
        return all(paused == (order.desired == "halted") for paused in found.values())

    def render(self, order: Order) -> str:
        """Return the requests, one a line."""
        version = self._version or "3"
        state = "true" if order.desired == "halted" else "false"
        lines = [
            f"PATCH {self._endpoint.name(_path(version, dag))}?update_mask=is_paused"
            f' {{"is_paused":{state}}}'
            for dag in self._concerned(order)
        ]
        return "\n".join(lines) or "nothing: no DAG had been running before the halt"

    async def close(self) -> None:
        """Forget the token."""
        self._token = None

    def _concerned(self, order: Order) -> tuple[str, ...]:
        if order.desired == "halted":
            return self._dags
        return tuple(was_running(order.memory, self._dags, _KEY))

    async def _paused(self, turn: Turn, dag: str) -> bool:
        found = await self._ask(turn, dag)
        return truth(found, "is_paused", f"DAG {dag!r} at {self._endpoint.name()}")

    async def _ask(self, turn: Turn, dag: str, **request: Any) -> Any:
        async with self._learning:
            version = self._version or await self._found(turn)
        if "document" in request:
            request["params"] = {"update_mask": "is_paused"}
        try:
            return await self._allowed(turn, version, _path(version, dag), **request)
        except Rejected as error:
            if error.status != 404:
                raise
            if self._section.version == "auto":
                self._version = None  # it may have become another Airflow since
            raise explained(error, f"there is no DAG {dag!r}") from error.__cause__

    async def _allowed(self, turn: Turn, version: str, path: str, **request: Any) -> Any:
        if version == "2" or not self._has_login:
            return await turn.ask(self._endpoint, path, **request)
        endpoint = await self._with_token(turn, None)
        try:
            return await turn.ask(endpoint, path, **request)
        except Rejected as error:
            # 401: it has expired; 403: the server has another key since its start, or says no
            if error.status not in (401, 403) or self._token_at >= turn.started:
                raise
        return await turn.ask(await self._with_token(turn, endpoint), path, **request)

    async def _with_token(self, turn: Turn, refused: Endpoint | None) -> Endpoint:
        """Return the server with a token that is not the *refused* one; one is fetched for all."""
        async with self._learning:
            if self._token is None or self._token is refused:
                token = await self._login(turn)
                update = {"basic_auth": None, "bearer_token": SecretStr(token)}
                self._token = Endpoint(self._section.model_copy(update=update))
                self._token_at = monotonic()
            return self._token

    async def _login(self, turn: Turn) -> str:
        credential = self._endpoint.headers()["Authorization"].partition(" ")[2]
        username, _, password = b64decode(credential).decode().partition(":")
        document = {"username": username, "password": password}
        try:
            # as itself it may not be sent along: the bare endpoint has no credential
            found = await turn.ask(self._bare, "/auth/token", method="POST", document=document)
        except Rejected as error:
            said = str(error).replace(password, "***") if password else str(error)
            error.args = (said,)
            hint = "check username and password" if error.status in (401, 403) else ""
            raise explained(error, f"no token for user {username!r}", hint) from None
        token = found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(token, str) or not token:
            where = self._bare.name("/auth/token")
            raise ReadError(Reason.BAD_CONTRACT, f"{where}: the answer has no access_token")
        return token

    async def _found(self, turn: Turn) -> str:
        """Return 2 or 3, whichever Airflow answers."""
        for version, path in _VERSIONS.items():
            try:
                await turn.ask(self._bare, path)
            except Rejected as error:
                if error.status != 404:
                    raise
            else:
                self._version = version
                return version
        raise ReadError(
            Reason.BAD_CONTRACT,
            f"{self._bare.name()}: no Airflow answers at {' or '.join(_VERSIONS.values())};"
            " write the base address as url",
        )


def _path(version: str, dag: str) -> str:
    return f"/api/v{'1' if version == '2' else '2'}/dags/{quote(dag, safe='')}"
