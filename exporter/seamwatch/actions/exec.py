"""Commands halt and resume: for all that has a command line and no action of its own.

They run without a shell, with nothing on their standard input, in a process group of their own that
is killed, whole, when the command ends or takes too long: nothing is left behind. They inherit our
environment; what is wanted stands in ``SEAMWATCH_*`` beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime

from seamwatch.actions.target import Memory, Order
from seamwatch.config.actions import ExecAction
from seamwatch.config.secrets import names_a_secret
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Fetcher

_KEPT = 4096  # bytes of the output, its end: there it says what went wrong
_SHOWN = 200  # characters of the last line
_CHUNK = 65536
_REST = 0.5  # seconds that the output may take to end after the command
_SHORTEST_SECRET = 6  # characters; shorter ones would blot out innocent words


class ExecTarget:
    """Runs the commands; *fetcher* is not used."""

    def __init__(self, section: ExecAction, fetcher: Fetcher, timeout: float) -> None:
        self._commands: Mapping[str, Sequence[str]] = {
            "halted": section.halt,
            "running": section.resume,
        }
        self._check = section.check
        self._timeout = timeout

    async def look(self, order: Order) -> Memory:
        """Return what *order* remembers: a command has nothing that could be given back."""
        return order.memory

    async def apply(self, order: Order) -> None:
        """Run the command for what is desired; raise ReadError unless it ends with 0."""
        command = self._commands[order.desired]
        status, said = await self._run(command, order)
        if status != 0:
            raise ReadError(Reason.BAD_STATUS, f"{command[0]} {_ended(status)}{said}")

    async def stands(self, order: Order) -> bool | None:
        """Say what ``check`` says; None without one. Raises ReadError when it cannot tell."""
        if self._check is None:
            return None
        status, said = await self._run(self._check, order)
        if status not in (0, 1):
            message = f"{self._check[0]} {_ended(status)}, which says nothing{said}"
            raise ReadError(Reason.BAD_STATUS, f"{message}; end with 0 for running, 1 for halted")
        return (status == 1) == (order.desired == "halted")

    def render(self, order: Order) -> str:
        """Return the command, an argument in brackets each."""
        return " ".join(f"[{word}]" for word in self._commands[order.desired])

    async def close(self) -> None:
        """Do nothing: each command has ended when its method has."""

    async def _run(self, command: Sequence[str], order: Order) -> tuple[int, str]:
        """Return the exit status (negative: the signal) and the end of the output, for people."""
        environment = {**os.environ, **_told(order)}
        # a pipe of our own: asyncio's would have us wait for all that the command began
        async with _output() as (writing, output):
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=writing,
                    stderr=writing,
                    start_new_session=True,
                    env=environment,
                )
            except OSError as error:
                raise ReadError(
                    Reason.BAD_CONTRACT, f"{command[0]} cannot be run: {error.strerror}"
                ) from error
            try:
                async with asyncio.timeout(self._timeout):
                    status = await process.wait()
            except TimeoutError as error:
                message = f"{command[0]} had not ended after {self._timeout:g} s, and was killed"
                raise ReadError(Reason.TIMEOUT, message) from error
            finally:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                await asyncio.shield(process.wait())  # at once, for what was killed
        return status, _last_line(bytes(output), environment)


@contextlib.asynccontextmanager
async def _output() -> AsyncIterator[tuple[int, bytearray]]:
    """Yield a descriptor to write to, and the end of what was written; complete after the block."""
    ours, theirs = os.pipe()
    kept = bytearray()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb", buffering=0)
    )
    reading = asyncio.ensure_future(_read(reader, kept))
    try:
        try:
            yield theirs, kept
        finally:
            os.close(theirs)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REST):
                await reading  # what left its group may hold the pipe for ever
    finally:
        reading.cancel()
        transport.close()


async def _read(stream: asyncio.StreamReader, into: bytearray) -> None:
    """Read all, so that the command never waits for us; keep the end."""
    while chunk := await stream.read(_CHUNK):
        into += chunk
        del into[:-_KEPT]


def _told(order: Order) -> dict[str, str]:
    at = datetime.fromtimestamp(order.decided_at, UTC).isoformat(timespec="milliseconds")
    told = {
        "SEAMWATCH_PIPELINE": order.pipeline,
        "SEAMWATCH_ACTION": order.target,
        "SEAMWATCH_DESIRED": order.desired,
        "SEAMWATCH_GENERATION": str(order.generation),
        "SEAMWATCH_REASON": order.reason,
        "SEAMWATCH_DECIDED_AT": at.replace("+00:00", "Z"),
        "SEAMWATCH_EVENT_ID": order.event_id,
    }
    # neither half a character nor a NUL can stand in an environment
    return {key: _plain(value) for key, value in told.items()}


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _last_line(output: bytes, environment: Mapping[str, str]) -> str:
    """Return the last line of *output* after a colon, without the secrets of *environment*."""
    text = output.decode("utf-8", "replace")
    for name, value in environment.items():
        if len(value) >= _SHORTEST_SECRET and names_a_secret(name):
            text = text.replace(value, "***")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    line = "".join(c if c.isprintable() else " " for c in lines[-1])
    return f": {line[:_SHOWN]}"
