"""Letters as tokens: case, words, tokens for nothing, and their files."""

from __future__ import annotations

import json

import pytest

from transducer.errors import CheckpointError, UsageError
from transducer.text.tokenizers.files import load_tokenizer, save_tokenizer
from transducer.text.tokenizers.letters import Letters

TOKENS = ["<blank>", "<s>", "|", "A", "B", "CH", "C", "'"]


def test_texts_and_words():
    letters = Letters(TOKENS, 2, [1])
    assert letters.encode("ab Chac'") == letters.encode("AB CHAC'") == [3, 4, 2, 5, 3, 6, 7]
    assert letters.decode([1, 3, 4, 2, 1, 5, 3]) == "AB CHA"
    assert letters.word_spans([1, 3, 4, 2, 1, 5, 3, 2]) == [(1, 3), (5, 7)]
    assert letters.silence == {1, 2}
    assert Letters(["<blank>", "|", "a", "A"], 1).encode("aA a") == [2, 3, 1, 2]
    with pytest.raises(UsageError, match="no token for the character 'D' in 'ad'"):
        letters.encode("ad")
    for token in (0, 8):
        with pytest.raises(ValueError, match="is no token"):
            letters.decode([token])


def test_there_and_back_through_files(tmp_path):
    letters = Letters(TOKENS, 2, [1])
    save_tokenizer(letters, tmp_path)
    again = load_tokenizer(tmp_path)
    assert (again.tokens, again.delimiter, again.special) == (letters.tokens, 2, {1})
    for strange in ({"special": [1.5]}, {"delimiter": "2"}, {"delimiter": 20}, {"tokens": ["a", "b"]}):
        (tmp_path / "tokens.json").write_text(
            json.dumps({"kind": "letters", "tokens": TOKENS, "delimiter": 2, "special": [1]} | strange)
        )
        with pytest.raises(CheckpointError, match="damaged"):
            load_tokenizer(tmp_path)


@pytest.mark.parametrize("wrong", [(["a", "|"], 1), (["<blank>", "a", "a"], 1), (["<blank>", ""], 1), (TOKENS, 2, [2])])
def test_what_is_no_vocabulary(wrong):
    with pytest.raises(UsageError):
        Letters(*wrong)
