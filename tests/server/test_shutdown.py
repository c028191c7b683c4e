"""The end of the server: every stream gets its results, and nothing is left behind."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from running_server import SAMPLES, RunningServer
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from transducer.errors import UsageError
from transducer.media import read_audio
from transducer.server.serve import Settings, serve


def test_streams_are_finalised(tmp_path: Path, speech: Any) -> None:
    running = RunningServer("--workers", "1", "--model", "speech-en", errors=tmp_path / "errors.txt")
    samples = read_audio(SAMPLES / "island.wav", 16000)[: 16000 * 6]
    messages: list[dict[str, Any]] = []
    with connect(f"{running.ws}/v1/stream") as connection:
        connection.send(json.dumps({"type": "hello", "format": "pcm_f32le"}))
        connection.send(samples.astype("<f4").tobytes())
        while not messages or messages[-1]["type"] != "partial":  # it has begun
            messages.append(json.loads(connection.recv()))
        stopping = threading.Thread(target=running.process.send_signal, args=(signal.SIGTERM,))
        stopping.start()
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                messages.append(json.loads(connection.recv()))
        stopping.join()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    heard = " ".join(message["text"] for message in messages if message["type"] == "final")
    # What had been sent by then may not have come by then.
    assert heard
    assert speech.transcribe(samples, second_pass="none").text.startswith(heard[: len(heard) // 2])
    assert [message["type"] for message in messages[-2:]] == ["finished", "error"]
    assert running.process.wait(30) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", running.port))
    assert "Traceback" not in running.errors.read_text()


def test_strangers_need_a_token() -> None:
    with pytest.raises(UsageError, match="add --token"):
        serve(Settings(host="0.0.0.0"))
    with pytest.raises(UsageError, match="without spaces"):
        serve(Settings(token="two words"))


def test_what_cannot_be_served_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, what in (
            (["--port", port], "address already in use"),
            (["--port", "0", "-m", "readable-en"], "takes words"),
        ):
            command = [sys.executable, "-m", "transducer", "serve", "--workers", "1", *arguments]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            assert ended.returncode == 2
            (line,) = ended.stderr.splitlines()
            assert what in line.lower()
