"""A live model over HTTP whose answers a test chooses, and the command that asks it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from seamwatch.cli import main


def command(*words: str, cwd: Path) -> int:
    """Run a command in this process, as the console script does."""
    before = Path.cwd()
    os.chdir(cwd)
    try:
        return main(words)
    finally:
        os.chdir(before)


Answering = Callable[[str], tuple[int, Any]]


class Server(ThreadingHTTPServer):
    request_queue_size = 64  # all questions come at once


class Model:
    """A live model over HTTP whose answers a test chooses."""

    def __init__(self, answering: Answering) -> None:
        outer = self
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                question = json.loads(body)["question"]
                outer.asked.append(question)
                status, answer = answering(question)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/answer"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
