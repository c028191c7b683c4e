"""Numbers in words as digits: what is written how, and that a stream's stable words stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transducer.results import Segment, Word
from transducer.text.english.digits import MARKS, digits
from transducer.text.english.numerals import CARDINALS, ORDINALS, spoken, with_suffix


def segment(text: str, stable: int | None = None) -> Segment:
    """A word lasts half a second, and is the surer the later it comes; partial where `stable` is given."""
    words = tuple(Word(word, 0.5 * k, 0.5 * k + 0.5, 0.5 + k / 1000) for k, word in enumerate(text.split()))
    end = 0.5 * len(words)
    return Segment(words, stable is None, 0.0, end, len(words) if stable is None else stable)


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("twenty one men", "21 men"),
        ("nine or ten", "nine or 10"),
        ("one hundred and five", "105"),
        ("a hundred times a hundred and five", "a hundred times 105"),
        ("two hundred and three hundred", "200 and 300"),
        ("fifteen hundred men", "1500 men"),
        ("two thousand and five", "2005"),
        ("twelve thousand five hundred", "12,500"),
        ("five million people", "5 million people"),
        ("one point five billion", "1.5 billion"),
        ("two million three hundred thousand and five", "2,300,005"),
        ("two thousand million", "two thousand million"),
        ("hundreds of hundred", "hundreds of hundred"),
        ("one hundred and", "100 and"),
        ("the twenty first century", "the 21st century"),
        ("the ninth and the tenth", "the ninth and the 10th"),
        ("one hundred and twelfth", "112th"),
        ("a twenty second delay on the twenty second of may", "a twenty second delay on the 22nd of may"),
        ("a tenth of it the tenth of may", "a tenth of it the 10th of may"),
        ("three point one four", "3.14"),
        ("zero point oh five", "0.05"),
        ("the point one makes", "the point one makes"),
        ("in nineteen eighty four", "in 1984"),
        ("nineteen oh five", "1905"),
        ("nineteen hundred and five", "1905"),
        ("twenty twenty", "2020"),
        ("five five oh one", "5501"),
        ("one two three", "one two three"),
        ("seven thirty", "seven thirty"),
        ("seven thirty p m", "7:30 p m"),
        ("twelve oh five am", "12:05 am"),
        ("five and twenty blackbirds", "five and twenty blackbirds"),
        ("between five and ten", "between five and 10"),
        ("twenty thirty forty", "twenty thirty forty"),
        ("oh no oh five", "oh no oh five"),
        ("Twenty, thirty, and One Hundred And Five.", "20, 30, and 105."),
        ("It was 21 already", "It was 21 already"),
    ],
)
def test_rules(words, written):
    assert digits(segment(words)).text == written


def test_a_merged_word_spans_its_words():
    (word, last) = digits(segment("one hundred and five, men")).words
    assert word == Word("105,", 0.0, 2.0, 0.5)
    assert (last.text, last.start, last.end) == ("men", 2.0, 2.5)


@given(st.one_of(st.integers(0, 10**6), st.integers(0, 10**15 - 1)))
def test_there_and_back(number):
    text = digits(segment(" ".join(spoken(str(number))))).text
    head, _, scale = text.partition(" ")
    if number < 10:
        assert text == " ".join(spoken(str(number)))
    elif scale:
        assert number % 10**6 == 0 and [*spoken(head), scale] == spoken(str(number))
    else:
        assert int(text.replace(",", "")) == number


def test_there_and_back_without_a_gap():
    for number in range(10, 10_000):
        assert digits(segment(" ".join(spoken(str(number))))).text == str(number)


@given(st.integers(10, 10**6 - 1))
def test_ordinals_there_and_back(number):
    text = with_suffix(number)
    if spoken(text)[-1] == "second" and spoken(text)[-2] != "and":  # so many seconds
        assert digits(segment("the " + " ".join(spoken(text)))).text == f"the {text}"
    else:
        assert digits(segment(" ".join(spoken(text)))).text == text


WORDS = st.sampled_from([*sorted(CARDINALS | ORDINALS.keys()), *"a and and point oh o the of am m men".split()])
TEXTS = st.lists(st.tuples(WORDS, st.sampled_from(["", "", "", ",", "."])), max_size=14)


@given(TEXTS)
def test_no_word_is_lost(pairs):
    whole = segment(" ".join(word + mark for word, mark in pairs))
    result = digits(whole)
    assert result.stable == len(result.words)
    at = 0
    for word in result.words:  # every word of the result spans words of the input, with nothing between them
        end = next(k for k in range(at, len(whole.words)) if whole.words[k].end == word.end) + 1
        assert word.start == whole.words[at].start
        assert word.confidence == min(w.confidence for w in whole.words[at:end])
        last = whole.words[end - 1].text
        assert word.text[len(word.text.rstrip(MARKS)) :] == last[len(last.rstrip(MARKS)) :]
        assert end == at + 1 or word.text[0].isdigit()
        at = end
    assert at == len(whole.words)


@given(TEXTS, st.data())
def test_what_is_stable_stays(pairs, data):
    words = [word + mark for word, mark in pairs]
    final = digits(segment(" ".join(words)))
    stable = data.draw(st.integers(0, len(words)))
    other = data.draw(st.lists(WORDS, max_size=4))  # what a partial result has after its stable words may be wrong
    partial = digits(segment(" ".join([*words[:stable], *other]), stable))
    assert partial.words[: partial.stable] == final.words[: partial.stable]
