"""What becomes of the words of a second pass with those of the first."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from transducer.results import Segment, Word
from transducer.search.second_pass import merged


def segment(text: str, begin: float = 0.0, step: float = 0.5, confidence: float = 0.6) -> Segment:
    """Words of 0.4 s, one every `step` seconds."""
    words = tuple(
        Word(word, begin + number * step, begin + number * step + 0.4, confidence)
        for number, word in enumerate(text.split())
    )
    return Segment(words, True, words[0].start, words[-1].end, len(words))


def test_words_that_both_have_are_where_the_first_heard_them() -> None:
    heard, written = segment("turn left at the mill", 1.0), segment("Turn left, at the mill.", 1.3, 0.45)
    found = merged(heard, written)
    assert found.text == "Turn left, at the mill."
    assert [(word.start, word.end) for word in found.words] == [(word.start, word.end) for word in heard.words]
    assert all(word.confidence == 0.8 for word in found.words)
    assert (found.start, found.end) == (1.0, 3.4)


def test_one_word_for_another_stands_in_its_place_and_is_less_sure() -> None:
    heard, written = segment("turn left at the hill", 1.0), segment("Turn left at the mill.", 1.3)
    found = merged(heard, written)
    assert (found.words[4].start, found.words[4].confidence) == (3.0, 0.3)


def test_words_of_the_second_alone_lie_between_the_others() -> None:
    heard, written = segment("turn at mill", 1.0), segment("Turn left at the old mill", 0.0, 0.9)
    found = merged(heard, written)
    assert [word.start for word in found.words if word.text in ("Turn", "at", "mill")] == [1.0, 1.5, 2.0]
    assert found.words[1].start >= 1.4 and found.words[1].end <= 1.5


texts = st.lists(st.sampled_from(["a", "b", "c", "--"]), min_size=1, max_size=7).map(" ".join)


@given(texts, texts, st.floats(0, 3), st.floats(0.4, 1))
def test_times_never_go_back(first: str, second: str, begin: float, step: float) -> None:
    found = merged(segment(first, 1.0), segment(second, begin, step))
    assert found.text == second
    assert all(word.start <= word.end for word in found.words)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found.words))
