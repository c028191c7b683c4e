"""Speech and pauses: the same for any partition, speech found in sound, none in silence or steady noise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transducer.frontends.whisper_mel import WhisperMel
from transducer.media import read_audio
from transducer.search.full_context.detector import SpeechDetector

RATE = 16000
DETECTOR = SpeechDetector()


def features(samples: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(samples.astype(np.float32))[None, :, None]
    return WhisperMel()(x, torch.ones(x.shape[:2], dtype=torch.bool))[0][0].numpy()


def judge(steps: np.ndarray) -> np.ndarray:
    return DETECTOR.step(DETECTOR.init(), steps)[1]


@given(st.lists(st.integers(0, 300), max_size=6), st.integers(0, 99))
def test_parts_are_judged_as_the_whole(cuts: list[int], seed: int) -> None:
    steps = np.random.default_rng(seed).normal(-4, 2, (300, 10)).astype(np.float32)
    state, found = DETECTOR.init(), []
    for begin, end in itertools.pairwise([0, *sorted(cuts), 300]):
        state, speech = DETECTOR.step(state, steps[begin:end])
        found.append(speech)
    assert np.array_equal(np.concatenate(found), judge(steps))


@pytest.mark.parametrize("level", [1.0, 0.05])
def test_speech_is_found_between_silences_loud_or_not(level: float) -> None:
    said = level * read_audio("sample_media/letters.opus", RATE)[: 4 * RATE]
    quiet = np.random.default_rng(0).normal(0, 1e-5, 3 * RATE)
    speech = judge(features(np.concatenate([quiet, said, quiet])))
    assert not speech[:290].any()
    assert speech[300:700].mean() > 0.3
    assert not speech[720:].any()


@pytest.mark.parametrize("level", [0.0, 1e-4, 0.01, 0.1])
def test_steady_noise_is_no_speech_once_it_is_known(level: float) -> None:
    noise = np.random.default_rng(0).normal(0, 1, 20 * RATE) * level
    assert judge(features(noise))[1000:].mean() < 0.05


def test_speech_is_found_in_noise() -> None:
    said = read_audio("sample_media/the-way.mp3", RATE)
    said = 0.2 * said / np.abs(said).max()
    noise = np.random.default_rng(0).normal(0, 0.003, 15 * RATE)
    noise[10 * RATE : 10 * RATE + min(len(said), 5 * RATE)] += said[: 5 * RATE]
    speech = judge(features(noise))
    assert speech[1040:1400].mean() > 0.5
    assert speech[600:990].mean() < 0.1
