"""Numbers in words as digits: what is written how, and that a stream's stable words stay."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transducer.results import Segment, Word
from transducer.text.english.acronyms import ACRONYMS
from transducer.text.english.digits import MARKS, digits
from transducer.text.english.numerals import CARDINALS, DECADES, ORDINALS, UNITS, spoken, with_suffix


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
        ("twelve oh five am", "12:05 am"),
        ("at seven thirty p m sharp", "at 7:30 pm sharp"),
        ("At Seven Thirty P M.", "At 7:30 PM."),
        ("five p m", "5 pm"),
        ("five P. M. at ten a m", "5 PM. at 10 am"),
        ("between five and six p m", "between 5 and 6 pm"),
        ("five am", "5 am"),
        ("at eleven Pm, or at ten p.m.", "at 11 PM, or at 10 p.m."),
        ("of the five am i the last", "of the five am i the last"),
        ("p m", "p m"),
        ("a m", "a m"),
        ("the P M spoke", "the P M spoke"),
        ("five p, m", "five p, m"),
        ("seven thirty, p m", "7:30, p m"),
        ("thirteen p m", "13 p m"),
        ("one two five p m", "one two five p m"),
        ("five o'clock and ten o'clock", "five o'clock and 10 o'clock"),
        ("the nineteen eighties and nineties", "the 1980s and nineties"),
        ("in the eighteen hundreds, the Twenty Twenties", "in the 1800s, the 2020s"),
        ("twelve eighties", "12 eighties"),
        ("twenty five twenties", "25 twenties"),
        ("ten dollars and fifty cents", "10 dollars and 50 cents"),
        ("five dollars", "five dollars"),
        ("point five", "point five"),
        ("at this point five percent", "at this point five percent"),
        ("three point fifteen", "3.15"),
        ("three point twenty five million", "3.25 million"),
        ("version two point oh and", "version 2.0 and"),
        ("version one point oh", "version 1.0"),
        ("at one point oh dear", "at one point oh dear"),
        ("at one point fifteen men", "at one point 15 men"),
        ("nine oh two one oh", "90210"),
        ("one two three four oh my", "1234 oh my"),
        ("oh two oh seven nine four six oh nine five eight", "02079460958"),
        ("oh five five five five", "oh 5555"),
        ("one eight hundred five five five one two three four", "18005551234"),
        ("eight hundred five five five one two three", "eight hundred five five five one two three"),
        ("forty second street", "42nd street"),
        ("a forty second run", "a forty second run"),
        ("one hundredth of a second", "one hundredth of a second"),
        ("the one hundredth anniversary", "the 100th anniversary"),
        ("u s a", "usa"),
        ("the N A S A, and a B b c film.", "the NASA, and a BBC film."),
        ("x u s a", "x u s a"),
        ("u s a f", "u s a f"),
        ("u s, a man", "u s, a man"),
        ("a b c", "a b c"),
        ("for u s", "for u s"),
        ("i d n a u", "i d n a u"),
        ("my t v at ten p m", "my tv at 10 pm"),
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


OTHERS = "a and and point oh oh o the of am p m i men street u s a t v b b c".split()
WORDS = st.sampled_from([*sorted(CARDINALS | ORDINALS.keys() | DECADES.keys()), *sorted(UNITS), *OTHERS])
TEXTS = st.lists(st.tuples(WORDS, st.sampled_from(["", "", "", ",", "."])), max_size=14)


@settings(max_examples=300)
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
        assert end == at + 1 or word.text[0].isdigit() or word.text.rstrip(MARKS) in ("am", "pm", *ACRONYMS)
        at = end
    assert at == len(whole.words)


@settings(max_examples=500)
@given(TEXTS, st.data())
def test_what_is_stable_stays(pairs, data):
    words = [word + mark for word, mark in pairs]
    final = digits(segment(" ".join(words)))
    stable = data.draw(st.integers(0, len(words)))
    other = data.draw(st.lists(WORDS, max_size=4))  # what a partial result has after its stable words may be wrong
    partial = digits(segment(" ".join([*words[:stable], *other]), stable))
    assert partial.words[: partial.stable] == final.words[: partial.stable]
