"""A copy with labels: the same frames at the same times with the same sound, and the labels where they belong."""

from __future__ import annotations

import io
import subprocess
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_fixtures import lag, noise
from video_fixtures import can_encode, write_video

from transducer.errors import MediaError, UsageError
from transducer.media import open_audio, open_video
from transducer.media.overlay import text as overlay_text
from transducer.media.overlay.copy import CONTAINERS, write_overlay
from transducer.media.overlay.text import FLASH, LabelTrack, clock, draw

HEIGHT, WIDTH = 144, 192


def event(label, start_frame, end_frame, score=0.9, rate=25):
    start, end = start_frame / rate, end_frame / rate
    return SimpleNamespace(label=label, start=start, end=end, start_frame=start_frame, end_frame=end_frame, score=score)


EVENTS = [event("cut", 19, 20), event("dissolve", 50, 60, 0.5)]
SEGMENTS = [event("shot", 0, 19), event("shot", 20, 50), event("shot", 60, 99)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """100 gray frames with sound."""
    images = [np.full((HEIGHT, WIDTH, 3), 120, np.uint8)] * 100
    path = tmp_path_factory.mktemp("overlay") / "plain.mp4"
    return write_video(path, "libx264", images, sound=noise(4.0, 48000), pix_fmt="yuv420p")


def changed(image: np.ndarray) -> tuple[bool, bool]:
    """Whether there is writing in the (lower, upper) part of a picture that was gray, away from its border."""
    inner = np.abs(image[6:-6, 6:-6].astype(int) - 120).max(axis=(1, 2)) > 40
    return bool(inner[len(inner) // 2 :].any()), bool(inner[: len(inner) // 2].any())


@pytest.mark.parametrize("end", list(CONTAINERS))
def test_the_copy_shows_the_labels(end, plain, tmp_path, capfd):
    if not can_encode(CONTAINERS[end][1]):
        pytest.skip(f"FFmpeg is built without the encoder {CONTAINERS[end][1]}")
    output = tmp_path / f"copy{end}"
    warnings = write_overlay(plain, output, EVENTS, SEGMENTS)
    assert list(tmp_path.iterdir()) == [output]
    with open_video(output) as reader:
        frames = list(reader)
        assert (reader.height, reader.width, reader.fps) == (HEIGHT, WIDTH, 25)
    assert reader.warnings == []
    assert all(abs(f.time - Fraction(i, 25)) <= Fraction(1, 500) for i, f in enumerate(frames))
    shown = [changed(f.image) for f in frames]
    assert [lower for lower, _ in shown] == [i <= 50 or i >= 60 for i in range(100)]
    # The first frame that shows a transition is that behind its start_frame.
    last = [round((20 / 25 + FLASH) * 25), round((60 / 25 + FLASH) * 25)]
    assert [upper for _, upper in shown] == [20 <= i < last[0] or 51 <= i < last[1] for i in range(100)]
    if end == ".webm":
        assert len(warnings) == 1 and "without sound" in warnings[0]
    else:
        assert warnings == []
        sounds = [np.concatenate(list(open_audio(path))) for path in (plain, output)]
        assert abs(lag(sounds[0][16000:40000], sounds[1][16000:40000])) <= 16
        assert abs(len(sounds[0]) - len(sounds[1])) < 2000
    assert capfd.readouterr().out == ""


def test_times_of_a_variable_rate_are_kept(tmp_path):
    times = [Fraction(t, 1000) for t in (0, 10, 50, 51, 700, 740, 2000)]
    path = write_video(tmp_path / "a.mkv", images=7, times=times)
    write_overlay(path, tmp_path / "b.mp4", [], [])
    with open_video(tmp_path / "b.mp4") as reader:
        assert [f.time for f in reader] == times


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), 1000])
def test_odd_rates_stay_exact(rate, tmp_path):
    path = write_video(tmp_path / "a.mp4", images=7, rate=rate)
    write_overlay(path, tmp_path / "b.mp4", [], [])
    with open_video(tmp_path / "b.mp4") as reader:
        assert [f.time for f in reader] == [i / Fraction(rate) for i in range(7)]


@pytest.mark.parametrize(("first_end", "end"), [("mkv", "mkv"), ("mkv", "mp4"), ("mp4", "mkv"), ("mp4", "mp4")])
def test_the_sound_of_a_late_picture(first_end, end, tmp_path):
    """Sound and pictures keep their distance when one starts later."""
    sound = noise(3.0, 48000)
    times = [Fraction(1, 2) + Fraction(i, 25) for i in range(50)]
    path = write_video(tmp_path / f"a.{first_end}", images=50, times=times, sound=sound)
    output = tmp_path / f"b.{end}"
    write_overlay(path, output, [], [])
    first, copy = ([*open_video(p)] for p in (path, output))
    assert max(abs(a.time - b.time) for a, b in zip(first, copy, strict=True)) < Fraction(1, 400)
    heard = [np.concatenate(list(open_audio(p))) for p in (path, output)]
    assert abs(lag(heard[0][16000:40000], heard[1][16000:40000])) <= 40


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (61, 83), (16, 400)])
@pytest.mark.parametrize("end", [".mp4", ".avi"])
def test_small_and_odd_sizes(shape, end, tmp_path):
    images = [np.full((*shape, 3), 90, np.uint8)] * 30
    path = write_video(tmp_path / "a.mkv", "ffv1", images, pix_fmt="bgr0")
    write_overlay(path, tmp_path / f"b{end}", EVENTS, SEGMENTS)
    with open_video(tmp_path / f"b{end}") as reader:
        assert [f.image.shape[:2] for f in reader] == [shape] * 30


def test_sources_that_are_open(plain, tmp_path):
    data = plain.read_bytes()
    assert write_overlay(io.BytesIO(data), tmp_path / "a.mp4", EVENTS, SEGMENTS) == []
    assert len(list(open_audio(tmp_path / "a.mp4"))) > 0
    with subprocess.Popen(["cat", str(plain)], stdout=subprocess.PIPE) as cat:
        warnings = write_overlay(cat.stdout, tmp_path / "b.mp4", EVENTS, SEGMENTS)
    assert len(warnings) == 1 and "only once" in warnings[0]
    with open_video(tmp_path / "b.mp4") as reader:
        assert len(list(reader)) == 100


def test_bad_outputs_are_told_before_anything_is_written(plain, tmp_path):
    before = plain.read_bytes()
    link = tmp_path / "link.mp4"
    link.symlink_to(plain)
    (tmp_path / "folder.mp4").mkdir()
    for output, match in (
        (tmp_path / "copy.docx", r"copy.docx: an unknown kind of video; end its name with one of \.mp4"),
        (tmp_path / "copy", "unknown kind"),
        (tmp_path / "nowhere" / "copy.mp4", "doesn't exist"),
        (tmp_path / "folder.mp4", "is a folder"),
        (plain, "is the source itself"),
        (link, "is the source itself"),
    ):
        with pytest.raises(UsageError, match=match) as error:
            write_overlay(plain, output, EVENTS, SEGMENTS)
        assert "\n" not in str(error.value)
    with plain.open("rb") as file, pytest.raises(UsageError, match="the source itself"):
        write_overlay(file, plain, EVENTS, SEGMENTS)
    assert plain.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.mp4", "link.mp4"]


def test_a_bad_source_leaves_what_was_there(tmp_path):
    old = tmp_path / "copy.mp4"
    old.write_bytes(b"old")
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(MediaError, match="is text"):
        write_overlay(text, old, [], [])
    with pytest.raises(MediaError, match="no such file"):
        write_overlay(tmp_path / "missing.mp4", old, [], [])
    assert old.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy.mp4", "text.mp4"]


def test_an_interrupt_leaves_what_was_there(plain, tmp_path, monkeypatch):
    old = tmp_path / "copy.mp4"
    old.write_bytes(b"old")
    monkeypatch.setattr("transducer.media.overlay.copy.draw", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_overlay(plain, old, EVENTS, SEGMENTS)
    assert old.read_bytes() == b"old" and [*tmp_path.iterdir()] == [old]


def test_spans_begin_with_their_first_frame():
    spans = LabelTrack([event("swing", 10, 10)], [], transitions=False)
    assert [bool(spans.at(i, i / 25)[1]) for i in (9, 10, 11)] == [False, True, True]
    cuts = LabelTrack([event("cut", 9, 10)], [])
    assert [bool(cuts.at(i, i / 25)[1]) for i in (9, 10, 11)] == [False, True, True]
    (line,) = cuts.at(12, 12 / 25)[1]
    assert line.text == "cut  0:00.36  90%"


def test_segments_without_a_label_show_nothing():
    track = LabelTrack([], [event("", 0, 9), event("swing", 10, 19)])
    assert [len(track.at(i, i / 25)[0]) for i in (0, 9, 10, 19, 20)] == [0, 0, 1, 1, 0]


@given(st.floats(0, 1e5), st.floats(0, 1e5))
def test_clock(a, b):
    assert clock(61.5) == "1:01.50" and clock(0) == "0:00.00" and clock(3661.239) == "1:01:01.24"
    assert clock(59.999) == "1:00.00"
    if round(a * 100) == round(b * 100):
        assert clock(a) == clock(b)


@pytest.mark.parametrize("unicode", [False, True])
def test_any_label_can_be_drawn(unicode, monkeypatch):
    monkeypatch.setattr(overlay_text, "_UNICODE", overlay_text._UNICODE and unicode)
    assert overlay_text._to_ascii("été 切!") == "ete ?!"
    for label in ("", "été", "切", "a" * 500, "\N{PILE OF POO}"):
        lines = LabelTrack([event(label, 0, 1)], [event(label, 0, 9)]).at(1, 0.04)
        image = np.full((90, 160, 3), 120, np.uint8)
        draw(image, *lines)
        assert (image != 120).any()


def test_more_events_than_fit_are_the_latest():
    track = LabelTrack([event(str(i), i, i + 1) for i in range(10)], [])
    shown = track.at(10, 0.4)[1]
    assert [line.text[0] for line in shown] == ["6", "7", "8", "9"]
    assert all(a.colour != b.colour for a, b in pairwise(shown))


@pytest.mark.parametrize("unicode", [False, True])
@pytest.mark.parametrize("shape", [(90, 160), (144, 192), (720, 1280), (160, 90)])
@pytest.mark.parametrize("label", ["cut", "a" * 40, "W" * 300, "several words " * 40, "切" * 200])
def test_no_label_runs_off_the_picture(label, shape, unicode, monkeypatch):
    monkeypatch.setattr(overlay_text, "_UNICODE", overlay_text._UNICODE and unicode)
    (line,) = LabelTrack([], [event(label, 0, 900)]).at(1, 0.04)[0]
    text, scale = overlay_text._fit(line, shape[0] / 480, shape[1] - 10)
    detail = line.detail if overlay_text._UNICODE else overlay_text._to_ascii(line.detail)
    assert text.endswith(detail)  # the times are always there
    image = np.full((*shape, 3), 120, np.uint8)
    draw(image, [line], [])
    columns = np.flatnonzero((image != 120).any(axis=(0, 2)))
    assert len(columns) and columns[-1] < shape[1] - 1
    if len(label) > 100:
        assert "..." in text and scale >= 0.59 * min(shape[0] / 480, 0.3)
    if shape[1] > 1000 and len(label) < 5:
        assert text == line.text


def stretched(path, aspect, end="mp4"):
    """A video of a circle in pixels that are `aspect` times as wide as high."""
    rows, columns = np.mgrid[: HEIGHT + 0, :WIDTH]
    circle = ((rows - 72) ** 2 + ((columns - 96) * float(aspect)) ** 2 < 40**2)[..., None]
    images = [np.where(circle, 200, 40).astype(np.uint8).repeat(3, axis=2)] * 5
    return write_video(path, "libx264", images, pix_fmt="yuv420p", flags={"sample_aspect_ratio": Fraction(aspect)})


@pytest.mark.parametrize("aspect", [Fraction(64, 45), Fraction(2), Fraction(8, 9), Fraction(1, 2)])
@pytest.mark.parametrize("end", [".mp4", ".mkv", ".avi"])
def test_a_circle_stays_a_circle(aspect, end, tmp_path):
    write_overlay(stretched(tmp_path / "wide.mp4", aspect), tmp_path / f"copy{end}", [], [])
    with open_video(tmp_path / f"copy{end}") as reader:
        image = next(reader).image
    with open_video(tmp_path / "wide.mp4", square=True) as reader:
        assert image.shape[:2] == (reader.height, reader.width) == next(reader).image.shape[:2]
    bright = image[..., 1] > 120
    assert bright.any(axis=0).sum() == pytest.approx(bright.any(axis=1).sum(), rel=0.05)


def test_thumbnails_of_pixels_that_are_not_square(tmp_path):
    import cv2

    from transducer.cli.thumbnails import read_thumbnails

    path = stretched(tmp_path / "wide.mp4", 2)
    (picture,) = read_thumbnails(lambda: path, [2])
    bright = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)[..., 1] > 120
    assert bright.any(axis=0).sum() == pytest.approx(bright.any(axis=1).sum(), rel=0.1)


def test_an_absurd_shape_of_pixels_is_left_alone(tmp_path):
    with open_video(stretched(tmp_path / "odd.mp4", 100), square=True) as reader:
        assert next(reader).image.shape == (HEIGHT, WIDTH, 3)
