"""`transducer watch`, with the bundled models."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import ENVIRONMENT, error_line
from mjpeg_server import MjpegServer

import transducer
from transducer.cli import main
from transducer.media import open_video, read_audio

MEDIA = Path(__file__).parents[3] / "sample_media"
SHOTS = MEDIA / "shots.mp4"


@pytest.fixture(scope="module")
def events():
    return transducer.load("shots").label(SHOTS).events


def rows_of(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_events_are_those_of_the_file(events, capsys):
    assert main(["watch", str(SHOTS), "--format", "jsonl"]) == 0
    found = [(row["label"], row["start_frame"], row["end_frame"], row["start"]) for row in rows_of(capsys)]
    assert found == [(event.label, event.start_frame, event.end_frame, event.start) for event in events]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
@pytest.mark.parametrize(
    ("encoding", "options"),
    [
        (["-f", "mjpeg", "-q:v", "3"], ["--fps", "25"]),
        (
            ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "192x108"],
            ["--raw", "yuv420p", "--size", "192x108", "--fps", "25"],
        ),
    ],
)
def test_frames_on_standard_input(encoding, options, events):
    piped = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-i", str(SHOTS), *encoding, "-"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    command = [sys.executable, "-m", "transducer", "watch", "-", "--format", "jsonl", *options]
    done = subprocess.run(command, stdin=piped.stdout, capture_output=True, env=ENVIRONMENT)
    piped.stdout.close()
    piped.wait()
    assert done.returncode == 0, done.stderr.decode()
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["label"] for row in found] == [event.label for event in events]
    for row, event in zip(found, events, strict=True):
        assert row["start"] == pytest.approx(event.start, abs=0.081)


@pytest.mark.parametrize("fps", [25, 15])
def test_a_network_camera(fps, events):
    """The first cut is shown while the camera goes on; its time is that of the clock, whatever the camera's rate."""
    command = [sys.executable, "-m", "transducer", "watch", "--format", "jsonl"]
    with MjpegServer(SHOTS, fps=fps) as server:
        watching = subprocess.Popen([*command, server.address], stdout=subprocess.PIPE, env=ENVIRONMENT)
        row = json.loads(watching.stdout.readline())
        sent = server.sent
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 0
        watching.stdout.close()
    assert (row["label"], row["start_frame"], row["end_frame"]) == ("cut", events[0].start_frame, events[0].end_frame)
    assert sent < len(server.pictures)
    # The first frames may be seen late, and later ones are not: pictures are never sent too soon.
    assert row["start"] > 0.8 * events[0].start_frame / fps


def test_words_and_shots_with_what_was_recorded(tmp_path, capsys):
    saved, listing = tmp_path / "kept.mkv", tmp_path / "listing.json"
    arguments = ["--listen", "--save", str(saved), "--output", str(listing), "--format", "jsonl"]
    assert main(["watch", str(MEDIA / "stars.mp4"), *arguments]) == 0
    rows = rows_of(capsys)
    (final,) = [row for row in rows if row.get("final")]
    assert "the stars" in final["text"]
    whole = json.loads(listing.read_text())
    assert final["text"] in json.dumps(whole)
    # What was kept is on the same clock, and complete.
    before, after = read_audio(MEDIA / "stars.mp4"), read_audio(saved)
    assert len(after) == len(before)
    np.testing.assert_allclose(after, before, atol=1e-4)
    with open_video(MEDIA / "stars.mp4") as first, open_video(saved) as second:
        times = [[float(frame.time) for frame in reader] for reader in (first, second)]
    np.testing.assert_allclose(times[1], times[0], atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["9"], "there is no camera /dev/video9"),
        (["/dev/video77"], "there is no camera /dev/video77"),
        (["-", "--raw", "rgb24"], "add --size and --fps"),
        (["-", "--raw", "rgb25", "--size", "4x4", "--fps", "5"], "no such format of pixels"),
        (["-", "--raw", "rgb24", "--size", "4x4", "--fps", "nan"], "--fps must be more than 0"),
        ([str(SHOTS), "--size", "4x4"], "it needs --raw"),
        ([str(SHOTS), "--microphone", "1"], "there is none to be heard here"),
        ([str(SHOTS), "--save", "kept.wav"], "a .wav holds no pictures"),
        ([str(SHOTS), "--model", "speech-en"], "takes samples and not frames"),
        (["--pace"], "--pace is for files"),
    ],
)
def test_misuse_is_one_line(arguments, says, capsys):
    assert main(["watch", *arguments]) in (1, 2)
    assert says in error_line(capsys)
