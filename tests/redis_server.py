"""A real Redis on loopback, with a password and nothing on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from conftest import require_tool
from ports import free_port

PASSWORD = "correct horse"
PATIENCE = 30.0


class Server:
    """Redis that can be stopped and started; *url* has no password in it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.url = f"redis://:correct%20horse@127.0.0.1:{self.port}/0"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *more: str) -> None:
        self.process = await asyncio.create_subprocess_exec(
            require_tool("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1",
            "--requirepass", PASSWORD, "--save", "", "--dir", str(self.folder),
            "--loglevel", "warning", *more, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE):
            while await self.said("PING") != "PONG":  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def said(self, *command: str) -> str:
        """Return what redis-cli prints."""
        process = await asyncio.create_subprocess_exec(
            "redis-cli", "-p", str(self.port), "-a", PASSWORD, "--no-auth-warning", *command,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        return out.decode().strip()

    async def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
            self.process = None


@asynccontextmanager
async def redis_server(folder: Path) -> AsyncIterator[Server]:
    server = Server(folder)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
