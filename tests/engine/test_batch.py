"""Many clients in one step: joining, leaving, ending and flushing at any time, each gets what it would get alone."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import SHORT, assert_like, finals, run
from tiny_models import MODELS, RATE, speech, tiny_model

from transducer.engine.batch import StreamBatch
from transducer.engine.engine import Engine
from transducer.errors import UsageError
from transducer.results import Segment

CAPACITY = 3


def alone(engine: Engine, slot: int, samples: np.ndarray, flushes: list[int], ended: str) -> list[Segment]:
    """What a client gets that has a batch of the same capacity for itself, in the same slot, and ends the same way: a
    finish is computed on its row alone, which may round differently."""
    batch = StreamBatch(engine, CAPACITY)
    for other in range(slot):
        batch.join(other)
    batch.join("only")
    for other in range(slot):
        batch.leave(other)
    results, position = [], 0
    for place in [*flushes, len(samples)]:
        batch.push("only", samples[position:place])
        position = place
        while batch.ready:
            results += batch.step().get("only", [])
        if place in flushes:
            results += batch.flush("only")
    if ended == "end":
        batch.end("only")
        while "only" in batch:
            results += batch.step().get("only", [])
    return results + (batch.finish("only") if ended == "finish" else [])


class Crowd:
    """Clients that do as Hypothesis says, and what they have got so far."""

    def __init__(self, engine: Engine):
        self.batch = StreamBatch(engine, CAPACITY)
        self.positions: dict[int, int] = {}
        self.slots: dict[int, int] = {}
        self.flushes: dict[int, list[int]] = defaultdict(list)
        self.results: dict[int, list[Segment]] = defaultdict(list)
        self.ended: dict[int, str] = {}

    def sound(self, client: int) -> np.ndarray:
        return speech(client, words=3)

    def act(self, client: int, action: str, amount: int) -> None:
        batch = self.batch
        if action == "step":
            for name, found in batch.step().items():
                self.results[name] += found
        elif client not in self.positions:
            if len(batch) < CAPACITY:
                batch.join(client)
                self.positions[client] = 0
                self.slots[client] = batch._clients[client].slot
        elif client not in batch or client in self.ended:
            pass
        elif action == "push":
            start = self.positions[client]
            packet = self.sound(client)[start : start + amount]
            batch.push(client, packet)
            self.positions[client] += len(packet)
        elif action == "flush":
            self.results[client] += batch.flush(client)
            self.flushes[client].append(self.positions[client])
        elif action == "end":
            batch.end(client)
            self.ended[client] = action
        elif action == "finish":
            self.results[client] += batch.finish(client)
            self.ended[client] = action
        elif action == "leave":
            self.work_off()
            batch.leave(client)

    def work_off(self) -> None:
        while self.batch.ready:
            self.act(0, "step", 0)


ACTIONS = st.sampled_from(["push", "push", "push", "step", "step", "flush", "end", "finish", "leave"])


@pytest.mark.parametrize("name", MODELS)
@given(st.lists(st.tuples(st.integers(0, 4), ACTIONS, st.integers(0, 3000)), min_size=15, max_size=60))
@settings(max_examples=20)
def test_every_client_gets_what_it_would_get_alone(name, actions):
    engine = tiny_model(name).engine(endpoint=SHORT)
    crowd = Crowd(engine)
    for action in actions:
        crowd.act(*action)
    crowd.work_off()
    for client, position in crowd.positions.items():
        samples, flushes, ended = crowd.sound(client)[:position], crowd.flushes[client], crowd.ended.get(client, "")
        truth = alone(engine, crowd.slots[client], samples, flushes, ended)
        # To the bit, but that a flush or finish is computed on one row alone, and may come before what was pushed has
        # been worked off.
        if flushes or ended == "finish":
            assert_like(finals(crowd.results[client]), finals(truth))
        else:
            assert crowd.results[client] == truth
        if ended and not flushes:
            assert_like(finals(truth), finals(run(engine, [samples])))


@pytest.mark.parametrize("name", MODELS)
def test_a_full_batch_of_different_lengths(name):
    """Rows end in the middle of a block while others go on."""
    engine = tiny_model(name).engine(endpoint=SHORT)
    batch = StreamBatch(engine, 8)
    sounds = {client: speech(client)[: 1800 * client + 13 * client] for client in range(8)}
    results: dict[int, list[Segment]] = defaultdict(list)
    for client, samples in sounds.items():
        batch.join(client)
        batch.push(client, samples)
        batch.end(client)
    while len(batch):
        for client, found in batch.step().items():
            results[client] += found
    for client, samples in sounds.items():
        assert_like(finals(results[client]), finals(run(engine, [samples])))
    assert sum(map(len, results.values())) > 16


@pytest.mark.parametrize("name", MODELS)
@given(st.lists(st.sets(st.integers(0, 3), min_size=1), min_size=1, max_size=20))
@settings(max_examples=10)
def test_only_ready_rows_are_computed_and_only_some_are_served(name, turns):
    engine = tiny_model(name).engine(endpoint=SHORT)
    batch = StreamBatch(engine, 4, compact=True)
    sounds = {client: speech(client)[: 4000 + 1333 * client] for client in range(4)}
    results: dict[int, list[Segment]] = defaultdict(list)
    for client, samples in sounds.items():
        batch.join(client)
        batch.push(client, samples)
        batch.end(client)
    everybody = set(sounds)
    for turn in [*turns, *[everybody] * 100]:
        before = {client: batch.waiting(client) for client in everybody - turn if client in batch}
        for client, found in batch.step(turn).items():
            assert client in turn
            results[client] += found
        assert {client: batch.waiting(client) for client in before} == before
    assert not len(batch)
    for client, samples in sounds.items():
        assert_like(finals(results[client]), finals(run(engine, [samples])))


def test_a_slot_is_clean_for_the_next_client():
    engine = tiny_model("ctc").engine()
    batch = StreamBatch(engine, 1)
    for seed in (1, 2, 1):
        batch.join("somebody")
        batch.push("somebody", speech(seed))
        results = []
        while batch.ready:
            results += batch.step().get("somebody", [])
        if seed == 2:
            batch.leave("somebody")
        else:
            assert results + batch.finish("somebody") == run(engine, [speech(1)])


def test_an_ended_client_leaves_with_its_last_results():
    engine = tiny_model("ctc, look-ahead").engine()
    batch = StreamBatch(engine, 2)
    batch.join("a")
    batch.join("b")
    samples = speech(1)[: RATE + 7]
    batch.push("a", samples)
    batch.end("a")
    batch.end("a")
    results = []
    while "a" in batch:
        assert batch.ready == ["a"]
        results += batch.step().get("a", [])
    assert results[-1].final
    assert_like(finals(results), finals(run(engine, [samples])))
    assert batch.ready == [] and batch.step() == {} and len(batch) == 1


def test_an_ended_client_without_sound_leaves_too():
    batch = tiny_model("ctc").batch(1)
    batch.join("a")
    batch.end("a")
    assert batch.step() == {} and len(batch) == 0


def test_errors():
    batch = tiny_model("ctc").batch(2)
    batch.join("a")
    with pytest.raises(UsageError, match="'a' is already there"):
        batch.join("a")
    batch.join("b")
    with pytest.raises(UsageError, match="full: it has room for 2"):
        batch.join("c")
    calls = (batch.leave, batch.end, batch.flush, batch.finish, lambda name: batch.push(name, speech(1)[:10]))
    for call in calls:
        with pytest.raises(UsageError, match="no stream named 'c'"):
            call("c")
    with pytest.raises(UsageError, match="float32"):
        batch.push("a", np.zeros(10))
    batch.push("a", speech(1)[:10])
    batch.end("a")
    with pytest.raises(UsageError, match="'a' has ended"):
        batch.push("a", speech(1)[:10])
    with pytest.raises(UsageError, match="at least one"):
        tiny_model("ctc").batch(0)
    batch.leave("a")
    batch.join("c")
