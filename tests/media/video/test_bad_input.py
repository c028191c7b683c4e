"""Bad input gives one clear line that names the file; damage is skipped and told; the unusual is read."""

from __future__ import annotations

import io
import struct
import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from media_fixtures import NO_MEDIA, Trickle, noise, sine, wav, write_media
from video_fixtures import can_encode, number_in, numbered, write_video

from transducer.errors import MediaError, UsageError
from transducer.media import open_video


def make_image(path: Path, codec: str, pix_fmt: str = "rgb24") -> Path:
    return write_video(
        path, codec, [numbered(9)], pix_fmt=pix_fmt, file_format="image2", container_options={"update": "1"}
    )


def add_cover(path: Path, image: Path, output: Path) -> Path:
    """Copy a sound file and attach a picture to it."""
    with av.open(str(path)) as sound, av.open(str(image)) as picture, av.open(str(output), "w") as container:
        copies = [container.add_stream_from_template(s.streams[0]) for s in (sound, picture)]
        copies[1].disposition = av.stream.Disposition.attached_pic
        for source, copy in ((picture, copies[1]), (sound, copies[0])):
            for packet in source.demux(source.streams[0]):
                if packet.dts is not None:
                    packet.stream = copy
                    container.mux(packet)
    return output


def make_bad(folder: Path, kind: str) -> Path:
    path = folder / f"{kind.replace(' ', '-')}.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind in NO_MEDIA:
        path.write_bytes(NO_MEDIA[kind])
    elif kind == "text file":
        path = folder / "letter.txt"
        path.write_bytes(NO_MEDIA["text"])
    elif kind == "sound":
        write_media(folder / "a.m4a", "aac", noise(1.0, 44100)).rename(path)
    elif kind == "wav":
        path.write_bytes(wav(sine(0.1, 16000), 16000))
    elif kind == "cover":
        sound = write_media(folder / "a.mp3", "libmp3lame", noise(1.0, 44100))
        path = add_cover(sound, make_image(folder / "cover.png", "png"), folder / "cover.mp3")
    elif kind == "index missing":
        whole = write_video(folder / "whole.mp4", images=50).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "no frames":
        whole = write_video(folder / "whole.avi", "mpeg4", images=1).read_bytes()
        path.write_bytes(whole[: whole.index(b"movi") + 4])
    elif kind == "nothing decodes":
        data = bytearray(write_video(folder / "whole.mp4", images=10).read_bytes())
        start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
        data[start:end] = bytes(end - start)
        path.write_bytes(data)
    elif kind == "unknown codec":
        data = write_video(folder / "whole.avi", "mpeg4", images=10).read_bytes()
        path.write_bytes(data.replace(b"FMP4", b"ZQX7"))
    return path


BAD = {
    "missing": "no such file",
    "folder": "is a folder",
    "empty": "is empty",
    "text": "is text",
    "text file": "is text, not",
    "subtitles": "no video stream, it holds subtitles",
    "sound": "no video stream; name a file with pictures, or transducer transcribe reads its sound",
    "wav": "no video stream; name a file with pictures, or transducer transcribe reads its sound",
    "cover": "no video stream but its cover picture; name a file with pictures, or transducer transcribe",
    "noise": "no sound or video",
    "index missing": "its index (moov) is missing or damaged: the recording was cut short; copy or record it again",
    "no frames": "no pictures",
    "nothing decodes": "none of its pictures can be decoded",
    "unknown codec": "can't be decoded",
}


@pytest.mark.parametrize("kind", list(BAD))
def test_one_clear_line(kind, tmp_path, capfd):
    path = make_bad(tmp_path, kind)
    capfd.readouterr()
    with pytest.raises(MediaError) as error:
        open_video(path)
    line = str(error.value)
    assert line.startswith(f"{path}: ") and BAD[kind] in line
    assert "\n" not in line and len(line) < len(str(path)) + 150
    assert error.value.exit_status == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [k for k in BAD if k not in ("missing", "folder")])
def test_one_clear_line_from_a_pipe_too(kind, tmp_path, capfd):
    path = make_bad(tmp_path, kind)
    capfd.readouterr()
    with subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE) as cat, pytest.raises(MediaError) as error:
        open_video(cat.stdout)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("source", "size", "match"),
    [
        (b"bytes", None, "BytesIO"),
        (3, None, "no source"),
        (np.zeros((2, 4, 4, 3), np.uint8), None, "no source"),
        ("", None, "empty"),
        ("video.mp4", (0, 3), "size"),
        ("video.mp4", (4, 3.5), "size"),
        ("video.mp4", (4, 3, 2), "size"),
        ("video.mp4", 4, "size"),
        ("gopher2://x", None, "kind of address"),
    ],
)
def test_what_is_no_source_and_no_size(source, size, match):
    with pytest.raises(UsageError, match=match) as error:
        open_video(source, size)
    assert "\n" not in str(error.value)


def test_a_reader_is_a_source(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    with open_video(path, (4, 6)) as reader:
        assert open_video(reader, (4, 6)) is open_video(reader) is reader
        with pytest.raises(UsageError, match="another size"):
            open_video(reader, (5, 6))
        with pytest.raises(UsageError, match="at least one"):
            next(reader.batches(0))


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.png", "png", "rgb24"),
        ("rgba.png", "png", "rgba"),
        ("gray.png", "png", "gray"),
        ("deep.png", "png", "rgb48be"),
        ("palette.bmp", "bmp", "bgr24"),
        ("a.jpg", "mjpeg", "yuvj420p"),
        ("a.webp", "libwebp", "yuv420p"),
        ("a.tiff", "tiff", "rgb24"),
    ],
)
def test_a_still_image_is_a_video_of_one_frame(name, codec, pix_fmt, tmp_path):
    if not can_encode(codec):
        pytest.skip(f"FFmpeg is built without the encoder {codec}")
    path = make_image(tmp_path / name, codec, pix_fmt)
    for source in (path, io.BytesIO(path.read_bytes())):
        with open_video(source) as reader:
            frames = list(reader)
        assert [(f.index, f.time, number_in(f.image)) for f in frames] == [(0, 0, 9)]
        assert (reader.frames, reader.duration, reader.warnings) == (1, None, [])


def test_one_frame(tmp_path):
    with open_video(write_video(tmp_path / "one.mp4", images=1)) as reader:
        assert [f.time for f in reader] == [0]
        assert reader.duration == reader.position == 0.04
    assert reader.warnings == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (3, 5), (2, 3000)])
@pytest.mark.parametrize("size", [None, (27, 48), (1, 1), (5, 4000)])
def test_any_size_to_any_size(shape, size, tmp_path):
    image = np.zeros((*shape, 3), np.uint8)
    image[:] = (200, 100, 50)
    path = write_video(tmp_path / "size.mkv", "ffv1", [image, image], pix_fmt="bgr0")
    with open_video(path, size) as reader:
        frames = list(reader)
    assert (reader.height, reader.width) == shape and len(frames) == 2
    for frame in frames:
        assert frame.image.shape == (*(size or shape), 3)
        assert np.abs(frame.image.astype(int) - (200, 100, 50)).max() <= 2


def test_8k(tmp_path):
    image = np.full((4320, 7680, 3), (200, 100, 50), np.uint8)
    path = write_video(tmp_path / "8k.mkv", "mjpeg", [image], pix_fmt="yuvj420p")
    with open_video(path) as reader:
        assert next(reader).image.shape == (4320, 7680, 3)
    with open_video(path, (27, 48)) as reader:
        assert np.abs(next(reader).image.astype(int) - (200, 100, 50)).max() <= 3
    assert (reader.height, reader.width) == (4320, 7680)


@pytest.mark.parametrize("size", [None, (20, 30)])
def test_a_size_that_changes_midway(size, tmp_path):
    data = b""
    for number, (height, width) in enumerate([(48, 64), (96, 64), (48, 128)]):
        images = [numbered(10 * number + i, height, width) for i in range(5)]
        data += write_video(tmp_path / f"{number}.ts", "libx264", images, rate=2, options={"bf": "0"}).read_bytes()
    with open_video(io.BytesIO(data), size) as reader:
        frames = list(reader)
    shape = (48, 64, 3) if size is None else (*size, 3)
    assert [f.image.shape for f in frames] == [shape] * 15
    assert [number_in(f.image) for f in frames] == [10 * n + i for n in range(3) for i in range(5)]
    assert [f.time for f in frames] == [Fraction(i, 2) for i in range(15)]
    with open_video(io.BytesIO(data), size) as reader:
        assert [len(images) for images, _, _ in reader.batches(4)] == [4, 4, 4, 3]


def test_alpha_is_left_out(tmp_path):
    image = np.zeros((16, 16, 4), np.uint8)
    image[:] = (10, 200, 90, 0)
    path = write_video(tmp_path / "alpha.mov", "qtrle", [image], pix_fmt="argb", source="rgba")
    for size in (None, (4, 4)):
        with open_video(path, size) as reader:
            assert np.abs(next(reader).image.astype(int) - (10, 200, 90)).max() <= 2


def test_a_wrong_duration_in_the_header(tmp_path):
    data = bytearray(write_video(tmp_path / "a.mkv", images=50, rate=10).read_bytes())
    at = data.index(b"\x44\x89\x88") + 3  # Matroska: Duration, a float of 8 bytes, in milliseconds
    for seconds, warnings in ((100.0, 1), (1.0, 0)):
        data[at : at + 8] = struct.pack(">d", seconds * 1000)
        with open_video(io.BytesIO(bytes(data))) as reader:
            assert reader.duration == seconds
            assert len(list(reader)) == 50
        assert reader.position == 5.0
        assert len(reader.warnings) == warnings
        assert warnings == 0 or "ends at 5.00 s, but its header says 100.00 s" in reader.warnings[0]
    assert reader.duration == 5.0  # it was wrong


def test_a_file_cut_short_is_read_as_far_as_it_goes(tmp_path):
    whole = write_video(tmp_path / "a.mkv", images=[noisy(i) for i in range(50)]).read_bytes()
    with open_video(io.BytesIO(whole[: len(whole) // 2])) as reader:
        count = len(list(reader))
    assert 10 < count < 40
    assert len(reader.warnings) == 1 and "cut short" in reader.warnings[0]
    front = {"movflags": "faststart"}
    whole = write_video(tmp_path / "a.mp4", images=[noisy(i) for i in range(50)], container_options=front).read_bytes()
    with open_video(io.BytesIO(whole[: len(whole) // 2])) as reader:
        count = len(list(reader))
    assert 10 < count < 40
    assert "cut short" in reader.warnings[-1]


def noisy(index: int) -> np.ndarray:
    """Pictures that take many bytes."""
    return np.random.default_rng(index).integers(0, 256, (72, 96, 3), np.uint8)


@pytest.mark.parametrize("end", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_damage_is_told_and_skipped(end, seed, tmp_path, capfd):
    codec = "mpeg4" if end == "avi" else "libx264"
    images = [noisy(i) for i in range(60)]
    data = bytearray(write_video(tmp_path / f"a.{end}", codec, images, options={"g": "15"}).read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(len(data) // 4, len(data) * 3 // 4, 12):
        data[place : place + 60] = rng.bytes(60)
    with open_video(io.BytesIO(bytes(data)), (18, 24)) as reader:
        frames = list(reader)
    times = [f.time for f in frames]
    assert [f.index for f in frames] == list(range(len(frames)))
    assert 20 < len(frames) <= 61
    assert all(a < b for a, b in pairwise(times))
    assert times[-1] > 2
    assert all("\n" not in warning and warning.startswith("open file: ") for warning in reader.warnings)
    assert capfd.readouterr() == ("", "")


def test_lost_packets_leave_a_gap_in_time(tmp_path):
    """Frames that got lost are not made up; those behind them keep their times."""
    path = write_video(tmp_path / "a.ts", images=[noisy(i) for i in range(60)], options={"g": "10", "bf": "0"})
    data = path.read_bytes()
    third = len(data) // 3 // 188 * 188
    with open_video(io.BytesIO(data[:third] + data[third + 188 * 400 :]), (18, 24)) as reader:
        frames = list(reader)
    assert len(frames) < 60
    assert frames[-1].time == Fraction(59, 25)
    assert reader.warnings and "damaged" in reader.warnings[0]


@pytest.mark.parametrize("sizes", [[1], [7, 188, 4096], [65536]])
@pytest.mark.parametrize("seekable", [False, True])
def test_any_pieces(sizes, seekable, tmp_path):
    data = write_video(tmp_path / "a.mkv").read_bytes()
    with open_video(Trickle(data, sizes, seekable)) as reader:
        assert [number_in(f.image) for f in reader] == list(range(10))


def test_an_error_of_the_caller_goes_through(tmp_path):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 4000:
                raise KeyboardInterrupt
            return super().read(min(size, 1000))

        read1 = read

    data = write_video(tmp_path / "a.ts", images=[noisy(i) for i in range(20)]).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        list(open_video(Broken(data)))
