"""The pipeline put together: six stages of four teams, their jobs, and one way through them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from seamwatch.demo.answer import PLAIN, PRIMARY, Gateway, NamesOnly, Reply, Route
from seamwatch.demo.cache import Cache
from seamwatch.demo.decision import Decision, tune
from seamwatch.demo.embedding import Embedding
from seamwatch.demo.encoder import IN_SERVICE, Encoder
from seamwatch.demo.facts import Facts
from seamwatch.demo.feed import Feed
from seamwatch.demo.index import Hit, Index, IndexJob
from seamwatch.demo.ingest import Ingest, batch_name
from seamwatch.demo.questions import is_hot, questions, wording


class StagePage(Protocol):
    """What every stage shows: a health page for its team, the stage contract for everybody."""

    team: str
    name: str

    def health(self, *, now: float) -> dict[str, Any]:
        """Return the team's own page."""

    def meta(self) -> dict[str, Any]:
        """Return the stage contract."""


class Assembly:
    """Owns the stages. ``run_jobs`` is called from one thread at a time, ``answer`` from any."""

    def __init__(self, facts: Facts, folder: Path, *, started: float) -> None:
        self.facts = facts
        self.feed = Feed(facts, started=started)
        self.ingest = Ingest(folder / "documents.db", self.feed)
        newest = facts.documents(facts.newest)
        encoder = Encoder(IN_SERVICE, [document.text for document in newest])
        self.embedding = Embedding(encoder)
        self.index = IndexJob(folder / "index.json", encoder)
        # What team data would serve after ingesting everything once more: built by the same recipe
        # straight from what was published, past the mirror and the ingest job.
        self.shadow = Index(batch_name(facts.newest, newest), newest, encoder)
        self.cache = Cache()
        self.decision = Decision(tune(IN_SERVICE, newest, questions(facts, golden=False)))
        self.gateway = Gateway(self._primary, NamesOnly(newest, encoder))
        self.stages: Mapping[str, StagePage] = {
            stage.name: stage
            for stage in (
                self.ingest,
                self.embedding,
                self.index,
                self.cache,
                self.decision,
                self.gateway,
            )
        }
        self.run_jobs(now=started)

    def run_jobs(self, *, now: float) -> None:
        """Run what the schedulers of the teams run: ingest, index check, cache warming."""
        self.ingest.run(now=now)
        batch, documents = self.ingest.documents()
        self.index.run(batch, documents, now=now)
        index, encoder = self.index.index, self.embedding.encoder
        key = index.version, encoder.version
        if self.cache.needs_warming(key):
            self.cache.warm(self.find_hot(index, encoder), key)
        self.cache.check(now=now, complete_until=self.ingest.meta()["watermark"])

    def find_hot(
        self, index: Index, encoder: Encoder, *, asked_in: str | None = None
    ) -> Mapping[str, Hit]:
        """Return what *index* finds for the questions that people ask most.

        *asked_in* is the release at whose time they asked (default: the newest): nobody asks of a
        feature before it exists.
        """
        known = self.facts.statuses[asked_in or self.facts.newest]
        texts = [
            wording(self.facts.names[feature], feature, misspelt=True)
            for feature in sorted(known)
            if is_hot(feature)
        ]
        return dict(zip(texts, index.search(encoder.encode(texts)), strict=True))

    def answer(self, question: str, route: Route = PLAIN) -> Reply:
        """Return what the endpoint answers."""
        return self.gateway.answer(question, route)

    def _primary(self, question: str, route: Route) -> Reply:
        hit = self._recall(question, route)
        return Reply(self.decision.label(hit), hit.score, PRIMARY, hit.label)

    def _recall(self, question: str, route: Route) -> Hit:
        index = self.shadow if route.shadow else self.index.index
        encoder = self.index.encoder if route.index_encoder else self.embedding.encoder
        key = index.version, encoder.version
        if route.bypass_cache:
            self.cache.bypassed += 1
            return self._search(question, index, encoder)
        with self.cache.vitals.call():
            found = self.cache.get(question, key)
        if found is None:
            found = self._search(question, index, encoder)
            self.cache.put(question, key, found)
        return found

    def _search(self, question: str, index: Index, encoder: Encoder) -> Hit:
        vector = self.embedding.encode(question, encoder)
        with self.index.vitals.call():
            return index.search(vector)[0]
