"""Networks that need the whole source run wherever others do: all of their results come at the end."""

from __future__ import annotations

import json
import math
import pickle
import tempfile
from collections import defaultdict
from dataclasses import replace
from functools import lru_cache
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import SHORT, assert_like, finals, fresh, run
from tiny_models import CASCADE, LETTERS, PLAIN, RATE, TRANSFORMER, build_network, forward, speech

import transducer
from transducer.cli import main
from transducer.cores.bidirectional import BidirectionalConfig
from transducer.cores.full_attention import FullConformerConfig, FullTransformerConfig
from transducer.engine.batch import StreamBatch
from transducer.engine.engine import Engine
from transducer.engine.model import Model
from transducer.engine.stream import Stream
from transducer.errors import UsageError
from transducer.heads.ctc import CTCConfig
from transducer.model.checkpoint import save_checkpoint
from transducer.model.sequence import Serial, split_at_whole
from transducer.results import Segment

GRU = BidirectionalConfig("gru", 8, 1)
# The second has stages that look ahead before the one that cannot step, and a head that writes late after it.
MODELS = {
    "bidirectional": replace(PLAIN, core=GRU),
    "look-ahead, bidirectional, cascade": replace(
        PLAIN, core=(TRANSFORMER, GRU), chunks=(2, 4), heads={"written": CASCADE, "ctc": CTCConfig("letters")}
    ),
    "full transformer": replace(PLAIN, core=FullTransformerConfig(8, 2, 12, 1)),
    "full conformer": replace(PLAIN, core=FullConformerConfig(8, 2, 12, 1, 5)),
}


@lru_cache
def model(name: str) -> Model:
    with tempfile.TemporaryDirectory() as folder:
        config = MODELS[name]
        save_checkpoint(Path(folder, "whole"), build_network(config, 1), config, {"letters": LETTERS})
        return transducer.load(Path(folder, "whole"))


def text(results: list[Segment]) -> str:
    return " ".join(segment.text for segment in results if segment.final and segment.text)


def everything(engine: Engine, samples: np.ndarray) -> list[Segment]:
    return finals(run(engine, [samples]))


def test_what_streams_is_cut_from_the_rest():
    network = model("look-ahead, bidirectional, cascade").network
    stages = Serial(network.frontend, network.encoder, network.heads["written"])
    before, after = split_at_whole(stages)
    assert before.can_step and before.latency == 4 and after is not None and not after.stages[0].can_step
    assert before.stride * after.stride == stages.stride
    steps = Serial(network.frontend, network.encoder.stages[0])
    assert split_at_whole(steps) == (steps, None)


@pytest.mark.parametrize("name", MODELS)
def test_it_says_what_forward_says(name):
    samples = speech(3)
    found = model(name)
    engine = found.engine(search="greedy")
    assert not engine.streams and engine.latency == math.inf
    if "cascade" not in name:
        best = forward(found.network, samples).argmax(axis=1).tolist()
        spelled = LETTERS.decode([token for token, _ in groupby(best) if token])
        assert text(run(engine, [samples])).replace(" ", "") == spelled.replace(" ", "") != ""
    assert text(run(engine, [samples])) == found.transcribe([samples], search="greedy").text != ""


@given(st.lists(st.integers(0, 10**6), max_size=6), st.integers(0, 3))
@settings(max_examples=10)
@pytest.mark.parametrize("name", MODELS)
def test_results_do_not_depend_on_packets_and_come_at_the_end(name, places, seed):
    engine = model(name).engine(endpoint=SHORT)
    samples = speech(seed, words=3)
    stream = Stream(engine)
    for piece in np.split(samples, sorted(place % (len(samples) + 1) for place in places)):
        assert stream.push(piece) == [] == stream.peek()
    stream = Stream(engine, state=pickle.loads(pickle.dumps(stream.state)))
    assert finals(stream.finish()) == everything(engine, samples)


@pytest.mark.parametrize("name", MODELS)
def test_many_clients(name):
    """Of different lengths, joining late, one leaving in the middle: each gets what it gets alone, at its end."""
    engine = model(name).engine(endpoint=SHORT)
    batch = StreamBatch(engine, 4)
    sounds = {client: speech(client)[: 4000 + 1300 * client] for client in range(4)}
    results: dict[int, list[Segment]] = defaultdict(list)
    for client, samples in sounds.items():
        batch.join(client)
        batch.push(client, samples)
        batch.step()
        if client < 2:
            batch.end(client)
    batch.leave(3)
    while batch.ready:
        for client, found in batch.step().items():
            assert client < 2
            results[client] += found
    assert set(results) == {0, 1} and 2 in batch
    results[2] = batch.finish(2)
    for client in range(3):
        assert_like(finals(results[client]), everything(engine, sounds[client]))


def test_a_flush_takes_what_has_come_for_the_whole():
    engine = model("bidirectional").engine(endpoint=SHORT)
    samples = speech(2, words=6)
    middle = len(samples) // 2
    stream = Stream(engine)
    assert stream.push(samples[:middle]) == []
    first = finals(stream.flush())
    assert_like(first, everything(engine, samples[:middle]))
    assert stream.flush() == []
    stream.push(samples[middle:])
    rest = finals(stream.finish())
    assert text(first) and text(rest)
    words = [word for segment in first + rest for word in segment.words]
    assert all(a.start <= b.start for a, b in pairwise(words))
    # Far from the flush, which is the end of a sound to the one and not to the other, both hear the same.
    assert (
        words[-1].text[-2:] == [word for segment in everything(engine, samples) for word in segment.words][-1].text[-2:]
    )


def test_nothing_at_all_is_no_error():
    stream = model("bidirectional").stream()
    assert text(stream.flush()) == "" and text(stream.finish()) == ""


def test_a_source_may_not_be_longer_than_memory_allows():
    engine = fresh(model("bidirectional"))
    assert engine.longest == 65_536 * 64
    engine.longest = RATE
    batch = StreamBatch(engine, 2)
    for client in ("short", "long"):
        batch.join(client)
        batch.push(client, speech(1)[:1000])
    with pytest.raises(UsageError, match=r"does not stream: .* at most 1600 samples \(1 s\); cut it into parts"):
        batch.push("long", speech(1)[1000:2000])
    assert text(batch.finish("short")) == text(batch.finish("long")) != ""


def test_info_says_that_it_does_not_stream(tmp_path, capsys):
    for name, config in {"whole": MODELS["bidirectional"], "steps": PLAIN}.items():
        save_checkpoint(tmp_path / name, build_network(config), config, {"letters": LETTERS})
    assert main(["info", str(tmp_path / "whole"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["streams"] is False and "latency_ms" not in facts
    assert main(["info", str(tmp_path / "steps"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["streams"] is True and facts["latency_ms"] > 0
