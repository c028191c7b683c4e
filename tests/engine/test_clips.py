"""Short sources in one batch get what sessions of their own would give them."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from media_fixtures import wav
from tiny_models import RATE, speech, tiny_model

from transducer.engine.clips import Clip
from transducer.engine.model import Model
from transducer.errors import MediaError, UsageError
from transducer.results import Labelling, Transcript

SOUNDS = [speech(seed, words=1 + seed % 3) for seed in range(9)]


def opened(sound: np.ndarray) -> io.BytesIO:
    return io.BytesIO(wav(sound, RATE))


def batched(model: Model, order: list[int], capacity: int = 4, **options: str) -> dict[int, Transcript | Labelling]:
    """The results of these sounds, which come as there is room for them."""
    clips = model.clips(capacity, **options)
    assert clips is not None
    waiting, found = list(order), {}
    while waiting or len(clips):
        while waiting and not clips.full:
            number = waiting.pop(0)
            clips.add(number, model.open(opened(SOUNDS[number]), **options))
        found.update((int(str(clip.key)), clip.result()) for clip in clips.step())
    return found


@pytest.mark.parametrize("name", ["ctc", "ctc, look-ahead", "rnnt, lstm", "rnnt, cascaded"])
@pytest.mark.parametrize("results", ["words", "events"])
def test_clips_equal_sessions(name, results):
    model = tiny_model(name)
    found = batched(model, list(range(9)), results=results)
    assert sorted(found) == list(range(9))
    for number, result in found.items():
        alone = model.predict(opened(SOUNDS[number]), results=results)
        assert (result.text, result.duration, result.warnings) == (alone.text, alone.duration, alone.warnings)
        times = [[(item.start, item.end) for item in whole.segments] for whole in (result, alone)]
        assert times[0] == times[1]


def test_it_does_not_matter_to_the_bit_who_else_is_there():
    model, rng = tiny_model("ctc"), random.Random(0)
    expected = batched(model, list(range(9)))
    for _ in range(3):
        order = rng.sample(range(9), 9)
        assert batched(model, order[:5]) == {number: expected[number] for number in order[:5]}


def test_a_clip_that_breaks_off_leaves_the_others_alone():
    model = tiny_model("ctc")
    clips = model.clips(4)
    assert clips is not None
    expected = batched(model, [0, 1])
    clips.add(0, model.open(opened(SOUNDS[0])))
    broken = model.open(opened(SOUNDS[2]))

    def blocks():
        yield next(iter(model.open(opened(SOUNDS[2]))))
        raise MediaError("broken: the disk is gone")

    broken._blocks = blocks()
    clips.add(2, broken)
    clips.add(1, model.open(opened(SOUNDS[1])))
    over: list[Clip] = []
    while len(clips):
        over += clips.step()
    found = {clip.key: clip for clip in over}
    assert str(found[2].failure) == "broken: the disk is gone"
    assert found[0].failure is None and {key: found[key].result() for key in (0, 1)} == expected


def test_a_full_batch_takes_no_more():
    model = tiny_model("ctc")
    clips = model.clips(1)
    assert clips is not None
    clips.add(0, model.open(opened(SOUNDS[0])))
    with pytest.raises(UsageError, match="the batch is full"):
        clips.add(1, model.open(opened(SOUNDS[1])))
