"""Scenes as files of their own: exactly their frames, and the sound of their time."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from video_fixtures import number_in, write_video

from transducer.errors import MediaError
from transducer.media.overlay.split import write_clips
from transducer.media.video.reader import open_video
from transducer.results import Scene


def scene(first: int, last: int, rate: float = 25.0) -> Scene:
    return Scene("shot", first / rate, (last + 1) / rate, first, last, 1.0)


def numbers(path: Path) -> list[int]:
    with open_video(path) as reader:
        return [number_in(frame.image) for frame in reader]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """100 frames with their numbers, and sound: silence in the first two seconds, noise in the last two."""
    sound = np.random.default_rng(1).uniform(-0.5, 0.5, 4 * 48_000).astype(np.float32)
    sound[: 2 * 48_000] = 0.0
    return write_video(tmp_path / "video.mp4", images=100, sound=sound)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_scenes_have_their_frames_and_no_others(tmp_path: Path, video: Path, suffix: str) -> None:
    scenes = [scene(0, 2), scene(3, 30), scene(40, 40), scene(41, 99)]  # frames 31 to 39 are in none
    files = [tmp_path / f"{k}{suffix}" for k in range(4)]
    assert write_clips(str(video), scenes, files.__getitem__) == []
    assert [numbers(file) for file in files] == [
        list(range(scene.start_frame, scene.end_frame + 1)) for scene in scenes
    ]


def test_scenes_have_the_sound_of_their_time(tmp_path: Path, video: Path) -> None:
    from transducer.media.audio.reader import open_audio

    files = [tmp_path / f"{k}.mp4" for k in range(3)]
    assert write_clips(str(video), [scene(0, 44), scene(45, 54), scene(55, 99)], files.__getitem__) == []
    quiet, mixed, loud = (np.concatenate(list(open_audio(file, 16_000))) for file in files)
    assert [round(len(x) / 16_000, 1) for x in (quiet, mixed, loud)] == [1.8, 0.4, 1.8]
    assert abs(quiet).max() < 0.05 < abs(loud[1000:]).max()
    begin = int(np.argmax(abs(mixed) > 0.05)) / 16_000  # of the noise, at 2.0 s; the clip begins at 1.8 s
    assert abs(begin - 0.2) < 0.03


def test_a_video_without_sound_or_that_ends_early_is_split_as_far_as_it_goes(tmp_path: Path) -> None:
    video = write_video(tmp_path / "video.mp4", images=20)
    files = [tmp_path / f"{k}.mp4" for k in range(3)]
    write_clips(str(video), [scene(0, 9), scene(10, 30), scene(31, 40)], files.__getitem__)
    assert [numbers(file) for file in files[:2]] == [list(range(10)), list(range(10, 20))]
    assert not files[2].exists()
    with av.open(str(files[0])) as container:
        assert not container.streams.audio


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    video = write_video(tmp_path / "video.mp4", images=5)
    with pytest.raises(MediaError, match=r"none/x\.mp4: can't be written: no such file"):
        write_clips(str(video), [scene(0, 4)], lambda number: tmp_path / "none" / "x.mp4")
