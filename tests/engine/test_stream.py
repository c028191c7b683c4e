"""The streaming law on the whole way from samples to text, with models of every kind."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
import torch
from contract import flat
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import SHORT, finals, fresh, run
from tiny_models import HOP, MODELS, RATE, forward, speech, tiny_model

from transducer.engine.engine import Engine
from transducer.engine.stream import Stream
from transducer.errors import UsageError

SEARCHES = [(name, search) for name in MODELS for search in ("greedy", "beam")]
every_search = pytest.mark.parametrize(("name", "search"), SEARCHES)
every_model = pytest.mark.parametrize("name", MODELS)


def cut(samples: np.ndarray, places: list[int]) -> list[np.ndarray]:
    return np.split(samples, sorted(place % (len(samples) + 1) for place in places))


def ended(engine: Engine, samples: np.ndarray) -> np.ndarray:
    """Samples with the silence behind them that a head which writes late needs."""
    return np.concatenate([samples, np.zeros(engine.silence if len(samples) else 0, np.float32)])


def outputs_of(engine: Engine, length: int) -> int:
    """How many outputs there are of so many samples, once the stream has ended."""
    return -(-(length + engine.silence) // engine.network.stride) if length else 0


def outputs_searched(engine: Engine) -> list[np.ndarray]:
    """Makes an engine note what its search is given, from now on."""
    searched: list[np.ndarray] = []
    step = engine.search.step

    def noting(states, outputs):
        searched.extend(outputs)
        return step(states, outputs)

    engine.search.step = noting
    return searched


@every_search
@settings(max_examples=8)
@given(
    st.integers(0, 3),
    st.integers(0, 500),
    st.lists(st.integers(0, 10**6), max_size=12),
    st.sampled_from([None, SHORT]),
    st.sampled_from([80.0, 160.0, 320.0]),
)
def test_results_do_not_depend_on_packets_and_equal_offline(name, search, seed, missing, places, rules, chunk_ms):
    model = tiny_model(name)
    samples = speech(seed)
    samples = samples[: len(samples) - missing]
    engine = fresh(model, search=search, beam=4, chunk_ms=chunk_ms, nbest=2, endpoint=rules)
    search = engine.search
    step, searched = search.step, outputs_searched(engine)
    results = run(engine, cut(samples, places))
    streamed = np.concatenate(searched)
    assert results == run(engine, [samples])

    # The network's outputs are those of the whole up to rounding; and of equal outputs the search makes the same.
    offline = forward(model.networks._network_at_chunk(round(chunk_ms / 40)), ended(engine, samples))
    np.testing.assert_allclose(streamed, offline, rtol=1e-4, atol=1e-4)
    ((state, whole),) = step([search.init()], [streamed])
    assert finals(results) == finals(whole + search.flush(state)[1])


@every_search
def test_one_sample_at_a_time_and_empty_packets(name, search):
    engine = fresh(tiny_model(name), search=search, beam=4)
    samples = speech(4, words=2)
    nothing = np.zeros(0, np.float32)
    crumbs = [packet for sample in samples for packet in (nothing, sample[None])]
    assert run(engine, crumbs) == run(engine, [samples])
    assert finals(run(engine, [samples]))


@every_model
@given(length=st.integers(0, 1400))
@settings(max_examples=12)
def test_every_frame_is_searched_once(name, length):
    """Whatever the length: what does not fill a block or a frame, and what the look-ahead holds back, comes out."""
    engine = fresh(tiny_model(name))
    searched = outputs_searched(engine)
    run(engine, [speech(1)[:length]])
    assert sum(map(len, searched)) == outputs_of(engine, length)


@every_model
def test_text_comes_out_in_segments(name):
    """The other tests would be empty without."""
    engine = fresh(tiny_model(name), endpoint=SHORT)
    results = [segment for seed in range(4) for segment in run(engine, [speech(seed)])]
    assert len(finals(results)) >= 8
    assert len({segment.text for segment in finals(results)}) >= 4
    assert sum(not segment.final for segment in results) >= 8


@every_search
@given(st.integers(0, 5), st.sampled_from([80.0, 160.0]), st.lists(st.integers(0, 10**6), max_size=3))
@settings(max_examples=6)
def test_a_stable_prefix_never_changes(name, search, seed, chunk_ms, flushes):
    stream = tiny_model(name).stream(search=search, chunk_ms=chunk_ms, endpoint=SHORT)
    results = []
    for packet in cut(speech(seed), flushes):
        results += [*stream.push(packet), *stream.flush()]
    promised = ()
    ends = [0.0]
    for segment, following in itertools.pairwise([*results, *stream.finish(), None]):
        assert segment.words[: len(promised)] == promised
        promised = () if segment.final else segment.words[: segment.stable]
        assert segment != following
        if segment.final:
            for word in segment.words:
                assert ends[-1] <= word.start < word.end
                ends.append(word.end)


@every_model
@pytest.mark.parametrize("chunk_ms", [80.0, 160.0])
def test_latency_is_as_declared(name, chunk_ms):
    """Measured: how many samples had been heard when an output came, counted from its frame's first one."""
    engine = fresh(tiny_model(name), chunk_ms=chunk_ms)
    searched = outputs_searched(engine)
    stream = Stream(engine)
    latest = 0
    hop = engine.network.stride
    for heard in range(1, 40 * HOP + 1):
        before = sum(map(len, searched))
        stream.push(np.zeros(1, np.float32))
        if sum(map(len, searched)) > before:
            latest = max(latest, heard - before * hop)
    # What a head hears may be written some steps later.
    assert latest + engine.silence == round(stream.latency * RATE)


@every_search
def test_memory_is_constant(name, search):
    stream = tiny_model(name).stream(search=search, endpoint=SHORT)
    sizes = []
    for _ in range(3):
        for seed in range(2):
            stream.push(speech(seed))
        batch = stream._batch
        (client,) = batch._clients.values()
        assert len(client.waiting) < stream.block
        assert sum(map(len, client.waiting._parts)) == len(client.waiting)
        sizes.append(([t.shape for t in flat(batch._state)], len(pickle.dumps(client.search))))
    assert sizes[0][0] == sizes[1][0] == sizes[2][0]
    # What a search keeps of one segment; it is shorter than 1.5 s.
    assert max(size for _, size in sizes) < 60_000


@every_model
@given(st.lists(st.integers(0, 6000), min_size=1, max_size=4), st.integers(0, 3))
@settings(max_examples=8)
def test_flush_gives_all_there_is_and_the_stream_goes_on(name, places, seed):
    """Every frame is searched once; before a flush it is what a stream that ends there has, after it what an
    unbroken stream has."""
    engine = fresh(tiny_model(name))
    searched = outputs_searched(engine)
    samples = speech(seed)
    run(engine, [samples])
    unbroken = np.concatenate(searched)
    heard, position = [], 0
    stream = Stream(engine)
    for packet in cut(samples, places)[:-1]:
        position += len(packet)
        searched.clear()
        run(engine, [samples[:position]])
        ending = np.concatenate([unbroken[:0], *searched])
        searched.clear()
        first = sum(map(len, heard))
        results = [*stream.push(packet), *stream.flush()]
        heard += searched
        assert sum(map(len, heard)) == outputs_of(engine, position)
        for number, output in enumerate(np.concatenate([unbroken[:0], *searched]), start=first):
            assert np.array_equal(output, ending[number]) or np.array_equal(output, unbroken[number])
        assert not results or results[-1].final
        assert stream.flush() == []
    searched.clear()
    first = sum(map(len, heard))
    stream.push(samples[position:])
    stream.finish()
    rest = np.concatenate([unbroken[:0], *searched])
    assert np.array_equal(rest, unbroken[first:])


def test_a_flush_in_silence_changes_no_word():
    model = tiny_model("ctc")
    quiet = np.zeros(RATE, np.float32)
    samples = np.concatenate([speech(1, words=1), quiet, speech(2, words=1), quiet])
    whole = finals(run(fresh(model), [samples]))
    stream = model.stream()
    middle = len(speech(1, words=1)) + len(quiet)
    results = [*stream.push(samples[:middle]), *stream.flush(), *stream.push(samples[middle:]), *stream.finish()]
    assert [word for segment in finals(results) for word in segment.words] == [w for s in whole for w in s.words]


def test_times_go_on_after_a_flush():
    stream = tiny_model("ctc").stream()
    stream.push(np.zeros(10 * RATE + 7, np.float32))
    stream.flush()
    (segment,) = finals([*stream.push(speech(1, words=1)), *stream.finish()])
    assert 10.0 <= segment.start < 11.0


def test_flush_leaves_the_state_of_the_network_alone():
    stream = tiny_model("ctc, look-ahead").stream()
    stream.push(speech(1)[:1001])
    before = [tensor.clone() for tensor in flat(stream._batch._state)]
    stream.flush()
    assert all(torch.equal(a, b) for a, b in zip(before, flat(stream._batch._state), strict=True))


def test_endpoints_end_segments_while_the_stream_runs():
    stream = tiny_model("ctc").stream()
    assert finals(stream.push(speech(1, words=1)[:RATE])) == []
    assert len(finals(stream.push(np.zeros(3 * RATE, np.float32)))) == 1
    assert stream.finish() == []


def test_the_caller_may_use_its_buffer_again():
    engine = fresh(tiny_model("ctc"))
    samples = speech(2)
    stream, buffer, results = Stream(engine), np.zeros(100, np.float32), []
    for start in range(0, len(samples), 100):
        packet = samples[start : start + 100]
        buffer[: len(packet)] = packet
        results += stream.push(buffer[: len(packet)])
        buffer[:] = 1.0
    assert results + stream.finish() == run(engine, [samples])


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(10), "float64 of shape"),
        (np.zeros(10, np.int16), "int16 of shape"),
        (np.zeros((10, 1), np.float32), r"shape \(10, 1\)"),
        (np.float32(0.0), r"shape \(\)"),
        ([0.0, 0.1], "float64"),
        (np.array([0.0, np.nan], np.float32), "NaN or infinity"),
        (np.array([np.inf], np.float32), "NaN or infinity"),
    ],
)
def test_wrong_samples_are_refused_and_change_nothing(samples, message):
    engine = fresh(tiny_model("ctc"))
    stream = Stream(engine)
    good = speech(1)
    results = stream.push(good[:1000])
    with pytest.raises(UsageError, match=message):
        stream.push(samples)
    assert results + stream.push(good[1000:]) + stream.finish() == run(engine, [good])


def test_nothing_goes_after_finish():
    stream = tiny_model("ctc").stream()
    stream.push(speech(1)[:100])
    stream.finish()
    for call in (lambda: stream.push(speech(1)[:100]), stream.flush, stream.finish):
        with pytest.raises(UsageError, match="finished"):
            call()


def test_no_sound_no_segments():
    stream = tiny_model("rnnt, lstm").stream(search="beam")
    assert stream.flush() == []
    assert stream.finish() == []


def test_a_block_must_fit_the_network():
    engine = fresh(tiny_model("ctc"), chunk_ms=160)
    with pytest.raises(ValueError, match="no multiple"):
        Engine(engine.network, engine.search, engine.medium, engine.network.block + 1)
