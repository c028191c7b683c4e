"""What is suggested to a decoder, by words that somebody else has heard."""

from __future__ import annotations

import pytest

import transducer
from transducer.search.full_context.suggestions import MOST, Suggestions
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return transducer.load("whisper-tiny.en").units["tokens"]


HEARD = "he said the captain doesn't know where I am going today or tomorrow"


@pytest.mark.parametrize(
    ("written", "suggested"),
    [
        ("", " He said the captain doesn't know"),
        (" He", " said the captain doesn't know where"),
        (" He said,", " the captain doesn't know where I"),
        (" He said. ", " The captain doesn't know where I"),
        (' He said, "Captain Doe', "sn't know where I am going today"),  # a word that is only begun
        (" She set the captain doesn't", " know where I am going today"),
        (" He said the old captain", " doesn't know where I am going"),  # one word more than was heard
        (" He said captain", " doesn't know where I am going"),  # one less
        (" He said the captain doesn't know where I am going today", " or tomorrow."),
        (" He said the captain doesn't know where I am going today or tomorrow", ""),
        (" Nobody knows what this is about, and so it goes on, and on, and on, and on", ""),
    ],
)
def test_what_was_heard_next(tokenizer: Tokenizer, written: str, suggested: str) -> None:
    found = Suggestions(tokenizer, HEARD.split())(tokenizer.encode(written))
    assert len(found) <= MOST
    assert suggested.startswith(tokenizer.decode(found)) and bool(found) == bool(suggested)


def test_nothing_was_heard(tokenizer: Tokenizer) -> None:
    assert Suggestions(tokenizer, [])([]) == []


def test_letters_that_the_decoder_does_not_have() -> None:
    assert Suggestions(Characters("abc"), ["cab", "zoo"])([]) == []
