"""`transducer listen`, with the bundled model, over standard input and files at their own pace."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
import wave
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from command_line import ENVIRONMENT, error_line

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


@pytest.mark.parametrize(("peak", "says"), [(0.0, "the sound is silent: all of it is 0"), (0.5, "no words were heard")])
def test_a_sound_without_words_is_told(peak, says):
    hum = peak * np.sin(2 * np.pi * 100 * np.arange(48000) / 16000)
    samples = (hum * 32767).astype("<i2").tobytes()
    done = listen("-", "--raw", "s16le", "--rate", "16000", "--channels", "1", stdin=samples)
    assert not done.stdout
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"transducer: warning: standard input: {says}")


class Radio(http.server.BaseHTTPRequestHandler):
    """Sends half of a sound and breaks off, and to who asks again all of it."""

    protocol_version = "HTTP/1.1"
    sound = b""
    asked: ClassVar[list[str]] = []

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        whole = bool(self.asked)
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        sent = self.sound if whole else self.sound[: len(self.sound) // 2]
        for start in range(0, len(sent), 4000):
            piece = sent[start : start + 4000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n" if whole else b"")


def test_a_radio_that_breaks_off_and_comes_back(capsys, tmp_path):
    with wave.open(str(tmp_path / "live.wav"), "wb") as file:  # the length in its header is that of a stream
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((read_audio(MEDIA / "letters.opus") * 32767).astype("<i2").tobytes())
    sound = (tmp_path / "live.wav").read_bytes()
    Radio.sound = sound[:4] + b"\xff" * 4 + sound[8:40] + b"\xff" * 4 + sound[44:]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Radio)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/live.wav"
        assert main(["listen", address, "--format", "jsonl", "--save", str(tmp_path / "kept.flac")]) == 0
    finally:
        server.shutdown()
        server.server_close()
    out, errors = capsys.readouterr()
    finals = [row for row in map(json.loads, out.splitlines()) if row["final"]]
    assert "letters" in " ".join(row["text"] for row in finals if row["start"] > 2.5)
    assert "the connection broke off" in errors and "trying again in 1 s" in errors and "connected again" in errors
    # The recording has what was heard where the transcript says.
    last = finals[-1]["words"][-1]
    kept = read_audio(tmp_path / "kept.flac")
    assert np.abs(kept[round(last["start"] * 16000) : round(last["end"] * 16000)]).max() > 0.02


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nofile.mp3"], "nofile.mp3: no such file"),
        (["-", "--pace"], "--pace is for files"),
        (["--raw", "s16le"], "a microphone has none"),
        (["-", "--raw", "s16le"], "add --rate and --channels"),
        (["-", "--rate", "8000"], "they need --raw"),
        (["-", "--device", "1"], "leave it out"),
        (["-", "--end-silence", "0"], "--end-silence must be more than 0"),
        (["-", "--max-segment", "nan"], "--max-segment must be more than 0"),
        (["-", "--format", "nosuch"], "unknown format"),
        (["-", "--output", "all.xyz"], "all.xyz"),
        (["-", "--save", "all.xyz"], "--save knows no .xyz"),
        (["-", "--exec", "nosuch-program"], "no program 'nosuch-program'"),
        (["-", "--model", "shots"], "gives events"),
        (["-", "--server", "ftp://x"], "ws://HOST:PORT"),
    ],
)
def test_misuse_is_one_line(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["listen", *arguments]) in (1, 2)
    assert says in error_line(capsys)
    assert not list(tmp_path.iterdir())


def test_end_silence_ends_sentences_sooner(capsys):
    def count(*options: str) -> int:
        assert main(["listen", str(MEDIA / "letters.opus"), *options]) == 0
        return len(capsys.readouterr().out.splitlines())

    assert count("--end-silence", "0.2") > count("--end-silence", "2")


def test_results_in_files(tmp_path, capsys, heard):
    subtitles = ["--output", str(tmp_path / "all.srt"), "--exec", "echo ran {}"]
    assert main(["listen", str(MEDIA / "letters.opus"), *subtitles]) == 0
    assert "-->" in (tmp_path / "all.srt").read_text()
    assert f"ran {heard[0]}" in capsys.readouterr().err.splitlines()  # what the command printed
    assert main(["listen", str(MEDIA / "letters.opus"), "--output", str(tmp_path / "all.txt")]) == 0
    assert (tmp_path / "all.txt").read_text().splitlines() == heard
