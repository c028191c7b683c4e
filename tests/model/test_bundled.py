"""The bundled model for speech."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import transducer
from transducer.evaluation.wer import count_errors
from transducer.media import read_audio

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "sample_media"


@pytest.fixture(scope="module")
def model():
    return transducer.load("speech-en")


def reference(name: str) -> str:
    with open(SAMPLES / "transcripts.tsv", newline="") as file:
        return next(row["text"] for row in csv.DictReader(file, delimiter="\t") if row["path"] == name)


def test_it_is_small_and_says_what_it_is(model):
    facts = model.info()
    assert facts["size_bytes"] < 20e6
    assert facts["latency_ms"] <= 640
    assert all(entry["licence"].startswith("CC BY ") for entry in facts["trained_on"])


@pytest.mark.parametrize("name", ["the-way.mp3", "stars.mp4"])
def test_it_understands_clear_speech(model, name):
    """Synthetic voices, which it was not trained on: most words, not all."""
    transcript = model.transcribe(SAMPLES / name)
    assert count_errors([reference(name)], [transcript.text]).wer < 0.5
    assert not transcript.warnings
    times = [time for word in transcript.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= transcript.duration + 0.1
    assert all(0 <= word.confidence <= 1 for word in transcript.words)


@pytest.mark.parametrize("search", ["greedy", "beam"])
def test_streaming_is_offline(model, search):
    """The same final text, times and all, however the sound is cut."""
    samples = read_audio(SAMPLES / "tea.m4a", model.rate)
    whole = model.transcribe([samples], search=search)
    cuts = np.cumsum(np.random.default_rng(0).integers(1, 4000, 200))
    pieces = model.transcribe(np.split(samples, cuts[cuts < len(samples)]), search=search)
    assert whole.segments == pieces.segments
    assert whole.words


def test_silence_and_noise_are_not_words(model):
    rng = np.random.default_rng(0)
    silence = np.zeros(10 * model.rate, np.float32)
    noise = (0.02 * rng.standard_normal(10 * model.rate)).astype(np.float32)
    assert model.transcribe([silence]).text == ""
    assert len(model.transcribe([noise]).words) <= 2


def test_hotwords_bring_out_what_was_said(model):
    plain = model.transcribe(SAMPLES / "letters.opus", search="beam").text.split()
    lifted = model.transcribe(SAMPLES / "letters.opus", search="beam", hotwords=[("kitchen table", 8.0)]).text.split()
    assert "kitchen" not in plain
    assert lifted[:3] == ["the", "kitchen", "table"]
    assert lifted[3:] == plain[3:]


def test_a_hotword_may_be_new_to_the_lexicon(model):
    transcript = model.transcribe(SAMPLES / "the-way.mp3", search="beam", hotwords=[("the ryver", 25.0)])
    assert "ryver" in transcript.text.split()
