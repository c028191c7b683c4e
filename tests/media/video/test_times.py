"""Times are exact whatever the timestamps do, and they are those of the sound of the same file."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import av
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from video_fixtures import number_in, numbered, write_video

from transducer.media import open_audio, open_video
from transducer.media.io.decoding import Damage
from transducer.media.io.timing import Length
from transducer.media.video.clock import FrameClock
from transducer.media.video.picture import _QUARTERS, read_orientation

TICK = Fraction(1, 1000)
STEP = Fraction(1, 25)


def frames_at(stamps):
    return [s if isinstance(s, Damage) else SimpleNamespace(pts=s, is_corrupt=False) for s in stamps]


def place(stamps, **arguments):
    warnings = []
    clock = FrameClock(lambda text, incomplete=False: warnings.append(text), TICK, STEP, **arguments)
    placed = list(clock.place(frames_at(stamps)))
    assert [t.frame.pts for t in placed] == [s for s in stamps if not isinstance(s, Damage)]
    return [t.time for t in placed], warnings


def read(path, size=None):
    with open_video(path, size) as reader:
        frames = list(reader)
    assert reader.warnings == []
    assert [f.index for f in frames] == [number_in(f.image) for f in frames] == list(range(len(frames)))
    return [f.time for f in frames]


@given(st.lists(st.integers(1, 3000), max_size=30), st.integers(-10_000, 10_000), st.booleans())
@example([1001, 1], 0, False)  # a pause that looks like a jump, only that the next frame agrees with it
def test_increasing_timestamps_are_the_times(gaps, start, given_origin):
    stamps = [start, *(start + int(s) for s in np.cumsum(gaps))]
    origin = Fraction(min(start, 0) - 5, 1000) if given_origin else None
    times, warnings = place(stamps, origin=origin)
    assert times == [s * TICK - (start * TICK if origin is None else origin) for s in stamps]
    assert warnings == []


@given(st.lists(st.one_of(st.none(), st.integers(-(10**9), 10**9)), min_size=1, max_size=40))
def test_times_increase_whatever_the_timestamps_do(stamps):
    times, _ = place(stamps)
    assert all(a < b for a, b in pairwise(times))


@pytest.mark.parametrize("jump", [-500_000, -5000, 5000, 300_000, 90_000_000])
def test_one_damaged_timestamp_moves_nothing(jump):
    stamps = [40 * i + (jump if i == 10 else 0) for i in range(20)]
    times, warnings = place(stamps)
    assert times == [i * STEP for i in range(20)]
    assert warnings == []


@pytest.mark.parametrize("jump", [-5000, -90_000_000, 95_443_700])
def test_a_clock_that_is_set_anew_goes_on(jump):
    times, warnings = place([40 * i + (jump if i >= 10 else 0) for i in range(20)])
    assert times == [i * STEP for i in range(20)]
    assert len(warnings) == 1 and "at 0.36 s" in warnings[0]


def test_pictures_that_stay_for_long():
    stamps = [0, 5000, 10_000, 10_040, 300_000]
    assert place(stamps) == ([s * TICK for s in stamps], [])


def test_frames_without_timestamps_follow_at_the_rate():
    assert place([None, 40, None, 120]) == ([i * STEP for i in range(4)], [])
    assert place([None] * 5) == ([i * STEP for i in range(5)], [])
    assert place([1000, None, None], origin=Fraction(1))[0] == [i * STEP for i in range(3)]


def test_two_frames_at_once():
    times, warnings = place([0, 40, 40, 80])
    assert times == [0, STEP, STEP * 3 / 2, 2 * STEP] and warnings == []


def test_damage_is_told_with_its_place():
    _, warnings = place([0, 40, Damage(), Damage(), 200, 240])
    assert len(warnings) == 1 and "from 0.04 s to 0.20 s" in warnings[0]
    _, warnings = place([0, 40, Damage(), 80])
    assert len(warnings) == 1 and "at 0.08 s" in warnings[0]
    _, warnings = place([0, Damage("the connection was lost")])
    assert warnings == ["reading stopped at 0.04 s: the connection was lost"]
    _, warnings = place([0], length=Length(Fraction(2), True))
    assert len(warnings) == 1 and "ends at 0.04 s" in warnings[0] and "2.00 s" in warnings[0]
    assert place([0], length=Length(Fraction(2)))[1] == []
    _, warnings = place([0, Damage()])
    assert len(warnings) == 1 and "at its end, 0.04 s" in warnings[0]


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(120000, 1001), 1000, 1, 50])
@pytest.mark.parametrize("end", ["mp4", "ts", "nut"])
def test_odd_rates_are_exact(rate, end, tmp_path):
    times = read(write_video(tmp_path / f"a.{end}", images=12, rate=rate))
    # TS counts in 1/90000 s.
    tolerance = Fraction(1, 180_000) if end == "ts" else 0
    assert all(abs(t - i / Fraction(rate)) <= tolerance for i, t in enumerate(times))


@pytest.mark.parametrize("end", ["mp4", "mkv", "ts"])
def test_a_variable_rate(end, tmp_path):
    times = [Fraction(t, 1000) for t in (0, 10, 50, 51, 700, 740, 2000, 5000, 5040)]
    got = read(write_video(tmp_path / f"a.{end}", images=len(times), times=times))
    assert all(abs(a - b) < Fraction(1, 2000) for a, b in zip(got, times, strict=True))


@pytest.mark.parametrize("end", ["mp4", "mkv", "ts", "webm"])
@pytest.mark.parametrize("start", [0.0, 0.48, 2.0, -0.2])
def test_the_clock_is_that_of_the_sound(end, start, tmp_path):
    """A click in the sound and a white picture, at the same time in the file, are at the same time when read."""
    sound = np.zeros(96000, np.float32)
    sound[48000 : 48000 + 480] = 0.8  # second 1 of the sound
    white, black = np.full((64, 64, 3), 255, np.uint8), np.zeros((64, 64, 3), np.uint8)
    times = [Fraction(i, 25) for i in range(100)]
    flash = round((1 + start) * 25)
    codec = "libvpx" if end == "webm" else "libx264"
    path = tmp_path / f"a.{end}"
    images = [white if i == flash else black for i in range(100)]
    audio = {"sound": sound, "sound_start": max(start, 0)}
    if end == "webm":
        audio["sound_codec"] = "libopus"
    if start < 0:  # the picture starts later
        times = [t - Fraction(start) for t in times]
        images = [white if i == round((1 + start) * 25) else black for i in range(100)]
    quick = {"deadline": "realtime", "cpu-used": "8"} if end == "webm" else {"preset": "ultrafast"}
    write_video(path, codec, images, times=times, flags={"bit_rate": 500_000}, options=quick, **audio)
    with open_audio(path) as reader:
        heard = np.concatenate(list(reader))
    click = np.flatnonzero(np.abs(heard) > 0.4)[0] / 16000
    with open_video(path) as reader:
        seen = next(float(f.time) for f in reader if f.image.mean() > 128)
    assert abs(click - seen) < 0.012
    assert abs(seen - (1 + max(start, 0))) < 0.03  # no player shows time before the first stream starts


def test_pictures_that_start_late(tmp_path):
    """The first frame keeps its time where the sound starts before it."""
    times = [Fraction(3, 2) + Fraction(i, 25) for i in range(10)]
    path = write_video(tmp_path / "late.mkv", images=10, times=times, sound=np.zeros(48000, np.float32))
    got = read(path)
    assert all(abs(a - b) < Fraction(1, 30) for a, b in zip(got, times, strict=True))
    alone = write_video(tmp_path / "alone.mkv", images=10, times=times)
    assert read(alone)[0] == 0


def test_an_edit_list_cuts_frames(tmp_path):
    """What an edit list leaves out is not shown, and second 0 is where it begins."""
    path = write_video(tmp_path / "whole.mp4", images=30, options={"bf": "0", "g": "30"})
    data = bytearray(path.read_bytes())
    # Write the muxer's own edit list anew: start at frame 10. elst: version 0, one entry (duration, media time, rate).
    at = data.index(b"elst")
    timescale_at = data.index(b"mdhd") + 16
    timescale = int.from_bytes(data[timescale_at : timescale_at + 4], "big")
    data[at + 16 : at + 20] = (timescale * 10 // 25).to_bytes(4, "big")
    path.write_bytes(data)
    with open_video(path) as reader:
        frames = list(reader)
    assert [number_in(f.image) for f in frames] == list(range(10, 30))
    assert [f.time for f in frames] == [Fraction(i, 25) for i in range(20)]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90])
def test_rotation_is_applied(degrees, tmp_path):
    image = numbered(5)
    image[36:, :48] = (220, 30, 30)
    path = write_video(tmp_path / "turned.mp4", images=[image] * 3, rotation=degrees)
    # The matrix turns counterclockwise, as numpy does.
    wanted = np.rot90(image, degrees // 90)
    for size in (None, (24, 32)):
        with open_video(path, size) as reader:
            frames = list(reader)
        assert (reader.height, reader.width) == wanted.shape[:2]
        shown = wanted if size is None else means(wanted, size)
        for frame in frames:
            assert frame.image.shape == shown.shape
            assert np.abs(frame.image.astype(float) - shown).mean() < 8


def test_quarter_turns_agree_with_the_matrix(tmp_path):
    for degrees in (0, 90, 180, 270):
        path = write_video(tmp_path / f"{degrees}.mp4", images=1, rotation=degrees)
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
        assert read_orientation(frame) == _QUARTERS[round(frame.rotation / 90) % 4]


def means(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA).astype(float)


@pytest.mark.parametrize(("size", "sharp"), [(None, True), ((36, 48), False)])
def test_interlaced_frames_become_whole(size, sharp, tmp_path):
    """A bar that is at two places in the two fields of a frame is at one in what is read."""
    images = []
    for i in range(10):
        image = np.full((72, 96, 3), 20, np.uint8)
        image[::2, 8 * i : 8 * i + 8] = 230
        image[1::2, 8 * i + 4 : 8 * i + 12] = 230
        images.append(image)
    path = write_video(
        tmp_path / "interlaced.ts",
        "mpeg2video",
        images,
        options={"flags": "+ildct+ilme", "top": "1"},
        flags={"bit_rate": 4_000_000},
        pix_fmt="yuv422p",
    )
    with open_video(path, size) as reader:
        frames = list(reader)
    assert reader.warnings == []
    assert [f.index for f in frames] == list(range(10))
    assert all(abs(f.time - Fraction(i, 25)) < Fraction(1, 90_000) for i, f in enumerate(frames))
    for frame in frames[1:-1]:
        rows = frame.image[8:-8].astype(float).mean(axis=2)
        combing = np.abs(rows[1:] - rows[:-1]).mean()
        assert combing < 4  # 44 in what was coded
