"""Runs of whole streams, and comparison of their results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from transducer.engine.engine import Engine
from transducer.engine.model import Model
from transducer.engine.stream import Stream
from transducer.results import Segment
from transducer.search.endpoint import EndpointRules
from transducer.search.options import Options

SHORT = EndpointRules(silence_without_words=2.0, silence_after_words=0.4, max_length=1.5)


def fresh(model: Model, **options: Any) -> Engine:
    """An engine that nobody else has, so that a test may change it."""
    return model._build_engine(Options.of(options))


def run(engine: Engine, packets: list[np.ndarray]) -> list[Segment]:
    """Everything that a stream gives out."""
    stream = Stream(engine)
    results = [segment for packet in packets for segment in stream.push(packet)]
    return results + stream.finish()


def finals(results: list[Segment]) -> list[Segment]:
    return [segment for segment in results if segment.final]


def assert_like(results: list[Segment], expected: list[Segment]) -> None:
    """The same segments; numbers up to rounding."""
    assert [segment.text for segment in results] == [segment.text for segment in expected]
    for segment, other in zip(results, expected, strict=True):
        for word, truth in zip(segment.words, other.words, strict=True):
            assert (word.start, word.end) == pytest.approx((truth.start, truth.end), abs=1e-9)
            assert word.confidence == pytest.approx(truth.confidence, abs=1e-3)
