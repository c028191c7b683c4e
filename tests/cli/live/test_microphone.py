"""`transducer listen` at a microphone: PortAudio over a sound server, into which a sample is played."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import ENVIRONMENT
from sound_server import SoundServer, require_sound_server

from transducer.media import read_audio

MEDIA = Path(__file__).parents[3] / "sample_media"


@pytest.fixture
def server(tmp_path) -> Iterator[SoundServer]:
    require_sound_server()
    running = SoundServer(tmp_path)
    yield running
    running.close()


def listen(server: SoundServer, *arguments: str) -> subprocess.Popen[bytes]:
    """Started, and recording."""
    environment = {**ENVIRONMENT, **{name: server.environment[name] for name in server.environment}}
    environment["PYTHONPATH"] = ENVIRONMENT["PYTHONPATH"]
    command = [sys.executable, "-m", "transducer", "listen", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    until = time.monotonic() + 120
    while not server.is_recorded():
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < until, "nothing records"
        time.sleep(0.05)
    return process


def test_what_is_said_is_written_and_kept(server, tmp_path):
    process = listen(server, "--format", "jsonl", "--save", str(tmp_path / "kept.wav"))
    spoken = read_audio(MEDIA / "letters.opus")
    server.play(np.concatenate([np.zeros(16000, np.float32), spoken, np.zeros(8000, np.float32)]))
    rows = []
    for line in process.stdout:  # read while it runs
        rows.append(json.loads(line))
        if rows[-1]["final"]:
            break
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    assert not rows[0]["final"]
    rows += [json.loads(line) for line in rest.splitlines()]
    finals = [row for row in rows if row["final"]]
    text = " ".join(row["text"] for row in finals)
    assert "table was covered with letters" in text
    # The recording has the words where the transcript says they are.
    kept = read_audio(tmp_path / "kept.wav")
    words = [word for row in finals for word in row["words"]]
    said = kept[round(words[0]["start"] * 16000) : round(words[-1]["end"] * 16000)]
    before = kept[: round((words[0]["start"] - 0.3) * 16000)]
    assert np.abs(said).max() > 0.05
    assert np.sqrt(np.mean(said**2)) > 10 * np.sqrt(np.mean(before**2) + 1e-12)


def test_a_microphone_that_is_unplugged(server):
    process = listen(server)
    server.close()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = errors.decode().splitlines()[-1:]
    assert line.startswith("transducer: error: the default microphone")
    assert "plugged in" in line


def test_no_microphone(tmp_path):
    require_sound_server()
    environment = {**ENVIRONMENT, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PULSE_SERVER": "unix:/none"}
    (tmp_path / ".asoundrc").write_text("pcm.!default pulse\nctl.!default pulse\n")
    command = [sys.executable, "-m", "transducer", "listen"]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120)
    assert done.returncode == 1
    lines = [line for line in done.stderr.decode().splitlines() if line.startswith("transducer: ")]
    assert len(lines) == 1 and "microphone can't be opened" in lines[0], done.stderr.decode()


def test_the_list_of_microphones(server):
    command = [sys.executable, "-m", "transducer", "listen", "--list-devices"]
    environment = {**server.environment, "PYTHONPATH": ENVIRONMENT["PYTHONPATH"]}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    assert any(line.split()[-4].startswith("pulse") or "pulse" in line for line in done.stdout.decode().splitlines())
    assert os.linesep in done.stdout.decode()
