"""Readable text: what a stream of segments shows, and what a model's numbers are made into."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_readable import WORDS, bare, segment, tiny

from transducer.errors import CheckpointError
from transducer.search.endpoint import EndpointRules
from transducer.text.readable import Readable
from transducer.text.readable.features import NGRAMS, UNKNOWN, WordFeatures
from transducer.text.readable.labels import CAPITALISED, LOWER, MARK_NAMES, MARKS, UPPER, best_marks, with_case
from transducer.text.readable.pauses import PAUSES, Pauses
from transducer.text.readable.restore import CUT


@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9), min_size=1, max_size=4),
    st.integers(0, 3),
    st.data(),
)
@settings(max_examples=10)
def test_words_stay_and_so_does_what_is_stable(sentences, look_ahead, data):
    model = tiny(look_ahead, Pauses((0.15,), ((0.0,) * 10, (0.0, *[2.0] * 9), (0.0, *[3.0] * 9))))
    straight = [*map(Readable(model), map(segment, sentences))]
    readable = Readable(model)
    for texts, expected in zip(sentences, straight, strict=True):
        final, stable = segment(texts), 0
        for length in sorted(data.draw(st.lists(st.integers(1, len(texts)), max_size=4))):
            stable = data.draw(st.integers(stable, max(stable, length - 1)))
            wrong = data.draw(st.lists(st.sampled_from(WORDS), max_size=2))
            given_words = segment([*texts[: max(length, stable)][:stable], *wrong], stable)
            shown = readable(given_words)
            assert [bare(word.text) for word in shown.words] == [word.text for word in given_words.words]
            assert shown.stable == max(0, stable - max(1, look_ahead)) and not shown.final
            assert shown.words[: shown.stable] == expected.words[: shown.stable]
        result = readable(final)
        assert result == expected  # whatever partials came before it
        assert (result.start, result.end, result.stable) == (final.start, final.end, len(final.words))
        for before, after in zip(final.words, result.words, strict=True):
            assert bare(after.text) == before.text
            assert (after.start, after.end, after.confidence) == (before.start, before.end, before.confidence)


def test_sentences_begin_with_capitals():
    ends, inside = (tuple(50.0 if mark == best else 0.0 for mark in range(len(MARKS))) for best in (2, 0))
    readable = Readable(tiny(pauses=Pauses((0.15,), (inside, ends, ends))))
    assert all(word.text[0].isupper() for word in readable(segment(["the"])).words)
    first, second = readable(segment(["the", "a", "the"])), readable(segment(["the"]))
    assert first.words[0].text == "The" and first.words[2].text.endswith(".")
    assert second.words[0].text == "The."


@pytest.mark.parametrize(
    ("text", "begins"), [("Turn left, you know.", True), ("The old", False), ("where is it?", True)]
)
def test_what_is_readable_stays(text, begins):
    readable, other = Readable(tiny()), Readable(tiny())
    readable(segment(["the", "a"], 0))  # a partial before it
    assert readable(segment(text.split())) == segment(text.split())
    other._begins = begins
    assert readable(segment(["where", "you"])) == other(segment(["where", "you"]))


def test_the_network_goes_on_over_segments():
    sentence, other = segment(WORDS[:6]), segment(WORDS[6:9])
    after, alone = Readable(tiny()), Readable(tiny())
    after(sentence)
    _, state = after.model.step(WORDS[:6], after.model.init_state())
    expected, _ = after.model.step(WORDS[6:9], state, flush=True)
    after(segment([], 0))
    for text in WORDS[6:9]:
        after._take(text)
    rest, _ = after.model.step([], after._state, flush=True)
    assert np.allclose(rest[-1][0], expected[-1][0], atol=1e-5)
    assert alone(other).words  # and one without a past works as well


def test_a_stream_that_takes_back_what_was_stable():
    readable, other = Readable(tiny()), Readable(tiny())
    readable(segment(["the", "a", "i", "he"], 3))
    assert readable(segment(["where", "you", "know"])) == other(segment(["where", "you", "know"]))


def test_segments_without_words():
    readable, other = Readable(tiny()), Readable(tiny())
    for nothing in (segment([], 0), segment([])):
        assert readable(nothing) == nothing
    assert readable(segment(WORDS)) == other(segment(WORDS))


@pytest.mark.parametrize(
    ("word", "case", "written"),
    [
        ("mary", CAPITALISED, "Mary"),
        ("mary", LOWER, "mary"),
        ("i", LOWER, "I"),
        ("i'm", LOWER, "I'm"),
        ("o'brien", CAPITALISED, "O'Brien"),
        ("o'er", CAPITALISED, "O'er"),
        ("mcgregor", CAPITALISED, "McGregor"),
        ("nasa", LOWER, "NASA"),
        ("ii", UPPER, "II"),
        ("straße", UPPER, "straße"),
        ("", CAPITALISED, ""),
    ],
)
def test_cases(word, case, written):
    assert with_case(word, case) == written


def test_a_mark_is_written_where_some_mark_is_likely():
    shares = np.log([[0.5, 0.3, 0.2, *[1e-9] * 7], [0.7, 0.2, 0.1, *[1e-9] * 7], [0.5, 0.1, 0.2, 0.2001, *[1e-9] * 6]])
    assert best_marks(shares + 5).tolist() == [1, 0, 3]


def test_a_segment_that_may_have_been_cut_is_nearly_as_long_as_they_get():
    assert EndpointRules().max_length - 2.0 == CUT


def test_every_mark_has_a_name():
    assert len(MARK_NAMES) == len(set(MARK_NAMES)) == len(MARKS) - 1


# --- what it is made of


def test_words_are_known_by_their_row_and_their_letters():
    features = WordFeatures(("<blank>", "the", "Tom", "straw"), 50)
    rows = features(["The", "strawberry", "<blank>", ""])
    assert rows.shape == (4, 1 + NGRAMS) and rows.dtype == np.float32
    assert rows[:, 0].tolist() == [1, UNKNOWN, UNKNOWN, UNKNOWN]
    assert (rows[:, 1:] < 50).all() and (rows[:, 1:] == rows[:, 1:].round()).all()
    assert features([]).shape == (0, 1 + NGRAMS)
    assert (features(["straw"])[0, 1:3] == rows[1, 1:3]).all()  # they begin alike


@pytest.mark.parametrize(
    ("edges", "scores"),
    [
        ((0.2, 0.1), 4),
        ((0.1, 0.1), 4),
        ((-1.0,), 3),
        ((float("nan"),), 3),
        ((0.2,), 2),
        ((), 1),
    ],
)
def test_pauses_that_make_no_sense(edges, scores):
    with pytest.raises(ValueError, match="pauses"):
        Pauses(edges, ((0.0,) * len(MARKS),) * scores)
    with pytest.raises(ValueError, match="small"):
        Pauses((0.2,), ((0.0,) * len(MARKS), (float("inf"),) * len(MARKS), (0.0,) * len(MARKS)))


def test_a_file_of_pauses(tmp_path):
    pauses = Pauses((0.2,), ((0.5,) * len(MARKS), (0.0,) * len(MARKS), (1.0,) * len(MARKS)))
    assert Pauses.load(tmp_path) == Pauses()
    pauses.save(tmp_path)
    assert Pauses.load(tmp_path) == pauses
    path = tmp_path / PAUSES
    whole = path.read_text()
    for wrong in (whole.replace("0.5", "0.6", 1), whole[:-9], "[]", "{}", '{"edges": [0.2], "scores": [[1]]}'):
        path.write_text(wrong)
        with pytest.raises(CheckpointError, match=r"pauses\.json is damaged"):
            Pauses.load(tmp_path)
    for document in ('{"edges": 1, "scores": []}', '{"edges": [], "scores": [1, 2]}', '{"edges": ["a"], "scores": []}'):
        path.write_text(document)
        with pytest.raises(CheckpointError, match=r"pauses\.json is damaged"):
            Pauses.load(tmp_path)
