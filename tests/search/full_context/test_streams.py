"""Full-context models as streams: what comes depends on the sound alone, stays as it is, and is bounded in memory."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_full_context import RATE, speech, tiny_full_context

from transducer.errors import UsageError
from transducer.results import Segment
from transducer.search.options import OF_FULL_CONTEXT


def listen(packets: list[np.ndarray], **options) -> list[Segment]:
    stream = tiny_full_context().stream(**options)
    return [*itertools.chain.from_iterable(map(stream.push, packets)), *stream.finish()]


@settings(max_examples=4)
@given(st.integers(0, 4), st.lists(st.integers(0, 5 * RATE), max_size=8))
def test_packets_of_any_size_give_the_same_in_the_same_order(seed: int, cuts: list[int]) -> None:
    sound = speech(seed, 2)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(sound)), len(sound)]
    parts = [sound[begin:end] for begin, end in itertools.pairwise(bounds)]
    assert listen(parts) == listen([sound])


@pytest.mark.parametrize("chunk_ms", [160, 640])
def test_blocks_of_another_size_end_segments_in_the_same_places(chunk_ms: float) -> None:
    whole = [s for s in listen([speech(5)], partials=False) if s.final]
    assert [s for s in listen([speech(5)], partials=False, chunk_ms=chunk_ms)] == whole


def test_stable_words_stay_and_times_go_forward() -> None:
    found = listen([speech(0), speech(1)])
    assert sum(segment.final for segment in found) >= 2
    assert any(segment.stable for segment in found if not segment.final)
    promised, last = (), 0.0
    for segment in found:
        assert segment.words[: len(promised)] == promised
        promised = () if segment.final else segment.words[: segment.stable]
        times = [last, *itertools.chain.from_iterable((word.start, word.end) for word in segment.words)]
        assert times == sorted(times)
        assert all(0 <= word.confidence <= 1 for word in segment.words)
        if segment.final:
            assert segment.words
            assert segment.stable == len(segment.words)
            last = segment.end
    assert last <= sum(len(speech(seed)) for seed in range(2)) / RATE


def test_a_stream_can_be_saved_and_forked() -> None:
    sound, model = speech(3, 2), tiny_full_context()
    half = len(sound) // 2
    stream = model.stream()
    before = stream.push(sound[:half])
    saved = pickle.dumps(stream.state)
    rest = stream.push(sound[half:]) + stream.finish()
    again = model.stream(state=pickle.loads(saved))
    assert again.push(sound[half:]) + again.finish() == rest
    assert before + rest == listen([sound])


def test_clients_of_a_batch_get_what_they_get_alone() -> None:
    batch = tiny_full_context().batch(2)
    found: dict[str, list[Segment]] = {"a": [], "b": []}
    for name, seed in (("a", 0), ("b", 4)):
        batch.join(name)
        batch.push(name, speech(seed, 2))
        batch.end(name)
    while len(batch):
        for name, results in batch.step().items():
            found[name] += results
    assert found == {"a": listen([speech(0, 2)]), "b": listen([speech(4, 2)])}


def test_a_flush_makes_all_so_far_final_and_the_stream_goes_on() -> None:
    stream = tiny_full_context().stream(partials=False)
    stream.push(np.concatenate([np.zeros(RATE, np.float32), speech(1)[: 2 * RATE]]))
    (first,) = stream.flush()
    assert first.final
    assert stream.flush() == []
    rest = [*stream.push(speech(2)), *stream.finish()]
    assert rest
    assert all(segment.start >= first.end for segment in rest)


def test_memory_is_that_of_one_segment_however_long_the_stream() -> None:
    stream = tiny_full_context().stream(partials=False)
    sizes = []
    for seed in range(4):
        stream.push(speech(seed, 2))
        stream.push(np.zeros(2 * RATE, np.float32))
        sizes.append(len(pickle.dumps(stream.state)))
    assert max(sizes) < 1.5 * min(sizes)
    assert stream.engine.search.idle(stream.state.search) > 0


def test_nothing_is_said_in_silence() -> None:
    assert listen([np.zeros(6 * RATE, np.float32)]) == []


def test_a_segment_that_never_pauses_is_cut_by_its_length() -> None:
    noise = np.random.default_rng(0).normal(0, 1, 12 * RATE)
    swell = np.repeat(np.abs(np.sin(np.arange(120) / 2)) + 0.05, RATE // 10)
    found = [s for s in listen([(noise * swell * 0.3).astype(np.float32)], partials=False) if s.final]
    assert len(found) >= 2
    assert all(segment.end - segment.start <= 4.5 for segment in found)


def test_words_can_be_events_and_come_with_alternatives() -> None:
    model = tiny_full_context()
    words = [s for s in listen([speech(1)], partials=False) if s.final]
    events = model.label([speech(1)]).events
    assert [event.label for event in events] == [word.text for segment in words for word in segment.words]
    found = [s for s in listen([speech(1)], partials=False, search="beam", beam=3, nbest=3) if s.final]
    assert max(len(segment.alternatives) for segment in found) > 1
    for segment in found:
        scores = [score for _, score in segment.alternatives]
        assert scores == sorted(scores, reverse=True)
        assert segment.alternatives[0][0] == segment.text


def test_what_is_drawn_is_the_same_each_time() -> None:
    options = {"search": "sample", "temperature": 0.8, "partials": False}
    assert listen([speech(1)], **options, seed=3) == listen([speech(1)], **options, seed=3)


def test_a_prompt_and_hotwords_are_heard() -> None:
    plain = listen([speech(1)], partials=False, search="beam", beam=3)
    prompted = listen([speech(1)], partials=False, search="beam", beam=3, prompt="a b a b")
    assert [s.text for s in prompted] != [s.text for s in plain]
    named = listen([speech(1)], partials=False, search="beam", beam=3, hotwords=["c c"])
    assert [s.text for s in named] != [s.text for s in plain]


def test_a_language_is_told_once_and_a_task_is_asked_for() -> None:
    model = tiny_full_context(languages=True)
    told = {name: model.transcribe([speech(1)], language=name) for name in ("xx", "yy")}
    assert [transcript.language for transcript in told.values()] == ["xx", "yy"]
    assert model.transcribe([speech(1)]).language in told
    assert told["xx"].words != told["yy"].words  # the model hardly listens to it: in confidences at least
    # Each segment is judged by itself until the language is certain.
    either = {segment.text for transcript in told.values() for segment in transcript.segments}
    assert {segment.text for segment in model.transcribe([speech(1)]).segments} <= either
    assert model.transcribe([speech(1)], language="xx", task="translate").words != told["xx"].words


@pytest.mark.parametrize(
    ("languages", "options", "message"),
    [
        (True, {"language": "zz"}, "no language 'zz': it has xx, yy"),
        (False, {"language": "de"}, "no language 'de': it has en"),
        (False, {"task": "translate"}, "cannot translate"),
        (False, {"task": "sing"}, "unknown task 'sing': there are transcribe, translate"),
        (False, {"hotwords": ["a"]}, "hotwords need a beam search"),
        (False, {"align": "a b"}, "cannot align"),
        (False, {"threshold": 0.5}, "thresholds"),
        (False, {"prompt": 3}, "a prompt is a text"),
        (False, {"search": "beam", "coverage_penalty": 0.2}, "coverage"),
    ],
)
def test_what_it_cannot_do_it_says(languages: bool, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tiny_full_context(languages).engine(**options)


def test_other_models_say_that_they_have_none_of_this() -> None:
    from tiny_models import tiny_model

    for name, value in {"language": "de", "task": "translate", "prompt": "a"}.items():
        assert name in OF_FULL_CONTEXT
        with pytest.raises(UsageError, match=name):
            tiny_model("ctc").engine(**{name: value})
