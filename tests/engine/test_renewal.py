"""A network's state that has filled with silence is renewed, so that first words are heard as at a beginning."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import finals, run
from tiny_models import HOP, LETTERS, MODELS, RATE, build_network, speech

import transducer
from transducer.engine.model import Model
from transducer.model.checkpoint import save_checkpoint
from transducer.model.config import DecodingConfig

BLOCK = 4 * HOP  # samples in a chunk of 160 ms


@lru_cache
def model(name: str) -> Model:
    config, seed = MODELS[name]
    config = replace(config, decoding=DecodingConfig(renew_after=0.3))
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder, "model"), build_network(config, seed), config, {"letters": LETTERS})
        return transducer.load(Path(folder, "model"))


def test_first_words_do_not_depend_on_how_long_the_silence_was():
    engine = model("ctc").engine(chunk_ms=160)
    sound, found = speech(3, words=2), []
    for blocks in (4, 20, 75):
        results = finals(run(engine, [np.concatenate([np.zeros(blocks * BLOCK, np.float32), sound])]))
        shift = blocks * BLOCK / RATE
        found.append([(word.text, round(word.start - shift, 3)) for segment in results for word in segment.words])
    assert found[0] and found[0] == found[1] == found[2]


@given(st.lists(st.integers(0, 10**6), max_size=8), st.integers(0, 3), st.integers(0, 9000))
@settings(max_examples=15)
@pytest.mark.parametrize("name", ["ctc", "rnnt, lstm"])
def test_it_does_not_depend_on_packets(name, places, seed, quiet):
    engine = model(name).engine(chunk_ms=160)
    samples = np.concatenate([speech(seed, words=2), np.zeros(quiet, np.float32), speech(seed + 1, words=2)])
    pieces = np.split(samples, sorted(place % (len(samples) + 1) for place in places))
    assert run(engine, pieces) == run(engine, [samples])


@pytest.mark.parametrize("name", ["ctc, look-ahead", "rnnt, cascaded"])
def test_what_would_lose_outputs_is_never_renewed(name):
    """Behind a look-ahead, or where words are written late, a fresh state would forget what is still to come."""
    engine = model(name).engine(chunk_ms=160)
    state = engine.search.init()
    for _ in range(3):
        assert not engine.is_stale(state)
        quiet = np.log(np.full((40, 4), [0.97, 0.01, 0.01, 0.01], np.float32))
        if name.startswith("ctc"):
            ((state, _),) = engine.search.step([state], [quiet])


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_time_that_makes_no_sense_is_refused(seconds):
    with pytest.raises(transducer.UsageError, match="more than 0 seconds"):
        DecodingConfig(renew_after=seconds)
