"""Models of an Open Inference Protocol server are unloaded, and loaded again when the halt ends.

API: the model repository extension of the V2 protocol, as MLServer and Triton (which must run
with ``--model-control-mode=explicit``) have it. The server's own health says nothing of this: it
stays ready when its only model is unloaded; the repository's index is what is looked at.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from seamwatch.actions.rest import Turn, each, was_running
from seamwatch.actions.target import Memory, Order
from seamwatch.config.actions import OpenInferenceAction
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Endpoint, Fetcher

_INDEX = "/v2/repository/index"
_KEY = "unloaded"
_SHOWN = 12
_IDLE = frozenset({"UNAVAILABLE", ""})  # Triton gives no state for what it has never loaded


class OpenInferenceTarget:
    """Unloads models; one that was not ready before the halt is not loaded when it ends.

    All versions of a model are unloaded; which of them are loaded again is up to the server.
    """

    def __init__(self, section: OpenInferenceAction, fetcher: Fetcher, timeout: float) -> None:
        self._endpoint = Endpoint(section)
        self._fetcher = fetcher
        self._timeout = timeout
        self._models = tuple(dict.fromkeys(section.models))

    async def look(self, order: Order) -> Memory:
        """Return which models are not ready now; what *order* remembers of before is kept."""
        states = await self._states(Turn(self._fetcher, self._timeout), self._models)
        found = {model: "READY" not in seen for model, seen in states.items()}
        return {_KEY: found | dict(order.memory.get(_KEY, {}))}

    async def apply(self, order: Order) -> None:
        """Unload what is not unloaded, or load what had been ready and is not."""
        turn = Turn(self._fetcher, self._timeout)
        states = await self._states(turn, concerned := self._concerned(order))

        async def put(model: str) -> None:
            await turn.ask(self._endpoint, _path(order, model), method="POST", document={})

        # a second unload is an error, a second load a restart
        await each([name for name in concerned if not _is_done(order, states[name])], put)

    async def stands(self, order: Order) -> bool:
        """Say whether the index has no version of any model loaded, or one of each ready."""
        turn = Turn(self._fetcher, self._timeout)
        states = await self._states(turn, self._concerned(order))
        return all(_is_done(order, seen) for seen in states.values())

    def render(self, order: Order) -> str:
        """Return the requests, one a line; models that are so already are left alone."""
        paths = [_path(order, model) for model in self._concerned(order)]
        lines = [f"POST {self._endpoint.name(path)} {{}}" for path in paths]
        return "\n".join(lines) or "nothing: no model had been ready before the halt"

    async def close(self) -> None:
        """Do nothing: the connections are the fetcher's."""

    def _concerned(self, order: Order) -> tuple[str, ...]:
        if order.desired == "halted":
            return self._models
        return tuple(was_running(order.memory, self._models, _KEY))

    async def _states(self, turn: Turn, models: tuple[str, ...]) -> dict[str, set[str]]:
        """Return the states of the versions of each of *models*.

        Raises:
            ReadError: the index cannot be read, or lacks a model.
        """
        if not models:
            return {}
        found = await turn.ask(self._endpoint, _INDEX, method="POST", document={})
        where = self._endpoint.name(_INDEX)
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise ReadError(Reason.BAD_CONTRACT, f"{where}: the answer is not a list of models")
        states: dict[str, set[str]] = {}
        for row in found:
            states.setdefault(_text(row.get("name")), set()).add(_text(row.get("state")))
        missing = [repr(model) for model in models if model not in states]
        if missing:
            has = ", ".join(sorted(states)[:_SHOWN]) + (", ..." if len(states) > _SHOWN else "")
            raise ReadError(
                Reason.NO_DATA,
                f"{where}: there is no model {' nor '.join(missing)}; there is {has or 'none'}",
            )
        return {model: states[model] for model in models}


def _is_done(order: Order, states: set[str]) -> bool:
    return states <= _IDLE if order.desired == "halted" else "READY" in states


def _path(order: Order, model: str) -> str:
    verb = "unload" if order.desired == "halted" else "load"
    return f"/v2/repository/models/{quote(model, safe='')}/{verb}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
