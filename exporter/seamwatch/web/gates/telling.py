"""What people and machines tell a gate: halt, resume, override, alerts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from aiohttp import web

from seamwatch.errors import Reason, StoreError
from seamwatch.gate import (
    Alerted,
    ClearOverride,
    GateState,
    Halt,
    Happening,
    NotLegal,
    Rebaseline,
    Resume,
    answer,
)
from seamwatch.store import IdempotencyKey
from seamwatch.store.gatebook import KeyReused, StaleGeneration, Written
from seamwatch.watch.gates import Gates, UnknownGateError
from seamwatch.web.gates import requests
from seamwatch.web.gates.documents import document, etag, said, unknown
from seamwatch.web.gates.rights import Client, Rights
from seamwatch.web.problems import RETRY, Problem


class Telling:
    """Lets things happen to *gates*; *alerts* names the alerts that may halt a pipeline."""

    def __init__(
        self,
        gates: Gates,
        rights: Rights,
        *,
        clock: Callable[[], float],
        alerts: Callable[[str], Collection[str]],
    ) -> None:
        self._gates = gates
        self._rights = rights
        self._clock = clock
        self._alerts = alerts

    async def halt(self, request: web.Request) -> web.Response:
        """Stop a pipeline."""
        return await self._told(request, "halt", Halt)

    async def resume(self, request: web.Request) -> web.Response:
        """End a halt, whatever it stands on."""
        return await self._told(request, "resume", Resume)

    async def rebaseline(self, request: web.Request) -> web.Response:
        """Begin the evidence anew: what the pipeline does now is right."""
        return await self._told(request, "bless", Rebaseline)

    async def set_override(self, request: web.Request) -> web.Response:
        """Force the gate open or shut for a while."""
        client = self._client(request, "override")
        number = requests.expected(request, required=True)
        known = ("kind", "reason", "expires_at", "expires_in_s")
        given = await requests.fields(request, known)
        wanted = requests.override(given, self._clock())
        return await self._happen(request, client, wanted, given, number)

    async def clear_override(self, request: web.Request) -> web.Response:
        """Take an override back."""
        client = self._client(request, "override")
        number = requests.expected(request, required=True)
        given: dict[str, Any] = {}
        if request.can_read_body:
            given = await requests.fields(request, ("reason",))
        why = requests.reason(given) if given else "taken back"
        return await self._happen(request, client, ClearOverride(why), given, number)

    async def alertmanager(self, request: web.Request) -> web.Response:
        """Take a notification of Alertmanager; 200 once it is written down.

        While it cannot be, what fires halts all the same, and the answer lets Alertmanager try
        again: the same alert twice is one.
        """
        client = self._client(request, "halt")
        pipeline = request.match_info["pipeline"]
        if self._gates.state(pipeline) is None:
            raise unknown(pipeline)
        given = requests.parsed(await requests.body(request, requests.LARGEST_NOTIFICATION))
        taken = list(requests.alerts(given, self._alerts(pipeline)))
        for alert in taken:
            await self._written(pipeline, alert, actor=f"alertmanager, {client.actor}")
        return said({"taken": len(taken)})

    async def _told(
        self, request: web.Request, scope: str, kind: Callable[[str], Happening]
    ) -> web.Response:
        client = self._client(request, scope)
        number = requests.expected(request, required=False)
        given = await requests.fields(request, ("reason",))
        return await self._happen(request, client, kind(requests.reason(given)), given, number)

    async def _happen(
        self,
        request: web.Request,
        client: Client,
        happening: Happening,
        given: dict[str, Any],
        number: int | None,
    ) -> web.Response:
        """Let it happen and return the gate as that left it, also where it has moved on since."""
        pipeline = request.match_info["pipeline"]
        key = requests.idempotency(request, client.actor, given)
        written = await self._written(
            pipeline, happening, actor=client.actor, expected=number, key=key
        )
        view = self._gates.view(pipeline)
        if view is None:
            raise unknown(pipeline)
        state = written.state if written is not None else view.state
        headers = {"ETag": etag(state.generation)}
        if written is None:
            return said(document(view), status=202, headers=headers)
        if written.is_replayed:
            headers["Idempotency-Replayed"] = "true"
        now = answer(state, view.rules, now=self._clock())
        return said(document(replace(view, state=state, answer=now)), headers=headers)

    async def _written(
        self,
        pipeline: str,
        happening: Happening,
        *,
        actor: str,
        expected: int | None = None,
        key: IdempotencyKey | None = None,
    ) -> Written | None:
        """Let it happen; None where a halt is in force here and waits to be written."""
        try:
            return await self._gates.happen(
                pipeline, happening, actor=actor, expected=expected, key=key
            )
        except UnknownGateError as error:
            raise unknown(pipeline) from error
        except NotLegal as error:
            raise Problem(409, str(error)) from error
        except StaleGeneration as error:
            raise _moved_on(str(error), error.state) from error
        except KeyReused as error:
            raise Problem(422, str(error)) from error
        except StoreError as error:
            if isinstance(happening, Halt):
                self._halt_at_once(pipeline, happening, actor, expected)
                return None
            if isinstance(happening, Alerted) and happening.is_firing:
                self._gates.note(pipeline, happening, actor=actor)
            raise _unwritten(error) from error

    def _halt_at_once(
        self, pipeline: str, happening: Halt, actor: str, expected: int | None
    ) -> None:
        state = self._gates.state(pipeline)
        if state is not None and expected is not None and state.generation != expected:
            detail = f"the gate is at generation {state.generation}, not {expected}; read it again"
            raise _moved_on(detail, state)
        try:
            self._gates.halt_at_once(pipeline, happening.reason, actor=actor)
        except UnknownGateError as error:
            raise unknown(pipeline) from error
        except NotLegal as error:
            raise Problem(409, str(error)) from error

    def _client(self, request: web.Request, scope: str) -> Client:
        return self._rights.client(request, scope, request.match_info["pipeline"])


def _moved_on(detail: str, state: GateState) -> Problem:
    return Problem(
        412, detail, headers={"ETag": etag(state.generation)}, generation=state.generation
    )


def _unwritten(error: StoreError) -> Problem:
    detail = "it could not be written down, and nothing has changed; try again"
    if error.reason is Reason.TIMEOUT:
        detail = (
            "the store did not answer in time, and it may be done yet;"
            " look at the gate, or try again with the same Idempotency-Key"
        )
    return Problem(503, detail, headers={"Retry-After": str(RETRY)})
