"""The bundled model `shots`: what it finds in videos made here, and what its card promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import transducer
from transducer.evaluation.transitions import Interval, TransitionScores, score_transitions

SAMPLE = Path(__file__).resolve().parents[2] / "sample_media" / "shots.mp4"
SIZE = (90, 160)


@pytest.fixture(scope="module")
def model():
    return transducer.load("shots")


def scene(seed: int, steps: int) -> np.ndarray:
    """(steps, 90, 160, 3): blobs over a gradient that drift to one side."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    base, ramp = rng.uniform(30, 220, 3), rng.normal(0, 60, 3)
    centres, sizes, colours = rng.uniform(0, 1, (8, 2)), rng.uniform(8, 30, 8), rng.uniform(0, 255, (8, 3))
    drift = rng.normal(0, 0.5)
    out = np.empty((steps, *SIZE, 3), np.uint8)
    for step in range(steps):
        picture = base + ramp * (y / SIZE[0])[..., None]
        for (cy, cx), size, colour in zip(centres, sizes, colours, strict=True):
            near = np.hypot(y - cy * SIZE[0], x - cx * SIZE[1] - drift * step) < size
            picture = np.where(near[..., None], colour, picture)
        out[step] = np.clip(picture, 0, 255)
    return out


def mix(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    weight = (np.arange(1, len(old) + 1) / (len(old) + 1))[:, None, None, None]
    return (old * (1 - weight) + new * weight).astype(np.uint8)


def test_cuts_dissolves_and_fades_are_found(model):
    one, two, three, four = (scene(seed, 70) for seed in (3, 4, 5, 6))
    black = np.zeros((5, *SIZE, 3), np.uint8)
    video = np.concatenate(
        [
            one[:50],
            two[:40],  # a cut: 49-50
            mix(two[40:60], three[:20]),  # a dissolve: 89-110
            three[20:60],
            mix(three[60:70], np.broadcast_to(black[:1], (10, *SIZE, 3))),  # a fade: 149-175
            black,
            mix(np.broadcast_to(black[:1], (10, *SIZE, 3)), four[:10]),
            four[10:],
        ]
    )
    truth = [Interval(49, 50, "cut"), Interval(89, 110, "dissolve"), Interval(149, 175, "fade")]
    scores = score_transitions(truth, model.label(video).events, tolerance=2)
    assert scores.matched == 3 and scores.false_alarms == 0
    assert scores.right_label == 3


def test_one_shot_has_no_transitions(model):
    assert not model.label(scene(1, 120)).events
    assert not model.label(np.full((80, *SIZE, 3), 90, np.uint8)).events


def test_a_flash_is_no_transition(model):
    video = scene(2, 100)
    video[50:52] = np.clip(video[50:52].astype(int) + 150, 0, 255)
    assert not model.label(video).events


@pytest.mark.parametrize("seed", range(7, 11))
def test_black_frames_that_were_lost_are_no_transitions(model, seed):
    video = scene(seed, 80)
    video[40] = 0
    assert not model.label(video).events
    for missing in (1, 3):
        late = scene(seed, 60)
        late[:missing] = 0
        assert not model.label(late).events


@pytest.mark.parametrize("apart", (3, 4, 5))
def test_cuts_a_few_frames_apart_are_two(model, apart):
    video = np.concatenate([scene(3, 40), scene(4, apart), scene(5, 40)])
    truth = [Interval(39, 40, "cut"), Interval(39 + apart, 40 + apart, "cut")]
    assert score_transitions(truth, model.label(video).events, tolerance=0).matched == 2


def test_dissolves_one_after_the_other_are_two(model):
    one, two, three = scene(3, 60), scene(4, 62), scene(6, 60)
    video = np.concatenate([one[:40], mix(one[40:], two[:20]), two[20:42], mix(two[42:], three[:20]), three[20:]])
    assert [event.label for event in model.label(video).events] == ["dissolve", "dissolve"]


def test_the_card_keeps_what_it_promises(model):
    facts = model.info()
    assert facts["look_ahead_frames"] <= 12
    assert facts["look_ahead_seconds"] <= 0.5
    assert facts["size_bytes"] <= 4_000_000
    assert facts["labels"] == ["cut", "dissolve", "fade", "wipe"]
    assert facts["events"]["kind"] == "transitions"
    assert facts["trained_on"]


@pytest.mark.skipif(not SAMPLE.is_file(), reason="sample_media/shots.mp4 is not there")
def test_the_sample_has_scenes(model):
    labelling = model.label(SAMPLE)
    assert labelling.events and len(labelling.segments) >= 2


def test_trailers_of_the_shared_data(model, shared_data):
    import json

    folder, scores = shared_data / "video" / "shots-dev", TransitionScores()
    for name, entry in json.loads((folder / "truth.json").read_text()).items():
        truth = [Interval(event["start"], event["end"], event["type"]) for event in entry["ev"]]
        scores += score_transitions(truth, model.label(folder / f"{name}.mp4").events, 2, entry["ignore"])
    assert scores.recall >= 0.9 and scores.precision >= 0.87
