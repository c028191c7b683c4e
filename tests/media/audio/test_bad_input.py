"""Bad input gives one clear line that names the file, and nothing else is printed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from media_fixtures import NO_MEDIA, noise, sine, wav, wav_header, write_media

from transducer.errors import CheckpointError, MediaError, TransducerError, UsageError
from transducer.media import open_audio, read_audio


def make_image(path: Path) -> Path:
    image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png")
        stream.width = stream.height = 32
        stream.pix_fmt = "rgb24"
        container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    return path


def make_bad(folder: Path, kind: str) -> Path:
    path = folder / f"{kind.replace(' ', '-')}.wav"
    if kind == "folder":
        path.mkdir()
    elif kind in NO_MEDIA:
        path.write_bytes(NO_MEDIA[kind])
    elif kind == "short text":
        path.write_text("é")
    elif kind == "image":
        make_image(folder / "image.png").rename(path)
    elif kind == "silent video":
        write_media(folder / "v.mp4", "aac", video=1.0).rename(path)
    elif kind == "no samples":
        path.write_bytes(wav_header(0))
    elif kind == "half a header":
        path.write_bytes(wav_header(3200)[:30])
    elif kind == "zero channels":
        path.write_bytes(wav_header(3200, channels=0) + bytes(3200))
    elif kind == "zero rate":
        path.write_bytes(wav_header(3200, rate=0) + bytes(3200))
    elif kind == "absurd rate":
        path.write_bytes(wav_header(3200, rate=2_000_000_000) + bytes(3200))
    elif kind == "zero bits":
        path.write_bytes(wav_header(3200, bits=0) + bytes(3200))
    elif kind == "unknown codec":
        path.write_bytes(wav_header(3200, tag=0x1234) + bytes(3200))
    elif kind == "mp4 cut short":
        whole = write_media(folder / "m.m4a", "aac", noise(2.0, 44100)).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "start missing":
        whole = write_media(folder / "m.webm", "libopus", noise(2.0, 48000), rate=48000).read_bytes()
        path.write_bytes(whole[len(whole) // 2 :])
    return path


BAD = {
    "missing": "no such file",
    "folder": "is a folder",
    "empty": "is empty",
    "text": "is text",
    "short text": "is text",
    "subtitles": "no sound",
    "image": "is an image",
    "silent video": "video without sound",
    "noise": "no sound or video",
    "no samples": "no sound samples",
    "half a header": "no sound or video",
    "zero channels": "zero channels",
    "zero rate": "no sound or video",
    "absurd rate": "2000000000 samples per second",
    "zero bits": "can't be decoded",
    "unknown codec": "can't be decoded",
    "mp4 cut short": "index",
    "start missing": "no sound or video",
}


@pytest.mark.parametrize("kind", list(BAD))
def test_one_clear_line(kind, tmp_path, capfd):
    path = make_bad(tmp_path, kind)
    with pytest.raises(MediaError) as error:
        open_audio(path)
    line = str(error.value)
    assert line.startswith(f"{path}: ") and BAD[kind] in line
    assert "\n" not in line and len(line) < len(str(path)) + 130
    assert error.value.exit_status == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [k for k in BAD if k not in ("missing", "folder")])
def test_one_clear_line_from_a_pipe_too(kind, tmp_path, capfd):
    path = make_bad(tmp_path, kind)
    with subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE) as cat, pytest.raises(MediaError) as error:
        open_audio(cat.stdout)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_no_permission(tmp_path):
    path = tmp_path / "secret.wav"
    path.write_bytes(wav(sine(0.1, 16000), 16000))
    path.chmod(0)
    tmp_path.chmod(0o755)
    code = f"""
import os
from transducer.errors import MediaError
from transducer.media import open_audio
if os.geteuid() == 0:
    os.seteuid(65534)  # root may read everything
try:
    open_audio({str(path)!r})
except MediaError as error:
    print(error)
"""
    # Others may not look into pytest's folder, so the folders above are opened for the while.
    opened = [folder for folder in path.parents if folder.stat().st_mode & 0o005 != 0o005]
    modes = {folder: folder.stat().st_mode for folder in opened}
    try:
        for folder in opened:
            folder.chmod(modes[folder] | 0o005)
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            cwd=Path(__file__).resolve().parents[3],
            timeout=60,
        )
    finally:
        for folder, mode in modes.items():
            folder.chmod(mode)
    assert done.stderr == ""
    assert done.stdout.startswith(f"{path}: no permission")


@pytest.mark.parametrize(("rate", "channels"), [(192000, 1), (16000, 8), (192000, 8), (8000, 32)])
def test_unusual_but_fine(rate, channels, tmp_path):
    samples = np.repeat(sine(0.2, rate)[:, None], channels, axis=1)
    path = tmp_path / "unusual.wav"
    path.write_bytes(wav(samples, rate, 24))
    with open_audio(path) as reader:
        assert sum(map(len, reader)) == 3200
    assert reader.warnings == []


def test_one_sample_is_sound():
    assert read_audio(io.BytesIO(wav(np.array([0.5]), 16000))).tolist() == [0.5]


def test_standard_input_that_is_a_terminal(monkeypatch):
    controller, terminal = os.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        with pytest.raises(UsageError, match="terminal"):
            open_audio("-")
    os.close(controller)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="standard input"):
        open_audio("-")


def test_a_file_that_is_not_binary(tmp_path):
    class Text:
        name = "words"

        def read(self, size):
            return "text"

    with pytest.raises(MediaError, match=r"words: .*binary"):
        open_audio(Text())
    path = tmp_path / "a.txt"
    path.write_text("text")
    with path.open() as file, pytest.raises(UsageError, match="rb"):
        open_audio(file)


def test_exit_statuses():
    assert issubclass(UsageError, TransducerError)
    statuses = {kind: kind.exit_status for kind in (TransducerError, UsageError, MediaError, CheckpointError)}
    assert list(statuses.values()) == [1, 2, 1, 2]
