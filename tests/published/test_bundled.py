"""The bundled Whisper, as it ships: what it hears in the samples, and in any packets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import transducer
from transducer.media.audio.reader import read_audio_at

SAMPLES = Path(__file__).resolve().parents[2] / "sample_media"


@pytest.fixture(scope="module")
def model():
    return transducer.load("whisper-tiny.en")


def test_it_writes_sentences(model):
    text = model.transcribe(SAMPLES / "the-way.mp3").text
    assert "the old mill" in text and "the top of the hill." in text


def test_packets_change_nothing(model):
    (samples,) = read_audio_at(SAMPLES / "the-way.mp3", [16000])
    rng = np.random.default_rng(0)
    stream, found = model.stream(partials=False), []
    cuts = np.cumsum(rng.integers(1, 30_000, 1000))
    for part in np.split(samples, cuts[cuts < len(samples)]):
        found += stream.push(part)
    found += stream.finish()
    assert (
        " ".join(segment.text for segment in found if segment.final) == model.transcribe(SAMPLES / "the-way.mp3").text
    )
