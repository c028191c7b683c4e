"""Holes in the timestamps: long ones are kept where the file's length bears them out, absurd ones are not."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from media_fixtures import Trickle, lag, noise, write_media

from transducer.media import open_audio, open_video
from transducer.media.io.timing import Length

RATE = 16000
HOLE = 700


def write_with_hole(path, codec, sound_codec, pictures: str, hole: float = HOLE):
    """4 s of sound and of pictures; behind 2 s there is a hole in one of them, "sound" or "picture", or in "both"."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        audio = container.add_stream(sound_codec, rate=48000, layout="mono")
        audio.codec_context.open()
        packets = []
        for index in range(100):
            image = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 2 * index, np.uint8), format="rgb24")
            late = hole if index >= 50 and pictures != "sound" else 0
            image.pts, image.time_base = round(index * 40 + late * 1000), Fraction(1, 1000)
            video.codec_context.time_base = Fraction(1, 1000)
            packets += video.encode(image)
        packets += video.encode(None)
        size = audio.codec_context.frame_size or 960
        resampler = av.AudioResampler(audio.codec_context.format.name, "mono", 48000)
        sound = noise(4, 48000).astype(np.float32)
        for place in range(0, len(sound), size):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None, place : place + size]), "fltp", "mono")
            frame.sample_rate = 48000
            late = hole if place >= 2 * 48000 and pictures != "picture" else 0
            for each in resampler.resample(frame):
                each.pts, each.time_base = round(place + late * 48000), Fraction(1, 48000)
                packets += audio.encode(each)
        packets += audio.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


KINDS = [
    ("mkv", "libx264", "libopus"),
    ("webm", "libvpx", "libopus"),
    ("ts", "libx264", "mp2"),
    ("mp4", "libx264", "aac"),
]


@pytest.mark.parametrize(("kind", "codec", "sound_codec"), KINDS)
@pytest.mark.parametrize("where", ["both", "sound", "picture"])
def test_times_behind_a_long_hole(kind, codec, sound_codec, where, tmp_path):
    path = write_with_hole(tmp_path / f"a.{kind}", codec, sound_codec, where)
    hole = HOLE if where != "picture" else 0
    with open_audio(path) as reader:
        sound = np.concatenate(list(reader))
        assert reader.position == pytest.approx(4 + hole, abs=0.15) == reader.duration
    late = lag(sound[(2 + hole) * RATE :], noise(4, 48000)[int(2.5 * 48000) : int(3.5 * 48000) : 3]) / RATE
    assert late == pytest.approx(0.5, abs=0.1)
    with open_video(path, (8, 8)) as reader:
        times = [float(frame.time) for frame in reader]
    hole = HOLE if where != "sound" else 0
    assert times[-1] - times[0] == pytest.approx(3.96 + hole, abs=0.01)


def test_a_damaged_time_of_a_fragment_makes_no_days_of_silence(tmp_path):
    options = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}
    data = bytearray(write_media(tmp_path / "a.mp4", "aac", noise(4, 44100), options=options).read_bytes())
    second = data.index(b"tfdt", data.index(b"tfdt") + 1)
    assert data[second + 4] == 1  # the version: eight bytes of time behind version and flags
    data[second + 8 : second + 16] = (10**11).to_bytes(8, "big")
    for source in (io.BytesIO(data), Trickle(bytes(data), [3000])):
        with open_audio(source) as reader:
            assert sum(map(len, reader)) < 10 * RATE
            assert reader.duration == reader.position
        assert any("jump" in line for line in reader.warnings)


def test_a_damaged_size_of_packets_makes_no_hours_of_silence(tmp_path):
    data = bytearray(write_media(tmp_path / "a.caf", "pcm_s16le", noise(1.5, RATE), rate=RATE).read_bytes())
    place = data.index(b"lpcm") + 12  # behind flags and bytes per packet: frames per packet
    data[place : place + 4] = (16640).to_bytes(4, "big")
    with open_audio(io.BytesIO(data)) as reader:
        assert sum(map(len, reader)) == pytest.approx(1.5 * RATE, abs=2)


@pytest.mark.parametrize(
    ("length", "gap", "position", "believed"),
    [
        (Length(), 599, 0, True),
        (Length(), 601, 0, False),
        (Length(latest=Fraction(1000), longest_gap=1e5), 700, 200, True),
        (Length(latest=Fraction(1000), longest_gap=1e5), 900, 200, False),
        (Length(latest=Fraction(10**6), longest_gap=5000), 6000, 200, False),
    ],
)
def test_which_holes_are_believed(length, gap, position, believed):
    assert length.believes(gap, Fraction(position)) == believed


@pytest.mark.parametrize(
    ("kind", "codec"), [("mkv", "libopus"), ("mp4", "aac"), ("flv", "aac"), ("ts", "aac"), ("wav", "pcm_s16le")]
)
def test_durations_are_positive_or_unknown_whatever_the_header_says(kind, codec, tmp_path):
    data = write_media(tmp_path / f"a.{kind}", codec, noise(1.5, 48000), rate=48000).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(0, min(len(data), 700), 4):
            damaged[place] = rng.integers(0, 256)
        try:
            reader = open_audio(io.BytesIO(damaged))
        except Exception as error:
            from transducer.errors import MediaError

            assert isinstance(error, MediaError)
            continue
        with reader:
            assert reader.duration is None or reader.duration > 0
            last = reader.position
            for _ in reader:
                assert reader.position > last
                last = reader.position
            assert reader.duration == last
