"""The camera, by OpenCV: a v4l2 loopback where there is one, and files, which OpenCV reads in the same way."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from mjpeg_server import MjpegServer

from transducer.errors import MediaError
from transducer.media import open_video
from transducer.media.live.camera import FAILURES, Camera
from transducer.media.live.pace import Beginning
from transducer.media.live.piped import AsTheyCome

SHOTS = Path(__file__).parents[3] / "sample_media" / "shots.mp4"


def loopback() -> str | None:
    """The path of a camera that shows what is written to it."""
    for name in Path("/sys/devices/virtual/video4linux").glob("video*"):
        return f"/dev/{name.name}"
    return None


def test_pictures_are_rgb_and_have_the_clock_s_times():
    clock = iter(n / 10 for n in range(1000))
    camera = Camera(str(SHOTS), Beginning(lambda: next(clock)).since)
    frames = list(islice(camera, 5))
    camera.close()
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [float(frame.time) for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    with open_video(SHOTS) as reader:
        truth = next(reader).image
    assert frames[0].image.shape == truth.shape and frames[0].image.flags.c_contiguous
    assert np.abs(frames[0].image.astype(int) - truth).mean() < 8  # another decoder, and not blue for red
    assert camera.fps == 25


def test_frames_that_come_at_once_follow_each_other():
    camera = Camera(str(SHOTS), lambda: 7.0)
    times = [frame.time for frame in islice(camera, 4)]
    camera.close()
    assert times[0] == 7 and {later - time for time, later in pairwise(times)} == {Fraction(1, 1000)}


@pytest.mark.parametrize("lengths", [True, False])
def test_a_network_camera(lengths):
    with MjpegServer(SHOTS, lengths=lengths) as server:
        camera = Camera(server.address)
        frames = list(islice(camera, 60))
        camera.close()
    with open_video(SHOTS) as reader:
        truth = [frame.image for frame in islice(reader, 60)]
    differences = [np.abs(frame.image.astype(int) - image).mean() for frame, image in zip(frames, truth, strict=True)]
    assert max(differences) < 8


def test_frames_of_a_network_camera_have_the_times_at_which_they_come():
    clock = iter([5.0, 5.1, 5.1, 5.4])
    with MjpegServer(SHOTS) as server, open_video(server.address, live=True) as reader:
        assert not reader.timed
        frames = list(islice(AsTheyCome(reader, lambda: next(clock)), 4))
    assert [float(frame.time) for frame in frames] == pytest.approx([0, 0.1, 0.101, 0.4])
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    with open_video(SHOTS) as reader:
        assert reader.timed


def test_a_camera_that_is_unplugged():
    camera = Camera(str(SHOTS))
    with pytest.raises(MediaError, match=r"gives no pictures any more.*plugged in"):
        for _ in camera:
            pass
    camera.close()
    assert FAILURES > 1


def test_devices_share_their_second_0():
    clock = iter([10.0, 10.5, 11.0])
    beginning = Beginning(lambda: next(clock))
    assert [beginning.since() for _ in range(3)] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("device", "says"), [("93", "no camera /dev/video93"), ("/dev/nothing", "no camera /dev/nothing")]
)
def test_no_camera(device, says):
    with pytest.raises(MediaError, match=says):
        Camera(device)


def test_what_is_no_camera(tmp_path):
    (tmp_path / "text").write_text("no pictures")
    with pytest.raises(MediaError, match="can't be opened"):
        Camera(str(tmp_path / "text"))


def test_a_loopback_camera():
    device = loopback()
    if device is None or shutil.which("ffmpeg") is None:
        pytest.skip("there is no v4l2 loopback: modprobe v4l2loopback")
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-re",
        "-stream_loop",
        "-1",
        "-i",
        str(SHOTS),
        "-pix_fmt",
        "yuv420p",
        "-f",
        "v4l2",
    ]
    shown = subprocess.Popen([*command, device], stdin=subprocess.DEVNULL)
    try:
        camera = Camera(device)
        frames = list(islice(camera, 30))
        camera.close()
    finally:
        shown.terminate()
        shown.wait()
    assert 0.8 < float(frames[-1].time) < 10
