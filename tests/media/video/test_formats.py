"""One set of laws for many codecs and containers: each frame, once, in order, at its time, in its colours."""

from __future__ import annotations

import io
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest
from video_fixtures import can_encode, number_in, numbered, write_video

from transducer.media import open_video

NTSC = Fraction(24000, 1001)

# name: codec, end of the name, rate, arguments of write_video
FORMATS = {
    "h264 mp4": ("libx264", "mp4", 25, {"pix_fmt": "yuv420p"}),
    "h264 ntsc": ("libx264", "mp4", NTSC, {"pix_fmt": "yuv420p"}),
    "h264 b-frames": ("libx264", "mkv", 25, {"pix_fmt": "yuv420p", "options": {"bf": "3", "b-adapt": "0"}}),
    "h264 ts": ("libx264", "ts", 25, {"pix_fmt": "yuv420p"}),
    "h264 avi": ("libx264", "avi", 25, {"pix_fmt": "yuv420p"}),
    "h264 4:4:4": ("libx264", "mp4", 25, {"pix_fmt": "yuv444p"}),
    "h264 10 bit": ("libx264", "mp4", 25, {"pix_fmt": "yuv420p10le"}),
    "h264 gray": ("libx264", "mkv", 25, {"pix_fmt": "gray"}),
    "h264 fragments": (
        "libx264", "mp4", 25, {"pix_fmt": "yuv420p", "container_options": {"movflags": "frag_keyframe+empty_moov"}}
    ),
    "h264 nv12": ("libx264", "flv", 25, {"pix_fmt": "nv12"}),
    "hevc mp4": ("libx265", "mp4", 25, {"pix_fmt": "yuv420p", "options": {"x265-params": "log-level=none"}}),
    "h264 alone": ("libx264", "h264", 25, {"pix_fmt": "yuv420p"}),
    "mpeg4 avi": ("mpeg4", "avi", 30, {"pix_fmt": "yuv420p", "options": {"qscale": "2", "flags": "qscale"}}),
    "mpeg2 ts": ("mpeg2video", "ts", 25, {"pix_fmt": "yuv422p", "flags": {"bit_rate": 4_000_000}}),
    "vp8 webm": ("libvpx", "webm", 25, {"pix_fmt": "yuv420p", "flags": {"bit_rate": 2_000_000}}),
    "vp9 webm": ("libvpx-vp9", "webm", 25, {"pix_fmt": "yuv420p", "flags": {"bit_rate": 2_000_000}}),
    "av1 mp4": ("libsvtav1", "mp4", 25, {"pix_fmt": "yuv420p", "options": {"preset": "12", "crf": "20"}}),
    "mjpeg mov": ("mjpeg", "mov", 25, {"pix_fmt": "yuvj422p", "options": {"qmin": "1", "qmax": "2"}}),
    "ffv1 10 bit": ("ffv1", "mkv", 25, {"pix_fmt": "yuv422p10le"}),
    "ffv1 alpha": ("ffv1", "mkv", 25, {"pix_fmt": "bgra"}),
    "ffv1 16 bit rgb": ("ffv1", "mkv", 25, {"pix_fmt": "gbrp16le"}),
    "gif": ("gif", "gif", 25, {"pix_fmt": "rgb8"}),
    "prores": ("prores", "mov", 25, {"pix_fmt": "yuv422p10le"}),
    "qtrle": ("qtrle", "mov", 25, {"pix_fmt": "argb"}),
    "png mov": ("png", "mov", 50, {"pix_fmt": "rgb24"}),
    "raw": ("rawvideo", "nut", 25, {"pix_fmt": "yuv411p"}),
}  # fmt: skip
# Palettes and gray keep the bars, not the colours.
POOR_COLOURS = {"gif", "h264 gray"}
# Whole milliseconds, or hundredths of a second.
TICKS = {"mkv": Fraction(1, 1000), "webm": Fraction(1, 1000), "flv": Fraction(1, 1000), "gif": Fraction(1, 100)}
COUNT = 20


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A function from a format's name to a file of COUNT numbered frames in it."""
    folder = tmp_path_factory.mktemp("formats")
    paths = {}

    def make(name: str):
        codec, end, rate, arguments = FORMATS[name]
        if not can_encode(codec):
            pytest.skip(f"FFmpeg is built without the encoder {codec}")
        if name not in paths:
            path = folder / f"{name.replace(' ', '-').replace(':', '')}.{end}"
            paths[name] = write_video(path, codec, COUNT, rate=rate, **arguments)
        return paths[name]

    return make


@pytest.mark.parametrize("name", list(FORMATS))
def test_each_frame_once_in_order_at_its_time(name, made, capfd):
    rate, tick = FORMATS[name][2], TICKS.get(FORMATS[name][1], Fraction(1, 90000))
    path = made(name)
    capfd.readouterr()  # what the encoder said
    with open_video(path) as reader:
        frames = list(reader)
    assert reader.warnings == []
    assert (reader.height, reader.width) == (72, 96)
    assert [f.index for f in frames] == list(range(COUNT)) == [number_in(f.image) for f in frames]
    assert reader.index == COUNT
    for frame in frames:
        assert isinstance(frame.time, Fraction)
        assert abs(frame.time - frame.index / Fraction(rate)) <= tick
        assert frame.image.shape == (72, 96, 3) and frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous and frame.image.flags.writeable
    assert reader.frames in (None, COUNT)
    assert reader.duration is None or abs(reader.duration - COUNT / rate) < 0.1  # FLV counts from before the first
    assert abs(reader.position - COUNT / rate) < 0.05
    assert abs(reader.fps / rate - 1) < 0.06
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("fast", [False, True])
def test_small_pictures_are_means_over_areas(name, fast, made):
    with open_video(made(name)) as reader:
        large = [f.image.astype(float) for f in reader]
    with open_video(made(name), (18, 24), fast=fast) as reader:
        small = [f.image for f in reader]
        assert (reader.height, reader.width) == (72, 96)
    assert [number_in(image) for image in small] == list(range(COUNT))
    means = np.stack(large).reshape(COUNT, 18, 4, 24, 4, 3).mean((2, 4))
    error = np.abs(np.stack(small) - means)
    assert error.mean() < (2.5 if fast else 1.0)
    assert np.quantile(error, 0.99) < (16 if fast else 6)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in POOR_COLOURS])
def test_colours(name, made):
    with open_video(made(name)) as reader:
        for frame in reader:
            wanted = numbered(frame.index)[40:-4, 6:-6].astype(float)
            assert np.abs(frame.image[40:-4, 6:-6] - wanted).mean() < 6


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_pipe_gives_what_the_file_gives(name, made):
    path = made(name)
    with open_video(path, (9, 16)) as reader:
        whole = list(reader)
    with subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE) as cat, open_video(cat.stdout, (9, 16)) as reader:
        piped = list(reader)
    with open_video(io.BytesIO(path.read_bytes()), (9, 16)) as reader:
        opened = list(reader)
    for others in (piped, opened):
        assert [(f.index, f.time) for f in others] == [(f.index, f.time) for f in whole]
        assert all((a.image == b.image).all() for a, b in zip(whole, others, strict=True))


@pytest.mark.parametrize("size", [1, 3, 7, COUNT, 1000])
@pytest.mark.parametrize("name", ["h264 mp4", "mjpeg mov"])
def test_batches_are_the_frames(name, size, made):
    with open_video(made(name), (18, 24)) as reader:
        frames = list(reader)
    with open_video(made(name), (18, 24)) as reader:
        batches = list(reader.batches(size))
    assert [first for _, first, _ in batches] == list(range(0, COUNT, size))
    assert [time for _, _, times in batches for time in times] == [f.time for f in frames]
    images = np.concatenate([images for images, _, _ in batches])
    assert (images == np.stack([f.image for f in frames])).all()
    assert all(len(images) == len(times) for images, _, times in batches)


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "yuv444p"])
def test_colours_are_those_of_ffmpeg(matrix, full, pix_fmt, tmp_path):
    images = [np.full((16, 16, 3), colour, np.uint8) for colour in ((200, 40, 60), (30, 180, 90), (250, 250, 250))]
    path = tmp_path / "colours.mkv"
    # Constants in planes show what a matrix and a range do.
    graph = f"scale=out_color_matrix={matrix}:out_range={'full' if full else 'limited'},format={pix_fmt}"
    raw = b"".join(image.tobytes() for image in images)
    command = [
        "ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "16x16", "-i", "-", "-vf", graph,
        "-c:v", "ffv1", "-colorspace", matrix, "-color_range", "pc" if full else "tv", str(path),
    ]  # fmt: skip
    try:
        subprocess.run(command, input=raw, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs the program ffmpeg")
    for size in (None, (2, 2)):
        with open_video(path, size) as reader:
            for image, frame in zip(images, reader, strict=True):
                assert np.abs(frame.image.astype(int) - image[0, 0]).max() <= 3


def test_reading_ends_the_reader_and_closing_twice_is_fine(made):
    reader = open_video(made("h264 mp4"))
    assert len(list(reader)) == COUNT
    assert list(reader) == []
    reader.close()
    with open_video(made("h264 mp4")) as reader:
        next(reader)
        reader.close()
        assert list(reader) == []


def test_the_last_frames_are_not_written_over(made):
    """What a reader gave stays as it is while the reader goes on."""
    with open_video(made("h264 mp4"), (18, 24)) as reader:
        first = next(reader)
        copy = first.image.copy()
        list(reader)
    assert (first.image == copy).all()


def test_av_is_asked_for_no_more_than_is_read(made):
    """An endless source can be read a frame at a time."""
    path = made("h264 ts")
    data = path.read_bytes()
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 0
    read = []

    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def read(self, size=-1):
            read.append(size)
            start = sum(read[:-1]) % len(data)
            return data[start : start + size]

    with open_video(Endless(), (9, 16)) as reader:
        for _ in range(5):
            next(reader)
        assert reader.index == 5
