"""Recordings: on the clock of the results, in every kind of file, whatever goes wrong."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from command_line import ENVIRONMENT

from transducer.errors import UsageError
from transducer.media import open_video, read_audio
from transducer.media.live import saver as saving
from transducer.media.live.saver import KINDS, Saver

RATE = 16000
TONE = (0.5 * np.sin(0.1 * np.arange(2 * RATE))).astype(np.float32)


@pytest.mark.parametrize("suffix", KINDS)
def test_sound_has_its_times(tmp_path, suffix):
    path = tmp_path / f"kept{suffix}"
    saver = Saver(path, RATE, False, print)
    for start in range(0, len(TONE), 320):
        saver.sound(TONE[start : start + 320])
    saver.silence_until(3.0)
    saver.sound(TONE[:RATE])
    saver.close()
    assert not saver.failed
    kept = read_audio(path)
    lossless = suffix in (".wav", ".flac", ".mka", ".mkv")
    expected = np.concatenate([TONE, np.zeros(RATE, np.float32), TONE[:RATE]])
    assert abs(len(kept) - len(expected)) <= (0 if lossless else 1024)
    size = min(len(kept), len(expected))
    assert np.sqrt(np.mean((kept[:size] - expected[:size]) ** 2)) < (1e-4 if lossless else 0.05)


@pytest.mark.parametrize("suffix", [suffix for suffix, (_, _, pictures) in KINDS.items() if pictures])
def test_pictures_that_begin_later_than_the_sound(tmp_path, suffix):
    path = tmp_path / f"kept{suffix}"
    saver = Saver(path, RATE, True, print)
    times = [Fraction(4, 10) + Fraction(n, 30) + Fraction(n % 3, 100) for n in range(30)]  # not at an even rate
    for start in range(0, len(TONE), 3200):
        saver.sound(TONE[start : start + 3200])
        for time in times:
            if start / RATE <= time < (start + 3200) / RATE:
                saver.picture(np.full((45, 63, 3), 128, np.uint8), time)  # odd sides
    saver.close()
    assert not saver.failed
    with open_video(path) as reader:
        kept = [float(frame.time) for frame in reader]
    np.testing.assert_allclose(kept, [float(time) for time in times], atol=2e-3)
    assert abs(len(read_audio(path)) - len(TONE)) <= 1024


@pytest.mark.parametrize(
    ("name", "pictures", "says"),
    [
        ("kept.xyz", False, "knows no .xyz"),
        ("kept", False, "without"),
        ("kept.wav", True, "holds no pictures"),
    ],
)
def test_kinds_that_there_are_not(tmp_path, name, pictures, says):
    with pytest.raises(UsageError, match=says):
        Saver(tmp_path / name, RATE, pictures, print)
    assert not list(tmp_path.iterdir())


def test_a_recording_is_not_written_over(tmp_path):
    (tmp_path / "kept.wav").write_bytes(b"precious")
    with pytest.raises(UsageError, match="not written over"):
        Saver(tmp_path / "kept.wav", RATE, False, print)
    with pytest.raises(UsageError, match="cannot be written"):
        Saver(tmp_path / "no" / "kept.wav", RATE, False, print)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_ends_the_recording_and_not_the_session(tmp_path, monkeypatch):
    told: list[str] = []
    open_file = saving.av.open
    monkeypatch.setattr(saving.av, "open", lambda path, *given, **options: open_file("/dev/full", *given, **options))
    saver = Saver(tmp_path / "kept.flac", RATE, False, told.append)
    noise = np.random.default_rng(0).uniform(-1, 1, 20 * RATE).astype(np.float32)
    for start in range(0, len(noise), RATE):
        saver.sound(noise[start : start + RATE])
    saver.close()
    assert saver.failed
    assert len(told) == 1 and "cannot be written any more" in told[0]


def test_of_nothing_no_file_is_left(tmp_path):
    Saver(tmp_path / "kept.wav", RATE, False, print).close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".wav"])
def test_what_is_killed_leaves_what_was_kept(tmp_path, suffix):
    program = """
import os, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from transducer.media.live.saver import Saver
path = Path(sys.argv[1])
saver = Saver(path, 16000, path.suffix != ".wav", print)
noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
for second in range(60):
    saver.sound(noise)
    for n in range(10):
        if path.suffix != ".wav":
            picture = np.random.default_rng(n).integers(0, 255, (64, 64, 3), np.uint8)
            saver.picture(picture, second + Fraction(n, 10))
os._exit(9)
"""
    path = tmp_path / f"kept{suffix}"
    done = subprocess.run([sys.executable, "-c", program, str(path)], env=ENVIRONMENT, capture_output=True)
    assert done.returncode == 9, done.stderr.decode()
    assert len(read_audio(path)) > 20 * RATE
