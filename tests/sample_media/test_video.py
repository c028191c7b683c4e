"""The film of sample_media is what its shots.json says."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np

from transducer.media import open_audio, open_video

FOLDER = Path(__file__).resolve().parents[2] / "sample_media"


def test_the_truth_is_that_of_the_film():
    truth = json.loads((FOLDER / "shots.json").read_text())["shots"]
    with open_video(FOLDER / "shots.mp4", (45, 80)) as reader:
        frames = list(reader)
        assert (reader.width, reader.height, float(reader.fps)) == (truth["w"], truth["h"], truth["fps"])
        assert reader.frames == len(frames) == truth["frames"]
    assert reader.warnings == []
    assert [f.time for f in frames] == [Fraction(i, 25) for i in range(len(frames))]
    images = np.stack([f.image for f in frames]).astype(float)
    steps = np.abs(np.diff(images, axis=0)).mean((1, 2, 3))
    assert {event["type"] for event in truth["ev"]} == {"cut", "dissolve", "fade", "wipe"}
    within = np.ones(len(steps), bool)
    for event in truth["ev"]:
        start, end = event["start"], event["end"]
        within[start:end] = False
        assert np.abs(images[end] - images[start]).mean() > 25
        if event["type"] == "cut":
            assert end == start + 1
    assert steps[within].max() < 0.3 * min(steps[e["start"]] for e in truth["ev"] if e["type"] == "cut")


def test_its_sound_is_speech_of_the_same_length():
    with open_audio(FOLDER / "shots.mp4") as reader:
        sound = np.concatenate(list(reader))
    assert abs(len(sound) / 16000 - 13.6) < 0.1
    assert np.abs(sound).max() > 0.3


def test_it_can_be_drawn_again():
    from sample_media.make_video import SHOTS, plan

    truth = json.loads((FOLDER / "shots.json").read_text())["shots"]
    draw, transitions = plan()
    assert transitions == truth["ev"] and len(draw) == truth["frames"]
    assert len(SHOTS) == len(transitions) + 1
    with open_video(FOLDER / "shots.mp4", (45, 80)) as reader:
        for frame in list(reader)[::23]:
            small = draw[frame.index]().reshape(45, 4, 80, 4, 3).mean((1, 3))
            assert np.abs(small - frame.image).mean() < 6
