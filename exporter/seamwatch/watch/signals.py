"""The figures about live traffic of one pipeline, read again and again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from seamwatch.config.quality import SignalSection
from seamwatch.errors import ReadError
from seamwatch.quality import Check, signal
from seamwatch.sources import Reach
from seamwatch.sources.signal import SignalReader
from seamwatch.watch.schedule import Job

log = logging.getLogger(__name__)


class Signals:
    """Reads each signal at its own pace; one that cannot be read is unknown, not the last value.

    Raises SeamwatchError when an address could never be asked.
    """

    def __init__(
        self,
        sections: Mapping[str, SignalSection],
        reach: Reach,
        *,
        changed: Callable[[], None],
        where: Mapping[str, str],
    ) -> None:
        self._sections = sections
        self._readers = {name: SignalReader(one, reach) for name, one in sections.items()}
        self._values: dict[str, float | None] = {}
        self._failed: set[str] = set()
        self._changed = changed
        self._where = where

    def jobs(self) -> Iterator[Job]:
        """Yield one job for each signal."""
        for name, section in self._sections.items():
            yield Job(partial(self._read, name), section.every, self._readers[name].host)

    def checks(self) -> Iterator[Check]:
        """Yield each signal as a check: its figure now, and whether it keeps to its target."""
        for name, section in self._sections.items():
            value = self._values.get(name)
            yield signal(name, value, at_least=section.at_least, at_most=section.at_most)

    def take_over(self, before: Signals) -> None:
        """Keep the figures of signals that are asked as *before*."""
        for name, section in self._sections.items():
            if before._sections.get(name) == section and name in before._values:
                self._values[name] = before._values[name]

    async def _read(self, name: str) -> bool:
        value: float | None = None
        try:
            value = await self._readers[name].read()
        except ReadError as error:
            if name not in self._failed:
                self._failed.add(name)
                about = dict(self._where) | {"signal": name, "reason": error.reason.value}
                log.warning("cannot read a signal: %s", error, extra=about)
            return False
        else:
            if name in self._failed:
                self._failed.discard(name)
                log.info("a signal can be read again", extra=dict(self._where) | {"signal": name})
            return True
        finally:  # also when it is cut off: the figure of before is not that of now
            self._values[name] = value
            self._changed()
