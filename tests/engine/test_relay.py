"""A source that is shared among streams gives exactly what one stream gives."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from runs import finals, run
from tiny_full_context import write_full_context
from tiny_models import LETTERS, MODELS, RATE, build_network, speech

import transducer
from transducer.engine.engine import Engine
from transducer.engine.relay import Leg, can_share, join, run_leg
from transducer.media.medium import Block
from transducer.model.checkpoint import save_checkpoint
from transducer.model.config import DecodingConfig
from transducer.results import Segment


@lru_cache
def engine(name: str, renew_after: float | None = 0.3) -> Engine:
    """Of one of `MODELS`; after ", rewritten" in its name a second model writes the finals."""
    name, _, rewritten = name.partition(", rewritten")
    config, seed = MODELS[name]
    config = replace(config, decoding=DecodingConfig(renew_after=renew_after))
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder, "model"), build_network(config, seed), config, {"letters": LETTERS})
        second = write_full_context(Path(folder), rate=RATE) if rewritten else None
        return transducer.load(Path(folder, "model")).engine(chunk_ms=160, second_pass=second)


def source(pauses: list[float]) -> np.ndarray:
    """Words, with pauses of these lengths among them."""
    parts = []
    for number, seconds in enumerate(pauses):
        parts += [speech(number, words=5), np.zeros(round(seconds * RATE), np.float32)]
    return np.concatenate([*parts, speech(99, words=5)])


def relay(engine: Engine, samples: np.ndarray, firsts: list[int]) -> tuple[list[Leg], list[Segment]]:
    """Later streams run first, so that their states are known."""
    legs: dict[int, Leg] = {}
    states: dict[tuple[int, bytes], int] = {}
    for number in reversed(range(len(firsts))):
        mine: dict[tuple[int, bytes], int] = {}

        def meet(step: int, state: bytes, number: int = number, mine: dict = mine) -> int | None:
            mine[step, state] = number
            return states.get((step, state))

        blocks = [Block(samples[start : start + 1000, None], None, None) for start in range(0, len(samples), 1000)]
        legs[number] = run_leg(engine, blocks, firsts[number] // engine.block * engine.block, meet)
        states.update(mine)
    ordered = [legs[number] for number in range(len(firsts))]
    segments, last = join(ordered)
    assert ordered[last].next is None
    return ordered, segments


@pytest.mark.parametrize("name", ["ctc", "rnnt, lstm", "ctc, rewritten"])
@pytest.mark.parametrize("cuts", [(0.25, 0.5, 0.75), (0.1, 0.11, 0.9)])
def test_parts_join_to_the_whole(name, cuts):
    samples = source([7.0, 0.5, 7.3, 6.9, 1.0, 8.0])
    legs, found = relay(engine(name), samples, [0, *(round(cut * len(samples)) for cut in cuts)])
    assert found == finals(run(engine(name), [samples]))
    if name.startswith("ctc"):
        assert legs[0].next is not None  # it did hand over


def test_without_pauses_one_goes_on_to_the_end():
    samples, patient = source([0.5, 1.0, 0.5]), engine("ctc", renew_after=10.0)
    legs, found = relay(patient, samples, [0, len(samples) // 2])
    assert found == finals(run(patient, [samples]))
    assert legs[0].next is None and legs[0].duration == len(samples) / RATE


def test_what_cannot_be_shared():
    assert can_share(engine("ctc"))
    assert not can_share(engine("ctc", renew_after=None))
    assert not can_share(engine("ctc, look-ahead"))
