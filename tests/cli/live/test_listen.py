"""`transducer listen`, with the bundled model, over standard input and files at their own pace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ENVIRONMENT

import transducer
from transducer.cli import main
from transducer.media import read_audio

MEDIA = Path(__file__).parents[3] / "sample_media"
COMMAND = [sys.executable, "-m", "transducer", "listen"]


def listen(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run([*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr.decode()
    return done


@pytest.fixture(scope="module")
def heard() -> list[str]:
    """What a session of the same chunks gives."""
    session = transducer.load("speech-en").session(MEDIA / "letters.opus", chunk_ms=320)
    return [segment.text for segment in session if segment.final]


def test_a_container_and_bare_samples_on_standard_input(heard):
    opus = (MEDIA / "letters.opus").read_bytes()
    assert listen("-", stdin=opus).stdout.decode().splitlines() == heard
    samples = (read_audio(MEDIA / "letters.opus") * 32767).astype("<i2").tobytes()
    bare = listen("-", "--raw", "s16le", "--rate", "16000", "--channels", "1", stdin=samples)
    assert bare.stdout.decode().splitlines() == heard


def test_lines_of_json_at_the_pace_of_the_file(heard, capsys):
    assert main(["listen", "--pace", str(MEDIA / "letters.opus"), "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows if row["final"]] == heard
    partials = [row for row in rows if not row["final"]]
    assert len(partials) > 3 * len(heard)
    before = None
    for row in rows:  # what is stable stays, in partials seen early, too
        if before is not None:
            stable = [word["text"] for word in before["words"]][: before["stable"]]
            assert [word["text"] for word in row["words"]][: before["stable"]] == stable
        before = None if row["final"] else row
