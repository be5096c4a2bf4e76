"""Objects of Kubernetes are patched to halt them, and given back what the patch replaced.

API: JSON merge patches with metadata.resourceVersion as compare-and-set, so that a change that
somebody made since the object was read is never overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seamwatch.actions.merge_patch import (
    Point,
    both,
    merged,
    placed,
    points,
    restoring,
    same,
    written,
)
from seamwatch.actions.rest import Turn, each, explained
from seamwatch.actions.target import Memory, Order
from seamwatch.config.actions import KubernetesAction
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Endpoint, Fetcher, Rejected

MERGE_PATCH = "application/merge-patch+json"

GENERATION = "seamwatch.dev/generation"
"""Annotation: the last order that the object obeyed."""

OWNER = "seamwatch.dev/action"
"""Annotation: pipeline and action whose generations these are; others count by themselves."""

_KEY = "objects"


class KubernetesTarget:
    """Patches objects; what they had before is given back where nobody has changed it since.

    The annotations stay after a halt, so that an older order is refused whenever it comes.
    """

    def __init__(self, section: KubernetesAction, fetcher: Fetcher, timeout: float) -> None:
        self._endpoint = Endpoint(section)
        self._fetcher = fetcher
        self._timeout = timeout
        self._halts = {patch.path: patch.halt for patch in section.patches}

    async def look(self, order: Order) -> Memory:
        """Return what the patches would replace; what *order* remembers of before is kept."""
        turn = Turn(self._fetcher, self._timeout)

        async def one(path: str) -> list[Point]:
            known = _known(order.memory, path)
            have = [point["at"] for point in known]
            found = points(await self._object(turn, path), self._halts[path])
            return [*known, *(point for point in found if point["at"] not in have)]

        return {_KEY: await each(list(self._halts), one)}

    async def apply(self, order: Order) -> None:
        """Patch what is not as desired yet, read again once where somebody was quicker."""
        turn = Turn(self._fetcher, self._timeout)

        async def one(path: str) -> None:
            try:
                await self._put(turn, order, path)
            except Rejected as error:
                if error.status != 409:
                    raise
                await self._put(turn, order, path)

        await each(list(self._halts), one)

    async def stands(self, order: Order) -> bool:
        """Say whether nothing is left to patch."""
        turn = Turn(self._fetcher, self._timeout)

        async def one(path: str) -> bool:
            return not self._change(order, path, await self._object(turn, path))

        return all((await each(list(self._halts), one)).values())

    def render(self, order: Order) -> str:
        """Return the patches, one a line; what has been changed since is left as it is."""
        lines = []
        for path, halt in self._halts.items():
            patch: dict[str, Any] = halt
            if order.desired == "running":
                patch = {}
                for point in _known(order.memory, path):
                    patch = both(patch, placed(point["at"], point.get("was")))
            if patch:
                lines.append(f"PATCH {self._endpoint.name(path)} {written(patch)}")
        return "\n".join(lines) or "nothing: the halt had changed nothing"

    async def close(self) -> None:
        """Do nothing: the connections are the fetcher's."""

    async def _object(self, turn: Turn, path: str) -> dict[str, Any]:
        found = await self._ask(turn, path)
        metadata = found.get("metadata") if isinstance(found, dict) else None
        if not isinstance(metadata, dict) or not isinstance(metadata.get("resourceVersion"), str):
            raise ReadError(
                Reason.BAD_CONTRACT,
                f"{self._endpoint.name(path)}: the answer is no object of Kubernetes (it has no"
                " metadata.resourceVersion); write the path of one object",
            )
        return dict(found)

    async def _put(self, turn: Turn, order: Order, path: str) -> None:
        found = await self._object(turn, path)
        where = self._endpoint.name(path)
        ours = {GENERATION: str(order.generation), OWNER: f"{order.pipeline}/{order.target}"}
        noted = _annotations(found)
        _refuse_older(order, noted, ours[OWNER], where)
        patch = self._change(order, path, found)
        if not patch and (order.desired == "running" or noted.items() >= ours.items()):
            return
        metadata = {
            "resourceVersion": found["metadata"]["resourceVersion"],
            "annotations": ours,
        }
        await self._ask(
            turn,
            path,
            method="PATCH",
            document=both(patch, {"metadata": metadata}),
            media=MERGE_PATCH,
        )

    def _change(self, order: Order, path: str, found: dict[str, Any]) -> dict[str, Any]:
        """Return the patch that makes *found* as desired; empty when it is."""
        if order.desired == "running":
            return restoring(found, _known(order.memory, path))
        halt = self._halts[path]
        return {} if same(merged(found, halt), found) else halt

    async def _ask(self, turn: Turn, path: str, **request: Any) -> Any:
        try:
            return await turn.ask(self._endpoint, path, **request)
        except Rejected as error:
            if error.status != 404:
                raise
            raise explained(error, f"there is no object {path}") from error.__cause__


def _known(memory: Memory, path: str) -> list[Point]:
    objects = memory.get(_KEY)
    return list(objects.get(path, ())) if isinstance(objects, Mapping) else []


def _annotations(found: Mapping[str, Any]) -> dict[str, Any]:
    annotations = found["metadata"].get("annotations")
    return annotations if isinstance(annotations, dict) else {}


def _refuse_older(order: Order, noted: Mapping[str, Any], owner: str, where: str) -> None:
    text = str(noted.get(GENERATION, ""))
    if noted.get(OWNER) != owner or not (text.isascii() and text.isdigit()):
        return
    if int(text) > order.generation:
        raise ReadError(
            Reason.NOT_LEADER,
            f"{where} obeys generation {text} of {owner} already; this order is older"
            f" (generation {order.generation})",
        )
