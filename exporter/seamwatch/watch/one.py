"""One pipeline under watch: reads its stages, asks its golden items, judges the whole."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import monotonic

from seamwatch.config.schema import PipelineSection
from seamwatch.errors import ReadError, Reason, SeamwatchError
from seamwatch.evidence import Standing
from seamwatch.freshness import Publication
from seamwatch.pipeline import Failure, Observation, Pipeline, Reading
from seamwatch.snapshot import Snapshot, ThresholdState
from seamwatch.sources import Source
from seamwatch.watch.attributing import Attributing
from seamwatch.watch.casework import Casework, Taken
from seamwatch.watch.examining import Examined, examine
from seamwatch.watch.judging import Judging
from seamwatch.watch.probing import Answered, Probing
from seamwatch.watch.schedule import Job
from seamwatch.watch.signals import Signals
from seamwatch.watch.slos import Ticking
from seamwatch.watch.stages import Change, Heard, StageMemory
from seamwatch.watch.worker import Worker

log = logging.getLogger(__name__)

GRACE = 1.0  # seconds beyond its own timeout after which a reader is cut off by force
EXAMINE_EVERY = 10.0  # seconds between two examinations of one pipeline's window, and at ...
EXAMINE_SHARE = 20.0  # ... least so many times what one of them takes, but ...
EXAMINE_LATEST = 60.0  # ... no later than so many seconds after the one before
EXAMINE_CHANGE = 0.02  # share of the window that must be new, unless the threshold has changed
ASK_EVERY = 1.0  # seconds after which an attribution under way looks for something to ask again
REST = 600.0  # seconds between looks while there is nothing to blame anybody for


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
        judging: Judging | None,
        probing: Probing | None,
        attributing: Attributing | None,
        signals: Signals,
        history: Mapping[str, tuple[Publication, ...]],
        worker: Worker,
        clock: Callable[[], float],
        changed: Callable[[], None],
        answered: Answered,
    ) -> None:
        self.pipeline = pipeline
        self.section = section
        self.base_dir = base_dir
        self.readers = readers
        self.judging = judging
        self.probing = probing
        self.attributing = attributing
        self.signals = signals
        self.stages = StageMemory(pipeline, frozenset(readers), history=dict(history))
        self.slos = Ticking(pipeline, section)
        self._worker = worker
        self._clock = clock
        self._changed = changed
        self._answered = answered
        self._examined = 0  # answers counted when the window was last examined, and ...
        self._examined_at: float | None = None  # ... the threshold then in force
        self._asking: Job | None = None
        self._blaming: Job | None = None
        self._examining: Job | None = None
        if probing is not None:
            probing.answered = self._took
        self.jobs = tuple(self._jobs())

    def _jobs(self) -> list[Job]:
        jobs = [
            Job(partial(self._read, name), self.section.stages[name].every, reader.host)
            for name, reader in self.readers.items()
        ]
        if self.probing is not None and self.section.golden is not None:
            self._asking = Job(self._probe, self.probing.pace or self.section.golden.every)
            # However many pipelines wait for the worker, or for a model that all of them doubt, few
            # do so at once: the others would keep everything else from being read and asked.
            self._examining = Job(
                self._examine, self._examine_every, host="the worker", gives_way=False
            )
            jobs += [self._asking, self._examining]
        if self.attributing is not None:
            host = self.probing.host if self.probing is not None else ""
            self._blaming = Job(self._blame, REST, host=f"blame {host}", gives_way=False)
            jobs.append(self._blaming)
        return [*jobs, *self.signals.jobs()]

    @property
    def casework(self) -> Casework | None:
        """The evidence of the pipeline; None without a gate."""
        return self.probing.casework if self.probing is not None else None

    @property
    def _examine_every(self) -> float:
        return max(EXAMINE_EVERY, self.section.golden.every if self.section.golden else 0.0)

    async def _read(self, stage: str) -> bool:
        started = monotonic()  # the loop's own clock may count whole milliseconds only
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
        reading = Reading(self._clock(), monotonic() - started, observation, failure)
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

    def _took(self, probing: Probing, taken: Taken) -> None:
        """Hand on an answer, and go on at the pace that the evidence asks for."""
        self._answered(probing, taken)  # first: what the case has taken must be in the log
        if self._asking is not None and probing.pace is not None:
            self._asking.pace(probing.pace)
        if self.attributing is not None:
            self._look_for_blame(self.attributing, probing, taken)

    def _look_for_blame(self, attributing: Attributing, probing: Probing, taken: Taken) -> None:
        attributing.heard(taken.judged)
        casework = probing.casework
        if casework is None or self._blaming is None:
            return
        standing = casework.case.standing
        if standing is Standing.RUNNING:
            if taken.events:
                attributing.end()
                self._blaming.pace(REST)
            return
        window = probing.answers.window
        mean = window.credit() if casework.score == "credit" else window.accuracy()
        attributing.observed(mean.value if mean is not None else None)
        attributing.begin(standing)
        self._blaming.pace(ASK_EVERY)

    def resumed(self) -> None:
        """Go on as usual: the gate has let the case run again."""
        if self.attributing is not None:
            self.attributing.end()
        if self._blaming is not None:
            self._blaming.pace(REST)
        if self._asking is not None and self.probing is not None and self.probing.pace is not None:
            self._asking.pace(self.probing.pace)
        self._changed()

    async def _blame(self) -> bool:
        assert self.attributing is not None
        try:
            return await self.attributing.step()
        finally:
            self._changed()

    def _declared_version(self) -> str | None:
        stage = self.section.model.stage if self.section.model else None
        if stage is None:
            stage = next((s.name for s in self.pipeline.stages if s.kind == "model"), None)
        state = self.stages.states.get(stage) if stage else None
        observation = state.reading.observation if state and state.reading else None
        return observation.version if observation else None

    async def _examine(self) -> bool:
        probing = self.probing
        assert probing is not None
        answers, threshold = probing.answers.count, self._threshold()
        new = answers - self._examined
        few = new < EXAMINE_CHANGE * probing.answers.held and threshold == self._examined_at
        if not new or few:
            return True
        blessing = self.judging.blessing if self.judging else None
        sample = probing.answers.sample(
            threshold=threshold, blessed=blessing.scores if blessing else ()
        )
        found, started = Examined(), monotonic()
        try:
            found = await self._worker.run(examine, sample)
            self._examined, self._examined_at = answers, threshold
        except SeamwatchError as error:
            log.warning("cannot measure the answers: %s", error, extra=self._where())
            return False
        finally:  # figures of answers that have left the window would not be absent but wrong
            probing.answers.examined = found
            self._changed()
        if self._examining is not None:
            rest = min(EXAMINE_SHARE * (monotonic() - started), EXAMINE_LATEST)
            self._examining.every = max(self._examine_every, rest)
        return True

    def _threshold(self) -> float | None:
        """Return the threshold in force, as its stage publishes it; None: unknown."""
        section = self.section.threshold
        state = self.stages.states.get(section.stage) if section else None
        observation = state.reading.observation if state and state.reading else None
        value = observation.settings.get(section.setting) if section and observation else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) if math.isfinite(value) else None

    def judge(self) -> tuple[Snapshot, list[Change]]:
        """Return the snapshot of now, and what the stages published since the last one."""
        now = self._clock()
        snapshot, changes = self.stages.judge(self._heard(now), now=now)
        return self.slos.see(snapshot), changes

    def _heard(self, now: float) -> Heard:
        probing, signals = self.probing, tuple(self.signals.checks())
        if probing is None:
            return Heard(quality=signals)
        answers = probing.answers
        threshold = self.section.threshold
        return Heard(
            golden=probing.golden_state(now=now),
            probes=probing.probe_state(now=now),
            evidence=probing.casework.state(now=now) if probing.casework else None,
            attribution=self.attributing.state if self.attributing is not None else None,
            thresholds=(
                (ThresholdState(threshold.stage, self._threshold(), answers.examined.regret),)
                if threshold is not None
                else ()
            ),
            quality=(*answers.checks, *answers.examined.checks(self.section.quality), *signals),
            drift=answers.examined.drift,
            answered_by_other=probing.declared is not None
            and any(version != probing.declared for version in answers.versions),
            stale_answers=answers.are_outdated,
        )

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
        if self.attributing is not None and before.attributing is not None:
            self.attributing.take_over(before.attributing)
        self.signals.take_over(before.signals)
        self.slos.take_over(before.slos)

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
