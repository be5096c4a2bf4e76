"""CronWorkflows of Argo Workflows are suspended, and those that ran before are resumed.

API: the Argo server's /api/v1/cron-workflows.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from seamwatch.actions.merge_patch import written
from seamwatch.actions.rest import Turn, each, explained, truth, was_running
from seamwatch.actions.target import Memory, Order
from seamwatch.config.actions import ArgoWorkflowsAction
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Endpoint, Fetcher, Rejected

_KEY = "suspended"


class ArgoWorkflowsTarget:
    """Suspends CronWorkflows; one that was suspended before the halt stays so when it ends.

    A suspended CronWorkflow starts no further Workflows; one under way ends by itself.
    """

    def __init__(self, section: ArgoWorkflowsAction, fetcher: Fetcher, timeout: float) -> None:
        self._endpoint = Endpoint(section)
        self._fetcher = fetcher
        self._timeout = timeout
        self._namespace = section.namespace
        self._names = tuple(dict.fromkeys(section.cron_workflows))

    async def look(self, order: Order) -> Memory:
        """Return which are suspended now; what *order* remembers of before is kept."""
        turn = Turn(self._fetcher, self._timeout)
        found = await each(self._names, lambda name: self._suspended(turn, name))
        return {_KEY: found | dict(order.memory.get(_KEY, {}))}

    async def apply(self, order: Order) -> None:
        """Suspend all, or resume those that had been running."""
        turn = Turn(self._fetcher, self._timeout)

        async def put(name: str) -> None:
            path, document = self._change(order, name)
            await self._ask(turn, name, path, method="PUT", document=document)

        await each(self._concerned(order), put)

    async def stands(self, order: Order) -> bool:
        """Say whether all are suspended, or all that had been running are not."""
        turn = Turn(self._fetcher, self._timeout)
        found = await each(self._concerned(order), lambda name: self._suspended(turn, name))
        return all(suspended == (order.desired == "halted") for suspended in found.values())

    def render(self, order: Order) -> str:
        """Return the requests, one a line."""
        changes = [self._change(order, name) for name in self._concerned(order)]
        lines = [f"PUT {self._endpoint.name(path)} {written(body)}" for path, body in changes]
        return "\n".join(lines) or "nothing: no CronWorkflow had been running before the halt"

    async def close(self) -> None:
        """Do nothing: the connections are the fetcher's."""

    def _concerned(self, order: Order) -> tuple[str, ...]:
        if order.desired == "halted":
            return self._names
        return tuple(was_running(order.memory, self._names, _KEY))

    def _path(self, name: str) -> str:
        return f"/api/v1/cron-workflows/{quote(self._namespace, safe='')}/{quote(name, safe='')}"

    def _change(self, order: Order, name: str) -> tuple[str, dict[str, str]]:
        verb = "suspend" if order.desired == "halted" else "resume"
        return f"{self._path(name)}/{verb}", {"name": name, "namespace": self._namespace}

    async def _suspended(self, turn: Turn, name: str) -> bool:
        path = self._path(name)
        found = await self._ask(turn, name, path)
        spec = found.get("spec") if isinstance(found, dict) else None
        if not isinstance(spec, dict):
            where = self._endpoint.name(path)
            raise ReadError(Reason.BAD_CONTRACT, f"{where}: the answer is no CronWorkflow")
        return truth(spec, "suspend", self._endpoint.name(path), absent=False)

    async def _ask(self, turn: Turn, name: str, path: str, **request: Any) -> Any:
        try:
            return await turn.ask(self._endpoint, path, **request)
        except Rejected as error:
            if error.status != 404:
                raise
            # some servers answer 404 where the token may not see it
            what = f"there is no CronWorkflow {name!r} in namespace {self._namespace!r}"
            raise explained(error, what, "or the token may not see it") from error.__cause__
