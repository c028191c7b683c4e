"""Text for training and for WER."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transducer.text.english.normalise import normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", "hello world"),
        ("Well-known, isn't it?", "well known isn't it"),
        ("'Tis the dogs' bone", "tis the dogs bone"),
        ("don\u2019t \u201cquote\u201d me \u2014 ever", "don't quote me ever"),
        ("o'er the ''so-called'' rock'n'roll", "o'er the so called rock'n'roll"),
        ("\ufb01ne \uff21\uff22\uff23 cafe\u0301", "fine abc caf\u00e9"),
        ("one\t two\n\nthree", "one two three"),
        ("and_so,on...and on", "and so on and on"),
        ("at 5 p.m.", "at 5 p m"),
        ("- ' -- \u2026", ""),
        ("", ""),
    ],
)
def test_examples(text, expected):
    assert normalise(text) == expected


@given(st.text())
def test_twice_is_once(text):
    assert normalise(normalise(text)) == normalise(text)


@given(st.text())
def test_words_are_clean(text):
    words = normalise(text).split(" ")
    assert words == [""] or all(word and word.strip("'") == word for word in words)
    assert normalise(text.upper()) == normalise(text.upper()).lower()
