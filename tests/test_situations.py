"""Situations that users of other tools reported, each with the bundled models and samples, end to end.

Each is also tested where its cause was: 01 tests/cli/test_streams.py; 03 tests/engine/test_renewal.py; 04 media/audio/
test_level.py; 05 media/audio/test_mixing.py; 06, 07 media/io/test_parts.py; 08, 09 search/test_hotwords.py; 10
formats/test_words.py; 12 engine/test_slow_frames.py; 13 media/test_holes.py; 14 formats/test_events.py; 15
media/io/test_network.py.
"""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest
from command_line import ENVIRONMENT
from media_fixtures import wav, wav_header, write_media
from numpy.typing import NDArray
from web_server import WebServer

import transducer
from transducer.cli import main
from transducer.formats import render
from transducer.media import open_audio, open_video, read_audio
from transducer.results import Event, Labelling, Scene, Segment, Transcript, Word

SAMPLES = Path(__file__).resolve().parents[1] / "sample_media"
RATE = 16000


@functools.cache
def model(name: str, **options: Any) -> Any:
    from transducer.engine.model import load

    return load(name, **options)


@pytest.fixture(autouse=True)
def models_are_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(transducer), "load", model)


@functools.cache
def sound(name: str = "apple-tree.flac", rate: int = RATE) -> NDArray[np.float32]:
    return read_audio(SAMPLES / name, rate)


def text(samples: NDArray[np.float32], **options: Any) -> str:
    return model("speech-en").transcribe([samples], **options).text


def spoken() -> str:
    return text(sound())


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_01_standard_output_or_error_is_closed(closed: str, tmp_path: Path) -> None:
    program = f'exec "$@" {closed}'
    command = [sys.executable, "-m", "transducer", "transcribe", str(SAMPLES / "island.wav"), "--output", "a.txt"]
    done = subprocess.run(["sh", "-c", program, "sh", *command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"") and (tmp_path / "a.txt").read_text().count(" ") > 10


def test_02_last_words_of_sound_that_ends_with_them() -> None:
    samples = sound()
    energy = np.sqrt(np.add.reduceat(samples**2, np.arange(0, len(samples), 320)) / 320)
    cut = samples[: (np.flatnonzero(energy > 0.02 * energy.max())[-1] + 1) * 320]
    for search in ("greedy", "beam"):
        assert text(cut, search=search).split()[-2:] == text(np.pad(cut, (0, RATE)), search=search).split()[-2:]


def test_03_first_words_after_silence() -> None:
    samples = sound("island.wav")[: 4 * RATE]
    heard = [text(np.pad(samples, (round(seconds * RATE), 0))).split()[:3] for seconds in (0.5, 8.0)]
    assert heard[0] == heard[1]


@pytest.mark.parametrize("decibels", [-30, -46])
def test_04_quiet_sound(decibels: int, tmp_path: Path) -> None:
    (tmp_path / "q.wav").write_bytes(wav(sound() * 10 ** (decibels / 20), RATE, 24))
    found = model("speech-en").transcribe(tmp_path / "q.wav")
    assert len(set(found.text.split()) & set(spoken().split())) > 0.6 * len(set(spoken().split()))


def test_05_opposite_phase_a_dead_channel_and_a_centre(tmp_path: Path) -> None:
    samples, nothing = sound(), np.zeros_like(sound())
    channels = {"inverted": (samples, -samples), "dead": (samples, nothing), "centre": (nothing, nothing, samples)}
    for name, columns in channels.items():
        (tmp_path / f"{name}.wav").write_bytes(wav(np.stack(columns, axis=1), RATE))
        found = model("speech-en").transcribe(tmp_path / f"{name}.wav").text.split()
        assert len(set(found) & set(spoken().split())) > 0.6 * len(set(spoken().split())), name


def test_06_sound_that_changes_midway(tmp_path: Path) -> None:
    for suffix, codec, rates in (("mp3", "libmp3lame", (44100, 48000)), ("opus", "libopus", (48000, 24000))):
        parts = [("island.wav", rates[0], 2), ("apple-tree.flac", rates[1], 1), ("letters.opus", rates[1], 2)]
        data = b""
        for number, (name, rate, channels) in enumerate(parts):
            part = sound(name, rate)[: 4 * rate]
            columns = np.stack([part] * channels, axis=1)
            data += write_media(tmp_path / f"{number}.{suffix}", codec, columns, rate=rate).read_bytes()
        (tmp_path / f"mix.{suffix}").write_bytes(data)
        with open_audio(tmp_path / f"mix.{suffix}") as reader:
            whole = np.concatenate(list(reader))
        assert len(whole) / RATE == pytest.approx(12, abs=0.4)
        # Where MP3s are joined, a frame lacks the bits that are in the one before: that is told.
        assert not reader.incomplete or suffix == "mp3"
        for number, (name, _, _) in enumerate(parts):
            wanted = sound(name)[RATE : 3 * RATE]
            near = whole[round((4 * number + 0.8) * RATE) : round((4 * number + 3.4) * RATE)]
            likeness = np.correlate(near, wanted, "valid") / (np.linalg.norm(wanted) ** 2)
            assert likeness.max() > 0.7, f"{name} in {suffix}"


def test_07_wav_through_a_pipe_and_two_strung_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = sound("island.wav")[: 4 * RATE]
    endless = wav_header(0xFFFFFFFF - 36, RATE)[:4] + b"\xff\xff\xff\xff" + wav_header(0, RATE)[8:40] + b"\xff" * 4
    os.mkfifo(tmp_path / "pipe.wav")
    data = endless + (samples * 32767).astype("<i2").tobytes()
    with subprocess.Popen(["sh", "-c", f"cat > '{tmp_path}/pipe.wav'"], stdin=subprocess.PIPE) as writer:
        import threading

        threading.Thread(target=lambda: (writer.stdin.write(data), writer.stdin.close()), daemon=True).start()
        assert main(["transcribe", str(tmp_path / "pipe.wav")]) == 0
    once = capsys.readouterr()
    assert once.err == "" and len(once.out.split()) > 5
    (tmp_path / "two.wav").write_bytes(2 * wav(samples, RATE))
    assert model("speech-en").transcribe(tmp_path / "two.wav").duration == pytest.approx(8, abs=0.05)


def test_08_hotwords_named_again() -> None:
    names = ["Marlow", "Hester", "Anders", "Weston", "Alice", "Ruth"]
    again = [*names, *map(str.lower, names), *names]
    assert text(sound(), hotwords=names) == text(sound(), hotwords=again)


def test_09_lists_of_hotwords_from_windows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "names.txt").write_bytes("\ufeff# names\r\nBartley\r\n\r\nSøren\t6\r\nGroßmann\r\n".encode())
    assert main(["transcribe", str(SAMPLES / "island.wav"), "--hotwords", str(tmp_path / "names.txt")]) == 0
    assert capsys.readouterr().err == ""


def test_10_subtitles_after_99_hours() -> None:
    words = [Word(name, at, at + 0.4, 0.9) for name, at in (("early", 359_998.5), ("late", 360_005.0))]
    segments = tuple(Segment((word,), True, word.start, word.end, 1) for word in words)
    assert "100:00:05.000 --> " in "".join(render(Transcript(segments, 360_030.0), "vtt"))


def pictures() -> list[NDArray[np.uint8]]:
    with open_video(SAMPLES / "shots.mp4", (27, 48), fast=True) as reader:
        return [frame.image for frame in reader]


def test_11_variable_frame_rate() -> None:
    """Half at 23.976, half at 29.97 frames a second."""
    images = pictures()
    slow, fast = Fraction(1001, 24000), Fraction(1001, 30000)
    times = [float(n * slow if n < 170 else 170 * slow + (n - 170) * fast) for n in range(len(images))]
    stream = model("shots").stream(fps=27)
    events = stream.push(images, times) + stream.finish()
    assert all(event.start < event.end for event in events)
    cuts = {(event.start_frame, event.end_frame): event.end for event in events if event.label == "cut"}
    assert cuts == {(57, 58): pytest.approx(times[58], abs=1e-6), (172, 173): pytest.approx(times[173], abs=1e-6)}
    assert stream.judged[1] == len(images)


def test_12_slides() -> None:
    images = pictures()
    slides = [images[number] for number in (20, 150, 260, 80, 195, 325)]
    for fps, each in ((25, 75), (1, 3), (Fraction(1, 5), 1)):
        events = model("shots").label([slide for slide in slides for _ in range(each)], fps=fps).events
        assert [event.end_frame for event in events] == [each * n for n in range(1, 6)], fps


def test_13_a_long_pause(tmp_path: Path) -> None:
    """Nobody is heard for 700 s, in a file with pictures."""
    first, second = sound("island.wav", 48000)[: 4 * 48000], sound("apple-tree.flac", 48000)[: 4 * 48000]
    path = write_media(
        tmp_path / "call.mkv",
        "libopus",
        np.concatenate([first, second]),
        rate=48000,
        gap_at=4.0,
        gap=700.0,
        video=708.0,
    )
    words = model("speech-en").transcribe(path, start=700.0).words
    assert words and 703.5 < words[0].start < 706


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25)])
def test_14_edl_as_editors_read_it(fps: Fraction) -> None:
    cuts, frames = [1799, 1800, 17982, 107892], 200_000
    ends = [0, *cuts, frames]
    events = tuple(Event("cut", float((c - 1) / fps), float(c / fps), c - 1, c, 1.0) for c in cuts)
    shots = tuple(Scene("shot", float(a / fps), float(b / fps), a, b - 1, 1.0) for a, b in itertools.pairwise(ends))
    result = Labelling("a.mov", float(fps), frames, float(frames / fps), events, shots, (), kind="transitions")
    read = otio.adapters.read_from_string("".join(render(result, "edl")), "cmx_3600", rate=float(fps))
    assert [int(clip.source_range.start_time.value) for clip in read.tracks[0]] == [0, *cuts]


@pytest.mark.parametrize("how", ["length-cut", "chunked-cut"])
def test_15_an_address_that_breaks_off(how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = np.concatenate([sound("island.wav", 48000), sound("apple-tree.flac", 48000)])
    data = write_media(tmp_path / "s.mp3", "libmp3lame", samples, rate=48000).read_bytes()
    with WebServer({"s.mp3": data}) as server:
        assert main(["transcribe", f"{server.address}/{how}/s.mp3"]) == 3
        found = capsys.readouterr()
        assert found.out and "the connection broke off" in found.err
        assert main(["transcribe", f"{server.address}/{how.removesuffix('-cut')}/s.mp3"]) == 0
    assert capsys.readouterr().err == ""


def test_16_several_sounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speech = sound("island.wav", 48000)
    path = write_media(tmp_path / "obs.mkv", "libopus", np.zeros_like(speech), speech, rate=48000)
    assert main(["transcribe", str(path)]) == 0
    assert "1 (opus" in capsys.readouterr().err
    assert main(["transcribe", str(path), "--track", "1"]) == 0
    assert len(capsys.readouterr().out.split()) > 10
