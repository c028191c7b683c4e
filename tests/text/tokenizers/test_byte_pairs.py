"""Byte pairs against the library that published tokenizers are made with."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transducer.errors import CheckpointError, UsageError
from transducer.text.tokenizers.byte_pairs import BytePairs, byte_alphabet
from transducer.text.tokenizers.files import load_tokenizer, save_tokenizer

LINES = ["the quick brown fox jumps over the lazy dog", "don't they'll  sing 1234 naïve 東京 songs, songs and songs!\n"]
# What GPT-2's pattern tells apart: letters, numbers, other signs, endings, spaces of many kinds, halves of characters.
texts = st.text(st.sampled_from("theosngTé東٣²Ⅷ19'’sdlv ., \n\t\u00a0\u3000\x1c😀\u0301-"), max_size=20)


@pytest.fixture(scope="module")
def reference():
    tokenizers = pytest.importorskip("tokenizers")
    found = tokenizers.Tokenizer(tokenizers.models.BPE())
    found.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    found.train_from_iterator(LINES, trainer)
    return found


@pytest.fixture(scope="module")
def ours(reference) -> BytePairs:
    numbers = reference.get_vocab()
    return BytePairs([*sorted(numbers, key=numbers.get), "<|end|>"], [len(numbers)])


@given(text=texts)
def test_tokens_are_those_of_the_library(ours, reference, text):
    assert ours.encode(text) == reference.encode(text).ids
    assert ours.decode(ours.encode(text)) == text


@given(ids=st.lists(st.integers(0, 300), max_size=30))
def test_any_tokens_have_spans_and_a_text(ours, ids):
    for first, end in ours.word_spans(ids):
        assert first < end and ours.decode(ids[first:end]).split()
    assert ours.decode(ids).startswith(ours.decode_whole(ids))


def test_words_and_special_tokens(ours):
    ids = [*ours.encode("the fox"), 300, *ours.encode(" and  songs")]
    assert ours.special == {"<|end|>": 300}
    assert [ours.decode(ids[a:b]).strip() for a, b in ours.word_spans(ids)] == ["the", "fox", "and", "songs"]
    assert ours.decode(ids) == "the fox and  songs"
    assert 300 not in ours.encode("<|end|>") and ours.decode(ours.encode("<|end|>")) == "<|end|>"


def test_half_a_character_is_left_out(ours):
    ids = ours.encode("a😀")
    assert ours.decode(ids[:-1]) == "a\ufffd" and ours.decode_whole(ids[:-1]) == "a"
    assert ours.decode_whole(ids) == "a😀"


def test_files(ours, tmp_path: Path):
    save_tokenizer(ours, tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.tokens == ours.tokens and again.special == ours.special and again.silence == ours.silence
    (tmp_path / "tokens.json").write_text('{"kind": "byte_pairs", "tokens": ["a"], "special": [0.5]}')
    with pytest.raises(CheckpointError, match="special tokens are no list of numbers"):
        load_tokenizer(tmp_path)


def test_vocabularies_that_make_no_sense():
    with pytest.raises(UsageError, match="strange character '東'"):
        BytePairs(["a", "東"])
    with pytest.raises(UsageError, match="a token twice"):
        BytePairs(["a", "a"])
    with pytest.raises(UsageError, match="no token for the byte 98"):
        BytePairs(["a"]).encode("ab")
    with pytest.raises(ValueError, match="2 is no token: those of this tokenizer are 0 to 1"):
        BytePairs(["a", "b"]).decode([2])
    assert len(set(byte_alphabet())) == 256


def test_a_token_of_nothing():
    tokenizer = BytePairs(["a", "", "b"])
    assert tokenizer.encode("ab") == [0, 2] and tokenizer.decode([0, 1, 2]) == "ab" and 1 in tokenizer.silence
