"""One pipeline under watch: reads its stages, asks its golden items, judges the whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from seamwatch.config.schema import PipelineSection
from seamwatch.errors import ReadError, Reason, SeamwatchError
from seamwatch.freshness import Publication
from seamwatch.pipeline import Failure, Observation, Pipeline, Reading
from seamwatch.scoring import measures
from seamwatch.snapshot import Snapshot
from seamwatch.sources import Source
from seamwatch.watch.probing import Probing
from seamwatch.watch.schedule import Job
from seamwatch.watch.stages import Change, StageMemory
from seamwatch.watch.worker import Worker

log = logging.getLogger(__name__)

GRACE = 1.0  # seconds beyond its own timeout after which a reader is cut off by force
MEASURES_EVERY = 10.0  # seconds between two batch measurements of one pipeline's window


class PipelineWatch:
    """What is done again and again for one pipeline, and what is remembered of it.

    *changed* is called without arguments whenever there is something new to judge.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        section: PipelineSection,
        *,
        base_dir: Path,
        readers: Mapping[str, Source],
        probing: Probing | None,
        history: Mapping[str, tuple[Publication, ...]],
        worker: Worker,
        clock: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self.pipeline = pipeline
        self.section = section
        self.base_dir = base_dir
        self.readers = readers
        self.probing = probing
        self.stages = StageMemory(pipeline, frozenset(readers), history=dict(history))
        self._worker = worker
        self._clock = clock
        self._changed = changed
        self._measured = 0  # answers counted when the window was last measured
        self.jobs = tuple(self._jobs())

    def _jobs(self) -> list[Job]:
        jobs = [
            Job(partial(self._read, name), self.section.stages[name].every, reader.host)
            for name, reader in self.readers.items()
        ]
        if self.probing is not None and self.section.golden is not None:
            jobs.append(Job(self._probe, self.section.golden.every))
            jobs.append(Job(self._measure, max(MEASURES_EVERY, self.section.golden.every)))
        return jobs

    async def _read(self, stage: str) -> bool:
        loop = asyncio.get_running_loop()
        started = loop.time()
        observation: Observation | None = None
        failure: Failure | None = None
        try:
            async with asyncio.timeout(self.section.stages[stage].timeout + GRACE):
                observation = await self.readers[stage].read(now=self._clock())
        except ReadError as error:
            failure = Failure(error.reason, str(error))
        except TimeoutError:
            failure = Failure(Reason.TIMEOUT, "the reader did not end in time and was cut off")
        except Exception:  # a bug in one reader must not look like silence: it is counted
            log.exception("reading a stage failed unexpectedly", extra=self._where(stage))
            failure = Failure(Reason.INTERNAL, "see the log")
        self._log_change(stage, failure)
        reading = Reading(self._clock(), loop.time() - started, observation, failure)
        self.stages.add(stage, reading)
        self._changed()
        return failure is None

    def _log_change(self, stage: str, failure: Failure | None) -> None:
        """Log a stage that begins to fail, fails otherwise, or can be read again; once each."""
        state = self.stages.states.get(stage)
        before = state.reading.failure if state and state.reading else None
        if failure is not None and (before is None or before.reason is not failure.reason):
            where = self._where(stage) | {"reason": failure.reason.value}
            log.warning("cannot read a stage: %s", failure.message, extra=where)
        elif failure is None and before is not None:
            log.info("a stage can be read again", extra=self._where(stage))

    def _where(self, stage: str | None = None) -> dict[str, str]:
        return {"pipeline": self.pipeline.name} | ({"pipeline_stage": stage} if stage else {})

    async def _probe(self) -> bool:
        assert self.probing is not None
        self.probing.declared = self._declared_version()
        return await self.probing.probe()

    def _declared_version(self) -> str | None:
        stage = self.section.model.stage if self.section.model else None
        if stage is None:
            stage = next((s.name for s in self.pipeline.stages if s.kind == "model"), None)
        state = self.stages.states.get(stage) if stage else None
        observation = state.reading.observation if state and state.reading else None
        return observation.version if observation else None

    async def _measure(self) -> bool:
        probing = self.probing
        assert probing is not None
        answers = probing.answers
        if answers == self._measured:
            return True
        batch = probing.columns()
        found: Mapping[str, float] = {}
        try:
            found = await self._worker.run(measures, batch)
            self._measured = answers
        except SeamwatchError as error:
            log.warning("cannot measure the answers: %s", error, extra=self._where())
            return False
        finally:  # measures of answers that have left the window would not be absent but wrong
            probing.measured(found, len(batch) if found else 0)
            self._changed()
        return True

    def judge(self) -> tuple[Snapshot, list[Change]]:
        """Return the snapshot of now, and what the stages published since the last one."""
        now = self._clock()
        golden = self.probing.golden_state(now=now) if self.probing else None
        probes = self.probing.probe_state(now=now) if self.probing else None
        return self.stages.judge(now=now, golden=golden, probes=probes)

    def take_over(self, before: PipelineWatch) -> None:
        """Keep from *before* what a changed configuration leaves true."""
        for name in self.readers:
            section, state = before.section.stages.get(name), before.stages.states.get(name)
            same = section is not None and section.source == self.section.stages[name].source
            if same and state is not None:
                self.stages.states[name] = state
            if name in before.stages.history:
                self.stages.history[name] = before.stages.history[name]
        if self.probing is not None and before.probing is not None:
            self.probing.take_over(before.probing, now=self._clock())

    def stop(self) -> None:
        """Cancel open questions at once: no answer comes any more."""
        if self.probing is not None:
            self.probing.close()

    async def close(self) -> None:
        """Cancel open questions and let go of the readers."""
        self.stop()
        for name, reader in self.readers.items():
            try:
                await reader.close()
            except Exception:  # what one reader cannot give back must not keep the others
                log.exception("cannot let go of a stage", extra=self._where(name))
