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
    assert all(entry["licence"].startswith(("CC BY ", "CC0", "public domain")) for entry in facts["trained_on"])
    assert facts["started_from"]["licence"] == "MIT" and "OpenAI" in (model.folder / "LICENSE").read_text()


@pytest.mark.parametrize("name", ["the-way.mp3", "stars.mp4"])
@pytest.mark.parametrize(("second_pass", "most"), [(None, 0.1), ("none", 0.3)])
def test_it_understands_clear_speech(model, name, second_pass, most):
    """Synthetic voices, which it was not trained on."""
    transcript = model.transcribe(SAMPLES / name, second_pass=second_pass)
    assert count_errors([reference(name)], [transcript.text]).wer < most
    assert not transcript.warnings
    times = [time for word in transcript.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= transcript.duration + 0.1
    assert all(0 <= word.confidence <= 1 for word in transcript.words)


@pytest.mark.parametrize("options", [{}, {"second_pass": "none"}, {"second_pass": "none", "search": "greedy"}])
def test_streaming_is_offline(model, options):
    """The same final text, times and all, however the sound is cut."""
    samples = read_audio(SAMPLES / "tea.m4a", model.rate)
    whole = model.transcribe([samples], **options)
    cuts = np.cumsum(np.random.default_rng(0).integers(1, 4000, 200))
    pieces = model.transcribe(np.split(samples, cuts[cuts < len(samples)]), **options)
    assert whole.segments == pieces.segments
    assert whole.words


def test_silence_and_noise_are_not_words(model):
    rng = np.random.default_rng(0)
    silence = np.zeros(10 * model.rate, np.float32)
    noise = (0.02 * rng.standard_normal(10 * model.rate)).astype(np.float32)
    assert model.transcribe([silence]).text == ""
    assert len(model.transcribe([noise]).words) <= 2


def test_hotwords_bring_out_what_was_said(model):
    """In both passes: the second one does not take them back."""
    alone = {"second_pass": "none"}
    plain = model.transcribe(SAMPLES / "island.wav", **alone).text.split()
    lifted = model.transcribe(SAMPLES / "island.wav", hotwords=[("warm coat", 8.0)], **alone).text.split()
    assert "coat" not in plain and "coat" in lifted
    both = model.transcribe(SAMPLES / "the-way.mp3", hotwords=[("Mylne", 13.0)])
    assert "Mylne" in both.text


def test_a_hotword_may_be_new_to_the_lexicon(model):
    transcript = model.transcribe(SAMPLES / "the-way.mp3", second_pass="none", hotwords=[("the ryver", 25.0)])
    assert "ryver" in transcript.text.split()
