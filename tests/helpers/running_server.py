"""A real server, started as a person starts it, and what tests ask it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import transducer
from transducer.server.client import ServerStream

ROOT = Path(transducer.__file__).parents[1]
SAMPLES = ROOT / "sample_media"


class RunningServer:
    """`transducer serve` on a free port.

    Attributes:
        http, ws: its addresses.
        port: of both.
    """

    def __init__(self, *arguments: str, errors: Path):
        command = [sys.executable, "-m", "transducer", "serve", "--port", "0", *arguments]
        self.errors = errors
        with errors.open("w") as log:
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            self.process = subprocess.Popen(command, stderr=log, env=environment, cwd=errors.parent)
        while "listening at" not in (text := errors.read_text()):
            assert self.process.poll() is None, text
            try:
                self.process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        self.http = text.rpartition("listening at ")[2].split()[0]
        self.ws = self.http.replace("http", "ws")
        self.port = int(self.http.rpartition(":")[2])

    def stop(self) -> int:
        """Like Ctrl-C; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def collect(stream: ServerStream, send: Callable[[], Any]) -> list[dict[str, Any]]:
    """All messages of a stream, while `send` runs and then finishes it."""

    def run() -> None:
        send()
        stream.finish()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        return list(stream)
    finally:
        thread.join()


def finals(messages: list[dict[str, Any]]) -> str:
    return " ".join(message["text"] for message in messages if message["type"] == "final")
